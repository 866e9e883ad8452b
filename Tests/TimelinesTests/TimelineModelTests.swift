import Events
import Identity
import Primitives
import Store
import Testing
import Timelines

@Suite struct TimelineModelTests {
  @Test("rank and position agree on the order, for own dates before and after 2024, and ids that end in ones")
  func order() {
    var random = SeededRandom(seed: 4)
    var positions: [TimelinePosition] = []
    let log = PublicKey(random.bytes(32))!
    let other = PublicKey(random.bytes(32))!
    for _ in 0..<400 {
      let ms = random.next() % 4
      let id =
        random.next() % 3 == 0
        ? EventID(rawValue: ms << 22 | (1 << 22) - 1) : EventID.at(ms, device: UInt16(random.next() % 3))
      let times: [Int64] = [0, 1, 2, 3, -1, -2, -70 * 31_536_000_000, .min, .max]
      let written = times[Int(random.next() % 9)]
      let time = written > .max / 2 || written < .min / 2 ? Timestamp(milliseconds: written) : .at(written)
      positions.append(TimelinePosition(time: time, id: id, log: random.next() % 2 == 0 ? log : other))
    }
    func key(_ position: TimelinePosition) -> (Int64, UInt64) { (position.time.milliseconds, position.id.rawValue) }
    var wrong = 0
    for a in positions {
      for b in positions {
        if (a.rank < b.rank) != (key(a) < key(b)) || (a.rank == b.rank) != (key(a) == key(b)) { wrong += 1 }
      }
      if a.rank.time != a.time || a.rank.eventID != a.id { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test("the tables are the same in whatever order stretches come, and after a rebuild")
  func digest() throws {
    var random = SeededRandom(seed: 8)
    var world = SampleWorld(seed: 8, persons: 5, events: 300)
    let a = try SampleStore()
    for log in world.logs { try a.takeAll(log, pieces: 7) }
    let b = try SampleStore()
    world.logs.shuffle(using: &random)
    for log in world.logs {
      var cuts = Array(stride(from: 0, to: log.events.count, by: 3))
      cuts.shuffle(using: &random)
      for cut in cuts {
        for index in cut..<min(cut + 3, log.events.count) { try b.take(log, index..<(index + 1)) }
      }
    }
    let digest = try a.model.digest(in: a.database)
    #expect(try b.model.digest(in: b.database) == digest)
    try a.rebuild()
    #expect(try a.model.digest(in: a.database) == digest)
    try a.erase(world.logs[0].events.first { $0.header.kind == .post }!.header.reference)
    #expect(try a.model.digest(in: a.database) != digest)
    let erased = try a.model.digest(in: a.database)
    try a.rebuild()
    #expect(try a.model.digest(in: a.database) == erased)
  }

  @Test("what a log loses leaves the tables as if it had never been there")
  func truncation() throws {
    let world = SampleWorld(seed: 21, persons: 4, events: 240)
    let a = try SampleStore()
    let b = try SampleStore()
    for log in world.logs {
      try a.takeAll(log)
      try a.truncate(log.key.publicKey, from: SequenceNumber(UInt64(log.events.count / 2 + 1)))
      var half = log
      half.events.removeLast(log.events.count - log.events.count / 2)
      _ = try b.identity(log.key.publicKey, of: log.person)
      try b.takeAll(half)
    }
    #expect(try a.model.digest(in: a.database) == b.model.digest(in: b.database))
  }

  @Test("a profile is, per field, the newest word by id and then by log, and falls back when that one is deleted")
  func profile() throws {
    let person = samplePerson("ann")
    var one = SampleLog(person: person, seed: 1)
    var two = SampleLog(person: person, seed: 2)
    one.append(.profile(.init(name: "Ann", about: "first")), id: .at(10))
    let newer = two.append(.profile(.init(name: "Anna")), id: .at(20))
    let tie = one.append(.profile(.init(name: "one")), id: .at(30))
    let tied = two.append(.profile(.init(name: "two")), id: .at(30))
    one.append(.profile(.init(name: "future")), id: .at(1_000_000))
    two.append(.profile(.init(name: "brief")), ttl: 1, id: .at(2_000_000))
    let store = try SampleStore()
    let reader = TimelineReader(store)
    try store.takeAll(two)
    try store.takeAll(one)
    let winner = one.key.publicKey > two.key.publicKey ? "one" : "two"
    #expect(try reader.label(person, now: .at(100)).name == winner)
    #expect(try reader.profile(person, now: .at(100))?.about == "first")
    #expect(try reader.label(person, now: .at(1_000_000 - 60_000)).name == "future")
    #expect(try reader.label(person, now: .at(1_000_000 - 60_001)).name == winner)
    #expect(try reader.label(person, now: .at(2_000_000 + 61_000)).name == "brief")
    #expect(try reader.label(person, now: .at(2_000_000 + 61_001)).name == "future")
    try store.erase(winner == "one" ? tie : tied)
    #expect(try reader.label(person, now: .at(100)).name == (winner == "one" ? "two" : "one"))
    try store.erase(winner == "one" ? tied : tie)
    #expect(try reader.label(person, now: .at(100)).name == "Anna")
    try store.erase(newer)
    #expect(try reader.label(person, now: .at(100)).name == "Ann")
    #expect(try reader.label(person, now: .at(100)).handle.hasPrefix("Ann#"))
  }
}
