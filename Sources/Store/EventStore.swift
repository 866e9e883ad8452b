import Events
import Identity
import Primitives

/// Shows that the caller is the profile's only writer: the held write lock, or a disk nobody else can open.
public struct WriteAuthority {
  private let lock: WriteLock?
  private init(_ lock: WriteLock?) { self.lock = lock }

  /// The store keeps the lock alive until it is closed.
  public static func holding(_ lock: WriteLock) -> WriteAuthority { WriteAuthority(lock) }
  /// For a disk in memory, a private copy, or a directory that a test made.
  public static var alone: WriteAuthority { WriteAuthority(nil) }
}

/// The logs of one profile on disk: person records, events, evidence, what peers know, and the read models, all changed
/// in one transaction. What it acknowledged is durable and never changes.
///
/// Confined to one executor. The writer is the only one of its profile; any number of readers look on and never wait.
public final class EventStore {
  public struct Options: Sendable {
    /// Bound on decoded chunks kept in memory.
    public var cacheBytes = 16 << 20
    public var database = Database.Options()
    /// Events further in the future than this are not accepted yet, in ms (DESIGN §6: 24 h).
    public var futureMaximum: Int64 = 24 * 3_600_000
    public init() {}
  }

  public let database: Database
  public let options: Options
  /// Eight random bytes made with the store: whose change numbers a cursor means.
  public let instance: UInt64
  /// Whether the last writer ended without closing. Its newest logs were then checked before this returned.
  public let wasUnclean: Bool
  /// Damage found while opening; read on, `repair` by fetching again.
  public private(set) var damageAtOpen: [Damage] = []

  var environment: StorageEnvironment { database.environment }
  private let authority: WriteAuthority?
  let readModels: [any ReadModel]

  // Kept by the writer; empty in readers, which look at the disk each time.
  private var entries: [LogID: LogEntry] = [:]
  private var dirty: [LogEntry] = []
  private var dirtyPersons: Set<Int64> = []
  private var nextChange: Int64?
  /// From this number on changes lie behind no cursor that was given out, so a log that changes again keeps its number.
  /// Nil when that is not known; then every number that is taken counts as told.
  private var untoldFrom: Int64?
  private var epochIsOpen = false
  /// Transactions of this process that changed something.
  private var commits = 0
  /// Whether the note that a writer is at work is in the store.
  private var isMarked = false
  var records: LeastRecentlyUsed<PersonID, StoredPerson>
  var chunkCache: LeastRecentlyUsed<ChunkKey, CachedChunk>
  var viewCache: LeastRecentlyUsed<ChunkKey, CachedOutline>

  struct ChunkKey: Hashable {
    var lid: Int64
    var first: SequenceNumber
  }

  /// Logs whose entries the writer remembers, about 300 bytes each.
  private static let entryMaximum = 65_536
  /// Epochs kept; a cursor older than the oldest falls back to the list.
  private static let epochMaximum = 4096

  /// Opens a store for writing, making it when it is missing.
  public convenience init(
    writing path: String, authority: WriteAuthority, environment: StorageEnvironment = StorageEnvironment(),
    options: Options = Options(), readModels: [any ReadModel] = []
  ) throws {
    let database = try Database(path: path, mode: .writer, environment: environment, options: options.database)
    try self.init(database, options, authority, readModels)
  }

  /// Opens a store for reading. Throws `.notFound` when there is none.
  public convenience init(
    reading path: String, environment: StorageEnvironment = StorageEnvironment(), options: Options = Options()
  ) throws {
    let database = try Database(path: path, mode: .reader, environment: environment, options: options.database)
    try self.init(database, options, nil, [])
  }

  private init(
    _ database: Database, _ options: Options, _ authority: WriteAuthority?,
    _ readModels: [any ReadModel]
  ) throws {
    self.database = database
    self.options = options
    self.authority = authority
    records = LeastRecentlyUsed(costMaximum: 8 << 20)
    chunkCache = LeastRecentlyUsed(costMaximum: options.cacheBytes)
    viewCache = LeastRecentlyUsed(costMaximum: options.cacheBytes)
    try Schema.prepare(database)
    guard
      let instance = try database.statement("SELECT value FROM meta WHERE key='instance'").first({ $0.blob(0) }),
      instance.count == 8
    else { throw StoreError(.damaged, "the store has lost its instance id", path: database.path) }
    self.instance = instance.reduce(0) { $0 << 8 | UInt64($1) }
    wasUnclean = try database.number("SELECT value FROM meta WHERE key='unclean'") == 1
    self.readModels = readModels
    if database.mode == .writer {
      try prepareReadModels()
      if wasUnclean { damageAtOpen = try verifyNewest() }
    }
  }

