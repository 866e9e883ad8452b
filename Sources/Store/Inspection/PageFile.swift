import Primitives

/// The pages of a store read without SQLite, so that one damaged page hides no other (https://sqlite.org/fileformat2.html).
/// The write-ahead log's pages stand in front of the file's.
final class PageFile {
  enum Kind: UInt8 {
    case indexInterior = 2
    case tableInterior = 5
    case indexLeaf = 10
    case tableLeaf = 13

    var isLeaf: Bool { self == .indexLeaf || self == .tableLeaf }
    var isTable: Bool { self == .tableInterior || self == .tableLeaf }
  }

  struct Page {
    var number: Int
    var kind: Kind
    var bytes: [UInt8]
    /// Where the page's own header begins: 100 on page 1.
    var base: Int
    var cellCount: Int
    var right: Int
  }

  struct Cell {
    /// The page with smaller keys; 0 on a leaf.
    var left = 0
    var rowid: Int64 = 0
    var payload: [UInt8] = []
    var overflow: [Int] = []
  }

  let database: StoredBytes?
  let log: StoredBytes?
  let writeAheadLog: WriteAheadLog
  let pageBytes: Int
  let usableBytes: Int
  /// Pages that the database should have.
  let pageCount: Int
  /// The first 100 bytes; nil when they are gone.
  let header: [UInt8]?
  var problems: [String] = []

  init(_ image: StoreImage, takesBroken: Bool = false) {
    database = image.database
    log = image.writeAheadLog
    writeAheadLog = image.writeAheadLog.map { WriteAheadLog($0, takesBroken: takesBroken) } ?? WriteAheadLog()
    let inLog = writeAheadLog.offsets[1].flatMap { image.writeAheadLog?.read($0, 100) }
    let found = inLog ?? image.database?.read(0, 100)
    var notes: [String] = []
    if image.database == nil {
      notes.append("the database file is gone")
    } else if found == nil {
      notes.append("the file is shorter than its header")
    }
    var size = 0
    if let found {
      if Array(found[0..<16]) != Array("SQLite format 3\0".utf8) {
        notes.append("the file's first 16 bytes are damaged")
      }
      size = Int(found[16]) << 8 | Int(found[17])
      if size == 1 { size = 65_536 }
      if size < 512 || size & (size - 1) != 0 {
        notes.append("the page size in the header is damaged")
        size = 0
      }
      // What SQLite insists on besides, and what our writer always writes.
      if found[18] != 2 || found[19] != 2 || found[20] != 0 || Array(found[21..<24]) != [64, 32, 32] {
        notes.append("the format numbers in the header are damaged")
      }
    }
    if size == 0 { size = writeAheadLog.pageBytes > 0 ? writeAheadLog.pageBytes : Database.pageBytes }
    header = found
    pageBytes = size
    usableBytes = size
    let inFile = (image.database?.count ?? 0) / size
    let claimed = found.map { Self.integer($0, 28) } ?? 0
    let isClaimValid = found.map { Self.integer($0, 24) == Self.integer($0, 92) && claimed > 0 } ?? false
    if let pages = writeAheadLog.databasePages {
      pageCount = pages
    } else if isClaimValid, claimed >= inFile, claimed <= inFile + Self.missingPagesMaximum {
      pageCount = claimed
    } else {
      if isClaimValid, claimed != inFile { notes.append("the header claims \(claimed) pages, the file has \(inFile)") }
      pageCount = inFile
    }
    if let database = image.database, database.count % size != 0 {
      notes.append("the file ends within page \(inFile + 1)")
    }
    problems = notes
  }

  /// Beyond this a page count in the header is taken for damaged rather than the file for truncated.
  private static let missingPagesMaximum = 1 << 20

  func field(_ offset: Int) -> Int { header.map { Self.integer($0, offset) } ?? 0 }

  private static func integer(_ bytes: [UInt8], _ offset: Int) -> Int {
    bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
  }

  func bytes(_ number: Int) -> [UInt8]? {
    guard number >= 1 else { return nil }
    if let offset = writeAheadLog.offsets[number] { return log?.read(offset, pageBytes) }
    return database?.read((number - 1) * pageBytes, pageBytes)
  }

