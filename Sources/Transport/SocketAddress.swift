import Glibc

/// A resolved address as the kernel takes it.
struct SocketAddress: Sendable {
  let family: Int32
  let bytes: [UInt8]  // a sockaddr_in or sockaddr_in6

  /// Looks a name up. With `numericOnly` nothing leaves the machine and the call does not block.
  static func resolve(
    _ address: PeerAddress, listening: Bool = false, numericOnly: Bool = false
  ) throws(TransportError) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV | (numericOnly ? AI_NUMERICHOST : 0) | (listening ? AI_PASSIVE : 0)
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(address.host.isEmpty ? nil : address.host, String(address.port), &hints, &list)
    guard status == 0 else {
      throw TransportError(.address, "no address for \(address)", cause: String(cString: gai_strerror(status)))
    }
    defer { freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next {
      let bytes = UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen))
      found.append(SocketAddress(family: entry.pointee.ai_family, bytes: Array(bytes)))
      next = entry.pointee.ai_next
    }
    return Array(found.prefix(attemptsMaximum))
  }

  /// Most addresses of one name that are tried.
  static let attemptsMaximum = 8

  /// An address that a call such as `accept4` fills in.
  static func filled(by call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) -> (
    result: Int32, address: SocketAddress
  ) {
    var storage = sockaddr_storage()
    var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, &count) }
    }
    let bytes = withUnsafeBytes(of: storage) { Array($0.prefix(Int(count))) }
    return (result, SocketAddress(family: Int32(storage.ss_family), bytes: bytes))
  }

  func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    bytes.withUnsafeBytes { raw in
      body(raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
    }
  }

  var port: UInt16 { bytes.count >= 4 ? UInt16(bytes[2]) << 8 | UInt16(bytes[3]) : 0 }

  /// The numeric address and port, for people. A mapped IPv4 address is shown as IPv4.
  var text: String {
    if let source = ipv4 { return source.map(String.init).joined(separator: ".") + ":\(port)" }
    guard family == AF_INET6, bytes.count >= 24 else { return "?" }
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let made = bytes[8..<24].withUnsafeBytes { inet_ntop(AF_INET6, $0.baseAddress, &buffer, socklen_t(buffer.count)) }
    guard made != nil else { return "?" }
    return "[" + String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) + "]:\(port)"
  }

  /// Who counts as one source: an IPv4 address, or the /64 that one IPv6 site has for itself.
  var source: [UInt8] {
    if let ipv4 { return ipv4 }
    guard family == AF_INET6, bytes.count >= 24 else { return [] }
    return Array(bytes[8..<16])
  }

  /// Whether it is this very machine: 127.0.0.0/8 or ::1.
  var isLoopback: Bool {
    if let ipv4 { return ipv4[0] == 127 }
    return family == AF_INET6 && bytes.count >= 24 && bytes[8..<23].allSatisfy { $0 == 0 } && bytes[23] == 1
  }

  private var ipv4: [UInt8]? {
    if family == AF_INET, bytes.count >= 8 { return Array(bytes[4..<8]) }
    guard family == AF_INET6, bytes.count >= 24, bytes[8..<18].allSatisfy({ $0 == 0 }), bytes[18] == 0xFF,
      bytes[19] == 0xFF
    else { return nil }
    return Array(bytes[20..<24])
  }
}
