import CSQLite
import Identity
import Primitives
import Store
import Timelines

/// The newest 50 posts with their texts, beside a table that has nothing but them.
enum TimelinePages {
  static let all = [limit, dense, cold, catchUp, sparse, crowd]

  private static let limitName = "limit.newest-rows"
  private static let count = 50

  static let dense = warm(
    "timeline.dense", "newest 50 of 500 followed among 1,000 authors and a million posts", .interleaved, \.viewer)
  static let catchUp = warm(
    "timeline.catchUp", "the same where the posts arrived author by author", .byAuthor, \.viewer)
  static let sparse = warm(
    "timeline.sparse", "all posts of five rare authors in the same store", .interleaved, \.rareViewer)

  static let crowd = Benchmark(
    "timeline.crowd", "newest 50 of 500 followed among 100,000 authors with 10 posts each", unit: "ms",
    limit: limitName, goal: .atMost(0.5)
  ) { context in
    let large = try LargeStore.crowd(context)
    return try pages(of: large, large.viewer)
  }

  private static func warm(
    _ name: String, _ about: String, _ arrival: LargeStore.Arrival,
    _ viewer: @escaping @Sendable (LargeStore) -> PersonID
  ) -> Benchmark {
    Benchmark(name, about, unit: "ms", limit: limitName, goal: .atMost(0.5)) { context in
      let large = try LargeStore.million(context, arrival)
      return try pages(of: large, viewer(large))
    }
  }

  private static func pages(of large: LargeStore, _ viewer: PersonID) throws -> () throws -> Benchmark.Sample {
    let reader = TimelineReader(try EventStore(reading: large.path))
    let now = StorageEnvironment.systemNow()
    let expected = try reader.timeline(of: viewer, limit: count, now: now).count
    return {
      try Benchmark.latency(201) { _ in
        guard try reader.timeline(of: viewer, limit: count, now: now).count == expected, expected > 0 else {
          throw BenchmarkError("the timeline changed")
        }
      }
    }
  }

  static let cold = Benchmark(
    "timeline.cold", "as timeline.dense, by a reader that has just opened the store", unit: "ms", limit: limitName,
    goal: .atMost(3)
  ) { context in
    let large = try LargeStore.million(context, .interleaved)
    let now = StorageEnvironment.systemNow()
    return {
      try Benchmark.latency(21) { _ in
        let reader = TimelineReader(try EventStore(reading: large.path))
        guard try reader.timeline(of: large.viewer, limit: count, now: now).count == count else {
          throw BenchmarkError("the timeline is short")
        }
      }
    }
  }

  static let limit = Benchmark(
    limitName, "SELECT of the 50 rows with the highest key, and their texts, from a bare table of a million", unit: "ms"
  ) { context in
    let texts = try context.chatTexts(10_000)
    let path = try context.folder("rows") + "/db"
    var connection: OpaquePointer?
    guard sqlite3_open(path, &connection) == SQLITE_OK else { throw BenchmarkError("SQLite does not open \(path)") }
    func run(_ sql: String) throws {
      guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw BenchmarkError(sql) }
    }
    func prepare(_ sql: String) throws -> OpaquePointer? {
      var statement: OpaquePointer?
      guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw BenchmarkError(sql) }
      return statement
    }
    try run("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE row(id INTEGER PRIMARY KEY, text TEXT)")
    let insert = try prepare("INSERT INTO row(text) VALUES(?)")
    try run("BEGIN")
    for index in 0..<context.size(1_000_000) {
      let text = Array(texts[index % texts.count].utf8)
      text.withUnsafeBytes {
        _ = $0.withMemoryRebound(to: CChar.self) {
          sqlite3_bind_text(insert, 1, $0.baseAddress, Int32($0.count), nil)
        }
        sqlite3_step(insert)
      }
      sqlite3_reset(insert)
    }
    try run("COMMIT")
    sqlite3_finalize(insert)
    let select = try prepare("SELECT id, text FROM row ORDER BY id DESC LIMIT \(count)")
    return {
      Benchmark.latency(201) { _ in
        var bytes = 0
        while sqlite3_step(select) == SQLITE_ROW { bytes += String(cString: sqlite3_column_text(select, 1)).utf8.count }
        sqlite3_reset(select)
        keep(bytes)
      }
    }
  }
}
