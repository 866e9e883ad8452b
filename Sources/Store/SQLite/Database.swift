import CSQLite
import Glibc

/// One connection to the store's file, with its prepared statements. Confined to one executor.
///
/// The writing connection is the only one that checkpoints (Debian 12's SQLite damages the file when two connections do:
/// RELIABILITY §5); readers are `query_only` and never wait for the writer.
public final class Database {
  public enum Mode: Sendable {
    /// Creates the file when it is missing (mode 0600).
    case writer
    case reader
  }

  public struct Options: Sendable {
    /// Page cache, in bytes.
    public var cacheBytes = 16 << 20
    /// The writer moves the write-ahead log into the file once it is this long, in bytes.
    public var checkpointBytes = 4 << 20
    /// A writer that ends with a shorter write-ahead log leaves it as it is, in bytes; −1 always empties it.
    public var logLeftBytes = -1
    /// FULL everywhere: what a peer remembers of us must not roll back. Tests switch it off to see the harness notice.
    public var synchronous = "FULL"
    /// Opens a store whose write-ahead log is damaged in front of transactions that were told as durable, and gives
    /// those up. For a repair that somebody asked for.
    public var givesUpTransactions = false
    public init() {}
  }

  public let path: String
  public let mode: Mode
  public let environment: StorageEnvironment
  private let options: Options
  private let handle: OpaquePointer
  private var statements: [String: Statement] = [:]
  /// Those asked for last, by where their texts lie.
  private var recent = [Statement?](repeating: nil, count: 64)
  private var isOpen = true
  private var depth = 0
  /// A failed write or sync: nothing later may be told as durable through this connection.
  private var failure: StoreError?
  private let walPages: UnsafeMutablePointer<Int32>
  /// Length of the write-ahead log after the last commit, and from where on it is moved into the file, in pages.
  private var walPagesSeen = 0
  private var checkpointAtPages: Int

  /// Size of a page of new files. Against 8,192 a store is 4 % smaller and a durable append, which writes whole pages to
  /// the log, reaches 0.85 instead of 0.55 of a bare one-row loop; ingest is the same within the noise.
  public static let pageBytes = 4096
  /// A path that stands for no file at all: a database of this connection alone.
  static let inMemory = ":memory:"
  /// Readers wait this long for another process to finish recovering the log after a crash; never for its writes.
  private static let readerPatienceMilliseconds: Int32 = 500

  public init(
    path: String, mode: Mode, environment: StorageEnvironment = StorageEnvironment(), options: Options = Options()
  ) throws(StoreError) {
    self.path = path
    self.mode = mode
    self.environment = environment
    self.options = options
    checkpointAtPages = options.checkpointBytes / Self.pageBytes
    try Self.checkFiles(path, mode, environment, options)
    if mode == .writer, environment.vfsName == nil, path != Self.inMemory { try Self.createPrivately(path) }
    var opened: OpaquePointer?
    let flags = mode == .writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY
    let code = sqlite3_open_v2(path, &opened, flags | SQLITE_OPEN_NOMUTEX, environment.vfsName)
    guard code == SQLITE_OK, let opened else {
      let missing = mode == .reader && code == SQLITE_CANTOPEN && access(path, F_OK) != 0
      let error = Self.makeError(code, handle: opened, doing: "open", path: path)
      sqlite3_close_v2(opened)
      throw missing ? StoreError(.notFound, "there is no store here", path: path) : error
    }
    handle = opened
    walPages = .allocate(capacity: 1)
    walPages.initialize(to: 0)
    sqlite3_extended_result_codes(handle, 1)
    tl_sqlite3_db_lookaside(handle, 256, 512)
    do {
      try configure()
    } catch {
      close()
      throw error
    }
  }

  deinit {
    close()
    walPages.deallocate()
  }

  /// SQLite takes a database without its file for a new one, and a write-ahead log up to its first damage for all there
  /// is, and then writes over what it did not see. An author would sign other events with the same sequence numbers.
  private static func checkFiles(
    _ path: String, _ mode: Mode, _ environment: StorageEnvironment, _ options: Options
  ) throws(StoreError) {
    let log = "\(path)-wal"
    guard let bytes = environment.size(of: log), bytes > 0 else { return }
    if environment.size(of: path) ?? 0 == 0 {
      throw StoreError(.damaged, "the store's file is gone, but its write-ahead log is here", path: path)
    }
    guard mode == .writer, !options.givesUpTransactions else { return }
    if let words = try damage(inLogOf: path, environment) { throw StoreError(.damaged, words, path: log) }
  }

