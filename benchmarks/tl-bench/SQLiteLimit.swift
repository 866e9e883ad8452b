import CSQLite
import Primitives

/// SQLite with nothing around it: what a durable append costs at least.
enum SQLiteLimit {
  static let commit = Benchmark(
    "limit.sqlite-commit", "one row of 200 bytes a commit, WAL, synchronous=FULL", unit: "commits/s",
    limit: "limit.fdatasync"
  ) { context in
    let database = try Database(try context.folder("commit") + "/db")
    let count = context.size(1000)
    return {
      try Benchmark.rate(count) {
        for _ in 0..<count { try database.insert() }
      }
    }
  }

  /// One connection, one table, one prepared statement.
  final class Database {
    private var connection: OpaquePointer?
    private var statement: OpaquePointer?

    init(_ path: String) throws {
      guard sqlite3_open(path, &connection) == SQLITE_OK else { throw BenchmarkError("SQLite does not open \(path)") }
      for sql in [
        "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
        "CREATE TABLE row(id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
      ] {
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
      }
      let sql = "INSERT INTO row(data) VALUES(zeroblob(200))"
      guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw failure(sql) }
    }

    func insert() throws {
      guard sqlite3_step(statement) == SQLITE_DONE, sqlite3_reset(statement) == SQLITE_OK else {
        throw failure("insert")
      }
    }

    private func failure(_ what: String) -> BenchmarkError {
      BenchmarkError("\(what): \(String(cString: sqlite3_errmsg(connection)))")
    }

    deinit {
      sqlite3_finalize(statement)
      sqlite3_close(connection)
    }
  }
}
