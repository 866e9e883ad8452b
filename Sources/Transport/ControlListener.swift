import CLinux
public import Dispatch
import Glibc

/// Answers a request from the control socket: any number of frames through the reply, then the one returned.
///
/// The task is cancelled when the asker goes away. It is in nobody's isolation: the handler hops to where it works.
public typealias ControlHandler = @Sendable (_ request: Frame, _ reply: ControlReply) async -> Frame

/// The node's socket for commands of the same user (DESIGN §5): frames, one request at a time on each connection.
///
/// A response that is followed by another has 128 added to its type; types are therefore below 128.
/// `@unchecked Sendable`: all state is touched on `queue` only, which every entry checks.
public final class ControlListener: @unchecked Sendable {
  /// Most commands that are connected at one time.
  public static let connectionsMaximum = 64

  private let path: String
  private let queue: DispatchQueue
  private let inode: ino_t
  private let descriptor: Int32
  private let source: any DispatchSourceRead
  private var handler: ControlHandler?
  private var connections: [ObjectIdentifier: ControlConnection] = [:]
  private var retryTimer: (any DispatchSourceTimer)?

  /// Makes the socket 0600 in a directory that is, or becomes, 0700; call it on the queue, with the profile's write
  /// lock held. Paths may be longer than the 107 bytes of a socket address.
  ///
  /// - Throws: `.address` when another node listens there, when the directory is open to others, and for a path that
  ///   cannot be a socket.
  public init(path: String, queue: DispatchQueue, handler: @escaping ControlHandler) throws(TransportError) {
    dispatchPrecondition(condition: .onQueue(queue))
    let (descriptor, inode) = try ControlSocket.listen(at: path)
    self.path = path
    self.queue = queue
    self.handler = handler
    self.descriptor = descriptor
    self.inode = inode
    source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    source.setEventHandler { [weak self] in self?.accept() }
    source.setCancelHandler { Glibc.close(descriptor) }
    source.resume()
  }

  deinit {
    if handler != nil { end() }
  }

  /// Removes the socket, and ends the connections and their tasks. Idempotent.
  public func close() {
    dispatchPrecondition(condition: .onQueue(queue))
    guard handler != nil else { return }
    handler = nil
    end()
  }

  private func end() {
    ControlSocket.remove(path, inode: inode)
    // Callers are refused from here on; the descriptor itself goes when Dispatch has let go of it.
    shutdown(descriptor, Int32(SHUT_RDWR))
    source.cancel()
    if let retryTimer {
      source.resume()
      retryTimer.cancel()
    }
    retryTimer = nil
    for connection in connections.values { connection.close() }
    connections = [:]
  }

  private func accept() {
    while let handler {
      let (accepted, _) = SocketAddress.filled { accept4(descriptor, $0, $1, StreamOptions.acceptFlags) }
      guard accepted >= 0 else {
        switch errno {
        case EINTR, ECONNABORTED: continue
        case EAGAIN: return
        default: return waitForResources()
        }
      }
      guard ControlSocket.isOurs(accepted), connections.count < Self.connectionsMaximum else {
        Glibc.close(accepted)
        continue
      }
      let connection = ControlConnection(SocketChannel(descriptor: accepted, queue: queue), handler)
      connections[ObjectIdentifier(connection)] = connection
      connection.start { [weak self, id = ObjectIdentifier(connection)] in self?.connections[id] = nil }
    }
  }

  /// As in `PeerListener`: no event is asked for until there may be descriptors again.
  private func waitForResources() {
    source.suspend()
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.setEventHandler { [weak self] in
      guard let self, self.retryTimer != nil else { return }
      self.retryTimer?.cancel()
      self.retryTimer = nil
      self.source.resume()
    }
    timer.schedule(deadline: .now() + .milliseconds(250))
    timer.activate()
    retryTimer = timer
  }
}

/// Where a handler sends what comes before its final answer.
public struct ControlReply: Sendable {
  let connection: ControlConnection

