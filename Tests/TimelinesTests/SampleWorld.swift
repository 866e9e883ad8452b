import Events
import Identity
import Primitives
import Timelines

/// Persons with one or two devices who post, reply, follow and describe themselves; ids collide between logs, dates lie
/// before and after ids, and some events say nothing that can be shown.
struct SampleWorld {
  var persons: [PersonID] = []
  var logs: [SampleLog] = []
  /// Milliseconds since 2024 of all ordinary ids lie below this.
  static let span: UInt64 = 1_000_000

  init(seed: UInt64, persons count: Int, events: Int) {
    var random = SeededRandom(seed: seed)
    persons = (0..<count).map { samplePerson("person \($0) of \(seed)") }
    for (index, person) in persons.enumerated() {
      for device in 0...(index % 2) {
        logs.append(SampleLog(person: person, seed: seed * 1000 + UInt64(index * 2 + device)))
      }
    }
    var posted: [Reference] = []
    var follows: [(log: Int, target: PersonID, dot: EventContent.Dot)] = []
    for step in 0..<events {
      let log = Int(random.next() % UInt64(logs.count))
      // Few different milliseconds, devices and counters: equal ids in different logs are common.
      let ms = UInt64(step) * Self.span / UInt64(events) / 5_000 * 5_000
      var id = EventID.at(ms, device: random.next() % 4 == 0 ? 1023 : 1, counter: random.next() % 3 == 0 ? 4095 : 0)
      if random.next() % 50 == 0 { id = .at(Self.span * 2 + ms) }
      let ttl: UInt32 = random.next() % 4 == 0 ? UInt32(random.next() % 900) : 0
      let target = persons[Int(random.next() % UInt64(count))]
      switch random.next() % 20 {
      case 0: logs[log].append(.profile(.init(name: "name \(step)")), ttl: ttl, id: id)
      case 1, 2:
        let renewable = follows.filter { $0.target == target && logs[$0.log].person == logs[log].person }
        let renews = random.next() % 3 == 0 ? renewable.last?.dot : nil
        let added = logs[log].append(.follow(.init(person: target, renews: renews)), ttl: ttl, id: id)
        follows.append((log, target, renews ?? .init(log: added.log, sequence: added.sequence)))
      case 3:
        let seen = follows.filter { $0.target == target && logs[$0.log].person == logs[log].person }.map(\.dot)
        logs[log].append(.unfollow(.init(person: target, dots: Array(Set(seen)).sorted())), id: id)
      case 4: logs[log].append(kind: .post, payload: random.bytes(30), id: id)
      case 5: logs[log].append(kind: EventKind(rawValue: 200), payload: random.bytes(30), id: id)
      case 6:
        let payload = EventContent.post(.init(text: "sealed")).payload(salt: random.bytes(8))
        logs[log].append(kind: .post, payload: payload, flags: 1, id: id)
      default:
        let dates: [Int64?] = [nil, nil, nil, Int64(ms), Int64(ms / 2), Int64(ms) + 10_000, -5, -80_000_000_000_000]
        let reply = random.next() % 3 == 0 ? posted.randomElement(using: &random) : nil
        let post = EventContent.Post(
          text: "post \(step)", replyTo: reply, written: dates[Int(random.next() % 8)].map { .at($0) })
        posted.append(logs[log].append(.post(post), ttl: ttl, id: id))
      }
    }
  }
}
