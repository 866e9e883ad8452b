import Identity
import Primitives

// What the codings of requests, replies and errors share. All of it is deterministic CBOR; a value that is not there is
// null; whatever decodes is what its encoder wrote, byte for byte.

extension CBORWriter {
  mutating func optional<Value>(_ value: Value?, _ write: (inout CBORWriter, Value) -> Void) {
    if let value { write(&self, value) } else { null() }
  }

  mutating func count(_ value: Int) { unsigned(UInt64(max(0, value))) }

  /// A text for people, cut at `LocalLimits.messageBytes`.
  mutating func message(_ value: String) {
    guard value.utf8.count > LocalLimits.messageBytes else { return text(value) }
    var end = value.startIndex
    var bytes = 0
    for index in value.indices {
      let size = value[index].utf8.count
      guard bytes + size <= LocalLimits.messageBytes else { break }
      bytes += size
      end = value.index(after: index)
    }
    text(String(value[..<end]))
  }
}

extension CBORReader {
  mutating func optional<Value>(
    _ read: (inout CBORReader) throws(ByteError) -> Value
  ) throws(ByteError) -> Value? {
    if try peek() == .null {
      try null()
      return nil
    }
    return try read(&self)
  }

  mutating func count(atMost maximum: Int = LocalLimits.countMaximum) throws(ByteError) -> Int {
    let start = offset
    let value = try unsigned()
    guard value <= UInt64(maximum) else { throw ByteError(at: start, "count \(value) over \(maximum)") }
    return Int(value)
  }

  mutating func number<Number: FixedWidthInteger & UnsignedInteger>(
    _ type: Number.Type = Number.self
  ) throws(ByteError) -> Number {
    let start = offset
    guard let value = Number(exactly: try unsigned()) else {
      throw ByteError(at: start, "a number of more than \(Number.bitWidth) bits")
    }
    return value
  }

  mutating func bytes(atMost maximum: Int) throws(ByteError) -> [UInt8] { array(try byteString(atMost: maximum)) }

  mutating func message() throws(ByteError) -> String { try text(atMost: LocalLimits.messageBytes) }

  /// An array of exactly `count` parts begins here.
  mutating func parts(_ count: Int, of name: String) throws(ByteError) {
    let start = offset
    guard try arrayCount() == count else { throw ByteError(at: start, "\(name) has \(count) parts") }
  }
}

/// The outermost form of everything that crosses the control socket:  array: version, kind, fields of the kind.
enum LocalEnvelope {
  /// Raised when an older program would misread something.
  static let version: UInt64 = 1

  static func write(_ kind: UInt64, fields: Int, _ body: (inout CBORWriter) -> Void = { _ in }) -> [UInt8] {
    var writer = CBORWriter(reserving: 256)
    writer.array(2 + fields)
    writer.unsigned(version)
    writer.unsigned(kind)
    body(&writer)
    return writer.bytes
  }

  /// - Parameter body: reads the fields of a kind; is given how many there are.
  static func read<Value>(
    _ bytes: [UInt8], _ body: (_ kind: UInt64, _ fields: Int, inout CBORReader) throws(ByteError) -> Value
  ) throws(ByteError) -> Value {
    var reader = CBORReader(bytes)
    let count = try reader.arrayCount(atMost: 16)
    guard count >= 2 else { throw ByteError(at: 0, "neither version nor kind") }
    let start = reader.offset
    let version = try reader.unsigned()
    guard version == Self.version else {
      throw ByteError(at: start, "version \(version) of the control protocol, not \(Self.version)")
    }
    let value = try body(try reader.unsigned(), count - 2, &reader)
    try reader.expectEnd()
    return value
  }

  static func expect(_ fields: Int, _ wanted: Int) throws(ByteError) {
    guard fields == wanted else { throw ByteError(at: 0, "\(fields) fields, not \(wanted)") }
  }
}
