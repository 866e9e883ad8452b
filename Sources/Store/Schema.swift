import Identity
import Primitives

/// The tables of the store, in one place; schemas/store.sql says the same with more words, and a test compares the two.
///
/// Local row numbers: `pid` is a person's, `lid` a log's. They never leave the store.
enum Schema {
  /// "tlog": what `file` and other tools see in the database header.
  static let applicationID: Int64 = 0x746C_6F67
  /// Raised when an older program could not read the store any more.
  static let version: Int64 = 1

  static let tables: [String] = [
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """
    CREATE TABLE person(pid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, record BLOB NOT NULL, \
    record_hash BLOB NOT NULL, change INTEGER NOT NULL)
    """,
    """
    CREATE TABLE log(lid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, pid INTEGER NOT NULL, \
    first INTEGER NOT NULL, head INTEGER NOT NULL, head_hash BLOB NOT NULL, previous BLOB NOT NULL, \
    lower INTEGER NOT NULL, state INTEGER NOT NULL, cut INTEGER, cut_previous BLOB, \
    want_head INTEGER NOT NULL, want_hash BLOB, change INTEGER NOT NULL)
    """,
    "CREATE INDEX log_pid ON log(pid)",
    """
    CREATE TABLE segment(lid INTEGER, first INTEGER, last INTEGER NOT NULL, previous BLOB NOT NULL, \
    hash BLOB NOT NULL, PRIMARY KEY(lid, first)) WITHOUT ROWID
    """,
    """
    CREATE TABLE chunk(rowid INTEGER PRIMARY KEY, lid INTEGER NOT NULL, first INTEGER NOT NULL, \
    count INTEGER NOT NULL, previous BLOB NOT NULL, signature BLOB, raw_bytes INTEGER NOT NULL, \
    wanted_until INTEGER, checksum BLOB NOT NULL, block BLOB NOT NULL)
    """,
    "CREATE UNIQUE INDEX chunk_place ON chunk(lid, first)",
    "CREATE INDEX chunk_wanted ON chunk(lid, first, count, wanted_until) WHERE wanted_until IS NOT NULL",
    """
    CREATE TABLE tail(lid INTEGER, seq INTEGER, previous BLOB, id INTEGER NOT NULL, kind INTEGER NOT NULL, \
    flags INTEGER NOT NULL, place INTEGER NOT NULL, ttl INTEGER NOT NULL, live INTEGER NOT NULL, \
    signature BLOB, verified INTEGER NOT NULL, absence INTEGER NOT NULL, wanted_until INTEGER, \
    payload_bytes INTEGER NOT NULL, payload BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY(lid, seq)) WITHOUT ROWID
    """,
    "CREATE INDEX tail_unverified ON tail(lid, seq) WHERE verified = 0",
    "CREATE INDEX tail_wanted ON tail(lid, seq, wanted_until) WHERE wanted_until IS NOT NULL",
    """
    CREATE TABLE evidence(lid INTEGER PRIMARY KEY, cut INTEGER NOT NULL, previous BLOB NOT NULL, \
    bytes BLOB NOT NULL)
    """,
    """
    CREATE TABLE suspect(lid INTEGER PRIMARY KEY, first INTEGER NOT NULL, previous BLOB NOT NULL, \
    headers BLOB NOT NULL, signature BLOB NOT NULL)
    """,
    """
    CREATE TABLE deletion(key BLOB, seq INTEGER, lid INTEGER, by_seq INTEGER, hash BLOB NOT NULL, \
    PRIMARY KEY(key, seq, lid, by_seq)) WITHOUT ROWID
    """,
    "CREATE INDEX deletion_by ON deletion(lid, by_seq)",
    "CREATE TABLE change(n INTEGER PRIMARY KEY, pid INTEGER, lid INTEGER)",
    "CREATE TABLE epoch(first INTEGER PRIMARY KEY, cookie BLOB NOT NULL)",
    """
    CREATE TABLE peer(node BLOB PRIMARY KEY, instance BLOB NOT NULL, n INTEGER NOT NULL, \
    cookie BLOB NOT NULL, interests_hash BLOB NOT NULL, interests BLOB, statement BLOB, \
    last_seen INTEGER NOT NULL, own_interests BLOB NOT NULL) WITHOUT ROWID
    """,
  ]

  /// Makes the tables of a new store, or refuses a file that is not ours or too new.
  static func prepare(_ database: Database) throws {
    let application = try database.number("PRAGMA application_id") ?? 0
    let version = try database.number("PRAGMA user_version") ?? 0
    if application == 0, version == 0, try database.number("SELECT count(*) FROM sqlite_schema") == 0 {
      guard database.mode == .writer else {
        throw StoreError(.notFound, "there is no store here", path: database.path)
      }
      try database.transaction {
        for table in tables { try database.execute(table) }
        let insert = try database.statement("INSERT INTO meta(key, value) VALUES('instance', ?), ('unclean', 0)")
        insert.bind(database.environment.random(8), at: 0)
        try insert.run()
        try database.execute("PRAGMA application_id=\(applicationID); PRAGMA user_version=\(Self.version)")
        try noteTables(database)
      }
      return
    }
    guard application == applicationID else {
      throw StoreError(.unsupported, "this database is not a tl store", path: database.path)
    }
    guard version <= Self.version else {
      throw StoreError(
        .unsupported,
        "this store has format \(version), made by a newer tl; this one knows formats up to \(Self.version)",
        path: database.path)
    }
    // SQLite believes any text there; a name that rotted would look like a mistake of ours later on.
    if version == Self.version {
      let present = Set(
        try database.statement("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").map { $0.text(0) })
      guard present.isSuperset(of: tables) else {
        throw StoreError(.damaged, "the store's list of tables is damaged", path: database.path)
      }
      let noted = try database.statement("SELECT value FROM meta WHERE key='tables'").first { $0.blob(0) }
      if let noted, try noted != digest(database).bytes {
        throw StoreError(.damaged, "the store's list of tables is damaged", path: database.path)
      }
    }
  }

  /// Remembers which tables there are, those of the read models too, so that a later look finds out what rotted.
  static func noteTables(_ database: Database) throws {
    let insert = try database.statement("INSERT OR REPLACE INTO meta(key, value) VALUES('tables', ?)")
    insert.bind(try digest(database).bytes, at: 0)
    try insert.run()
  }

  private static func digest(_ database: Database) throws -> Digest {
    let rows = try database.statement(
      "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
    ).map { row in (0..<4).map { row.text($0) }.joined(separator: "\0") }
    return Digest(hashing: Array(rows.joined(separator: "\0").utf8))
  }
}
