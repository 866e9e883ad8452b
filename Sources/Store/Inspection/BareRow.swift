import Primitives

enum BareValue: Hashable {
  case null
  case integer(Int64)
  case real(Double)
  case text([UInt8])
  case blob([UInt8])
}

/// A row as the page holds it.
struct BareRow: RowColumns {
  var rowid: Int64
  var values: [BareValue]
  /// Where it lies.
  var page: Int
  var cell: Int

  /// Takes a record apart (SQLite file format §2.1).
  init(_ cell: PageFile.Cell, page: Int, index: Int) throws(ByteError) {
    rowid = cell.rowid
    self.page = page
    self.cell = index
    values = []
    var head = ByteReader(cell.payload)
    let length = try head.sqliteVarint()
    guard length >= UInt64(head.offset), length <= UInt64(cell.payload.count) else {
      throw ByteError(at: 0, "a record header of \(length) bytes")
    }
    head = ByteReader(cell.payload, head.offset..<Int(length))
    var body = ByteReader(cell.payload, Int(length)..<cell.payload.count)
    while !head.isAtEnd {
      let type = try head.sqliteVarint()
      switch type {
      case 0: values.append(.null)
      case 1...4: values.append(.integer(try Self.integer(&body, Int(type))))
      case 5: values.append(.integer(try Self.integer(&body, 6)))
      case 6: values.append(.integer(try Self.integer(&body, 8)))
      case 7: values.append(.real(Double(bitPattern: try body.integer())))
      case 8: values.append(.integer(0))
      case 9: values.append(.integer(1))
      case 12...:
        let count = (type - 12) / 2
        guard count <= UInt64(body.remaining) else { throw ByteError(at: head.offset, "truncated") }
        let bytes = try body.array(Int(count))
        values.append(type % 2 == 0 ? .blob(bytes) : .text(bytes))
      default: throw ByteError(at: head.offset, "a value of type \(type)")
      }
    }
    try body.expectEnd()
  }

  private static func integer(_ reader: inout ByteReader, _ count: Int) throws(ByteError) -> Int64 {
    var value: Int64 = 0
    for index in 0..<count {
      let byte = try reader.byte()
      value = index == 0 ? Int64(Int8(bitPattern: byte)) : value << 8 | Int64(byte)
    }
    return value
  }

  /// The row with another choice of columns; a row number stands for the column that is its alias.
  func columns(_ choice: [Int]) -> BareRow {
    var row = self
    row.values = choice.map { $0 < values.count ? values[$0] : .null }
    return row
  }

  mutating func setAlias() { if values.first == .null { values[0] = .integer(rowid) } }

  func int(_ column: Int) -> Int64 {
    guard column < values.count, case .integer(let value) = values[column] else { return 0 }
    return value
  }
  func isNull(_ column: Int) -> Bool { column >= values.count || values[column] == .null }
  func blob(_ column: Int) -> [UInt8] {
    guard column < values.count else { return [] }
    switch values[column] {
    case .blob(let bytes), .text(let bytes): return bytes
    case .null, .integer, .real: return []
    }
  }
}

/// The tables of the store, by the shape of their rows. A row whose table's name is lost is known by its shape.
enum StoreTable: String, CaseIterable {
  case meta, person, log, segment, chunk, tail, evidence, suspect, deletion, change, epoch, peer

  private enum Shape {
    case key, number, hash, bytes, signature, checksum, any
    case optionalHash, optionalNumber, optionalBytes, optionalSignature
    /// A hash, or nothing before the first event.
    case hashOrEmpty
  }

  var hasRowid: Bool {
    switch self {
    case .meta, .segment, .tail, .deletion, .peer: false
    case .person, .log, .chunk, .evidence, .suspect, .change, .epoch: true
    }
  }

  private var shape: [Shape] {
    switch self {
    case .meta: [.any, .any]
    case .person: [.number, .hash, .bytes, .hash, .number]
    case .log:
      [
        .number, .hash, .number, .number, .number, .hashOrEmpty, .hashOrEmpty, .number, .number, .optionalNumber,
        .optionalHash, .number, .optionalHash, .number,
      ]
    case .segment: [.number, .number, .number, .hash, .hash]
    case .chunk:
      [.number, .number, .number, .number, .hash, .optionalSignature, .number, .optionalNumber, .checksum, .bytes]
    case .tail:
      [.number, .number, .optionalHash] + Array(repeating: .number, count: 6)
        + [.optionalSignature, .number, .number, .optionalNumber, .number, .bytes, .checksum]
    case .evidence: [.number, .number, .hash, .bytes]
    case .suspect: [.number, .number, .hash, .bytes, .signature]
    case .deletion: [.hash, .number, .number, .number, .hash]
    case .change: [.number, .optionalNumber, .optionalNumber]
    case .epoch: [.number, .bytes]
    case .peer: [.hash, .bytes, .number, .bytes, .bytes, .optionalBytes, .optionalBytes, .number, .bytes]
    }
  }

  func matches(_ row: BareRow) -> Bool {
    let shape = shape
    guard row.values.count == shape.count else { return false }
    for (value, shape) in zip(row.values, shape) where !Self.matches(value, shape) { return false }
    return true
  }

  private static func matches(_ value: BareValue, _ shape: Shape) -> Bool {
    switch (shape, value) {
    case (.any, _): true
    case (.optionalHash, .null), (.optionalNumber, .null), (.optionalBytes, .null), (.optionalSignature, .null): true
    case (.number, .integer), (.optionalNumber, .integer): true
    case (.hash, .blob(let bytes)), (.optionalHash, .blob(let bytes)): bytes.count == 32
    case (.hashOrEmpty, .blob(let bytes)): bytes.count == 32 || bytes.isEmpty
    case (.signature, .blob(let bytes)), (.optionalSignature, .blob(let bytes)): bytes.count == 64
    case (.checksum, .blob(let bytes)): bytes.count == RowChecksum.byteCount
    case (.bytes, .blob), (.optionalBytes, .blob): true
    case (.key, _), (.number, _), (.hash, _), (.bytes, _), (.signature, _), (.checksum, _), (.optionalHash, _),
      (.optionalNumber, _), (.optionalBytes, _), (.optionalSignature, _), (.hashOrEmpty, _):
      false
    }
  }
}