  /// Ends the connection; the writer leaves an empty write-ahead log and the note that it left in order.
  public func close() {
    if database.mode == .writer, isMarked || wasUnclean {
      try? database.transaction { try database.execute("UPDATE meta SET value=0 WHERE key='unclean'") }
    }
    database.close()
  }

  private func prepareReadModels() throws {
    guard !readModels.isEmpty else { return }
    // Read models made by other tables are not to be trusted: they are made again.
    let schema = readModels.map { type(of: $0).schema }.joined(separator: "\n")
    let version = Digest(hashing: Array(schema.utf8)).bytes
    let stored = try database.statement("SELECT value FROM meta WHERE key='readModels'").first { $0.blob(0) }
    guard stored != version else { return }
    try database.transaction {
      try database.execute(schema)
      try Schema.noteTables(database)
      let insert = try database.statement("INSERT OR REPLACE INTO meta(key, value) VALUES('readModels', ?)")
      insert.bind(version, at: 0)
      try insert.run()
      if try database.number("SELECT EXISTS(SELECT 1 FROM log WHERE head>0)") == 1 { try rebuild() }
    }
  }

  // MARK: - Transactions

  /// Runs `body` and writes what changed in the logs, as one durable transaction.
  func write<Value>(_ body: () throws -> Value) throws -> Value {
    if database.isInTransaction { return try body() }
    do {
      let wasMarked = isMarked
      let wasOpen = epochIsOpen
      do {
        let value = try database.transaction {
          let value = try body()
          try flush()
          return value
        }
        if nextChange != nil { commits += 1 }
        return value
      } catch {
        isMarked = wasMarked
        epochIsOpen = wasOpen
        throw error
      }
    } catch {
      forget()
      throw error
    }
  }

  /// Lets several changes share one transaction, and so one sync of the disk.
  public func batch<Value>(_ body: () throws -> Value) throws -> Value { try write(body) }

  /// One unchanging view for several reads.
  public func snapshot<Value>(_ body: () throws -> Value) throws -> Value { try database.snapshot(body) }

  func forget() {
    entries = [:]
    dirty = []
    dirtyPersons = []
    nextChange = nil
    untoldFrom = nil
    records.removeAll()
    chunkCache.removeAll()
    viewCache.removeAll()
  }

  func markDirty(_ entry: LogEntry) {
    guard !entry.isDirty else { return }
    entry.isDirty = true
    dirty.append(entry)
  }

  func markDirty(personRow: Int64) {
    dirtyPersons.insert(personRow)
  }

  private func flush() throws {
    guard !dirty.isEmpty || !dirtyPersons.isEmpty else { return }
    var next = try nextChangeNumber()
    if !epochIsOpen { try openEpoch(at: next) }
    let untold = untoldFrom ?? next
    untoldFrom = untold
    // What is looked at after an unclean stop are the newest numbers, so a log that goes on changing stays among them.
    let kept = max(untold, next - Int64(Self.newestLogs))
    if commits > 0, !isMarked {
      // A process that writes once needs no note: one transaction is whole or not there.
      try database.execute("UPDATE meta SET value=1 WHERE key='unclean'")
      isMarked = true
    }
    let drop = try database.statement("DELETE FROM change WHERE n=?")
    let insert = try database.statement("INSERT INTO change(n, pid, lid) VALUES(?,?,?)")
    for pid in dirtyPersons.sorted() {
      let before = try database.statement("SELECT change FROM person WHERE pid=?")
      before.bind(pid, at: 0)
      let change = try before.first { $0.int(0) } ?? 0
      guard change < kept else { continue }
      drop.bind(change, at: 0)
      try drop.run()
      let update = try database.statement("UPDATE person SET change=? WHERE pid=?")
      update.bind(next, at: 0)
      update.bind(pid, at: 1)
      try update.run()
      insert.bind(next, at: 0)
      insert.bind(pid, at: 1)
      insert.bindNull(at: 2)
      try insert.run()
      next += 1
    }
    for entry in dirty {
      if entry.change < kept {
        if entry.change > 0 {
          drop.bind(entry.change, at: 0)
          try drop.run()
        }
        entry.change = next
        insert.bind(next, at: 0)
        insert.bind(entry.pid, at: 1)
        insert.bind(entry.lid, at: 2)
        try insert.run()
        next += 1
      }
      try save(entry)
      entry.isDirty = false
    }
    dirty = []
    dirtyPersons = []
    nextChange = next
    if entries.count > Self.entryMaximum { entries = [:] }
  }

