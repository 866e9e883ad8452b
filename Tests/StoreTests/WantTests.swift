import Events
import Identity
import Primitives
import Store
import Testing

@Suite struct WantTests {
  private let person = TestPerson(seed: 4)
  private let node = PublicKey(hashing: [1])

  private func head(_ sequence: UInt64, _ hash: UInt64 = 9) -> LogHead {
    LogHead(sequence: SequenceNumber(sequence), hash: EventHash(prefix64: hash))
  }

  /// Holds 11…20 of a log, and remembers a peer's cursor.
  private func makeStore(naming head: LogHead) throws -> (store: EventStore, log: LogID) {
    var log = TestLog(key: person.devices[0], person: person.id, seed: 4)
    log.grow(20, chunkAbout: 1 << 40)
    let store = try EventStore.inMemory()
    try store.merge(person.record)
    #expect(try store.ingest([log.stretch(11...20)]) == [.stored(10)])
    let memory = StoredPeer(
      node: node, cursor: ChangeCursor(instance: 1, number: 2, cookie: 3), interestsHash: Digest(),
      lastSeen: TestLog.time)
    let standing = LogStanding(log: log.log, person: person.id, state: .head(head))
    #expect(try store.reconcile([standing], remembering: memory).isEmpty)
    return (store, log.log)
  }

  @Test("of a log whose head the peer named, nothing above that is asked for, and the newest are counted from there")
  func reach() throws {
    let (store, _) = try makeStore(naming: head(SequenceNumber.maximum.rawValue))
    func ranges(_ newest: Int?, _ reach: UInt64?) throws -> [String] {
      try store.openWants(
        of: [person.id], limit: 10, newestPerLog: newest, heldByPeer: { _ in reach.map { SequenceNumber($0) } }
      ).map { "\($0.range.lowerBound.rawValue)-\($0.range.upperBound.rawValue)" }
    }
    let end = SequenceNumber.maximum.rawValue
    #expect(try ranges(nil, nil) == ["21-\(end)", "1-10"])
    #expect(try ranges(nil, 30) == ["21-30", "1-10"])
    #expect(try ranges(nil, 20) == ["1-10"])
    #expect(try ranges(nil, 5) == ["1-5"])
    #expect(try ranges(5, nil) == ["\(end - 4)-\(end)"])
    #expect(try ranges(5, 30) == ["26-30"])
    #expect(try ranges(14, 30) == ["21-30"])
    #expect(try ranges(12, 20) == ["9-10"])
    #expect(try ranges(5, 15) == [])
    #expect(try ranges(15, 5) == [])
  }

  @Test("a head that its peer does not have is forgotten, with every cursor; any other stays")
  func forgotten() throws {
    let (store, log) = try makeStore(naming: head(30))
    for other in [head(30, 8), head(29), head(31)] { try store.forgetWants([log: other]) }
    #expect(try store.log(log)?.want == head(30))
    #expect(try store.peer(node)?.cursor.number == 2)
    try store.forgetWants([log: head(30)])
    #expect(try store.log(log)?.want == nil)
    #expect(try store.peer(node)?.cursor == ChangeCursor(instance: 0, number: 0, cookie: 0))
  }

  @Test("a repair keeps the higher head that a peer named")
  func repair() throws {
    let disk = MemoryDisk()
    var store = try EventStore.inMemory(disk)
    try store.merge(person.record)
    let drafts = (0..<20).map { Draft(.post(.init(text: "p\($0)")), ttl: 0, salt: [UInt8](repeating: 1, count: 8)) }
    _ = try store.append(drafts, by: person.author())
    let log = person.devices[0].publicKey
    _ = try store.reconcile([LogStanding(log: log, person: person.id, state: .head(head(30)))])
    try store.database.execute("DELETE FROM tail WHERE seq = 20")
    store.close()
    store = try EventStore.inMemory(disk)
    #expect(try !store.discardDamage().isEmpty)
    #expect(try store.log(log)?.head?.sequence == SequenceNumber(19))
    #expect(try store.log(log)?.want == head(30))
    #expect(throws: StoreError.self) { try store.append([drafts[0]], by: person.author()) }
  }
}
