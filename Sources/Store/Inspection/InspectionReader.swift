import Events
import Identity
import Primitives

/// Gathers the rows of a store, table by table and then stray ones.
struct InspectionReader {
  let file: PageFile
  let walk: TreeWalk
  var facts = Inspection.FileFacts()
  var trees: [TreeSize] = []
  var persons: [Inspection.PersonFacts] = []
  var peers: [Inspection.PeerFacts] = []

  /// Where a row lies.
  struct Place: Hashable {
    var page: Int
    var cell: Int
  }

  private(set) var personRows: [Int64: PersonID] = [:]
  // Rows by log.
  var logRows: [Int64: BareRow] = [:]
  var segments: [Int64: [Segment]] = [:]
  var chunks: [Int64: [Place]] = [:]
  var tails: [Int64: [BareRow]] = [:]
  var evidence: [Int64: [UInt8]] = [:]
  var suspects: [Int64: SequenceNumber] = [:]
  var deletionRows: [BareRow] = []
  /// Change number to person and log.
  var changes: [Int64: (pid: Int64, lid: Int64?)] = [:]
  /// Sums over the rows and over the entries of each index, which must agree.
  private var indexSums: [String: (table: Int, index: Int)] = [:]

  init(_ file: PageFile, _ walk: TreeWalk) {
    self.file = file
    self.walk = walk
  }

  mutating func read() {
    readFacts()
    let free = file.freePages()
    walk.own(free.pages.sorted(), as: "(free)")
    if let problem = free.problem { walk.note(nil, nil, problem) }
    facts.freePages = free.pages.count
    walk.own((1...max(1, file.pageCount)).filter(file.isPointerMap), as: "(pointer map)")

    var schema: [BareRow] = []
    trees.append(
      walk.walk("sqlite_schema", root: 1, isTable: true) { if $0.values.count == 5 { schema.append($0) } })
    var missing = Set(StoreTable.allCases)
    for row in schema {
      let name = String(decoding: row.blob(1), as: UTF8.self)
      let root = Int(row.int(3))
      guard root > 1 else { continue }
      if row.blob(0) == Array("index".utf8) {
        trees.append(
          walk.walk(name, root: root, isTable: false, isIndex: true) { entry in
            indexSums[name, default: (0, 0)].index &+= entry.values.hashValue
          })
      } else if let table = StoreTable(rawValue: name) {
        missing.remove(table)
        trees.append(walk.walk(name, root: root, isTable: table.hasRowid) { take($0, as: table, isStray: false) })
      } else {
        // A read model: nothing in it that the logs do not say.
        let isTable = (try? file.page(root).kind.isTable) ?? !row.text(4).contains("WITHOUT ROWID")
        trees.append(walk.walk(name, root: root, isTable: isTable) { _ in })
      }
    }
    for table in StoreTable.allCases where missing.contains(table) {
      walk.note(nil, table.rawValue, "the table \(table.rawValue) is gone from the schema")
    }
    for (name, sums) in indexSums.sorted(by: { $0.key < $1.key }) where sums.table != sums.index {
      if Self.indexes[name] != nil { walk.note(nil, name, "the index does not agree with its table") }
    }
    readStrays()
    finish()
  }

  private mutating func readFacts() {
    facts.databaseBytes = file.database?.count
    facts.writeAheadBytes = file.log?.count
    facts.pageBytes = file.pageBytes
    facts.pages = file.pageCount
    facts.applicationID = file.field(68)
    facts.formatVersion = file.field(60)
    let log = file.writeAheadLog
    facts.frames = log.frames
    facts.commits = log.commits
    facts.unfinishedFrames = log.unfinishedFrames
    for problem in file.problems { walk.note(nil, nil, problem) }
    for range in file.database?.unreadable ?? [] {
      walk.note(range.lowerBound / file.pageBytes + 1, nil, "bytes \(range) of the file cannot be read")
    }
    for range in file.log?.unreadable ?? [] {
      walk.note(nil, nil, "bytes \(range) of the write-ahead log cannot be read")
    }
    if let refusal = log.refusal { walk.note(nil, nil, "the write-ahead log counts for nothing: \(refusal)") }
    if log.transactionsBehind > 0, let end = log.end {
      facts.framesBehindDamage = log.framesBehind
      walk.note(
        nil, nil,
        "frame \(end) of the write-ahead log is damaged, and \(log.transactionsBehind) transactions behind it are not taken"
      )
    }
    guard file.header != nil else { return }
    if facts.applicationID != Int(Schema.applicationID) {
      walk.note(1, nil, "the application id is not that of a tl store")
    }
    if facts.formatVersion < 1 || facts.formatVersion > Int(Schema.version) {
      walk.note(1, nil, "the store claims format \(facts.formatVersion)")
    }
  }

  // MARK: - Rows

