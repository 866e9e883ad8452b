/// An IPv4 or IPv6 address. An IPv4 address mapped into IPv6 (::ffff:a.b.c.d) is held as the IPv4 address that it is.
@frozen
public enum IPAddress: Hashable, Sendable {
  /// Four bytes, the first the most significant.
  case v4(UInt32)
  /// Sixteen bytes as two halves, the first byte the most significant of the first half.
  case v6(UInt64, UInt64)

  /// Takes 4 or 16 bytes in network order; any other count is refused.
  public init?(_ bytes: some Collection<UInt8>) {
    switch bytes.count {
    case 4: self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
    case 16:
      let high = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let low = bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      self = high == 0 && low >> 32 == 0xFFFF ? .v4(UInt32(truncatingIfNeeded: low)) : .v6(high, low)
    default: return nil
    }
  }

  /// The IPv4 address a.b.c.d.
  public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
    self = .v4(UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d))
  }

  @inlinable
  public var isIPv4: Bool {
    switch self {
    case .v4: true
    case .v6: false
    }
  }

  /// 4 or 16 bytes in network order.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  /// Appends what `bytes` gives.
  public func append(to bytes: inout [UInt8]) {
    switch self {
    case .v4(let value): withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    case .v6(let high, let low):
      withUnsafeBytes(of: high.bigEndian) { bytes.append(contentsOf: $0) }
      withUnsafeBytes(of: low.bigEndian) { bytes.append(contentsOf: $0) }
    }
  }
}

extension IPAddress: CustomStringConvertible {
  /// `192.0.2.1`, or the form of RFC 5952: `2001:db8::1`.
  public var description: String {
    guard case .v6 = self else { return bytes.map(String.init).joined(separator: ".") }
    let bytes = bytes
    let groups = (0..<8).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
    var longest = 0..<0
    var start = 0
    for index in 0...8 where index == 8 || groups[index] != 0 {
      if index - start > max(1, longest.count) { longest = start..<index }
      start = index + 1
    }
    func text(_ groups: ArraySlice<UInt16>) -> String {
      groups.map { String($0, radix: 16) }.joined(separator: ":")
    }
    if longest.isEmpty { return text(groups[...]) }
    return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
  }
}

/// An address and a port of UDP or TCP.
@frozen
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  public var address: IPAddress
  public var port: UInt16

  @inlinable
  public init(_ address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// The compact form of BEP 5 and BEP 32: the address and then the port in network order, 6 or 18 bytes. Any other count
  /// is refused.
  public init?(compact bytes: some Collection<UInt8>) {
    guard bytes.count == 6 || bytes.count == 18, let address = IPAddress(bytes.dropLast(2)) else { return nil }
    self.init(address, port: bytes.suffix(2).reduce(0) { $0 << 8 | UInt16($1) })
  }

  /// 6 or 18 bytes; see `init(compact:)`.
  public var compact: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }

  /// Appends what `compact` gives.
  public func append(to bytes: inout [UInt8]) {
    address.append(to: &bytes)
    withUnsafeBytes(of: port.bigEndian) { bytes.append(contentsOf: $0) }
  }

  public var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
}
