public import Primitives

/// From where an address can be reached (PROTOCOLS 4.5, RFC 6890). What is learnt from one class is not told to another,
/// or anybody could point our neighbours at machines that only they can reach.
public enum AddressClass: Hashable, Sendable, CaseIterable {
  /// Anywhere.
  case global
  /// Within one site: 10/8, 172.16/12, 192.168/16, 169.254/16, 100.64/10; fc00::/7, fe80::/10.
  case privateNetwork
  /// This machine: 127/8; ::1.
  case loopback
  /// Nowhere: unassigned, documentation, multicast, the all-zero address.
  case martian
}

extension IPAddress {
  public var addressClass: AddressClass {
    switch self {
    case .v4(let value):
      func within(_ prefix: UInt32, _ bits: UInt32) -> Bool { (value ^ prefix) >> (32 - bits) == 0 }
      if within(0x7F00_0000, 8) { return .loopback }
      if within(0x0A00_0000, 8) || within(0xAC10_0000, 12) || within(0xC0A8_0000, 16) || within(0xA9FE_0000, 16)
        || within(0x6440_0000, 10)
      {
        return .privateNetwork
      }
      if within(0, 8) || within(0xC000_0000, 24) || within(0xC000_0200, 24) || within(0xC612_0000, 15)
        || within(0xC633_6400, 24) || within(0xCB00_7100, 24) || within(0xE000_0000, 3)
      {
        return .martian
      }
      return .global
    case .v6(let high, let low):
      func within(_ prefix: UInt64, _ bits: UInt64) -> Bool { (high ^ prefix) >> (64 - bits) == 0 }
      if high == 0, low == 1 { return .loopback }
      if within(0xFC00_0000_0000_0000, 7) || within(0xFE80_0000_0000_0000, 10) { return .privateNetwork }
      if high == 0 || within(0xFF00_0000_0000_0000, 8) || within(0x2001_0DB8_0000_0000, 32)
        || within(0x2001_0000_0000_0000, 32)
      {
        return .martian
      }
      return .global
    }
  }

  /// Who counts as one site: the /24 of an IPv4 address, the /64 of an IPv6 one.
  var site: UInt64 {
    switch self {
    case .v4(let value): UInt64(value >> 8)
    case .v6(let high, _): high
    }
  }

  /// The first six bits: storers that differ in them are hardly one operator's (as pubky/mainline counts them).
  var region: UInt8 {
    switch self {
    case .v4(let value): UInt8(value >> 26)
    case .v6(let high, _): UInt8(high >> 58)
    }
  }
}
