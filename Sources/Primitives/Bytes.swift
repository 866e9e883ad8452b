/// What a decoder met: the bytes ended, or said something their format does not allow.
public struct ByteError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Offset from the start of the decoded bytes.
  public let offset: Int
  public let reason: String

  public init(at offset: Int, _ reason: String) {
    self.offset = offset
    self.reason = reason
  }

  public var description: String { "\(reason) at byte \(offset)" }
}

/// Reads a stretch of bytes from front to back. Every read is checked: hostile input gets a `ByteError`, never a trap.
public struct ByteReader: Sendable {
  public let bytes: [UInt8]
  @usableFromInline var position: Int
  public let end: Int

  public init(_ bytes: [UInt8]) {
    self.init(bytes, 0..<bytes.count)
  }

  /// - Precondition: the range lies within the bytes.
  public init(_ bytes: [UInt8], _ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range \(range) of \(bytes.count) bytes")
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  @inlinable
  public var offset: Int { position }
  @inlinable
  public var remaining: Int { end - offset }
  @inlinable
  public var isAtEnd: Bool { offset == end }

  /// Steps over `count` bytes and says where they are.
  @inlinable
  public mutating func take(_ count: Int) throws(ByteError) -> Range<Int> {
    guard count >= 0, count <= remaining else { throw ByteError(at: offset, "truncated") }
    defer { position += count }
    return offset..<(offset + count)
  }

  @inlinable
  public mutating func byte() throws(ByteError) -> UInt8 {
    guard offset < end else { throw ByteError(at: offset, "truncated") }
    defer { position += 1 }
    return bytes[offset]
  }

  /// A big-endian integer of its type's full width.
  @inlinable
  public mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self) throws(ByteError) -> T {
    let range = try take(T.bitWidth / 8)
    var value: T = 0
    for index in range { value = value << 8 | T(bytes[index]) }
    return value
  }

  @inlinable
  public mutating func array(_ count: Int) throws(ByteError) -> [UInt8] {
    let range = try take(count)
    return Array(bytes[range])
  }

  @inlinable
  public mutating func bytes32<Role>(_ role: Role.Type = Role.self) throws(ByteError) -> Bytes32<Role> {
    let range = try take(32)
    return Bytes32<Role>(bytes[range])!
  }

  /// LEB128 without superfluous bytes: seven bits each, the lowest first, at most ten bytes.
  @inlinable
  public mutating func varint() throws(ByteError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    let start = offset
    while true {
      let next = try byte()
      if shift == 63, next > 1 { throw ByteError(at: start, "number over 64 bits") }
      value |= UInt64(next & 0x7F) << shift
      if next < 0x80 {
        if next == 0, shift > 0 { throw ByteError(at: start, "number with superfluous bytes") }
        return value
      }
      shift += 7
      if shift > 63 { throw ByteError(at: start, "number over 64 bits") }
    }
  }

  /// A varint that must not pass `maximum`.
  @inlinable
  public mutating func count(atMost maximum: Int) throws(ByteError) -> Int {
    let start = offset
    let value = try varint()
    guard value <= UInt64(maximum) else { throw ByteError(at: start, "count \(value) over \(maximum)") }
    return Int(value)
  }

  @inlinable
  public mutating func expectEnd() throws(ByteError) {
    guard isAtEnd else { throw ByteError(at: offset, "\(remaining) bytes too many") }
  }
}

/// Builds bytes from front to back; the twin of `ByteReader`.
public struct ByteWriter: Sendable {
  public var bytes: [UInt8] = []

  public init(reserving capacity: Int = 0) {
    if capacity > 0 { bytes.reserveCapacity(capacity) }
  }

  public mutating func byte(_ value: UInt8) { bytes.append(value) }

  public mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ value: T) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  public mutating func append<Role>(_ value: Bytes32<Role>) {
    value.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// Signed numbers as varints: 0, −1, 1, −2, … become 0, 1, 2, 3, …
@inlinable
public func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value << 1) ^ (value >> 63)) }

@inlinable
public func unzigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