  private func nextChangeNumber() throws -> Int64 {
    if let nextChange { return nextChange }
    let newest = try database.number("SELECT max(n) FROM change") ?? 0
    let epoch = try database.number("SELECT max(first) FROM epoch") ?? 0
    return max(newest + 1, epoch, 1)
  }

  /// The cookie of change number N is that of the epoch which contains N. Every process that writes opens an epoch of
  /// its own, with eight fresh random bytes, at its first number. That tells a rolled-back copy from the original as
  /// surely as a cookie per number would: numbers given out after the roll-back belong to a later epoch than the equal
  /// numbers that peers remember, and up to a number from before it peers have seen all that the copy holds.
  private func openEpoch(at first: Int64) throws {
    let cookie = environment.random(8)
    let insert = try database.statement("INSERT OR REPLACE INTO epoch(first, cookie) VALUES(?,?)")
    insert.bind(first, at: 0)
    insert.bind(cookie, at: 1)
    try insert.run()
    try database.execute(
      """
      DELETE FROM epoch WHERE first <= (SELECT first FROM epoch ORDER BY first DESC LIMIT 1 OFFSET \(Self.epochMaximum))
      """)
    epochIsOpen = true
  }

  /// A cursor is about to be given out: what changes after it needs a number beyond it.
  func changesAreTold() { untoldFrom = nil }

  // MARK: - Log entries

  func entry(_ key: LogID) throws -> LogEntry? {
    if let entry = entries[key] { return entry }
    let select = try database.statement(Self.selectEntry + " WHERE l.key=?")
    select.bind(key, at: 0)
    return try select.first(readEntry).map(remember)
  }

  func entry(row lid: Int64) throws -> LogEntry? {
    let select = try database.statement(Self.selectEntry + " WHERE l.lid=?")
    select.bind(lid, at: 0)
    guard let found = try select.first(readEntry) else { return nil }
    return entries[found.key] ?? remember(found)
  }

  private func remember(_ entry: LogEntry) -> LogEntry {
    if database.mode == .writer { entries[entry.key] = entry }
    return entry
  }

  private static let selectEntry = """
    SELECT l.lid, l.key, l.pid, l.first, l.head, l.head_hash, l.previous, l.lower, l.state, l.cut, l.cut_previous, \
    l.want_head, l.want_hash, l.change, p.key FROM log l JOIN person p ON p.pid=l.pid
    """

  private func readEntry(_ row: Statement) throws -> LogEntry {
    guard let key: LogID = row.bytes32(1), let person: PersonID = row.bytes32(14) else {
      throw StoreError(.damaged, "log row \(row.int(0)) has no key", path: database.path)
    }
    let entry = LogEntry(lid: row.int(0), key: key, pid: row.int(2), person: person)
    entry.change = row.int(13)
    if row.int(4) > 0 {
      guard let hash: EventHash = row.bytes32(5), let previous: EventHash = row.bytes32(6),
        row.sequence(3) >= .first, row.sequence(3) <= row.sequence(4)
      else { throw StoreError(.damaged, "log row \(row.int(0)) has lost its head", path: database.path) }
      if row.int(7) > 0 { entry.segments = try lowerSegments(entry.lid) }
      entry.segments.append(Segment(first: row.sequence(3), last: row.sequence(4), previous: previous, hash: hash))
    }
    if let hash: EventHash = row.bytes32(10) {
      switch row.int(8) & 3 {
      case 1 where row.int(9) >= 1: entry.end = .frozen(cut: row.sequence(9), previous: hash)
      case 2: entry.end = .revoked(Revocation(sequence: row.sequence(9), hash: hash))
      default: break
      }
    }
    entry.hasSuspect = row.int(8) & 4 != 0
    if row.sequence(11) >= .first, let hash: EventHash = row.bytes32(12) {
      entry.want = LogHead(sequence: row.sequence(11), hash: hash)
    }
    return entry
  }

