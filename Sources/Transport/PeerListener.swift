import CLinux
import Dispatch
import Glibc

/// Accepts peers on one address and port.
///
/// `@unchecked Sendable`: all state is touched on the context's queue only, which every entry checks.
public final class PeerListener: @unchecked Sendable {
  /// Where it really listens, with the port that was given for port 0.
  public let address: PeerAddress

  private let context: PeerContext
  private let descriptor: Int32
  private let source: any DispatchSourceRead
  private var onConnection: ((PeerConnection) -> PeerHandlers)?
  private var ledger: AcceptLedger
  /// Accepted connections whose handshake is under way, the oldest first.
  private var handshaking: [PeerConnection] = []
  private var retryTimer: (any DispatchSourceTimer)?

  /// Connections turned away by a limit, so far.
  public private(set) var refusedCount = 0

  /// Binds and listens; call it on the context's queue. An empty host means every interface, of IPv6 and IPv4.
  ///
  /// - Parameter onConnection: called for every accepted connection, before its handshake; gives what to tell its
  ///   owner. It is let go by `close`.
  /// - Throws: `.address` for an address that is taken, foreign or not to be had; `.resources`.
  public init(
    on address: PeerAddress, in context: PeerContext, onConnection: @escaping @Sendable (PeerConnection) -> PeerHandlers
  ) throws(TransportError) {
    dispatchPrecondition(condition: .onQueue(context.queue))
    let (descriptor, bound) = try Self.listen(on: address)
    self.context = context
    self.descriptor = descriptor
    self.address = PeerAddress(host: address.host, port: bound)
    self.onConnection = onConnection
    ledger = AcceptLedger(limits: context.limits)
    source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: context.queue)
    source.setEventHandler { [weak self] in self?.accept() }
    source.setCancelHandler { Glibc.close(descriptor) }
    source.resume()
  }

  deinit {
    if onConnection != nil { endSources() }
  }

  /// Live connections, and those of them that have not finished their handshake.
  public var connectionCounts: (live: Int, handshaking: Int) {
    dispatchPrecondition(condition: .onQueue(context.queue))
    return (ledger.live, ledger.handshakes)
  }

  /// Accepts no more and ends the handshakes under way; the connections that stand go on. Idempotent.
  public func close() {
    dispatchPrecondition(condition: .onQueue(context.queue))
    guard onConnection != nil else { return }
    onConnection = nil
    endSources()
    for connection in handshaking { connection.close() }
  }

  private func endSources() {
    // Linux refuses callers from here on; the descriptor itself goes when Dispatch has let go of it.
    shutdown(descriptor, Int32(SHUT_RDWR))
    source.cancel()
    if let retryTimer {
      source.resume()  // it is suspended while the timer waits, and would never run its cancel handler
      retryTimer.cancel()
    }
    retryTimer = nil
  }

  private func accept() {
    for _ in 0..<Self.acceptsPerEvent {
      guard let onConnection else { return }
      let (accepted, remote) = SocketAddress.filled {
        accept4(descriptor, $0, $1, StreamOptions.acceptFlags)
      }
      guard accepted >= 0 else {
        switch errno {
        case EINTR, ECONNABORTED, EPROTO: continue
        case EAGAIN: return
        default: return waitForResources()
        }
      }
      // The lowest free number is given out, so a high one means that all below it are in use.
      guard Int(accepted) < Self.descriptorMaximum() - context.limits.descriptorReserve else {
        Glibc.close(accepted)
        refusedCount += 1
        continue
      }
      let isRated = !remote.isLoopback
      var refusal = ledger.admit(remote.source, isRated: isRated, at: monotonicNow())
      if refusal == .handshakesTotal, let oldest = handshaking.first {
        // Whoever dials and says nothing must not keep out those who have something to say.
        oldest.abort(TransportError(.resources, "too many handshakes at a time"))
        refusedCount += 1
        refusal = ledger.admit(remote.source, isRated: isRated, at: monotonicNow())
      }
      guard refusal == nil else {
        Glibc.close(accepted)
        refusedCount += 1
        continue
      }
      admit(accepted, remote, onConnection)
    }
  }

  private func admit(
    _ accepted: Int32, _ remote: SocketAddress, _ onConnection: (PeerConnection) -> PeerHandlers
  ) {
    StreamOptions.set(accepted)
    let connection = PeerConnection(
      context: context, role: .server, remote: remote.text, expecting: nil, handlers: nil)
    let source = remote.source
    handshaking.append(connection)
    connection.onHandshakeOver = { [weak self, weak connection] in
      self?.ledger.handshakeOver(source)
      self?.handshaking.removeAll { $0 === connection }
    }
    connection.onOver = { [weak self] in self?.ledger.over(source, at: monotonicNow()) }
    connection.setHandlers(onConnection(connection))
    connection.adopt(SocketChannel(descriptor: accepted, queue: context.queue))
  }

  /// Out of descriptors or memory: the queue of the kernel keeps who is waiting, and we look again a little later
  /// instead of being told at once that there is still somebody.
  private func waitForResources() {
    source.suspend()
    let timer = DispatchSource.makeTimerSource(queue: context.queue)
    timer.setEventHandler { [weak self] in
      guard let self, self.retryTimer != nil else { return }
      self.retryTimer?.cancel()
      self.retryTimer = nil
      self.source.resume()
    }
    timer.schedule(deadline: .now() + Self.resourceRetry)
    timer.activate()
    retryTimer = timer
  }

  private static func descriptorMaximum() -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return Int.max }
    return Int(clamping: limit.rlim_cur)
  }

  // MARK: Binding

  private static func listen(on address: PeerAddress) throws(TransportError) -> (descriptor: Int32, port: UInt16) {
    var targets = try SocketAddress.resolve(address, listening: true)
    // [::] takes IPv4 too, so where there is IPv6 it goes first.
    if address.host.isEmpty { targets.sort { $0.family == AF_INET6 && $1.family != AF_INET6 } }
    var failure = TransportError(.address, "no address for \(address)")
    for target in targets {
      let descriptor = socket(target.family, StreamOptions.socketType, 0)
      guard descriptor >= 0 else {
        failure = .system("socket", errno, "cannot listen on \(address)")
        continue
      }
      var on: Int32 = 1
      var onlyIPv6: Int32 = address.host.isEmpty ? 0 : 1
      let size = socklen_t(MemoryLayout<Int32>.size)
      setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
      if target.family == AF_INET6 {
        setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &onlyIPv6, size)
      }
      if target.withSockaddr({ bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, backlog) == 0 {
        let (_, own) = SocketAddress.filled { getsockname(descriptor, $0, $1) }
        return (descriptor, own.port)
      }
      failure = .system("bind", errno, "cannot listen on \(address)")
      Glibc.close(descriptor)
    }
    throw failure
  }

  private static let backlog: Int32 = 128
  private static let acceptsPerEvent = 64
  private static let resourceRetry = DispatchTimeInterval.milliseconds(250)
}
