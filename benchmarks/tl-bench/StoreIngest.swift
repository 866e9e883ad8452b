import CLZ4
import CSQLite
import CSodium
import Events
import Glibc
import Identity
import Primitives
import Store
import Timelines

/// Stretches of closed chunks taken into a store, beside the least that any such store has to do.
enum StoreIngest {
  /// Closed chunks of some logs; log after log, oldest first.
  private struct Load {
    var authors: [SampleAuthor] = []
    var stretches: [ReceivedStretch] = []
    var events = 0

    init(_ context: Context) throws {
      let logs = context.size(200)
      let texts = try context.chatTexts(logs * perLog)
      for number in 0..<logs {
        let author = try SampleAuthor(number)
        authors.append(author)
        stretches += SampleLog.posts(
          author, seed: number, texts: texts[(number * perLog)..<((number + 1) * perLog)], endsOpen: false)
      }
      events = stretches.reduce(0) { $0 + $1.envelope.count }
    }

    private let perLog = 1024
  }

  /// Stretches in one transaction, about 16,000 events.
  private static let batch = 64

  static let ingest = Benchmark(
    "store.ingest", "verify, store and index received closed chunks of short posts, 64 chunks a transaction",
    unit: "events/s", limit: "limit.ingest", goal: .ratioAtLeast(0.6)
  ) { context in
    let load = try Load(context)
    let folder = try context.folder("ingest")
    return {
      let path = folder + "/store"
      Files.remove(store: path)
      let store = try EventStore(writing: path, authority: .alone, readModels: [TimelineModel()])
      try store.batch { for author in load.authors { try store.merge(author.record) } }
      var stored = 0
      var sample = try Benchmark.rateWithProcessor(load.events) {
        for start in stride(from: 0, to: load.stretches.count, by: batch) {
          let part = Array(load.stretches[start..<min(start + batch, load.stretches.count)])
          for case .stored(let count) in try store.ingest(part) { stored += count }
        }
      }
      guard stored == load.events else { throw BenchmarkError("\(stored) of \(load.events) events were stored") }
      store.close()
      sample.notes.append(("bytesPerEvent", Double(try Files.size(path)) / Double(stored)))
      return sample
    }
  }

  /// A received stretch with what the limit does not work out itself.
  private struct Prepared {
    var block: [UInt8]
    var rawBytes: Int
    var headers: [UInt8]
    var payloads: [Range<Int>]
    var ids: [Int64]
    var first: Int64
    var lid: Int64
  }

  private static func prepare(_ load: Load) throws -> [Prepared] {
    var prepared: [Prepared] = []
    var previous: EventHash?
    for received in load.stretches {
      let envelope = received.envelope
      guard let rawBytes = envelope.rawBytes, case .whole(let before) = envelope.previous else {
        throw BenchmarkError("a sample does not compress")
      }
      var raw = [UInt8](repeating: 0, count: rawBytes)
      decompress(envelope.block, into: &raw, rawBytes)
      let stretch = try StretchColumns.decode(
        raw, log: received.log, first: envelope.first, count: envelope.count, previous: before)
      previous = stretch.lastHash
      prepared.append(
        Prepared(
          block: envelope.block, rawBytes: rawBytes, headers: stretch.headerBytes,
          payloads: (0..<stretch.count).map { stretch.payloadRange($0)! },
          ids: (0..<stretch.count).map { Int64(stretch.id($0).rawValue) }, first: Int64(envelope.first.rawValue),
          lid: Int64((prepared.last?.lid ?? 0) + (envelope.first == .first ? 1 : 0))))
    }
    keep(previous)
    return prepared
  }

  @discardableResult
  private static func decompress(_ block: [UInt8], into raw: inout [UInt8], _ rawBytes: Int) -> Bool {
    raw.withUnsafeMutableBytes { target in
      block.withUnsafeBytes { source in
        LZ4_decompress_safe(
          source.bindMemory(to: CChar.self).baseAddress!, target.bindMemory(to: CChar.self).baseAddress!,
          Int32(source.count), Int32(rawBytes)) == Int32(rawBytes)
      }
    }
  }

