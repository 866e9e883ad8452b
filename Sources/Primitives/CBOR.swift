/// Writes the deterministic CBOR of RFC 8949 §4.2.1: shortest heads, definite lengths, map keys in bytewise order.
/// The caller gives map keys in that order; small unsigned keys rise, which is all our formats use.
public struct CBORWriter: Sendable {
  public var bytes: [UInt8] = []

  public init(reserving capacity: Int = 0) {
    if capacity > 0 { bytes.reserveCapacity(capacity) }
  }

  public mutating func unsigned(_ value: UInt64) { head(0, value) }

  public mutating func integer(_ value: Int64) {
    if value >= 0 { head(0, UInt64(value)) } else { head(1, UInt64(bitPattern: ~value)) }
  }

  public mutating func byteString(_ value: some Collection<UInt8>) {
    head(2, UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  public mutating func byteString<Role>(_ value: Bytes32<Role>) {
    head(2, 32)
    value.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  public mutating func text(_ value: String) {
    head(3, UInt64(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }

  public mutating func array(_ count: Int) { head(4, UInt64(count)) }
  public mutating func map(_ count: Int) { head(5, UInt64(count)) }
  public mutating func bool(_ value: Bool) { bytes.append(value ? 0xF5 : 0xF4) }
  public mutating func null() { bytes.append(0xF6) }

  /// Bytes that are CBOR already.
  public mutating func encoded(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }

  private mutating func head(_ major: UInt8, _ value: UInt64) {
    let type = major << 5
    switch value {
    case ..<24: bytes.append(type | UInt8(value))
    case ...0xFF:
      bytes.append(type | 24)
      bytes.append(UInt8(value))
    case ...0xFFFF:
      bytes.append(type | 25)
      withUnsafeBytes(of: UInt16(value).bigEndian) { bytes.append(contentsOf: $0) }
    case ...0xFFFF_FFFF:
      bytes.append(type | 26)
      withUnsafeBytes(of: UInt32(value).bigEndian) { bytes.append(contentsOf: $0) }
    default:
      bytes.append(type | 27)
      withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
  }
}

/// Reads the CBOR that `CBORWriter` writes and nothing else: a longer head than needed, an indefinite length, a tag, a
/// float or a text that is not UTF-8 is an error. Nesting is the caller's loop; `skip` goes `depthMaximum` deep.
public struct CBORReader: Sendable {
  private var reader: ByteReader

  public enum Kind: Sendable { case unsigned, negative, byteString, text, array, map, bool, null }

  /// Deepest nesting that `skip` follows (RELIABILITY D8: 32).
  public static let depthMaximum = 32

  public init(_ bytes: [UInt8]) { reader = ByteReader(bytes) }
  public init(_ bytes: [UInt8], _ range: Range<Int>) { reader = ByteReader(bytes, range) }

  public var offset: Int { reader.offset }
  public var isAtEnd: Bool { reader.isAtEnd }
  public func expectEnd() throws(ByteError) {
    var copy = reader
    try copy.expectEnd()
  }

  /// What comes next, without taking it.
  public func peek() throws(ByteError) -> Kind {
    guard !reader.isAtEnd else { throw ByteError(at: reader.offset, "truncated") }
    let first = reader.bytes[reader.offset]
    switch first >> 5 {
    case 0: return .unsigned
    case 1: return .negative
    case 2: return .byteString
    case 3: return .text
    case 4: return .array
    case 5: return .map
    case 7 where first == 0xF4 || first == 0xF5: return .bool
    case 7 where first == 0xF6: return .null
    default: throw ByteError(at: reader.offset, "CBOR outside the deterministic subset")
    }
  }

  public mutating func unsigned() throws(ByteError) -> UInt64 { try head(0) }

  public mutating func integer() throws(ByteError) -> Int64 {
    let start = reader.offset
    let negative = try peek() == .negative
    let value = try head(negative ? 1 : 0)
    guard value <= UInt64(Int64.max) else { throw ByteError(at: start, "integer over 63 bits") }
    return negative ? ~Int64(value) : Int64(value)
  }

  /// Where the bytes of a byte string lie.
  public mutating func byteString(atMost maximum: Int = .max) throws(ByteError) -> Range<Int> {
    try string(2, maximum)
  }

  public mutating func bytes32<Role>(_ role: Role.Type = Role.self) throws(ByteError) -> Bytes32<Role> {
    let start = reader.offset
    let range = try string(2, 32)
    guard let value = Bytes32<Role>(reader.bytes[range]) else { throw ByteError(at: start, "not 32 bytes") }
    return value
  }

  public mutating func array(_ range: Range<Int>) -> [UInt8] { Array(reader.bytes[range]) }

  public mutating func text(atMost maximum: Int = .max) throws(ByteError) -> String {
    let start = reader.offset
    let range = try string(3, maximum)
    guard let text = String(validating: reader.bytes[range], as: UTF8.self) else {
      throw ByteError(at: start, "text that is not UTF-8")
    }
    return text
  }

  /// Where the bytes of a text lie, after the same check as `text`.
  public mutating func textRange(atMost maximum: Int = .max) throws(ByteError) -> Range<Int> {
    let start = reader.offset
    let range = try string(3, maximum)
    let isASCII = reader.bytes.withUnsafeBytes { buffer in
      var seen: UInt8 = 0
      for index in range { seen |= buffer[index] }
      return seen < 0x80
    }
    if !isASCII, String(validating: reader.bytes[range], as: UTF8.self) == nil {
      throw ByteError(at: start, "text that is not UTF-8")
    }
    return range
  }

  public mutating func arrayCount(atMost maximum: Int = .max) throws(ByteError) -> Int { try container(4, maximum) }
  public mutating func mapCount(atMost maximum: Int = .max) throws(ByteError) -> Int { try container(5, maximum) }

  public mutating func bool() throws(ByteError) -> Bool {
    let start = reader.offset
    switch try reader.byte() {
    case 0xF4: return false
    case 0xF5: return true
    default: throw ByteError(at: start, "expected a boolean")
    }
  }

  public mutating func null() throws(ByteError) {
    let start = reader.offset
    guard try reader.byte() == 0xF6 else { throw ByteError(at: start, "expected null") }
  }

  /// Steps over one item and all in it, checking its form, without recursion. Map keys must be sorted and differ.
  public mutating func skip() throws(ByteError) {
    // One entry an open container: items left, whether a map, and where its last key lies.
    var open: [(left: Int, isMap: Bool, key: Range<Int>?)] = []
    repeat {
      while let last = open.last, last.left == 0 { open.removeLast() }
      if open.isEmpty == false { open[open.count - 1].left -= 1 }
      let start = reader.offset
      let isKey = open.last.map { $0.isMap && $0.left % 2 == 1 } ?? false
      switch try peek() {
      case .unsigned: _ = try head(0)
      case .negative: _ = try head(1)
      case .byteString: _ = try byteString()
      case .text: _ = try text()
      case .bool: _ = try bool()
      case .null: try null()
      case .array:
        if isKey { throw ByteError(at: start, "container as map key") }
        open.append((try arrayCount(atMost: reader.remaining), false, nil))
      case .map:
        if isKey { throw ByteError(at: start, "container as map key") }
        open.append((2 * (try mapCount(atMost: reader.remaining)), true, nil))
      }
      if open.count > Self.depthMaximum { throw ByteError(at: start, "nested deeper than \(Self.depthMaximum)") }
      if isKey {
        let key = start..<reader.offset
        if let before = open[open.count - 1].key,
          !reader.bytes[before].lexicographicallyPrecedes(reader.bytes[key])
        {
          throw ByteError(at: start, "map keys not in order")
        }
        open[open.count - 1].key = key
      }
      while let last = open.last, last.left == 0 { open.removeLast() }
    } while !open.isEmpty
  }

  /// Walks a map whose keys are small unsigned numbers in rising order. `body` takes the value of each key.
  public mutating func fields(
    atMost maximum: Int = 64, _ body: (UInt64, inout CBORReader) throws(ByteError) -> Void
  ) throws(ByteError) {
    var last: UInt64?
    for _ in 0..<(try mapCount(atMost: maximum)) {
      let start = reader.offset
      let key = try unsigned()
      if let last, key <= last { throw ByteError(at: start, "map keys not in order") }
      last = key
      try body(key, &self)
    }
  }

  private mutating func string(_ major: UInt8, _ maximum: Int) throws(ByteError) -> Range<Int> {
    let start = reader.offset
    let count = try head(major)
    guard count <= UInt64(maximum) else { throw ByteError(at: start, "length \(count) over \(maximum)") }
    guard count <= UInt64(reader.remaining) else { throw ByteError(at: start, "truncated") }
    return try reader.take(Int(count))
  }

  private mutating func container(_ major: UInt8, _ maximum: Int) throws(ByteError) -> Int {
    let start = reader.offset
    let count = try head(major)
    guard count <= UInt64(maximum) else { throw ByteError(at: start, "count \(count) over \(maximum)") }
    // Every item takes at least one byte, so a lying count cannot make the reader reserve or loop.
    guard count <= UInt64(reader.remaining) else { throw ByteError(at: start, "truncated") }
    return Int(count)
  }

  private mutating func head(_ major: UInt8) throws(ByteError) -> UInt64 {
    let start = reader.offset
    let first = try reader.byte()
    guard first >> 5 == major else { throw ByteError(at: start, "unexpected CBOR type \(first >> 5)") }
    let value: UInt64
    let least: UInt64
    switch first & 31 {
    case let small where small < 24: return UInt64(small)
    case 24: (value, least) = (UInt64(try reader.integer(UInt8.self)), 24)
    case 25: (value, least) = (UInt64(try reader.integer(UInt16.self)), 0x100)
    case 26: (value, least) = (UInt64(try reader.integer(UInt32.self)), 0x1_0000)
    case 27: (value, least) = (try reader.integer(UInt64.self), 0x1_0000_0000)
    default: throw ByteError(at: start, "indefinite or reserved length")
    }
    guard value >= least else { throw ByteError(at: start, "number longer than needed") }
    return value
  }
}
