import Events
import Identity
import Primitives
import Store
import Testing

/// Payloads that no peer has sent yet stay wanted until they expire here or a delete takes them (DESIGN §7).
@Suite struct MissingPayloadTests {
  private let person = TestPerson(seed: 4, devices: 2)

  private func makeStore(now: Timestamp? = nil) throws -> EventStore {
    let store =
      try now.map { try EventStore.inMemory(readModels: [TestModel()], now: $0) }
      ?? EventStore.inMemory(readModels: [TestModel()])
    try store.merge(person.record)
    return store
  }

  /// One chunk of 12 events, and the same without some payloads.
  private func logs(ttl: UInt32 = 0, without missing: [Int]) -> (full: TestLog, poor: TestLog) {
    var full = TestLog(key: person.devices[0], person: person.id, seed: 4)
    for _ in 0..<12 { full.add { $0.ttl = ttl } }
    var poor = full
    for (index, reason) in zip(missing, [Absence.policy, .notHad, .deleted, .expired]) {
      poor.events[index].payload = .absent(reason)
    }
    return (full, poor)
  }

  private func wanted(_ store: EventStore, newest: Int? = nil) throws -> [String] {
    var rows: [String] = []
    try store.forEachMissingPayload(of: [person.id], newestPerLog: newest) {
      rows.append($0.range.description)
      return true
    }
    return rows
  }

  private func expectSound(_ store: EventStore) throws {
    let digest = try store.readModelDigest()
    try store.rebuild()
    #expect(try store.readModelDigest() == digest)
    #expect(try store.verify(full: true).isEmpty)
  }

  @Test(
    "whatever reason a peer gives, the payload is wanted and taken from the next one that has it",
    arguments: [TestLog.ProofKind.last, .every])
  func filling(proof: TestLog.ProofKind) throws {
    let (full, poor) = logs(without: [3, 7, 8, 11])
    let store = try makeStore()
    #expect(try store.ingest([poor.stretch(1...12, proof)]) == [.stored(12)])
    #expect(try store.event(full.log, SequenceNumber(4))?.payload == .absent(.notHad))
    #expect(try wanted(store) == (proof == .last ? ["1...12"] : ["12...12", "9...9", "8...8", "4...4"]))
    #expect(try wanted(store, newest: 2) == (proof == .last ? ["1...12"] : ["12...12"]))
    #expect(try !store.isComplete([person.id]))
    #expect(try store.isComplete([PersonID(hashing: [1])]))
    #expect(try store.openWants(of: [person.id], limit: 10).isEmpty)
    let cursor = try store.cursor().number
    #expect(try store.ingest([full.stretch(4...12, proof)]) == [.filled(4)])
    #expect(try store.cursor().number > cursor)
    for index in [3, 7, 8, 11] {
      #expect(try store.event(full.log, SequenceNumber(UInt64(index + 1)))?.payload == full.events[index].payload)
    }
    #expect(try store.isComplete([person.id]))
    #expect(try store.ingest([full.stretch(1...12, proof)]) == [.duplicate])
    try expectSound(store)
  }

  @Test("a stretch that brings new events fills the held ones that it overlaps", arguments: [false, true])
  func overlap(isTail: Bool) throws {
    let (full, poor) = logs(without: [2, 4])
    let store = try makeStore()
    #expect(try store.ingest([poor.stretch(1...6, isTail ? .every : .last)]) == [.stored(6)])
    #expect(try store.ingest([full.stretch(4...12, isTail ? .every : .last)]) == [.stored(6)])
    #expect(try store.event(full.log, SequenceNumber(5))?.payload == full.events[4].payload)
    #expect(try store.event(full.log, SequenceNumber(3))?.payload == .absent(.notHad))
    #expect(try !store.isComplete([person.id]))
    #expect(try store.ingest([full.stretch(1...3)]) == [.filled(1)])
    #expect(try store.isComplete([person.id]))
    try expectSound(store)
  }

  @Test("a delete ends the want, whichever comes first, and the payload stays away", arguments: [false, true])
  func deleted(isFirst: Bool) throws {
    let (full, poor) = logs(without: [2])
    let source = try makeStore()
    _ = try source.ingest([full.stretch(1...12)])
    let target = try #require(try source.reference(full.log, SequenceNumber(3)))
    _ = try source.append(
      [Draft(.delete(target), ttl: 0, salt: [UInt8](repeating: 1, count: 8))], by: person.author(1))
    let log = person.devices[1].publicKey
    let delete = try source.read(StretchRequest(log: log, range: .first...(.first)), budget: .max).stretches.map {
      ReceivedStretch(person: person.id, log: log, envelope: $0)
    }
    let store = try makeStore()
    if isFirst { _ = try store.ingest(delete) }
    _ = try store.ingest([poor.stretch(1...12)])
    if !isFirst {
      #expect(try wanted(store) == ["1...12"])
      _ = try store.ingest(delete)
    }
    #expect(try store.isComplete([person.id]))
    #expect(try store.ingest([full.stretch(1...12)]) == [.duplicate])
    #expect(try store.event(full.log, SequenceNumber(3))?.payload == .absent(.deleted))
    try expectSound(store)
  }

  @Test(
    "what has expired by the own clock is not wanted, and dropped when it is offered",
    arguments: [TestLog.ProofKind.last, .every])
  func expired(proof: TestLog.ProofKind) throws {
    let (full, poor) = logs(ttl: 3600, without: [2])
    let end = try #require(full.events[2].header.lastsUntil)
    for (now, isWanted) in [(end, true), (end.advanced(milliseconds: 1), false)] {
      let store = try makeStore(now: now)
      #expect(try store.ingest([poor.stretch(1...12, proof)]) == [.stored(12)])
      #expect(try store.isComplete([person.id]) == !isWanted)
      #expect(try wanted(store).isEmpty == !isWanted)
      #expect(try store.ingest([full.stretch(1...12, proof)]) == [isWanted ? .filled(1) : .duplicate])
      try expectSound(store)
    }
  }

  @Test("another event's payload fills nothing")
  func fork() throws {
    let (full, poor) = logs(without: [6])
    var other = full.fork(at: 4, seed: 9)
    for _ in 0..<8 { other.add() }
    let store = try makeStore()
    #expect(try store.ingest([poor.stretch(1...12)]) == [.stored(12)])
    #expect(try store.ingest([other.stretch(1...12)]) == [.fork(stored: 0)])
    #expect(try store.event(full.log, SequenceNumber(7)) == nil)
    #expect(try store.isComplete([person.id]))
  }

  @Test("a row that rotted says so, also where only its want did")
  func rot() throws {
    let (full, poor) = logs(without: [6])
    for proof in [TestLog.ProofKind.last, .every] {
      for sql in ["wanted_until=5", "wanted_until=NULL"] {
        let store = try makeStore()
        _ = try store.ingest([poor.stretch(1...12, proof)])
        let table = proof == .last ? "chunk" : "tail"
        try store.database.transaction {
          try store.database.execute("UPDATE \(table) SET \(sql) WHERE wanted_until IS NOT NULL")
        }
        #expect(try !store.verify(full: false).isEmpty)
        #expect(try !store.discardDamage().isEmpty)
        _ = try store.ingest([full.stretch(1...12, proof)])
        #expect(try store.isComplete([person.id]))
        #expect(try store.event(full.log, SequenceNumber(7))?.payload == full.events[6].payload)
      }
    }
  }
}
