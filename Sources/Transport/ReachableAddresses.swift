import Glibc

/// Where others find a socket that is bound here.
public enum ReachableAddresses {
  /// Addresses to hand out: those bound; for a socket on every interface those of this machine that are up, loopback only
  /// when there is no other.
  public static func of(_ bound: [String]) -> [String] {
    var found: [String] = []
    for text in bound {
      guard let address = try? PeerAddress(text, for: .listening) else { continue }
      if ["", "0.0.0.0", "::"].contains(address.host) {
        let hosts = interfaceHosts(includingIPv6: address.host != "0.0.0.0")
        found += (hosts.isEmpty ? ["127.0.0.1"] : hosts).map { "\($0):\(address.port)" }
      } else {
        found.append(address.description)
      }
    }
    return found
  }

  /// IPv4 before IPv6; link-local ones, which mean nothing elsewhere, are left out.
  private static func interfaceHosts(includingIPv6: Bool) -> [String] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var four: [String] = []
    var six: [String] = []
    var entry = list
    while let interface = entry?.pointee {
      entry = interface.ifa_next
      guard interface.ifa_flags & UInt32(IFF_UP) != 0,
        interface.ifa_flags & UInt32(IFF_LOOPBACK) == 0, let address = interface.ifa_addr
      else { continue }
      let family = Int32(address.pointee.sa_family)
      let size = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
      guard family == AF_INET || family == AF_INET6 && includingIPv6 else { continue }
      var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      guard getnameinfo(address, socklen_t(size), &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0 else {
        continue
      }
      let text = host.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      if family == AF_INET { four.append(text) } else if !text.hasPrefix("fe80") { six.append("[\(text)]") }
    }
    return four + six
  }
}
