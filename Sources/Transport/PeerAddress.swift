private import Glibc

/// Where a peer listens, as people write it: `host:port`, `192.0.2.1:4000`, `[2001:db8::1]:4000`. To listen, the host
/// may be missing or `*` (every interface) and the port may be 0 (any free one).
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  /// A name or a numeric address without brackets; empty for every interface.
  public let host: String
  public let port: UInt16

  public enum Use: Sendable { case dialing, listening }

  /// Longest name of the DNS (RFC 1035 §2.3.4).
  public static let hostByteCountMaximum = 253

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads an address; throws `.address` with what is wrong. Pure: nothing is looked up.
  public init(_ text: String, for use: Use = .dialing) throws(TransportError) {
    let bytes = Array(text.utf8)
    // Names of other scripts come in their ASCII form (RFC 5890); this also keeps control characters out of messages.
    guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw TransportError(.address, "an address with spaces, control or non-ASCII characters")
    }
    guard bytes.count <= Self.hostByteCountMaximum + 8 else {
      throw TransportError(.address, "an address of \(bytes.count) characters")
    }
    func fault(_ message: String) -> TransportError { TransportError(.address, "\(message): '\(text)'") }
    let hostBytes: ArraySlice<UInt8>
    let rest: ArraySlice<UInt8>
    if bytes.first == UInt8(ascii: "[") {
      guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { throw fault("a '[' without ']'") }
      hostBytes = bytes[1..<end]
      rest = bytes[(end + 1)...]
      guard Self.isIPv6(hostBytes) else { throw fault("no IPv6 address between the brackets") }
    } else {
      let end = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
      hostBytes = bytes[..<end]
      rest = bytes[end...]
      if rest.dropFirst().contains(UInt8(ascii: ":")) { throw fault("an IPv6 address is written [address]:port") }
      guard hostBytes.allSatisfy(Self.isNameByte) || (use == .listening && hostBytes == [UInt8(ascii: "*")]) else {
        throw fault("a host name with a character that names do not have")
      }
    }
    guard rest.first == UInt8(ascii: ":") else { throw fault("no port; write host:port") }
    let digits = rest.dropFirst()
    guard !digits.isEmpty, digits.count <= 5, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
      let port = UInt16(String(decoding: digits, as: UTF8.self))
    else { throw fault("a port is a number from 1 to 65535") }
    if use == .dialing {
      guard port > 0 else { throw fault("a port is a number from 1 to 65535") }
      guard !hostBytes.isEmpty else { throw fault("no host; write host:port") }
    }
    guard hostBytes.count <= Self.hostByteCountMaximum else { throw fault("a host name over 253 characters") }
    host = hostBytes == [UInt8(ascii: "*")] ? "" : String(decoding: hostBytes, as: UTF8.self)
    self.port = port
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host.isEmpty ? "*" : host):\(port)" }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 0x30...0x39: true
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
    default: false
    }
  }

  /// A numeric IPv6 address, with or without a zone (`%eth0`).
  private static func isIPv6(_ bytes: ArraySlice<UInt8>) -> Bool {
    let parts = bytes.split(separator: UInt8(ascii: "%"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = parts.first else { return false }
    if parts.count == 2, parts[1].isEmpty || !parts[1].allSatisfy(isNameByte) { return false }
    var parsed = in6_addr()
    return inet_pton(AF_INET6, String(decoding: address, as: UTF8.self), &parsed) == 1
  }
}