  /// What rotted in the write-ahead log in front of transactions that were told as durable. A damaged last transaction is
  /// not among it: one that a power cut tore looks the same, and was never told.
  private static func damage(
    inLogOf path: String, _ environment: StorageEnvironment
  ) throws(StoreError) -> String? {
    let log = "\(path)-wal"
    guard let bytes = environment.size(of: log), bytes > 0 else { return nil }
    let content = WriteAheadLog(try environment.bytes(of: log), takesBroken: false)
    if let refusal = content.refusal, bytes > WriteAheadLog.headerBytes {
      return "the write-ahead log is damaged: \(refusal)"
    }
    guard let end = content.end, content.transactionsBehind > 0 else { return nil }
    let count = content.transactionsBehind
    let behind = count == 1 ? "a transaction lies" : "\(count) transactions lie"
    return "frame \(end) of the write-ahead log is damaged, and \(behind) behind it"
  }

  /// As a writer finds it when it opens; a reader opens, and shows what lies before.
  func damageInLog() throws(StoreError) -> String? {
    // A log that somebody writes while it is read may look torn; damage stays the same.
    guard let words = try Self.damage(inLogOf: path, environment) else { return nil }
    return try Self.damage(inLogOf: path, environment) == words ? words : nil
  }

  private func configure() throws(StoreError) {
    if mode == .reader {
      sqlite3_busy_timeout(handle, Self.readerPatienceMilliseconds)
      tl_sqlite3_db_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    }
    if environment.exclusive { try execute("PRAGMA locking_mode=EXCLUSIVE") }
    if mode == .writer {
      // Both only take effect before the first table. Said again later, the second would cost a transaction.
      if try !vacuumsIncrementally() {
        try execute("PRAGMA page_size=\(Self.pageBytes); PRAGMA auto_vacuum=INCREMENTAL")
      }
      // EXTRA while the file turns to the write-ahead log: a rollback journal whose deletion was not synced could come
      // back after a power cut and undo the change of mode, and with it everything since.
      try execute("PRAGMA synchronous=EXTRA; PRAGMA journal_mode=WAL")
      try execute("PRAGMA synchronous=\(options.synchronous); PRAGMA secure_delete=ON")
      sqlite3_wal_hook(
        handle,
        { context, _, _, pages in
          context!.assumingMemoryBound(to: Int32.self).pointee = pages
          return SQLITE_OK
        }, walPages)
    } else {
      try execute("PRAGMA query_only=ON")
    }
    try execute(
      """
      PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF;
      PRAGMA cache_size=-\(options.cacheBytes / 1024)
      """)
    if mode == .reader { try execute("PRAGMA wal_autocheckpoint=0") }
  }

  /// 2 in SQLite's words; 0 for a database without tables.
  private func vacuumsIncrementally() throws(StoreError) -> Bool {
    let mode = try statement("PRAGMA auto_vacuum")
    defer { mode.reset() }
    return try mode.step() && mode.int(0) == 2
  }

  /// Set by who erases content: the write-ahead log may still hold it, and is emptied after the commit, or when a reader
  /// that needs the log has gone, and when the connection closes at the latest.
  package var logHoldsErased = false

  /// Ends the connection; the writer first empties the write-ahead log. Harmless when closed already.
  public func close() {
    guard isOpen else { return }
    isOpen = false
    for statement in statements.values { statement.finalize() }
    statements = [:]
    recent = Array(repeating: nil, count: recent.count)
    if mode == .writer, failure == nil, !logHoldsErased, Int(walPages.pointee) * Self.pageBytes <= options.logLeftBytes
    {
      // The next writer goes on in the same write-ahead log, which spares it five syncs of the disk.
      tl_sqlite3_db_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    } else if mode == .writer, failure == nil {
      sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    }
    sqlite3_close_v2(handle)
  }

  // MARK: - Statements

  /// The prepared statement of this text, made once. Hot paths keep what they got.
  public func statement(_ sql: String) throws(StoreError) -> Statement {
    // Almost every text is a literal, which lies where it lay before: nothing needs to be hashed to find it again.
    let place = sql.utf8.withContiguousStorageIfAvailable { Int(bitPattern: $0.baseAddress) / 16 & 63 } ?? 0
    if let statement = recent[place], statement.sql == sql { return statement }
    if let statement = statements[sql] {
      recent[place] = statement
      return statement
    }
    guard isOpen else { throw StoreError(.misuse, "the store is closed", path: path) }
    var prepared: OpaquePointer?
    let code = sqlite3_prepare_v3(
      handle, sql, Int32(sql.utf8.count), UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
    guard code == SQLITE_OK, let prepared else { throw error(code, in: sql) }
    let statement = Statement(prepared, sql, of: self)
    statements[sql] = statement
    return statement
  }

  /// Runs statements that take no parameters and whose rows are of no interest.
  public func execute(_ sql: String) throws(StoreError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    if code != SQLITE_OK { throw error(code, in: sql) }
  }

  /// The number in the first column of the first row.
  public func number(_ sql: String) throws -> Int64? { try statement(sql).first { $0.int(0) } }

  public var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }
  /// Rows that the last statement changed.
  public var changes: Int { Int(sqlite3_changes(handle)) }
  public var isInTransaction: Bool { depth > 0 }