  /// A page of a tree. Throws what is wrong with it.
  func page(_ number: Int) throws(ByteError) -> Page {
    guard number >= 1, number <= pageCount else { throw ByteError(at: 0, "there is no page \(number)") }
    guard let bytes = bytes(number) else { throw ByteError(at: 0, "page \(number) is missing") }
    let base = number == 1 ? 100 : 0
    guard let kind = Kind(rawValue: bytes[base]) else { throw ByteError(at: base, "page \(number) is no tree page") }
    let count = Int(bytes[base + 3]) << 8 | Int(bytes[base + 4])
    let start = base + (kind.isLeaf ? 8 : 12)
    guard start + count * 2 <= usableBytes else { throw ByteError(at: base + 3, "page \(number) has too many cells") }
    let right = kind.isLeaf ? 0 : Self.integer(bytes, base + 8)
    return Page(number: number, kind: kind, bytes: bytes, base: base, cellCount: count, right: right)
  }

  func cell(_ page: Page, _ index: Int) throws(ByteError) -> Cell {
    let pointer = page.base + (page.kind.isLeaf ? 8 : 12) + index * 2
    let start = Int(page.bytes[pointer]) << 8 | Int(page.bytes[pointer + 1])
    guard start >= page.base + 8 + page.cellCount * 2, start < usableBytes else {
      throw ByteError(at: pointer, "cell \(index) lies outside the page")
    }
    var reader = ByteReader(page.bytes, start..<usableBytes)
    var cell = Cell()
    if !page.kind.isLeaf { cell.left = Int(try reader.integer(UInt32.self)) }
    if page.kind == .tableInterior {
      cell.rowid = Int64(bitPattern: try reader.sqliteVarint())
      return cell
    }
    let length = try reader.sqliteVarint()
    guard length <= UInt64(Self.payloadBytesMaximum) else { throw ByteError(at: start, "a row of \(length) bytes") }
    if page.kind == .tableLeaf { cell.rowid = Int64(bitPattern: try reader.sqliteVarint()) }
    let local = localBytes(Int(length), isTable: page.kind == .tableLeaf)
    cell.payload = try reader.array(local)
    guard local < Int(length) else { return cell }
    var next = Int(try reader.integer(UInt32.self))
    while cell.payload.count < Int(length) {
      guard next >= 2, next <= pageCount, !cell.overflow.contains(next), let bytes = bytes(next) else {
        throw ByteError(at: start, "overflow page \(next) is missing")
      }
      cell.overflow.append(next)
      cell.payload += bytes[4..<min(usableBytes, 4 + Int(length) - cell.payload.count)]
      next = Self.integer(bytes, 0)
    }
    return cell
  }

  /// A row has at most a person record of 4,096 statements.
  private static let payloadBytesMaximum = 8 << 20

  private func localBytes(_ length: Int, isTable: Bool) -> Int {
    let most = isTable ? usableBytes - 35 : (usableBytes - 12) * 64 / 255 - 23
    if length <= most { return length }
    let least = (usableBytes - 12) * 32 / 255 - 23
    let fitting = least + (length - least) % (usableBytes - 4)
    return fitting <= most ? fitting : least
  }

  // MARK: - Pages that belong to no tree

  /// Pages that tell where other pages hang, of an auto-vacuum database: the second and every so many after it.
  func isPointerMap(_ number: Int) -> Bool {
    field(52) != 0 && number >= 2 && (number - 2) % (usableBytes / 5 + 1) == 0
  }

  func freePages() -> (pages: Set<Int>, problem: String?) {
    var free: Set<Int> = []
    var trunk = field(32)
    while trunk != 0 {
      guard trunk >= 2, trunk <= pageCount, free.insert(trunk).inserted, let bytes = bytes(trunk) else {
        return (free, "the list of free pages is broken at page \(trunk)")
      }
      let count = Self.integer(bytes, 4)
      guard count <= usableBytes / 4 - 2 else { return (free, "free page \(trunk) lists \(count) pages") }
      for index in 0..<count {
        let leaf = Self.integer(bytes, 8 + index * 4)
        guard leaf >= 2, leaf <= pageCount, free.insert(leaf).inserted else {
          return (free, "free page \(trunk) lists page \(leaf)")
        }
      }
      trunk = Self.integer(bytes, 0)
    }
    let claimed = field(36)
    return (free, claimed == free.count ? nil : "\(free.count) pages are free, the header says \(claimed)")
  }
}

extension ByteReader {
  /// SQLite's own: seven bits each, the highest first, all eight of a ninth byte.
  mutating func sqliteVarint() throws(ByteError) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<8 {
      let next = try byte()
      value = value << 7 | UInt64(next & 0x7F)
      if next < 0x80 { return value }
    }
    return value << 8 | UInt64(try byte())
  }
}
