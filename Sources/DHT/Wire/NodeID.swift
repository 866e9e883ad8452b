public import Primitives

/// A point of the 160-bit space that node ids, info-hashes and the targets of items share (BEP 5).
@frozen
public struct NodeID: Hashable, Comparable, Sendable {
  @usableFromInline let high: UInt64
  @usableFromInline let middle: UInt64
  @usableFromInline let low: UInt32

  public static let byteCount = 20
  public static let bitCount = 160

  @inlinable
  init(high: UInt64, middle: UInt64, low: UInt32) {
    self.high = high
    self.middle = middle
    self.low = low
  }

  /// Takes exactly 20 bytes; any other count is refused.
  public init?(_ bytes: some Collection<UInt8>) {
    let id = bytes.withContiguousStorageIfAvailable { Self(UnsafeRawBufferPointer($0)) }
    if let id {
      guard let id else { return nil }
      self = id
      return
    }
    guard bytes.count == Self.byteCount else { return nil }
    var high: UInt64 = 0
    var middle: UInt64 = 0
    var low: UInt32 = 0
    for (index, byte) in bytes.enumerated() {
      switch index {
      case 0..<8: high = high << 8 | UInt64(byte)
      case 8..<16: middle = middle << 8 | UInt64(byte)
      default: low = low << 8 | UInt32(byte)
      }
    }
    self.init(high: high, middle: middle, low: low)
  }

  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init(
      high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
      middle: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
      low: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self)))
  }

  /// Reads 40 hexadecimal digits of either case.
  public init?(hex: some StringProtocol) {
    guard let bytes = Hex.decode(hex) else { return nil }
    self.init(bytes)
  }

  /// A point anywhere, each as likely as another.
  public init(random: inout SeededRandom) {
    self.init(high: random.next(), middle: random.next(), low: UInt32(truncatingIfNeeded: random.next()))
  }

  /// A random point that has the first `bits` bits of this one and not the next: one of the bucket of that number.
  public func neighbour(sharing bits: Int, random: inout SeededRandom) -> NodeID {
    let mask = Distance(leadingZeros: bits)
    let flip = Distance(singleBit: bits)
    let other = NodeID(random: &random)
    return NodeID(
      high: (high & ~mask.high | other.high & mask.high) & ~flip.high | ~high & flip.high,
      middle: (middle & ~mask.middle | other.middle & mask.middle) & ~flip.middle | ~middle & flip.middle,
      low: (low & ~mask.low | other.low & mask.low) & ~flip.low | ~low & flip.low)
  }

  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    append(to: &bytes)
    return bytes
  }

  func append(to bytes: inout [UInt8]) {
    withUnsafeBytes(of: high.bigEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: middle.bigEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: low.bigEndian) { bytes.append(contentsOf: $0) }
  }

  public var hex: String { Hex.encode(bytes) }

  /// The XOR metric of Kademlia (Maymounkov and Mazières 2002, §2.1).
  @inlinable
  public func distance(to other: NodeID) -> Distance {
    Distance(high: high ^ other.high, middle: middle ^ other.middle, low: low ^ other.low)
  }

  /// Leading bits that both have, 0 to 160.
  @inlinable
  public func sharedBits(with other: NodeID) -> Int { distance(to: other).leadingZeroBitCount }

  @inlinable
  public static func < (a: Self, b: Self) -> Bool {
    if a.high != b.high { return a.high < b.high }
    if a.middle != b.middle { return a.middle < b.middle }
    return a.low < b.low
  }
}

extension NodeID: CustomStringConvertible {
  public var description: String { hex }
}

/// How far two points are from each other: the XOR of both, read as a number of 160 bits.
@frozen
public struct Distance: Hashable, Comparable, Sendable {
  @usableFromInline let high: UInt64
  @usableFromInline let middle: UInt64
  @usableFromInline let low: UInt32

  @inlinable
  init(high: UInt64, middle: UInt64, low: UInt32) {
    self.high = high
    self.middle = middle
    self.low = low
  }

  /// The farthest there is.
  public static let maximum = Distance(high: .max, middle: .max, low: .max)

  /// So many zeros and then ones.
  init(leadingZeros count: Int) {
    self.init(
      high: count >= 64 ? 0 : UInt64.max >> UInt64(count),
      middle: count <= 64 ? .max : count >= 128 ? 0 : UInt64.max >> UInt64(count - 64),
      low: count <= 128 ? .max : count >= 160 ? 0 : UInt32.max >> UInt32(count - 128))
  }

  /// Only the bit of this number is set, counted from the front; none from 160 on.
  init(singleBit index: Int) {
    self.init(
      high: index < 64 ? 1 << UInt64(63 - index) : 0,
      middle: (64..<128).contains(index) ? 1 << UInt64(127 - index) : 0,
      low: (128..<160).contains(index) ? 1 << UInt32(159 - index) : 0)
  }

  @inlinable
  public var leadingZeroBitCount: Int {
    if high != 0 { return high.leadingZeroBitCount }
    if middle != 0 { return 64 + middle.leadingZeroBitCount }
    return 128 + low.leadingZeroBitCount
  }

  /// As a part of the whole space, 0 to 1.
  @inlinable
  public var fraction: Double { Double(high) * 0x1p-64 + Double(middle) * 0x1p-128 + Double(low) * 0x1p-160 }

  @inlinable
  public static func < (a: Self, b: Self) -> Bool {
    if a.high != b.high { return a.high < b.high }
    if a.middle != b.middle { return a.middle < b.middle }
    return a.low < b.low
  }
}

/// A remote in the DHT: what it calls itself, and where it is.
@frozen
public struct Contact: Hashable, Sendable {
  public var id: NodeID
  public var endpoint: Endpoint

  @inlinable
  public init(_ id: NodeID, at endpoint: Endpoint) {
    self.id = id
    self.endpoint = endpoint
  }
}
