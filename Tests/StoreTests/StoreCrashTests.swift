import Events
import Identity
import Primitives
import Store
import Testing

@Suite struct StoreCrashTests {
  private struct Outcome {
    var appended: [EventHash] = []
    var ingested = 0
    var records = 0
  }

  /// A small life: a record, appends that close chunks, a replica's log newest first, an erasure, a fold.
  private func live(on disk: MemoryDisk, _ person: TestPerson, _ other: TestPerson, _ log: TestLog) -> Outcome {
    var outcome = Outcome()
    do {
      var options = EventStore.Options()
      options.database.checkpointBytes = 64 << 10
      let store = try EventStore.inMemory(disk, options: options, readModels: [TestModel()])
      for record in [person.record, other.record] {
        try store.merge(record)
        outcome.records += 1
      }
      for round in 0..<8 {
        let drafts = (0...(round % 3)).map {
          Draft(
            .post(.init(text: String(repeating: "y", count: 6000) + "\(round) \($0)")), ttl: 0,
            salt: [UInt8](repeating: UInt8(round), count: 8))
        }
        outcome.appended += try store.append(drafts, by: person.author()).map(\.hash)
      }
      for chunk in log.chunks.reversed() {
        let isTail = chunk.upperBound == log.count
        _ = try store.ingest([log.stretch(chunk, isTail ? .every : .last)])
        outcome.ingested += chunk.count
      }
      _ = try store.verifyPending(limit: 10)
      _ = try store.erase(log.log, SequenceNumber(2))
      store.close()
    } catch {}
    return outcome
  }

  @Test("wherever the power goes, what was told is there, verified, with read models that match")
  func everyOperation() throws {
    let person = TestPerson(seed: 1)
    let other = TestPerson(seed: 2)
    var log = TestLog(key: other.devices[0], person: other.id, seed: 3)
    log.grow(30, chunkAbout: 7)
    let whole = MemoryDisk()
    let all = live(on: whole, person, other, log)
    #expect(all.ingested == 30)
    let operations = whole.operations
    #expect(operations > 150)
    for point in stride(from: 0, to: operations, by: TestSize.isSmall ? 5 : 1) {
      let disk = MemoryDisk()
      disk.schedule(.powerCut, atOperation: point)
      let told = live(on: disk, person, other, log)
      disk.crash(keeping: [0, 0.5, 0.9][point % 3], seed: UInt64(point))
      let store = try EventStore.inMemory(disk, readModels: [TestModel()])
      #expect(store.damageAtOpen.isEmpty)
      let mine = try store.held(person.devices[0].publicKey)
      for (index, hash) in told.appended.enumerated() { #expect(mine[UInt64(index + 1)] == hash, "crash at \(point)") }
      let theirs = try store.held(log.log)
      #expect(theirs.count >= told.ingested, "crash at \(point)")
      for (sequence, hash) in theirs { #expect(log.hashes[Int(sequence) - 1] == hash) }
      #expect(try store.persons().count >= told.records)
      #expect(try store.verify(full: true).isEmpty, "crash at \(point)")
      let digest = try store.readModelDigest()
      try store.rebuild()
      #expect(try store.readModelDigest() == digest, "crash at \(point)")
      // Life goes on where it was.
      if told.records == 2 {
        let next = try store.append(
          [Draft(.profile(.init(name: "n")), ttl: 0, salt: [UInt8](repeating: 0, count: 8))], by: person.author())
        #expect(Int(next[0].header.sequence.rawValue) == mine.count + 1)
        #expect(next[0].header.previous == mine[UInt64(mine.count)] ?? person.id.cast())
      }
      if try store.record(of: other.id) != nil {
        _ = try store.ingest(log.closedStretches)
        #expect(try store.held(log.log).count == 30)
      }
    }
  }

  @Test("a change number that a rolled-back copy gave out again is not taken for the one that peers remember")
  func rollback() throws {
    let person = TestPerson(seed: 5)
    let disk = MemoryDisk()
    func append(_ store: EventStore) throws {
      _ = try store.append(
        [Draft(.profile(.init(name: "n")), ttl: 0, salt: [UInt8](repeating: 0, count: 8))], by: person.author())
    }
    func open(_ seed: UInt64) throws -> EventStore {
      let random = Counter()
      _ = random.bytes(Int(seed))
      return try EventStore(
        writing: "store", authority: .alone, environment: StorageEnvironment(disk: disk, random: { random.bytes($0) }))
    }
    let store = try open(8)
    try store.merge(person.record)
    try append(store)
    let early = try store.cursor()
    store.close()
    let copy = disk.contents("store")
    let later = try open(16)
    #expect(try later.knows(early))
    try append(later)
    let lost = try later.cursor()
    #expect(try later.knows(lost))
    later.close()
    disk.replace("store", with: copy)
    let restored = try open(24)
    #expect(try restored.knows(early) && !restored.knows(lost))
    try append(restored)
    try append(restored)
    #expect(try restored.cursor().number >= lost.number)
    #expect(try restored.knows(early) && !restored.knows(lost))
  }

  @Test("a flipped byte anywhere in the file is found, or changes nothing that is shown")
  func bitRot() throws {
    let person = TestPerson(seed: 7)
    let disk = MemoryDisk()
    let store = try EventStore.inMemory(disk)
    try store.merge(person.record)
    for round in 0..<4 {
      _ = try store.append(
        (0..<70).map {
          Draft(.post(.init(text: "post \(round) \($0)")), ttl: 0, salt: [UInt8](repeating: 1, count: 8))
        }, by: person.author())
    }
    let log = person.devices[0].publicKey
    let expected = try store.held(log)
    store.close()
    let image = try #require(disk.contents("store"))
    var random = SeededRandom(seed: 1)
    for position in stride(from: 0, to: image.count, by: 211) {
      var bytes = image
      bytes[position + Int(random.next() % 211) % max(1, image.count - position)] ^= UInt8(1 << (random.next() % 8))
      let rotten = MemoryDisk()
      rotten.replace("store", with: bytes)
      do {
        let store = try EventStore.inMemory(rotten)
        var shown = false
        do {
          for (sequence, hash) in try store.held(log) where expected[sequence] != hash { shown = true }
        } catch {}
        #expect(!shown, "byte near \(position) showed a wrong event")
        _ = try store.verify(full: false)
      } catch is StoreError {}
    }
  }
}
