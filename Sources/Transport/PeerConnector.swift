import CLinux
import Dispatch
import Glibc
public import Identity
public import Primitives

/// Dials peers.
public enum PeerConnector {
  /// Starts a connection; call it on the context's queue. The answer comes through the handlers: `onReady`, or
  /// `onClosed` with `.address`, `.refused`, `.timedOut`, `.resources` or `.handshake`. Closing it stops the dial.
  ///
  /// - Parameter expecting: the only node key that is accepted; nil accepts any.
  @discardableResult
  public static func connect(
    to address: PeerAddress, expecting: PublicKey? = nil, in context: PeerContext, handlers: PeerHandlers
  ) -> PeerConnection {
    dispatchPrecondition(condition: .onQueue(context.queue))
    let connection = PeerConnection(
      context: context, role: .client, remote: address.description, expecting: expecting, handlers: handlers)
    Dial(connection, address).start()
    return connection
  }
}

/// One attempt to reach one address, over all that its name resolves to. The connection's `onOver` keeps it, and is
/// let go at the end.
///
/// `@unchecked Sendable`: its state is touched on the context's queue only.
private final class Dial: @unchecked Sendable {
  private let connection: PeerConnection
  private let address: PeerAddress
  private var queue: DispatchQueue { connection.context.queue }
  private var targets: ArraySlice<SocketAddress> = []
  private var channel: SocketChannel?
  private var timer: (any DispatchSourceTimer)?
  private let deadline: Instant
  private var lastError: TransportError?
  private var isOver = false

  /// Names are looked up here, because getaddrinfo blocks for as long as it likes.
  private static let resolving = DispatchQueue(label: "tl.resolve", attributes: .concurrent)

  init(_ connection: PeerConnection, _ address: PeerAddress) {
    self.connection = connection
    self.address = address
    deadline = monotonicNow() + connection.context.limits.connectTimeout
  }

  func start() {
    connection.onOver = { self.end() }
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.setEventHandler { [weak self] in self?.attemptTimedOut() }
    timer.schedule(deadline: .now() + connection.context.limits.connectTimeout.dispatchInterval)
    timer.activate()
    self.timer = timer
    let address = address
    if let found = try? SocketAddress.resolve(address, numericOnly: true) {
      // Later, so that nobody is called back from inside `connect`.
      return queue.async { self.resolved(.success(found)) }
    }
    Self.resolving.async {
      let result = Result { () throws(TransportError) in try SocketAddress.resolve(address) }
      self.queue.async { self.resolved(result) }
    }
  }

  private func resolved(_ result: Result<[SocketAddress], TransportError>) {
    guard !isOver else { return }
    switch result {
    case .failure(let error): connection.finish(error)
    case .success(let found):
      targets = found[...]
      tryNext()
    }
  }

  private func tryNext() {
    channel?.cancel()
    channel = nil
    guard let target = targets.popFirst() else {
      return connection.finish(lastError ?? TransportError(.address, "no address for \(address)"))
    }
    let descriptor = socket(target.family, StreamOptions.socketType, 0)
    guard descriptor >= 0 else { return attemptFailed(.system("socket", errno, "no socket for \(address)")) }
    StreamOptions.set(descriptor)
    let channel = SocketChannel(descriptor: descriptor, queue: queue)
    self.channel = channel
    let result = target.withSockaddr { Glibc.connect(descriptor, $0, $1) }
    if result == 0 { return connected() }
    guard errno == EINPROGRESS || errno == EINTR else {
      return attemptFailed(.system("connect", errno, "cannot reach \(address)"))
    }
    // A silent address must leave time for those after it.
    let left = deadline - monotonicNow()
    timer?.schedule(deadline: .now() + max(left / (targets.count + 1), .zero).dispatchInterval)
    channel.onWritable = { [weak self] in self?.attemptEnded() }
    if !channel.setWriting(true) { attemptFailed(.system("dup", EMFILE, "no descriptor for \(address)")) }
  }

  private func attemptEnded() {
    guard let channel else { return }
    var number: Int32 = 0
    var count = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(channel.descriptor, SOL_SOCKET, SO_ERROR, &number, &count)
    guard number == 0 else {
      let reset = number == ECONNRESET ? ECONNREFUSED : number  // taken and dropped before we looked
      return attemptFailed(.system("connect", reset, "cannot reach \(address)"))
    }
    connected()
  }

  private func attemptFailed(_ error: TransportError) {
    lastError = error
    tryNext()
  }

  private func attemptTimedOut() {
    let error = TransportError(.timedOut, "\(address) does not answer")
    if targets.isEmpty || monotonicNow() >= deadline { connection.finish(error) } else { attemptFailed(error) }
  }

  private func connected() {
    guard let channel else { return }
    self.channel = nil
    channel.releaseWriter()
    let connection = connection
    connection.onOver = nil
    end()
    connection.adopt(channel)
  }

  private func end() {
    isOver = true
    channel?.cancel()
    channel = nil
    timer?.cancel()
    timer = nil
    targets = []
  }
}

/// Options of every TCP connection.
enum StreamOptions {
  static let acceptFlags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
  static let socketType = Int32(SOCK_STREAM.rawValue) | acceptFlags

  /// Frames are batched before they are sent, so waiting for more (Nagle) only costs time. Buffer sizes are left to
  /// the kernel: it grows them with the path up to several MiB, and a fixed size would stop it at net.core.rmem_max.
  /// But what it has not sent yet waits with us, where it is counted: a peer that reads nothing costs us no more work.
  static func set(_ descriptor: Int32) {
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
    var unsentMaximum: Int32 = 262_144
    setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &unsentMaximum, socklen_t(MemoryLayout<Int32>.size))
  }
}