  /// A number that stays the same only while neither this connection nor another has changed the store, so that what
  /// was read before can be used again. Costs about a microsecond.
  public func contentMark() throws(StoreError) -> Int64 {
    let version = try statement("PRAGMA data_version")
    guard try version.step() else { return 0 }
    defer { version.reset() }
    return version.int(0) << 32 &+ Int64(sqlite3_total_changes(handle))
  }

  // MARK: - Transactions

  /// Runs `body` as one transaction: durable when this returns, undone when it throws. One inside another is part of
  /// the outer one, which fails as a whole.
  public func transaction<Value>(_ body: () throws -> Value) throws -> Value {
    if depth > 0 { return try body() }
    guard mode == .writer else { throw StoreError(.misuse, "a reader cannot change the store", path: path) }
    if let failure { throw failure }
    let value = try bracket("BEGIN IMMEDIATE", body)
    if logHoldsErased, checkpoint(truncates: true) { logHoldsErased = false }
    checkpointWhenLong()
    return value
  }

  /// One unchanging view of the store for several reads.
  public func snapshot<Value>(_ body: () throws -> Value) throws -> Value {
    depth > 0 ? try body() : try bracket("BEGIN", body)
  }

  private func bracket<Value>(_ opening: String, _ body: () throws -> Value) throws -> Value {
    try statement(opening).run()
    depth += 1
    defer { depth -= 1 }
    do {
      let value = try body()
      try statement("COMMIT").run()
      return value
    } catch {
      // SQLite itself has rolled back after some errors; a second attempt then fails, which is all right.
      if sqlite3_get_autocommit(handle) == 0 { try? statement("ROLLBACK").run() }
      throw error
    }
  }

  /// Moves committed pages from the write-ahead log into the file as far as readers let it. A failure loses nothing:
  /// the pages stay in the log and the next checkpoint tries again.
  ///
  /// - Parameter truncates: also cuts the log to nothing when no reader needs it.
  @discardableResult
  public func checkpoint(truncates: Bool = false) -> Bool {
    guard mode == .writer, isOpen, depth == 0, failure == nil else { return false }
    let mode = truncates ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE
    var logged: Int32 = 0
    var moved: Int32 = 0
    let code = sqlite3_wal_checkpoint_v2(handle, nil, mode, &logged, &moved)
    return code == SQLITE_OK
  }

  // While a reader holds the log it goes on growing; then each further stretch of it is tried once, not each commit.
  private func checkpointWhenLong() {
    let pages = Int(walPages.pointee)
    if pages < walPagesSeen { checkpointAtPages = options.checkpointBytes / Self.pageBytes }
    walPagesSeen = pages
    guard pages > checkpointAtPages else { return }
    checkpoint()
    checkpointAtPages = pages + options.checkpointBytes / Self.pageBytes
  }

  // MARK: - Errors

  func error(_ code: Int32, in sql: String) -> StoreError {
    let error = Self.makeError(code, handle: handle, doing: sql, path: path)
    // After a failed sync nobody knows what the disk holds, and a second sync proves nothing (RELIABILITY A3).
    if error.code == .io, mode == .writer, failure == nil { failure = error }
    return error
  }

  private static func makeError(_ code: Int32, handle: OpaquePointer?, doing: String, path: String) -> StoreError {
    let systemError = handle.map { sqlite3_system_errno($0) } ?? 0
    let text = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "error \(code)"
    switch code & 0xFF {
    case SQLITE_FULL: return StoreError(.noSpace, "no space left for the store", path: path)
    case SQLITE_BUSY, SQLITE_LOCKED: return StoreError(.locked, "another process holds the store", path: path)
    case SQLITE_CORRUPT, SQLITE_NOTADB: return StoreError(.damaged, "the store's file is damaged: \(text)", path: path)
    case SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH: return StoreError(.permissions, text, path: path)
    case SQLITE_IOERR, SQLITE_CANTOPEN:
      if systemError == ENOSPC || systemError == EDQUOT {
        return StoreError(.noSpace, "no space left for the store", path: path)
      }
      if systemError == EACCES || systemError == EPERM { return StoreError(.permissions, text, path: path) }
      return StoreError(.io, "\(text) [\(code)]", path: path)
    // The only damage of the header that has no code of its own.
    case SQLITE_ERROR where text == "unsupported file format":
      return StoreError(.damaged, "the store's file is damaged: \(text)", path: path)
    default: return StoreError(.misuse, "\(text) in: \(doing)", path: path)
    }
  }

  // SQLite would make the file as the umask says; nobody else may read it. Never opens a file that exists: closing it
  // would drop the locks of other connections of this process.
  private static func createPrivately(_ path: String) throws(StoreError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    if descriptor >= 0 {
      Glibc.close(descriptor)
    } else if errno != EEXIST {
      let code: StoreError.Code = errno == EACCES || errno == EPERM ? .permissions : errno == ENOSPC ? .noSpace : .io
      throw StoreError(code, "cannot create the store: \(String(cString: strerror(errno)))", path: path)
    }
  }
}
