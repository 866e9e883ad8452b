import Events
import Identity
import Primitives
import Store
import Testing

@Suite struct InspectionTests {
  @Test("the inspector shows what the store shows, and finds nothing wrong with it", arguments: [false, true])
  func twin(keepsLog: Bool) throws {
    let small = try SmallStore(keepsLog: keepsLog)
    let inspection = small.files.inspection
    #expect(inspection.damage == [])
    for log in inspection.logs { #expect(log.problems == [] && log.losses == []) }
    #expect(inspection.isSound)
    #expect(inspection.persons.map(\.id) == small.listing.persons)
    #expect(inspection.logs.count == small.listing.logs.count)
    var events: [Reference: Payload] = [:]
    for log in inspection.logs {
      let key = try #require(log.key)
      let summary = try #require(small.listing.logs[key])
      #expect(log.person == summary.identity.person && log.head == summary.head && log.end == summary.end)
      #expect(log.ranges == summary.ranges)
      log.forEachEvent { found in
        events[found.event.header.reference] = found.event.payload
        #expect(found.signature != .bad)
      }
    }
    #expect(events == small.listing.events)
    #expect(inspection.logs.contains { $0.evidence != nil })
    #expect(inspection.logs.contains { !$0.holes.isEmpty })
    #expect(inspection.deletions.count == 1 && inspection.peers.count == 1)
    #expect((inspection.file.commits > 0) == keepsLog)
    let tables = Set(inspection.trees.map(\.name))
    #expect(tables.isSuperset(of: ["person", "log", "chunk", "tail", "chunk_place", "seen", "sqlite_schema"]))
  }

  @Test("with the schema page wiped the events are found on their pages, and proven")
  func schemaGone() throws {
    let small = try SmallStore()
    var files = small.files
    for index in 0..<4096 { files.database![index] = 0 }
    let inspection = files.inspection
    #expect(!inspection.isSound)
    var events: [Reference: Payload] = [:]
    for log in inspection.logs { log.forEachEvent { events[$0.event.header.reference] = $0.event.payload } }
    #expect(events == small.listing.events)
  }

  @Test("a log whose row is lost is known by the checksums of its events")
  func logRowsGone() throws {
    let small = try SmallStore()
    var files = small.files
    let root = try #require(files.inspection.trees.first { $0.name == "log" }?.root)
    for index in ((root - 1) * 4096)..<(root * 4096) { files.database![index] = 0 }
    let inspection = files.inspection
    #expect(Set(inspection.logs.compactMap(\.key)) == Set(small.listing.logs.filter { $0.value.head != nil }.keys))
    var count = 0
    for log in inspection.logs {
      #expect(!log.hasRow && log.person != nil)
      log.forEachEvent { _ in count += 1 }
    }
    #expect(count == small.listing.events.count)
  }

  @Test("a damaged chunk is named with its range, and hides no other")
  func chunkGone() throws {
    let small = try SmallStore()
    let log = try #require(small.files.inspection.log(SmallStore.author.devices[0].publicKey))
    let chunk = try #require(log.pieces.first { !$0.isTail })
    let page = try #require(small.files.inspection.trees.first { $0.name == "chunk" }?.root)
    #expect(page > 1 && chunk.count > 1)
    var files = small.files
    var events: [Event] = []
    log.forEachEvent { events.append($0.event) }
    // The salt and text of the chunk's last payload lie bare or compressed somewhere in the file; its signature always.
    let needle = chunk.storedBytes
    #expect(needle > 0)
    let damaged = try #require(Self.wipeChunk(&files, of: small, first: chunk.first))
    let found = try #require(files.inspection.log(SmallStore.author.devices[0].publicKey))
    #expect(found.losses.map(\.range) == [damaged])
    var left = 0
    found.forEachEvent { _ in left += 1 }
    #expect(left == events.count - chunk.count)
  }

  /// Flips bytes until the inspector reports exactly one chunk lost; says which range.
  private static func wipeChunk(
    _ files: inout SmallStore.Files, of small: SmallStore, first: SequenceNumber
  ) -> ClosedRange<SequenceNumber>? {
    guard let bytes = small.files.database else { return nil }
    for position in stride(from: 8192, to: bytes.count, by: 601) {
      var changed = bytes
      changed[position] ^= 0x10
      files.database = changed
      let log = files.inspection.log(SmallStore.author.devices[0].publicKey)
      if let log, log.losses.count == 1, log.losses[0].range.lowerBound == first { return log.losses[0].range }
    }
    return nil
  }

  @Test("what lies in the write-ahead log behind damage is named")
  func behindDamage() throws {
    let small = try SmallStore(keepsLog: true)
    var files = small.files
    // In the first frame after the log's header.
    files.writeAheadLog![32 + 24 + 100] ^= 1
    let inspection = files.inspection
    #expect(inspection.file.framesBehindDamage > 0)
    let log = try #require(inspection.log(SmallStore.author.devices[0].publicKey))
    #expect(log.losses.count == 1)
    #expect(log.losses.first?.isReadable == true)
    // A writer would write over it, and an author sign other events with those numbers.
    #expect(throws: StoreError.self) { try EventStore.inMemory(files.disk) }
    var options = EventStore.Options()
    options.database.givesUpTransactions = true
    let store = try EventStore.inMemory(files.disk, options: options)
    #expect(try store.verify(full: true).isEmpty)
  }
}
