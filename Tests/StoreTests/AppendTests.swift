import Events
import Identity
import Primitives
import Store
import Testing

@Suite struct AppendTests {
  private func drafts(_ count: Int, bytes: Int = 40) -> [Draft] {
    (0..<count).map {
      Draft(
        .post(.init(text: String(repeating: "x", count: bytes) + "\($0)")), ttl: 0,
        salt: [UInt8](repeating: 1, count: 8))
    }
  }

  @Test("what was appended one by one or in batches reads back, chained, signed and in the author's chunks")
  func appendAndRead() throws {
    let person = TestPerson(seed: 1)
    let disk = MemoryDisk()
    let store = try EventStore.inMemory(disk, readModels: [TestModel()])
    try store.merge(person.record)
    var expected: [EventHash] = []
    for batch in [1, 1, 1, 300, 1, 254, 1, 1, 1000, 2] {
      expected += try store.append(drafts(batch), by: person.author()).map(\.hash)
    }
    for _ in 0..<5 { expected += try store.append(drafts(1, bytes: 8000), by: person.author()).map(\.hash) }
    let log = person.author().key.publicKey
    func check(_ store: EventStore) throws {
      var before: EventHash = person.id.cast()
      var judge = HeaderJudge(person: person.id)
      var count = 0
      try store.forEachEvent(log, .first...(.maximum)) { event, hash, signature in
        #expect(event.header.previous == before && event.header.hash == hash && hash == expected[count])
        #expect(event.payload.bytes.map(event.header.matches) == true)
        #expect(judge.judge(event.header) == nil)
        if let signature { #expect(event.header.isSigned(by: signature)) }
        before = hash
        count += 1
      }
      #expect(count == expected.count)
      #expect(try store.verify(full: true).isEmpty)
    }
    try check(store)
    let statistics = try store.statistics()
    #expect(statistics.events == expected.count && statistics.chunks >= 6 && statistics.tailEvents <= 256)
    let digest = try store.readModelDigest()
    try store.rebuild()
    #expect(try store.readModelDigest() == digest)
    store.close()
    let again = try EventStore.inMemory(disk, readModels: [TestModel()])
    #expect(!again.wasUnclean)
    try check(again)
    expected += try again.append(drafts(1), by: person.author()).map(\.hash)
    try check(again)
  }

  @Test(
    "others accept a log written one by one: a short tail with all signatures, a long one as a row under the last",
    arguments: [(520, 2, 7), (600, 3, 0)])
  func replicate(count: Int, chunks: Int, pending: Int) throws {
    let person = TestPerson(seed: 2)
    let store = try EventStore.inMemory()
    try store.merge(person.record)
    for _ in 0..<count { _ = try store.append(drafts(1), by: person.author()) }
    let log = person.author().key.publicKey
    let replica = try EventStore.inMemory()
    try replica.merge(person.record)
    #expect(try replica.reconcile(store.digest(of: [person.id]).logs).isEmpty)
    #expect(try !replica.isComplete([person.id]))
    for request in try replica.openWants(of: [person.id], limit: 10) {
      let run = try store.read(request, budget: .max)
      let outcomes = try replica.ingest(
        run.stretches.map { ReceivedStretch(person: person.id, log: log, envelope: $0) })
      #expect(outcomes == run.stretches.map { .stored($0.count) })
    }
    #expect(try replica.isComplete([person.id]))
    #expect(try replica.held(log) == store.held(log))
    #expect(try replica.statistics().chunks == chunks)
    #expect(try replica.verify(full: true).isEmpty)
    #expect(try replica.verifyPending(limit: 1000) == pending)
    #expect(try replica.verifyPending(limit: 1000) == 0)
    #expect(try replica.digest(of: [person.id]).logs == store.digest(of: [person.id]).logs)
  }

  @Test("a log keeps its change number while no cursor was given out since it was taken, and whoever has one is told")
  func changeNumbers() throws {
    let person = TestPerson(seed: 1)
    let other = TestPerson(seed: 2)
    let disk = MemoryDisk()
    let store = try EventStore.inMemory(disk)
    try store.merge(person.record)
    try store.merge(other.record)
    func append(_ person: TestPerson) throws { _ = try store.append(drafts(1), by: person.author()) }
    func newest() throws -> Int64? { try store.database.number("SELECT max(n) FROM change") }
    try append(person)
    let first = try newest()
    for _ in 0..<5 { try append(person) }
    #expect(try newest() == first)
    var cursor = try store.cursor()
    for round in 0..<4 {
      for author in [person, other] { for _ in 0...round { try append(author) } }
      let page = try store.digest(of: [person.id, other.id], since: cursor.number, limit: 10)
      #expect(page.logs.map(\.person) == [person.id, other.id])
      #expect(try store.knows(page.cursor) && page.cursor.number == cursor.number + 2)
      cursor = page.cursor
    }
    // A failed change takes no number that a cursor could already name.
    #expect(throws: StoreError.self) {
      try store.batch {
        try append(person)
        throw StoreError(.misuse, "changed its mind", path: "")
      }
    }
    try append(other)
    #expect(
      try store.digest(of: [person.id, other.id], since: cursor.number, limit: 10).logs.map(\.person) == [other.id])
    store.close()
    let reader = try EventStore(reading: "store", environment: StorageEnvironment(disk: disk))
    #expect(throws: StoreError.self) { try reader.cursor() }
  }

  @Test("nobody appends to a log that the person's record does not certify, or that is revoked")
  func refusals() throws {
    var person = TestPerson(seed: 3)
    let stranger = TestPerson(seed: 4)
    let store = try EventStore.inMemory()
    #expect(throws: StoreError.self) { try store.append(drafts(1), by: person.author()) }
    try store.merge(person.record)
    var wrong = stranger.author()
    wrong.person = person.id
    #expect(throws: StoreError.self) { try store.append(drafts(1), by: wrong) }
    let appended = try store.append(drafts(3), by: person.author())
    try person.record.revoke(
      device: person.devices[0].publicKey, lastGood: SequenceNumber(2), hash: appended[1].hash, with: person.root)
    try store.merge(person.record)
    #expect(throws: StoreError.self) { try store.append(drafts(1), by: person.author()) }
    #expect(try store.held(person.devices[0].publicKey).count == 2)
  }
}
