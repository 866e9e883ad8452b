extension JSON {
  /// Nesting a parser follows before it refuses; ours needs four.
  public static let depthMaximum = 32

  /// Reads exactly one value with nothing but white space around it. Strict RFC 8259: no comments, no trailing commas, no
  /// leading zeros, no lone surrogates, no bytes that are not UTF-8, no key twice in an object.
  public init(parsing bytes: [UInt8]) throws(ByteError) {
    var parser = JSONParser(bytes)
    self = try parser.document()
  }

  public init(parsing text: String) throws(ByteError) {
    try self.init(parsing: Array(text.utf8))
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(ByteError) -> JSON {
    skipSpace()
    let value = try value(depth: 0)
    skipSpace()
    guard offset == bytes.count else { throw ByteError(at: offset, "text after the value") }
    return value
  }

  private mutating func value(depth: Int) throws(ByteError) -> JSON {
    guard depth <= JSON.depthMaximum else { throw ByteError(at: offset, "nested too deeply") }
    guard offset < bytes.count else { throw ByteError(at: offset, "truncated") }
    switch bytes[offset] {
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), 0x30...0x39: return try number()
    default: throw ByteError(at: offset, "no JSON value")
    }
  }

  private mutating func object(depth: Int) throws(ByteError) -> JSON {
    offset += 1
    var members: [JSON.Member] = []
    skipSpace()
    if take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      skipSpace()
      let start = offset
      guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else {
        throw ByteError(at: offset, "no key")
      }
      let key = try string()
      if members.contains(where: { $0.key == key }) { throw ByteError(at: start, "key twice") }
      guard members.count < keysMaximum else { throw ByteError(at: start, "too many keys") }
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw ByteError(at: offset, "no colon") }
      skipSpace()
      members.append(.init(key: key, value: try value(depth: depth + 1)))
      skipSpace()
      if take(UInt8(ascii: ",")) { continue }
      if take(UInt8(ascii: "}")) { return .object(members) }
      throw ByteError(at: offset, "no comma or brace")
    }
  }

  private mutating func array(depth: Int) throws(ByteError) -> JSON {
    offset += 1
    var values: [JSON] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return .array(values) }
    while true {
      skipSpace()
      values.append(try value(depth: depth + 1))
      skipSpace()
      if take(UInt8(ascii: ",")) { continue }
      if take(UInt8(ascii: "]")) { return .array(values) }
      throw ByteError(at: offset, "no comma or bracket")
    }
  }

  private mutating func word(_ text: StaticString, _ value: JSON) throws(ByteError) -> JSON {
    let matches = text.withUTF8Buffer { bytes[offset...].starts(with: $0) }
    guard matches else { throw ByteError(at: offset, "no JSON value") }
    offset += text.utf8CodeUnitCount
    return value
  }

  private mutating func number() throws(ByteError) -> JSON {
    let start = offset
    let negative = take(UInt8(ascii: "-"))
    var value: Int64 = 0
    var whole = true
    if take(0x30) {
      if offset < bytes.count, isDigit(bytes[offset]) { throw ByteError(at: start, "leading zero") }
    } else {
      guard offset < bytes.count, isDigit(bytes[offset]) else { throw ByteError(at: offset, "no digit") }
      while offset < bytes.count, isDigit(bytes[offset]) {
        let digit = Int64(bytes[offset] - 0x30)
        let (product, tooBig) = value.multipliedReportingOverflow(by: 10)
        let (next, overflow) = product.addingReportingOverflow(negative ? -digit : digit)
        if tooBig || overflow { whole = false }
        value = next
        offset += 1
      }
    }
    if take(UInt8(ascii: ".")) {
      whole = false
      try digits()
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      whole = false
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    if whole, !(negative && value == 0) { return .integer(value) }
    return .number(String(decoding: bytes[start..<offset], as: UTF8.self))
  }

  private mutating func digits() throws(ByteError) {
    guard offset < bytes.count, isDigit(bytes[offset]) else { throw ByteError(at: offset, "no digit") }
    while offset < bytes.count, isDigit(bytes[offset]) { offset += 1 }
  }

  // Most strings have no escape: those become a `String` in one step.
  private mutating func string() throws(ByteError) -> String {
    offset += 1
    let start = offset
    let end = try plainEnd()
    if bytes[end] == UInt8(ascii: "\"") {
      offset = end + 1
      return try text(start..<end)
    }
    var result = ""
    var plainStart = start
    offset = end
    while true {
      result += try text(plainStart..<offset)
      if take(UInt8(ascii: "\"")) { return result }
      result.unicodeScalars.append(try escape())
      plainStart = offset
      offset = try plainEnd()
    }
  }

  /// Where the next quote or backslash is.
  private func plainEnd() throws(ByteError) -> Int {
    var index = offset
    while index < bytes.count {
      let byte = bytes[index]
      if byte == 0x22 || byte == 0x5C { return index }
      if byte < 0x20 { throw ByteError(at: index, "control character in a string") }
      index += 1
    }
    throw ByteError(at: index, "truncated")
  }

  private func text(_ range: Range<Int>) throws(ByteError) -> String {
    if let text = String(validating: bytes[range], as: UTF8.self) { return text }
    throw ByteError(at: range.lowerBound + firstInvalidUTF8(bytes[range])!, "not UTF-8")
  }

  private mutating func escape() throws(ByteError) -> Unicode.Scalar {
    let start = offset
    offset += 1
    guard offset < bytes.count else { throw ByteError(at: offset, "truncated") }
    let letter = bytes[offset]
    offset += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try hexadecimal()
      if let scalar = Unicode.Scalar(unit) { return scalar }
      guard unit < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
        throw ByteError(at: start, "lone surrogate")
      }
      let low = try hexadecimal()
      guard (0xDC00...0xDFFF).contains(low) else { throw ByteError(at: start, "lone surrogate") }
      return Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))!
    default: throw ByteError(at: start, "unknown escape")
    }
  }

  private mutating func hexadecimal() throws(ByteError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard offset < bytes.count else { throw ByteError(at: offset, "truncated") }
      let byte = bytes[offset]
      let digit: UInt8
      switch byte {
      case 0x30...0x39: digit = byte - 0x30
      case 0x61...0x66: digit = byte - 0x61 + 10
      case 0x41...0x46: digit = byte - 0x41 + 10
      default: throw ByteError(at: offset, "no hexadecimal digit")
      }
      value = value << 4 | UInt16(digit)
      offset += 1
    }
    return value
  }

  private mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x09, 0x0A, 0x0D: offset += 1
      default: return
      }
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard offset < bytes.count, bytes[offset] == byte else { return false }
    offset += 1
    return true
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  /// Keys are compared with each other, so an object of very many would cost their square.
  private let keysMaximum = 256
}

/// Offset of the first byte that belongs to no well-formed UTF-8 sequence, counted from the start of the collection; nil
/// when all is well.
public func firstInvalidUTF8(_ bytes: some Collection<UInt8>) -> Int? {
  var decoder = UTF8.ForwardParser()
  var iterator = bytes.makeIterator()
  var offset = 0
  while true {
    switch decoder.parseScalar(from: &iterator) {
    case .valid(let scalar): offset += scalar.count
    case .error: return offset
    case .emptyInput: return nil
    }
  }
}