  static let limit = Benchmark(
    "limit.ingest", "LZ4 decompression, two hashes an event, and inserts of the same rows, 64 chunks a transaction",
    unit: "events/s"
  ) { context in
    guard sodium_init() >= 0 else { throw BenchmarkError("libsodium does not start") }
    let load = try Load(context)
    let prepared = try prepare(load)
    let folder = try context.folder("ingest-limit")
    return {
      let path = folder + "/db"
      Files.remove(store: path)
      let database = try RowDatabase(path)
      var raw = [UInt8](repeating: 0, count: prepared.map(\.rawBytes).max()!)
      var digest = [UInt8](repeating: 0, count: 32)
      return try Benchmark.rateWithProcessor(load.events) {
        for start in stride(from: 0, to: prepared.count, by: batch) {
          try database.run("BEGIN IMMEDIATE")
          for stretch in prepared[start..<min(start + batch, prepared.count)] {
            guard decompress(stretch.block, into: &raw, stretch.rawBytes) else {
              throw BenchmarkError("a sample does not decompress")
            }
            raw.withUnsafeBufferPointer { raw in
              stretch.headers.withUnsafeBufferPointer { headers in
                for (index, payload) in stretch.payloads.enumerated() {
                  _ = crypto_generichash(
                    &digest, 32, raw.baseAddress! + payload.lowerBound, UInt64(payload.count), nil, 0)
                  _ = crypto_generichash(&digest, 32, headers.baseAddress! + index * 128, 128, nil, 0)
                }
              }
            }
            try database.insertChunk(stretch.lid, stretch.first, stretch.ids.count, stretch.rawBytes, stretch.block)
            for (index, id) in stretch.ids.enumerated() {
              try database.insertPost(stretch.lid, id, stretch.first + Int64(index))
            }
          }
          try database.run("COMMIT")
        }
        keep(digest)
      }
    }
  }

  /// The same tables and settings as the store's, bare.
  private final class RowDatabase {
    private var connection: OpaquePointer?
    private var chunk: OpaquePointer?
    private var post: OpaquePointer?

    init(_ path: String) throws {
      guard
        sqlite3_open_v2(path, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
          == SQLITE_OK
      else { throw BenchmarkError("SQLite does not open \(path)") }
      try run(
        """
        PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
        PRAGMA secure_delete=ON; PRAGMA cache_size=-16384;
        CREATE TABLE chunk(rowid INTEGER PRIMARY KEY, lid INTEGER NOT NULL, first INTEGER NOT NULL,
          count INTEGER NOT NULL, previous BLOB NOT NULL, signature BLOB, raw_bytes INTEGER NOT NULL,
          wanted_until INTEGER, checksum BLOB NOT NULL, block BLOB NOT NULL);
        CREATE UNIQUE INDEX chunk_place ON chunk(lid, first);
        CREATE INDEX chunk_wanted ON chunk(lid, first, count, wanted_until) WHERE wanted_until IS NOT NULL;
        CREATE TABLE post(lid INTEGER, at INTEGER, id INTEGER, seq INTEGER NOT NULL, ttl INTEGER NOT NULL,
          parent INTEGER, PRIMARY KEY(lid, at, id)) WITHOUT ROWID;
        """)
      chunk = try prepare(
        "INSERT INTO chunk(lid, first, count, previous, signature, raw_bytes, checksum, block) "
          + "VALUES(?,?,?,zeroblob(32),zeroblob(64),?,zeroblob(16),?)")
      post = try prepare("INSERT INTO post(lid, at, id, seq, ttl) VALUES(?,?,0,?,0)")
    }

    func run(_ sql: String) throws {
      guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
    }

    func insertChunk(_ lid: Int64, _ first: Int64, _ count: Int, _ rawBytes: Int, _ block: [UInt8]) throws {
      sqlite3_bind_int64(chunk, 1, lid)
      sqlite3_bind_int64(chunk, 2, first)
      sqlite3_bind_int64(chunk, 3, Int64(count))
      sqlite3_bind_int64(chunk, 4, Int64(rawBytes))
      try block.withUnsafeBytes {
        sqlite3_bind_blob(chunk, 5, $0.baseAddress, Int32($0.count), nil)
        try step(chunk)
      }
    }

    func insertPost(_ lid: Int64, _ id: Int64, _ sequence: Int64) throws {
      sqlite3_bind_int64(post, 1, lid)
      sqlite3_bind_int64(post, 2, id)
      sqlite3_bind_int64(post, 3, sequence)
      try step(post)
    }

    private func step(_ statement: OpaquePointer?) throws {
      guard sqlite3_step(statement) == SQLITE_DONE, sqlite3_reset(statement) == SQLITE_OK else {
        throw failure("insert")
      }
    }

    private func prepare(_ sql: String) throws -> OpaquePointer? {
      var statement: OpaquePointer?
      guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw failure(sql) }
      return statement
    }

    private func failure(_ what: String) -> BenchmarkError {
      BenchmarkError("\(what): \(String(cString: sqlite3_errmsg(connection)))")
    }

    deinit {
      sqlite3_finalize(chunk)
      sqlite3_finalize(post)
      sqlite3_close(connection)
    }
  }
}