  /// Sends a frame, and waits while the asker has much to read; throws `.closed` when it is gone and
  /// `.resources` for a body over `Frame.bodyMaximum`.
  /// - Precondition: the type is below 128.
  public func send(_ frame: Frame) async throws(TransportError) {
    precondition(frame.type < ControlSocket.moreFollows, "control type \(frame.type)")
    guard frame.body.count <= Frame.bodyMaximum else {
      throw TransportError(.resources, "an answer of \(frame.body.count) bytes")
    }
    guard await connection.send(Frame(type: frame.type | ControlSocket.moreFollows, body: frame.body)) else {
      throw TransportError(.closed, "the command went away")
    }
  }
}

/// One command that is connected.
///
/// `@unchecked Sendable`: all state is touched on the channel's queue only.
final class ControlConnection: @unchecked Sendable {
  private let channel: SocketChannel
  private var handler: ControlHandler?
  private var onOver: (() -> Void)?
  private var decoder = FrameDecoder()
  private var queue = SendQueue()
  private var unsent: ArraySlice<UInt8> = []
  private var task: Task<Void, Never>?
  private var waiting: [CheckedContinuation<Bool, Never>] = []
  private var isClosed = false

  /// Unsent bytes above which a handler waits.
  private static let highWater = 1_048_576
  private static let batchBytes = 65_536

  init(_ channel: SocketChannel, _ handler: @escaping ControlHandler) {
    self.channel = channel
    self.handler = handler
  }

  func start(onOver: @escaping () -> Void) {
    self.onOver = onOver
    channel.onReadable = { [unowned self] in readable() }
    channel.onWritable = { [unowned self] in writable() }
    channel.setReading(true)
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    channel.cancel()
    task?.cancel()
    task = nil
    handler = nil
    for continuation in waiting { continuation.resume(returning: false) }
    waiting = []
    onOver?()
    onOver = nil
  }

  /// False when the asker is gone. Called from the handler's task.
  func send(_ frame: Frame) async -> Bool {
    await withCheckedContinuation { continuation in
      channel.queue.async { [self] in
        guard !isClosed else { return continuation.resume(returning: false) }
        waiting.append(continuation)
        queue.append([frame])
        writable()
      }
    }
  }

  private func readable() {
    withUnsafeTemporaryAllocation(byteCount: Self.batchBytes, alignment: 1) { buffer in
      switch channel.receive(into: buffer) {
      case .moved(let count):
        do throws(TransportError) {
          var frames: [Frame] = []
          try decoder.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]).bytes, into: &frames)
          for frame in frames { begin(frame) }
          channel.readAgain()
        } catch { close() }
      case .wouldBlock: break
      case .ended, .failed: close()
      }
    }
  }

  private func begin(_ request: Frame) {
    // One request at a time, of a type that is one: whatever does else is no command of ours.
    guard task == nil, let handler, request.type < ControlSocket.moreFollows else { return close() }
    task = Task { [self] in
      let answer = await handler(request, ControlReply(connection: self))
      precondition(answer.type < ControlSocket.moreFollows, "control type \(answer.type)")
      channel.queue.async { [self] in
        guard !isClosed else { return }
        task = nil
        queue.append([answer])
        writable()
      }
    }
  }

  private func writable() {
    guard !isClosed else { return }
    _ = channel.setWriting(false)
    while !unsent.isEmpty || !queue.isEmpty {
      if unsent.isEmpty {
        unsent =
          [UInt8](unsafeUninitializedCapacity: Self.batchBytes) { buffer, count in
            count = queue.copy(into: UnsafeMutableRawBufferPointer(buffer))
          }[...]
      }
      switch unsent.withUnsafeBytes({ channel.transmit($0) }) {
      case .moved(let count): unsent = unsent.dropFirst(count)
      case .wouldBlock:
        guard channel.setWriting(true) else { return close() }
        return resumeWaiting()
      case .ended, .failed: return close()
      }
    }
    resumeWaiting()
  }

  private func resumeWaiting() {
    guard queue.byteCount + unsent.count < Self.highWater else { return }
    let ready = waiting
    waiting = []
    for continuation in ready { continuation.resume(returning: true) }
  }
}
