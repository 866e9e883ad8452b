import Events
import Identity
import Primitives
import Store
import Testing

/// RELIABILITY A6: files cut short, and files deleted.
@Suite struct TruncationTests {
  @Test("a file cut anywhere does not open, or says what is gone")
  func cutDatabase() throws {
    let small = try SmallStore()
    let bytes = try #require(small.files.database)
    for length in stride(from: 0, to: bytes.count, by: 512) {
      var files = small.files
      files.database = Array(bytes.prefix(length))
      let what = "cut to \(length) bytes"
      let inspection = files.inspection
      #expect(!inspection.isSound, "\(what)")
      // Whatever the inspector does not show any more of a log whose row is left, it names.
      for log in inspection.logs where log.hasRow {
        var shown = 0
        log.forEachEvent { _ in shown += 1 }
        let lost = log.losses.reduce(0) { $0 + ($1.range.upperBound - $1.range.lowerBound + 1) }
        #expect(shown + lost >= log.eventCount, "\(what)")
      }
      _ = small.inspected(files, what)
      // An empty file is what a first start leaves that lost power at once: it is a new store.
      guard length > 0 else { continue }
      if case .sound(let shown) = small.outcome(files, what) { #expect(shown == small.listing, "\(what)") }
    }
  }

  @Test("a write-ahead log cut anywhere loses transactions from its end only")
  func cutLog() throws {
    let small = try SmallStore(keepsLog: true)
    let bytes = try #require(small.files.writeAheadLog)
    var most = 0
    for length in stride(from: 0, to: bytes.count, by: 512) {
      var files = small.files
      files.writeAheadLog = Array(bytes.prefix(length))
      let what = "log cut to \(length) bytes"
      guard case .sound(let shown) = small.outcome(files, what) else {
        Issue.record("\(what): does not open")
        continue
      }
      #expect(shown.events.count >= most, "\(what)")
      most = shown.events.count
      if case .sound(let seen) = small.inspected(files, what) { #expect(seen.events == shown.events, "\(what)") }
    }
  }

  @Test("without its file a store is not begun anew over the log that is left")
  func deletedDatabase() throws {
    let small = try SmallStore(keepsLog: true)
    for database in [nil, []] as [[UInt8]?] {
      var files = small.files
      files.database = database
      let disk = files.disk
      #expect(throws: StoreError.self) { try EventStore.inMemory(disk) }
      #expect(throws: StoreError.self) {
        try EventStore(reading: "store", environment: StorageEnvironment(disk: disk))
      }
      #expect(disk.contents("store-wal") == small.files.writeAheadLog)
      let inspection = files.inspection
      #expect(!inspection.isSound)
      // The late posts lie in the log alone.
      #expect(inspection.logs.contains { $0.key == SmallStore.author.devices[0].publicKey && $0.soundHead != nil })
    }
  }

  @Test("nothing but the write-ahead log is missing: what was moved into the file is there")
  func deletedLog() throws {
    let small = try SmallStore(keepsLog: true)
    var files = small.files
    files.writeAheadLog = nil
    guard case .sound(let shown) = small.outcome(files, "no log") else {
      Issue.record("does not open")
      return
    }
    #expect(shown.events.count == small.listing.events.count - 5)
  }

  @Test("a reader shows what lies before rot in the write-ahead log, and verify names it")
  func rottenLog() throws {
    let small = try SmallStore(keepsLog: true)
    var files = small.files
    let reader = { (files: SmallStore.Files) in
      try EventStore(reading: "store", environment: StorageEnvironment(disk: files.disk))
    }
    #expect(try reader(files).verify(full: false).isEmpty)
    files.writeAheadLog![32 + 24 + 2_000] ^= 1
    let found = try reader(files).verify(full: false)
    #expect(found.count == 1 && found.first?.message.contains("of the write-ahead log is damaged") == true, "\(found)")
  }
}
