import Events
import Identity
import Primitives
import Store
import Testing

/// What several replicas must agree on, however things reach them.
struct FinalState: Hashable {
  var digest: [LogStanding]
  var held: [UInt64: EventHash]
  var readModels: Digest
}

/// Stretches of one log from everywhere, and what a naive reading says the log is.
struct Scenario {
  var person: TestPerson
  var offers: [ReceivedStretch] = []
  /// The log's events, by the rules.
  var expected: [EventHash] = []
  var expectedState: LogStanding.State?
  /// Records that arrive in between; the last is complete.
  var records: [PersonRecord]

  /// What replicas of one branch might send: closed chunks, parts of chunks, tails.
  static func stretches(of log: TestLog, _ random: inout SeededRandom) -> [ReceivedStretch] {
    var offers: [ReceivedStretch] = []
    for (index, chunk) in log.chunks.enumerated() {
      if index == log.chunks.count - 1 {
        offers.append(log.stretch(chunk, .every))
        continue
      }
      offers.append(log.stretch(chunk))
      if chunk.count > 2, random.next() % 2 == 0 {
        let middle = chunk.lowerBound + Int(random.next() % UInt64(chunk.count - 1))
        offers.append(log.stretch(chunk.lowerBound...middle, .every))
        offers.append(log.stretch((middle + 1)...chunk.upperBound))
      }
    }
    return offers
  }

  /// - Parameter kind: 0 sound, 1 fork, 2 broken rule, 3 both, 4 two forks, 5 revoked, 6 fork and revoked.
  init(kind: Int, seed: UInt64) {
    var random = SeededRandom(seed: seed)
    func below(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    person = TestPerson(seed: seed)
    records = [person.record]
    var log = TestLog(key: person.devices[0], person: person.id, seed: seed)
    log.grow(10 + below(14), chunkAbout: 5)
    var end = log.count
    var branches = [log]
    var cut: Int?
    if [1, 3, 4, 6].contains(kind) {
      let at = below(log.count)
      var other = log.fork(at: at, seed: seed + 1)
      other.grow(1 + below(14), chunkAbout: 5)
      branches.append(other)
      if at < log.count { cut = at + 1 }
    }
    if kind == 4 {
      let from = branches[below(2)]
      let at = below(from.count)
      var third = from.fork(at: at, seed: seed + 2)
      third.grow(1 + below(14), chunkAbout: 5)
      branches.append(third)
      cut = min(cut!, at + 1)
    }
    if kind == 2 || kind == 3 {
      let at = below(log.count)
      var broken = log.fork(at: at, seed: seed)
      switch below(3) {
      case 0 where at > 0:
        let last = log.events[at - 1].header.id
        broken.add { $0.id = last }
      case 1: broken.add { $0.id = EventID(rawValue: $0.id.rawValue | 1 << 63) }
      default: broken.add { $0.live = UInt32(at + 1) }
      }
      // The log goes on above its broken header, as if nothing were.
      let bad = broken.events[at].header.id.rawValue
      broken.grow(1 + below(6), chunkAbout: 5)
      if bad >> 63 != 0 { broken = broken.fork(at: at + 1, seed: 1) }
      if kind == 2 {
        branches = [broken]
        cut = at + 1
      } else {
        branches[0] = broken
        // The other branch may leave the log before or after the broken header, or hold the sound one in its place.
        let other = branches[1]
        let common = zip(broken.hashes, other.hashes).prefix { $0 == $1 }.count
        cut = min(common + 1, at + 1)
      }
    }
    if let cut { end = cut - 1 }
    expected = Array(branches[0].hashes.prefix(end))
    if kind == 4, let cut { expected = Array(branches[0].hashes.prefix(cut - 1)) }
    expectedState = cut.map { .cut(SequenceNumber(UInt64($0)), previous: branches[0].previous($0)) }
    if kind >= 5 {
      let right = branches[below(branches.count)]
      let last = 1 + below(right.count)
      var record = person.record
      try! record.revoke(
        device: right.log, lastGood: SequenceNumber(UInt64(last)), hash: right.hashes[last - 1], with: person.root)
      records.append(record)
      expected = Array(right.hashes.prefix(last))
      expectedState = .cut(SequenceNumber(UInt64(last + 1)), previous: right.hashes[last - 1])
    }
    for branch in branches { offers += Self.stretches(of: branch, &random) }
  }

  /// Offers everything in an order drawn from `seed`, again and again until nothing changes.
  func deliver(seed: UInt64, newestFirst: Bool) throws -> FinalState {
    var random = SeededRandom(seed: seed)
    let store = try EventStore.inMemory(readModels: [TestModel()])
    try store.merge(records[0])
    var late = records.dropFirst().map { ($0, Int(random.next() % UInt64(offers.count + 1))) }
    var before: FinalState?
    for round in 0..<12 {
      var order = offers.shuffled(using: &random)
      if newestFirst, round == 0 { order.sort { $0.envelope.first > $1.envelope.first } }
      var position = 0
      while position < order.count {
        for (record, at) in late where at <= position {
          try store.merge(record)
          _ = at
        }
        late.removeAll { $0.1 <= position }
        let count = min(order.count - position, 1 + Int(random.next() % 4))
        let outcomes = try store.ingest(Array(order[position..<(position + count)]))
        for outcome in outcomes {
          if case .badBytes(let why) = outcome { Issue.record("honest bytes were refused: \(why)") }
        }
        position += count
      }
      for (record, _) in late { try store.merge(record) }
      late = []
      let state = try FinalState(
        digest: store.digest(of: [person.id]).logs, held: store.held(person.devices[0].publicKey),
        readModels: store.readModelDigest())
      if state == before { break }
      before = state
    }
    #expect(try store.verify(full: true).isEmpty)
    try store.rebuild()
    #expect(try store.readModelDigest() == before!.readModels)
    return before!
  }
}

@Suite struct ArrivalOrderTests {
  @Test(
    "a log has one final state, in whatever order its pieces, its forks, broken rules and revocations come",
    arguments: 0..<7)
  func orders(kind: Int) throws {
    for seed in 0..<UInt64(TestSize.isSmall ? 3 : 12) {
      let scenario = Scenario(kind: kind, seed: seed * 16 + UInt64(kind))
      var states: Set<FinalState> = []
      for order in 0..<UInt64(12) {
        let state = try scenario.deliver(seed: order, newestFirst: order % 3 == 0)
        let sequences = (1...max(1, scenario.expected.count)).prefix(scenario.expected.count)
        let expected = Dictionary(uniqueKeysWithValues: zip(sequences.map { UInt64($0) }, scenario.expected))
        #expect(state.held == expected, "kind \(kind), seed \(seed), order \(order)")
        if let expectedState = scenario.expectedState {
          #expect(state.digest.first?.state == expectedState, "kind \(kind), seed \(seed), order \(order)")
        }
        states.insert(state)
      }
      #expect(states.count == 1, "kind \(kind), seed \(seed)")
    }
  }
}
