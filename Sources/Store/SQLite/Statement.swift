import CSQLite
public import Identity
public import Primitives

/// One prepared statement. Parameters and results count from 0, unlike SQLite's parameters, so that the two agree.
///
/// Use: bind, `step` or `run`, read columns; `run`, `first` and `eachRow` leave it reset, ready for the next use.
/// Confined, like its database, to one executor.
public final class Statement {
  private let handle: OpaquePointer
  private unowned let database: Database
  let sql: String

  init(_ handle: OpaquePointer, _ sql: String, of database: Database) {
    self.handle = handle
    self.sql = sql
    self.database = database
  }

  func finalize() { sqlite3_finalize(handle) }

  // MARK: - Parameters

  public func bind(_ value: Int64, at index: Int) { check(sqlite3_bind_int64(handle, Int32(index + 1), value)) }
  public func bind(_ value: Int, at index: Int) { bind(Int64(value), at: index) }
  public func bind(_ value: SequenceNumber, at index: Int) { bind(Int64(bitPattern: value.rawValue), at: index) }

  /// Unsigned numbers are kept by their bits; those over 2⁶³−1 sort as negative.
  public func bind(_ value: UInt64, at index: Int) { bind(Int64(bitPattern: value), at: index) }

  public func bind(_ value: String, at index: Int) {
    check(sqlite3_bind_text(handle, Int32(index + 1), value, Int32(value.utf8.count), transient))
  }

  /// Copies the bytes.
  public func bind(_ value: [UInt8], at index: Int) {
    check(
      value.isEmpty
        ? sqlite3_bind_zeroblob(handle, Int32(index + 1), 0)
        : sqlite3_bind_blob(handle, Int32(index + 1), value, Int32(value.count), transient))
  }

  public func bind<Role>(_ value: Bytes32<Role>, at index: Int) {
    value.withUnsafeBytes {
      check(sqlite3_bind_blob(handle, Int32(index + 1), $0.baseAddress, 32, transient))
    }
  }

  /// Does not copy: the bytes must stay where they are until the statement has run.
  public func bind(inPlace value: UnsafeRawBufferPointer, at index: Int) {
    check(
      value.isEmpty
        ? sqlite3_bind_zeroblob(handle, Int32(index + 1), 0)
        : sqlite3_bind_blob(handle, Int32(index + 1), value.baseAddress, Int32(value.count), nil))
  }

  public func bindNull(at index: Int) { check(sqlite3_bind_null(handle, Int32(index + 1))) }

  public func bind(_ value: Int64?, at index: Int) {
    if let value { bind(value, at: index) } else { bindNull(at: index) }
  }

  public func bind(_ value: [UInt8]?, at index: Int) {
    if let value { bind(value, at: index) } else { bindNull(at: index) }
  }

  // Fails only for an index that the statement does not have, or while a row is open: our own bugs.
  private func check(_ code: Int32) {
    precondition(code == SQLITE_OK, "bind failed (\(code)) in \(String(cString: sqlite3_sql(handle)))")
  }

  private var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

  // MARK: - Running

  /// Moves to the next row; false at the end, and then the statement is reset. After an error it is reset as well.
  public func step() throws(StoreError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE:
      sqlite3_reset(handle)
      return false
    case let code:
      let error = database.error(code, in: String(cString: sqlite3_sql(handle)))
      sqlite3_reset(handle)
      throw error
    }
  }

  /// Runs a statement whose rows, if any, are of no interest.
  public func run() throws(StoreError) {
    if try step() { sqlite3_reset(handle) }
  }

  public func reset() { sqlite3_reset(handle) }

  /// What `body` makes of the first row; nil without a row.
  public func first<Value>(_ body: (Statement) throws -> Value) throws -> Value? {
    guard try step() else { return nil }
    defer { reset() }
    return try body(self)
  }

  public func eachRow(_ body: (Statement) throws -> Void) throws {
    defer { reset() }
    while try step() { try body(self) }
  }

  public func map<Value>(_ body: (Statement) throws -> Value) throws -> [Value] {
    var values: [Value] = []
    try eachRow { values.append(try body($0)) }
    return values
  }

  // MARK: - Columns of the row

  public func int(_ column: Int) -> Int64 { sqlite3_column_int64(handle, Int32(column)) }
  public func unsigned(_ column: Int) -> UInt64 { UInt64(bitPattern: int(column)) }

  /// A number that no log can have, as rot may leave it, reads as 0.
  public func sequence(_ column: Int) -> SequenceNumber {
    let value = int(column)
    return SequenceNumber(value < 0 || value > Int64(SequenceNumber.maximum.rawValue) ? 0 : UInt64(value))
  }

  public func isNull(_ column: Int) -> Bool { sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL }
  public func text(_ column: Int) -> String {
    sqlite3_column_text(handle, Int32(column)).map { String(cString: $0) } ?? ""
  }

  public func blob(_ column: Int) -> [UInt8] { withBlob(column) { Array($0) } }

  /// nil when the column does not hold 32 bytes.
  public func bytes32<Role>(_ column: Int, _ role: Role.Type = Role.self) -> Bytes32<Role>? {
    withBlob(column) { Bytes32<Role>($0) }
  }

  /// The bytes where SQLite has them, valid inside `body` only.
  public func withBlob<Result>(_ column: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let start = sqlite3_column_blob(handle, Int32(column))
    return try body(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, Int32(column)))))
  }
}
