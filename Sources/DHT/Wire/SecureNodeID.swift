public import Primitives

/// CRC-32C (Castagnoli; RFC 3720 §12.1), with the tables of its reversed polynomial.
func crc32c(_ bytes: [UInt8]) -> UInt32 {
  var crc = UInt32.max
  for byte in bytes { crc = crc >> 8 ^ crcTable[Int((crc ^ UInt32(byte)) & 0xFF)] }
  return ~crc
}

private let crcTable: [UInt32] = (0..<256).map { index in
  var value = UInt32(index)
  for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
  return value
}

// BEP 42: an id has to fit the address it is used from, so that one address cannot choose its place freely.
extension NodeID {
  /// An id for this address: 21 bits follow from the address and the last byte, the rest is random.
  public init(for address: IPAddress, random: inout SeededRandom) {
    var bytes = random.bytes(NodeID.byteCount)
    let prefix = Self.prefix(for: address, salt: bytes[19])
    bytes[0] = UInt8(truncatingIfNeeded: prefix >> 24)
    bytes[1] = UInt8(truncatingIfNeeded: prefix >> 16)
    bytes[2] = UInt8(truncatingIfNeeded: prefix >> 8) & 0xF8 | bytes[2] & 0x07
    self.init(bytes)!
  }

  /// Whether this id is one that its address may have. Local addresses may have any.
  public func fits(_ address: IPAddress) -> Bool {
    switch address.addressClass {
    case .privateNetwork, .loopback: return true
    case .global, .martian:
      let salt = UInt8(truncatingIfNeeded: low)
      return UInt32(truncatingIfNeeded: high >> 32) & 0xFFFF_F800 == Self.prefix(for: address, salt: salt) & 0xFFFF_F800
    }
  }

  // The BEP's text hashes eight bytes of an IPv4 address, its vectors four; the vectors are what others do.
  private static func prefix(for address: IPAddress, salt: UInt8) -> UInt32 {
    let random = salt & 7
    switch address {
    case .v4(let value):
      let masked = value & 0x030F_3FFF | UInt32(random) << 29
      return withUnsafeBytes(of: masked.bigEndian) { crc32c(Array($0)) }
    case .v6(let high, _):
      let masked = high & 0x0103_070F_1F3F_7FFF | UInt64(random) << 61
      return withUnsafeBytes(of: masked.bigEndian) { crc32c(Array($0)) }
    }
  }
}
