public import Dispatch
import Glibc
public import Primitives

/// Datagrams on one address and port, each whole, in both directions. What does not fit into a queue of the kernel is lost
/// and counted, as the network loses it too: whoever needs an answer asks again.
///
/// `@unchecked Sendable`: all state is touched on the queue only, which every entry checks.
public final class UDPSocket: @unchecked Sendable {
  /// Where it is bound, with the port that was given for port 0.
  public let endpoint: Endpoint
  /// Datagrams that the kernel did not take, so far.
  public private(set) var unsentCount = 0
  /// Datagrams that were longer than `byteCountMaximum`, so far; nobody was told of them.
  public private(set) var overlongCount = 0

  /// Longest datagram that is received; the longest that anybody is told of.
  public static let byteCountMaximum = 2048

  private let queue: DispatchQueue
  private let descriptor: Int32
  private let source: any DispatchSourceRead
  private var onDatagram: (([UInt8], Endpoint) -> Void)?

  /// Binds; call it on the queue.
  ///
  /// - Parameter onDatagram: called on the queue for each datagram. It is let go by `close`.
  /// - Throws: `.address` for an address that is taken or not ours; `.resources`.
  public init(
    on endpoint: Endpoint, queue: DispatchQueue, onDatagram: @escaping @Sendable ([UInt8], Endpoint) -> Void
  ) throws(TransportError) {
    dispatchPrecondition(condition: .onQueue(queue))
    let address = SocketAddress(endpoint)
    let kind = Int32(SOCK_DGRAM.rawValue) | StreamOptions.acceptFlags
    let descriptor = socket(address.family, kind, 0)
    guard descriptor >= 0 else { throw .system("socket", errno, "cannot listen on \(endpoint)") }
    var on: Int32 = 1
    // IPv4 and IPv6 are two networks (BEP 32): each has its own socket.
    if address.family == AF_INET6 {
      setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    var bufferBytes = Self.bufferBytes
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bufferBytes, socklen_t(MemoryLayout<Int32>.size))
    guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
      let number = errno
      Glibc.close(descriptor)
      throw .system("bind", number, "cannot listen on \(endpoint)")
    }
    let (_, own) = SocketAddress.filled { getsockname(descriptor, $0, $1) }
    self.endpoint = own.endpoint ?? endpoint
    self.queue = queue
    self.descriptor = descriptor
    self.onDatagram = onDatagram
    source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    source.setEventHandler { [weak self] in self?.receive() }
    source.setCancelHandler { Glibc.close(descriptor) }
    source.resume()
  }

  deinit {
    if onDatagram != nil { source.cancel() }
  }

  public func send(_ bytes: [UInt8], to destination: Endpoint) {
    dispatchPrecondition(condition: .onQueue(queue))
    guard onDatagram != nil else { return }
    let sent = SocketAddress(destination).withSockaddr { address, count in
      sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT), address, count)
    }
    if sent != bytes.count { unsentCount += 1 }
  }

  /// Receives no more. Idempotent.
  public func close() {
    dispatchPrecondition(condition: .onQueue(queue))
    guard onDatagram != nil else { return }
    onDatagram = nil
    source.cancel()
  }

  private func receive() {
    for _ in 0..<Self.datagramsPerEvent {
      guard let onDatagram else { return }
      var count = 0
      var remote: SocketAddress?
      // One byte more, so that what is longer is seen to be.
      let bytes = [UInt8](unsafeUninitializedCapacity: Self.byteCountMaximum + 1) { buffer, filled in
        let (received, address) = SocketAddress.filled {
          Int32(truncatingIfNeeded: recvfrom(descriptor, buffer.baseAddress, buffer.count, 0, $0, $1))
        }
        count = Int(received)
        remote = address
        filled = max(0, count)
      }
      guard count >= 0 else {
        // Errors of former sends are reported here once each; they are of no use.
        if errno == EAGAIN { return }
        continue
      }
      guard count <= Self.byteCountMaximum, let source = remote?.endpoint else {
        overlongCount += 1
        continue
      }
      onDatagram(bytes, source)
    }
  }

  /// A second of a busy node's datagrams. The kernel may give less.
  private static let bufferBytes: Int32 = 1_048_576
  private static let datagramsPerEvent = 64
}

extension UDPSocket {
  /// Where datagrams are to come in beside the peers that `address` lets in: at most one endpoint of each family, IPv4
  /// first; every interface is 0.0.0.0 and [::]. A name is looked up, which may block.
  /// - Throws: `.address` for a name without an address.
  public static func endpoints(for address: PeerAddress) throws(TransportError) -> [Endpoint] {
    var found: [Endpoint] = []
    for resolved in try SocketAddress.resolve(address, listening: true) {
      guard let endpoint = resolved.endpoint,
        !found.contains(where: { $0.address.isIPv4 == endpoint.address.isIPv4 })
      else { continue }
      found.append(endpoint)
    }
    return found.sorted { $0.address.isIPv4 && !$1.address.isIPv4 }
  }

  /// The endpoints of an address. A name is looked up, which may block, or with `numericOnly` refused.
  public static func resolve(
    _ address: PeerAddress, numericOnly: Bool = false
  ) throws(TransportError) -> [Endpoint] {
    try SocketAddress.resolve(address, numericOnly: numericOnly).compactMap(\.endpoint)
  }
}

extension SocketAddress {
  init(_ endpoint: Endpoint) {
    switch endpoint.address {
    case .v4(let value):
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = endpoint.port.bigEndian
      address.sin_addr.s_addr = value.bigEndian
      self.init(family: AF_INET, bytes: withUnsafeBytes(of: address) { Array($0) })
    case .v6:
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = endpoint.port.bigEndian
      withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: endpoint.address.bytes) }
      self.init(family: AF_INET6, bytes: withUnsafeBytes(of: address) { Array($0) })
    }
  }

  /// Nil for an address that is neither of IPv4 nor of IPv6.
  var endpoint: Endpoint? {
    switch family {
    case AF_INET where bytes.count >= 8: IPAddress(bytes[4..<8]).map { Endpoint($0, port: port) }
    case AF_INET6 where bytes.count >= 24: IPAddress(bytes[8..<24]).map { Endpoint($0, port: port) }
    default: nil
    }
  }
}