  private func lowerSegments(_ lid: Int64) throws -> [Segment] {
    let select = try database.statement("SELECT first, last, previous, hash FROM segment WHERE lid=? ORDER BY first")
    select.bind(lid, at: 0)
    return try select.map {
      guard let previous: EventHash = $0.bytes32(2), let hash: EventHash = $0.bytes32(3),
        $0.sequence(0) >= .first, $0.sequence(0) <= $0.sequence(1)
      else {
        throw StoreError(.damaged, "a segment of log row \(lid) has lost its hashes", path: database.path)
      }
      return Segment(first: $0.sequence(0), last: $0.sequence(1), previous: previous, hash: hash)
    }
  }

  /// The entry of a log, made when it is new.
  func makeEntry(_ key: LogID, person: PersonID, pid: Int64) throws -> LogEntry {
    if let entry = try entry(key) { return entry }
    let insert = try database.statement(
      """
      INSERT INTO log(key, pid, first, head, head_hash, previous, lower, state, want_head, change) \
      VALUES(?,?,0,0,x'',x'',0,0,0,0)
      """)
    insert.bind(key, at: 0)
    insert.bind(pid, at: 1)
    try insert.run()
    let entry = LogEntry(lid: database.lastInsertedRow, key: key, pid: pid, person: person)
    entries[key] = entry
    return entry
  }

  private func save(_ entry: LogEntry) throws {
    let update = try database.statement(
      """
      UPDATE log SET first=?, head=?, head_hash=?, previous=?, lower=?, state=?, cut=?, cut_previous=?, want_head=?, \
      want_hash=?, change=? WHERE lid=?
      """)
    if let top = entry.top {
      update.bind(top.first, at: 0)
      update.bind(top.last, at: 1)
      update.bind(top.hash, at: 2)
      update.bind(top.previous, at: 3)
    } else {
      update.bind(0, at: 0)
      update.bind(0, at: 1)
      update.bind([UInt8](), at: 2)
      update.bind([UInt8](), at: 3)
    }
    update.bind(max(0, entry.segments.count - 1), at: 4)
    let suspect = entry.hasSuspect ? 4 : 0
    switch entry.end {
    case nil:
      update.bind(suspect, at: 5)
      update.bindNull(at: 6)
      update.bindNull(at: 7)
    case .frozen(let cut, let previous):
      update.bind(1 | suspect, at: 5)
      update.bind(cut, at: 6)
      update.bind(previous, at: 7)
    case .revoked(let revocation):
      update.bind(2 | suspect, at: 5)
      update.bind(revocation.sequence, at: 6)
      update.bind(revocation.hash, at: 7)
    }
    if let want = entry.want {
      update.bind(want.sequence, at: 8)
      update.bind(want.hash, at: 9)
    } else {
      update.bind(0, at: 8)
      update.bindNull(at: 9)
    }
    update.bind(entry.change, at: 10)
    update.bind(entry.lid, at: 11)
    try update.run()
    guard entry.lowerChanged else { return }
    entry.lowerChanged = false
    let clear = try database.statement("DELETE FROM segment WHERE lid=?")
    clear.bind(entry.lid, at: 0)
    try clear.run()
    let insert = try database.statement("INSERT INTO segment(lid, first, last, previous, hash) VALUES(?,?,?,?,?)")
    for segment in entry.segments.dropLast() {
      insert.bind(entry.lid, at: 0)
      insert.bind(segment.first, at: 1)
      insert.bind(segment.last, at: 2)
      insert.bind(segment.previous, at: 3)
      insert.bind(segment.hash, at: 4)
      try insert.run()
    }
  }
}
