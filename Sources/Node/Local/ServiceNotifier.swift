import Glibc

/// Tells the service manager how it is with us (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names.
///
/// Nobody listens in most places, and nothing here depends on being heard.
public struct ServiceNotifier: Sendable {
  private let address: [UInt8]

  /// - Parameter socket: an absolute path, or a name of the abstract namespace after an `@`. Nil for anything else, and
  ///   for names longer than a socket address takes.
  public init?(socket: String) {
    var bytes = Array(socket.utf8)
    guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"), bytes.count > 1,
      bytes.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
    else { return nil }
    // An abstract name begins with a zero byte and ends with the address.
    if first == UInt8(ascii: "@") { bytes[0] = 0 }
    address = bytes
  }

  /// The service manager that started this process; nil when none did.
  public static func fromEnvironment() -> ServiceNotifier? {
    getenv("NOTIFY_SOCKET").flatMap { ServiceNotifier(socket: String(cString: $0)) }
  }

  /// - Parameter state: assignments, one a line: `READY=1`, `STOPPING=1`, `STATUS=…`.
  /// - Returns: whether the socket took it.
  @discardableResult
  public func notify(_ state: String) -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var target = sockaddr_un()
    target.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: address) }
    let isAbstract = address[0] == 0
    let count = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + address.count + (isAbstract ? 0 : 1)
    let bytes = Array(state.utf8)
    let sent = withUnsafePointer(to: &target) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, socklen_t(count))
      }
    }
    return sent == bytes.count
  }
}
