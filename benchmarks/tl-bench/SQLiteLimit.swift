import CSQLite
import Identity
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

  /// What a durable, signed post with its place in the timeline costs at least: a signature, three hashes, and the three
  /// rows that the schema has for it, by prepared statements and with nothing around them. No chunk is ever closed.
  static let post = Benchmark(
    "limit.sqlite-post", "a signature, and the rows of a post, a commit", unit: "posts/s", limit: "limit.sqlite-commit"
  ) { context in
    let tables = try PostTables(try context.folder("post") + "/db")
    let texts = try context.chatTexts(context.size(1000)).map { Array($0.utf8) }
    let key = try SampleAuthor(1).device
    return {
      try Benchmark.rateWithProcessor(texts.count) {
        for text in texts { try tables.insert(text, signedBy: key) }
      }
    }
  }

  /// The tables that a post lies in (schemas/store.sql, schemas/timelines.sql), without those that it does not touch.
  final class PostTables {
    private var connection: OpaquePointer?
    private var statements: [OpaquePointer?] = []
    private var sequence: Int64 = 0
    private var previous = [UInt8](repeating: 0, count: 32)

    init(_ path: String) throws {
      guard sqlite3_open(path, &connection) == SQLITE_OK else { throw BenchmarkError("SQLite does not open \(path)") }
      for sql in [
        "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
        "CREATE TABLE log(lid INTEGER PRIMARY KEY, head INTEGER, hash BLOB, key BLOB)",
        """
        CREATE TABLE tail(lid INTEGER, seq INTEGER, id INTEGER, kind INTEGER, ttl INTEGER, live INTEGER, \
        signature BLOB, payload BLOB, checksum BLOB, PRIMARY KEY(lid, seq)) WITHOUT ROWID
        """,
        """
        CREATE TABLE post(lid INTEGER, at INTEGER, id INTEGER, seq INTEGER, ttl INTEGER, parent INTEGER, \
        PRIMARY KEY(lid, at, id)) WITHOUT ROWID
        """,
        "INSERT INTO log VALUES(1, 0, zeroblob(32), zeroblob(32))",
      ] {
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
      }
      for sql in [
        "BEGIN IMMEDIATE", "INSERT INTO tail VALUES(1,?1,?1<<22,1,2592000,?1-1,?2,?3,?4)",
        "INSERT INTO post VALUES(1,?1<<22,0,?1,2592000,NULL)", "UPDATE log SET head=?1, hash=?2 WHERE lid=1", "COMMIT",
      ] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else { throw failure(sql) }
        statements.append(statement)
      }
    }

    func insert(_ text: [UInt8], signedBy key: SigningKey) throws {
      sequence += 1
      let payload: Digest = Digest(hashing: text)
      let header = previous + payload.bytes + [UInt8](repeating: 0, count: 64)
      previous = Digest(hashing: header).bytes
      let signature = key.sign(header, in: .event).bytes
      let checksum = Array(Digest(hashing: signature + text).bytes.prefix(16))
      try run(0)
      bind(signature, 2, of: 1)
      bind(text, 3, of: 1)
      bind(checksum, 4, of: 1)
      try run(1)
      try run(2)
      bind(previous, 2, of: 3)
      try run(3)
      try run(4)
    }

    private func bind(_ bytes: [UInt8], _ index: Int32, of statement: Int) {
      // SQLite copies them.
      sqlite3_bind_blob(
        statements[statement], index, bytes, Int32(bytes.count), unsafeBitCast(-1, to: sqlite3_destructor_type.self))
    }

    private func run(_ index: Int) throws {
      let statement = statements[index]
      if sqlite3_bind_parameter_count(statement) > 0 { sqlite3_bind_int64(statement, 1, sequence) }
      guard sqlite3_step(statement) == SQLITE_DONE, sqlite3_reset(statement) == SQLITE_OK else {
        throw failure("statement \(index)")
      }
    }

    private func failure(_ what: String) -> BenchmarkError {
      BenchmarkError("\(what): \(String(cString: sqlite3_errmsg(connection)))")
    }

    deinit {
      for statement in statements { sqlite3_finalize(statement) }
      sqlite3_close(connection)
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
