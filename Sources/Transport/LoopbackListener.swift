import CLinux
public import Dispatch
import Glibc
public import Primitives

/// Plain TCP for programs of this machine, which every user of it can reach.
///
/// `@unchecked Sendable`: all state is touched on the queue only, which every entry checks.
public final class LoopbackListener: @unchecked Sendable {
  /// Where it listens, with the port that was given for port 0.
  public let endpoint: Endpoint

  /// Programs that are connected at one time.
  public static let connectionsMaximum = 16

  private let queue: DispatchQueue
  private let descriptor: Int32
  private let source: any DispatchSourceRead
  private var onConnection: ((LoopbackConnection) -> Void)?
  private var connections: [ObjectIdentifier: LoopbackConnection] = [:]

  /// Binds and listens; call it on the queue.
  ///
  /// - Parameter onConnection: sets the connection's handlers.
  /// - Throws: `.address` for an address that is not this machine's own or is taken; `.resources`.
  public init(
    on endpoint: Endpoint, queue: DispatchQueue, onConnection: @escaping @Sendable (LoopbackConnection) -> Void
  ) throws(TransportError) {
    dispatchPrecondition(condition: .onQueue(queue))
    let address = SocketAddress(endpoint)
    guard address.isLoopback else {
      throw TransportError(.address, "\(endpoint) can be reached from elsewhere; use 127.0.0.1 or [::1]")
    }
    let descriptor = socket(address.family, StreamOptions.socketType, 0)
    guard descriptor >= 0 else { throw .system("socket", errno, "cannot listen on \(endpoint)") }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, 16) == 0 else {
      let number = errno
      Glibc.close(descriptor)
      throw .system("bind", number, "cannot listen on \(endpoint)")
    }
    let (_, own) = SocketAddress.filled { getsockname(descriptor, $0, $1) }
    self.endpoint = own.endpoint ?? endpoint
    self.queue = queue
    self.descriptor = descriptor
    self.onConnection = onConnection
    source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    source.setEventHandler { [weak self] in self?.accept() }
    source.setCancelHandler { Glibc.close(descriptor) }
    source.resume()
  }

  deinit {
    if onConnection != nil { source.cancel() }
  }

  /// Ends all connections. Idempotent.
  public func close() {
    dispatchPrecondition(condition: .onQueue(queue))
    guard onConnection != nil else { return }
    onConnection = nil
    source.cancel()
    for connection in connections.values { connection.close() }
    connections = [:]
  }

  private func accept() {
    while let onConnection {
      let (accepted, _) = SocketAddress.filled { accept4(descriptor, $0, $1, StreamOptions.acceptFlags) }
      guard accepted >= 0 else {
        if errno == EINTR || errno == ECONNABORTED { continue }
        // Without descriptors the caller waits in the kernel's queue until the next one comes.
        return
      }
      guard connections.count < Self.connectionsMaximum else {
        Glibc.close(accepted)
        continue
      }
      StreamOptions.set(accepted)
      let connection = LoopbackConnection(SocketChannel(descriptor: accepted, queue: queue))
      let id = ObjectIdentifier(connection)
      connections[id] = connection
      onConnection(connection)
      connection.start { [weak self] in self?.connections[id] = nil }
    }
  }
}

/// One program that is connected.
///
/// `@unchecked Sendable`: all state is touched on the queue only, which every entry checks.
public final class LoopbackConnection: @unchecked Sendable {
  /// What came, in pieces; called on the queue. Both are let go of at the end.
  public var onBytes: ([UInt8]) -> Void = { _ in }
  public var onClosed: () -> Void = {}
  public private(set) var isClosed = false

  /// Unsent bytes with which a program that does not read is sent away.
  public static let unsentMaximum = 4_194_304
  private static let batchBytes = 65_536

  private let channel: SocketChannel
  private var onOver: () -> Void = {}
  private var unsent: [UInt8] = []
  private var isWriting = false

  init(_ channel: SocketChannel) { self.channel = channel }

  func start(onOver: @escaping () -> Void) {
    self.onOver = onOver
    channel.onReadable = { [unowned self] in readable() }
    channel.onWritable = { [unowned self] in writable() }
    if !isClosed { channel.setReading(true) }
  }

  /// Whether more is wanted now.
  public func setReading(_ wanted: Bool) {
    guard !isClosed else { return }
    channel.setReading(wanted)
    if wanted { channel.readAgain() }
  }

  public func send(_ bytes: [UInt8]) {
    dispatchPrecondition(condition: .onQueue(channel.queue))
    guard !isClosed else { return }
    unsent += bytes
    guard unsent.count <= Self.unsentMaximum else { return close() }
    if !isWriting { writable() }
  }

  /// Ends it at once. Idempotent.
  public func close() {
    dispatchPrecondition(condition: .onQueue(channel.queue))
    guard !isClosed else { return }
    isClosed = true
    channel.cancel()
    let (told, over) = (onClosed, onOver)
    onBytes = { _ in }
    onClosed = {}
    onOver = {}
    told()
    over()
  }

  private func readable() {
    let bytes = [UInt8](unsafeUninitializedCapacity: Self.batchBytes) { buffer, count in
      switch channel.receive(into: UnsafeMutableRawBufferPointer(buffer)) {
      case .moved(let received): count = received
      case .wouldBlock: count = 0
      case .ended, .failed:
        count = 0
        close()
      }
    }
    guard !bytes.isEmpty, !isClosed else { return }
    onBytes(bytes)
    channel.readAgain()
  }

  private func writable() {
    guard !isClosed else { return }
    isWriting = false
    _ = channel.setWriting(false)
    while !unsent.isEmpty {
      switch unsent.withUnsafeBytes({ channel.transmit($0) }) {
      case .moved(let count): unsent.removeFirst(count)
      case .wouldBlock:
        isWriting = true
        guard channel.setWriting(true) else { return close() }
        return
      case .ended, .failed: return close()
      }
    }
  }
}