  private mutating func take(_ found: BareRow, as table: StoreTable, isStray: Bool) {
    var row = found
    if table.hasRowid { row.setAlias() }
    guard table.matches(row) else {
      if !isStray {
        walk.note(row.page, table.rawValue, "a row of \(table.rawValue) (cell \(row.cell)) is not one")
      }
      return
    }
    if !isStray { addToIndexes(row, table) }
    switch table {
    case .meta: takeMeta(row)
    case .person: takePerson(row)
    case .log: if logRows[row.int(0)] == nil { logRows[row.int(0)] = row }
    case .segment:
      segments[row.int(0), default: []].append(
        Segment(
          first: row.sequence(1), last: row.sequence(2), previous: row.bytes32(3)!, hash: row.bytes32(4)!))
    case .chunk: chunks[row.int(1), default: []].append(Place(page: row.page, cell: row.cell))
    case .tail: tails[row.int(0), default: []].append(row)
    case .evidence: evidence[row.int(0)] = row.blob(3)
    case .suspect: suspects[row.int(0)] = row.sequence(1)
    case .deletion: deletionRows.append(row)
    case .change: changes[row.int(0)] = (row.int(1), row.isNull(2) ? nil : row.int(2))
    case .epoch: facts.epochs += 1
    case .peer:
      peers.append(
        Inspection.PeerFacts(
          node: row.blob(0), instance: row.blob(1), change: row.int(2), lastSeen: row.int(7),
          hasStatement: !row.isNull(6)))
    }
  }

  private mutating func takeMeta(_ row: BareRow) {
    switch String(decoding: row.blob(0), as: UTF8.self) {
    case "instance": facts.instance = row.blob(1)
    case "unclean": facts.isUnclean = row.int(1) == 1
    default: break
    }
  }

  private mutating func takePerson(_ row: BareRow) {
    let id: PersonID = row.bytes32(1)!
    let bytes = row.blob(2)
    guard personRows[row.int(0)] == nil else { return }
    personRows[row.int(0)] = id
    var person = Inspection.PersonFacts(pid: row.int(0), id: id, change: row.int(4), recordBytes: bytes.count)
    do throws(IdentityError) {
      let record = try PersonRecord(decoding: bytes)
      if record.id == id {
        person.record = record
        if row.bytes32(3, ContentRole.self) != record.hash { person.problem = "the hash of the record does not match" }
      } else {
        person.problem = "the record is another person's"
      }
    } catch {
      person.problem = "\(error)"
    }
    persons.append(person)
  }

  /// Which columns an index over one of our tables holds, in its order.
  private static let indexes: [String: (table: StoreTable, columns: [Int], holds: @Sendable (BareRow) -> Bool)] = [
    "sqlite_autoindex_person_1": (.person, [1, 0], { _ in true }),
    "sqlite_autoindex_log_1": (.log, [1, 0], { _ in true }), "log_pid": (.log, [2, 0], { _ in true }),
    "chunk_place": (.chunk, [1, 2, 0], { _ in true }),
    "chunk_wanted": (.chunk, [1, 2, 3, 7, 0], { !$0.isNull(7) }),
    "tail_unverified": (.tail, [0, 1], { $0.int(10) == 0 }), "tail_wanted": (.tail, [0, 1, 12], { !$0.isNull(12) }),
    "deletion_by": (.deletion, [2, 3, 0, 1], { _ in true }),
  ]

  private mutating func addToIndexes(_ row: BareRow, _ table: StoreTable) {
    for (name, index) in Self.indexes where index.table == table {
      guard index.holds(row) else { continue }
      indexSums[name, default: (0, 0)].table &+= index.columns.map { row.values[$0] }.hashValue
    }
  }

  /// Pages that no tree leads to hold rows when the tree above them is damaged. A sound store has none.
  private mutating func readStrays() {
    let isDamaged = !walk.problems.isEmpty
    var rows: [String: Int] = [:]
    let pages = walk.strays { found in
      for table in StoreTable.allCases where table != .meta {
        var row = found
        if table.hasRowid { row.setAlias() }
        guard table.matches(row) else { continue }
        rows[table.rawValue, default: 0] += 1
        take(found, as: table, isStray: true)
        return
      }
    }
    for (name, count) in rows.sorted(by: { $0.key < $1.key }) {
      walk.note(nil, name, "\(count) rows of \(name) lie on pages that nothing leads to")
    }
    let lost = (1...max(1, file.pageCount)).filter {
      walk.owners[$0] == nil && $0 != Self.lockPage / file.pageBytes + 1
    }
    if pages == 0, !isDamaged, let first = lost.first {
      walk.note(first, nil, "\(lost.count) pages belong to nothing, the first is page \(first)")
    }
  }

  /// SQLite keeps the page with this byte for locks.
  private static let lockPage = 1 << 30

  private mutating func finish() {
    persons.sort { $0.pid < $1.pid }
    peers.sort { $0.node.lexicographicallyPrecedes($1.node) }
    facts.newestChange = changes.keys.max() ?? 0
    for person in persons where changes[person.change]?.pid != person.pid {
      walk.note(nil, "change", "change \(person.change) of person row \(person.pid) is not in the list of changes")
    }
    for (lid, row) in logRows.sorted(by: { $0.key < $1.key }) where changes[row.int(13)]?.lid != lid {
      walk.note(nil, "change", "change \(row.int(13)) of log row \(lid) is not in the list of changes")
    }
  }
}

extension BareRow {
  func text(_ column: Int) -> String { String(decoding: blob(column), as: UTF8.self) }
}
