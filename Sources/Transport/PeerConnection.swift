import Dispatch
import Glibc
public import Identity
public import Primitives

/// What a connection tells its owner, on the queue of its context. All of them are let go when it ends.
public struct PeerHandlers: Sendable {
  /// The connection stands, with the peer's node key. First of all, and at most once.
  public var onReady: @Sendable (PublicKey) -> Void
  /// Frames in order, those of one read together; never empty.
  public var onFrames: @Sendable ([Frame]) -> Void
  /// The last call, exactly once: nil after a close_notify or our own `close`, else why it ended.
  public var onClosed: @Sendable (TransportError?) -> Void
  /// The unsent bytes fell below the low-water mark.
  public var onDrained: @Sendable () -> Void

  public init(
    onReady: @escaping @Sendable (PublicKey) -> Void = { _ in },
    onFrames: @escaping @Sendable ([Frame]) -> Void = { _ in },
    onClosed: @escaping @Sendable (TransportError?) -> Void = { _ in },
    onDrained: @escaping @Sendable () -> Void = {}
  ) {
    self.onReady = onReady
    self.onFrames = onFrames
    self.onClosed = onClosed
    self.onDrained = onDrained
  }
}

/// Bytes of one connection so far.
public struct PeerCounters: Sendable, Hashable {
  /// TLS bytes up to the end of the handshake.
  public var handshakeBytesSent = 0
  public var handshakeBytesReceived = 0
  /// Frames inside TLS.
  public var applicationBytesSent = 0
  public var applicationBytesReceived = 0
  /// All bytes of the TCP stream.
  public var wireBytesSent = 0
  public var wireBytesReceived = 0

  public init() {}
}

/// A TLS connection to one peer, carrying frames.
///
/// It lives until it is closed by either side, whether or not somebody holds it. Frames may be sent before it stands;
/// they leave when it does.
/// `@unchecked Sendable`: all state is touched on `context.queue` only, which every entry checks.
public final class PeerConnection: @unchecked Sendable {
  public let context: PeerContext
  public let role: TLSEngine.Role
  /// The other side's address as dialled or seen, for people.
  public let remote: String
  /// The other side's address as the system has it, once TCP stands.
  public private(set) var remoteAddress: IPAddress?

  enum State {
    case connecting  // TCP
    case handshaking
    case open
    case flushing  // close() was called: the queue and our close_notify are on their way
    case lingering  // all is sent; what comes is thrown away, lest a reset destroys what the peer has not read
    case closed
  }

  private(set) var state = State.connecting
  private var handlers: PeerHandlers?
  private var channel: SocketChannel?
  private var engine: TLSEngine?
  private let expected: PublicKey?
  private var decoder = FrameDecoder()
  private var queue = SendQueue()
  private var isReadingPaused = false
  private var isPumpScheduled = false
  private var isAboveLowWater = false
  private var wireBytesSent = 0
  private var wireBytesReceived = 0
  private var finalCounters: PeerCounters?
  private var timer: (any DispatchSourceTimer)?
  private var isStallWatched = false
  private var progressMark = (bytes: 0, at: Instant(nanoseconds: 0))

  /// When bytes last arrived; when the connection was made, if none did. Idleness is the owner's business.
  public private(set) var lastReceived: Instant
  /// The peer's node key, once the connection stands.
  public private(set) var peerKey: PublicKey?

  /// Called once when the handshake is over and once at the end, in whatever way: for accounts of a listener or dial.
  var onHandshakeOver: (() -> Void)?
  var onOver: (() -> Void)?

  init(context: PeerContext, role: TLSEngine.Role, remote: String, expecting: PublicKey?, handlers: PeerHandlers?) {
    self.context = context
    self.role = role
    self.remote = remote
    self.handlers = handlers
    expected = expecting
    lastReceived = monotonicNow()
  }

  // MARK: For the owner

  /// Whether frames can be sent and have not been stopped by `close` or an end.
  public var isOpen: Bool {
    check()
    return state == .open
  }

  /// Unsent bytes: frames and TLS output that the socket has not taken.
  public var pendingBytes: Int {
    check()
    return queue.byteCount + (engine?.outputByteCount ?? 0)
  }

  public var counters: PeerCounters {
    check()
    if let finalCounters { return finalCounters }
    var counters = PeerCounters()
    counters.handshakeBytesSent = engine?.handshakeBytesSent ?? 0
    counters.handshakeBytesReceived = engine?.handshakeBytesReceived ?? 0
    counters.applicationBytesSent = engine?.applicationBytesSent ?? 0
    counters.applicationBytesReceived = engine?.applicationBytesReceived ?? 0
    counters.wireBytesSent = wireBytesSent
    counters.wireBytesReceived = wireBytesReceived
    return counters
  }

  /// Queues frames; all sends of one turn of the queue leave together. Throws `.closed` after the end or `close`, and
  /// `.resources`, with nothing queued, for a body over `Frame.bodyMaximum` and when the unsent bytes would pass
  /// `pendingMaximum`; one send of any size is taken while they are below `lowWater`.
  public func send(_ frames: [Frame]) throws(TransportError) {
    check()
    switch state {
    case .connecting, .handshaking, .open: break
    case .flushing, .lingering, .closed: throw TransportError(.closed, "sent to a closed connection")
    }
    if let large = frames.first(where: { $0.body.count > Frame.bodyMaximum }) {
      throw TransportError(.resources, "a frame of type \(large.type) with \(large.body.count) bytes cannot be sent")
    }
    let pending = pendingBytes
    let more = frames.reduce(0) { $0 + $1.encodedByteCount }
    guard pending < context.limits.lowWater || pending + more <= context.limits.pendingMaximum else {
      throw TransportError(.resources, "\(pending) bytes wait for \(remote), no room for \(more) more")
    }
    queue.append(frames)
    if pending + more >= context.limits.lowWater { isAboveLowWater = true }
    schedulePump()
  }

  /// Reads no more until `resumeReading`; at most the frames of the read at hand still arrive.
  public func pauseReading() {
    check()
    isReadingPaused = true
    if state == .open { channel?.setReading(false) }
  }

  public func resumeReading() {
    check()
    isReadingPaused = false
    channel?.setReading(true)
    channel?.readAgain()
  }

  /// Sends what is queued, says goodbye and ends with `onClosed(nil)`; no frame is delivered any more. Idempotent.
  public func close() {
    check()
    switch state {
    case .connecting, .handshaking: finish(nil)
    case .open:
      state = .flushing
      channel?.setReading(true)
      schedulePump()
    case .flushing, .lingering, .closed: break
    }
  }

  /// Ends at once, without sending what is queued. Idempotent.
  public func abort(_ error: TransportError? = nil) {
    check()
    finish(error)
  }

  // MARK: Life

  func setHandlers(_ handlers: PeerHandlers) { self.handlers = handlers }

  /// Starts TLS over a connected channel.
  func adopt(_ channel: SocketChannel) {
    check()
    guard state == .connecting else { return channel.cancel() }
    self.channel = channel
    let (result, address) = SocketAddress.filled { getpeername(channel.descriptor, $0, $1) }
    remoteAddress = result == 0 ? address.endpoint?.address : nil
    do throws(TransportError) {
      engine = try TLSEngine(identity: context.identity, role: role, expecting: expected)
    } catch { return finish(error) }
    state = .handshaking
    channel.onReadable = { [unowned self] in readable() }
    channel.onWritable = { [unowned self] in writable() }
    // The channel's sources live until `finish`; with this they keep the connection, and no longer than that.
    keepAlive = self
    startTimer(context.limits.handshakeTimeout)
    channel.setReading(true)
    advanceHandshake()
  }

  private var keepAlive: PeerConnection?

  func finish(_ error: TransportError?) {
    guard state != .closed else { return }
    finalCounters = counters
    let wasHandshaking = state == .connecting || state == .handshaking
    state = .closed
    timer?.cancel()
    timer = nil
    channel?.cancel()
    channel = nil
    engine = nil
    queue = SendQueue()
    decoder = FrameDecoder()
    let handlers = handlers
    self.handlers = nil
    if wasHandshaking { onHandshakeOver?() }
    onOver?()
    onHandshakeOver = nil
    onOver = nil
    withExtendedLifetime(self) {
      keepAlive = nil
      handlers?.onClosed(error)
    }
  }

  /// After an error of TLS: its alert goes out if the socket takes it at once.
  private func fail(_ error: TransportError) {
    flushOnce()
    finish(error)
  }

  private func advanceHandshake() {
    guard let engine else { return }
    do throws(TransportError) {
      let isDone = try engine.handshake()
      guard isDone, let key = engine.peerKey else { return flushHandshake() }
      state = .open
      peerKey = key
      stopTimer()
      channel?.setReading(!isReadingPaused)
      flushHandshake()
      guard state == .open else { return }
      onHandshakeOver?()
      onHandshakeOver = nil
      handlers?.onReady(key)
    } catch { return fail(error) }
    schedulePump()
    if state == .open { decrypt() }  // the last flight may have brought frames along
  }

  private func flushHandshake() {
    if case .failed(let number) = flushOutput() { finish(endError(.system("send", number, "\(remote) went away"))) }
  }

  // MARK: Reading

  private func readable() {
    for _ in 0..<Self.readsPerEvent {
      guard let channel else { return }
      let isHandshaking = state == .handshaking
      let space = isHandshaking ? Self.handshakeReadBytes : context.received.count
      let buffer = UnsafeMutableRawBufferPointer(rebasing: context.received[..<space])
      switch channel.receive(into: buffer) {
      case .moved(let count):
        wireBytesReceived += count
        lastReceived = monotonicNow()
        take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        if isReadingPaused { return }
      case .wouldBlock: return
      case .ended: return streamEnded()
      case .failed(let number): return finish(endError(.system("recv", number, "\(remote) went away")))
      }
    }
    channel?.readAgain()
  }

  private func take(_ bytes: UnsafeRawBufferPointer) {
    guard let engine, state != .lingering else { return }
    do throws(TransportError) { try engine.feed(bytes) } catch { return fail(error) }
    if state == .handshaking { advanceHandshake() } else { decrypt() }
  }

  /// Delivers everything that was fed, so that nothing lies in TLS between events.
  private func decrypt() {
    var frames: [Frame] = []
    var ending: Result<TLSEngine.ReadResult, TransportError> = .success(.needsInput)
    do throws(TransportError) {
      ending = .success(try decrypt(into: &frames))
    } catch { ending = .failure(error) }
    if state == .open, !frames.isEmpty { handlers?.onFrames(frames) }
    switch ending {
    case .failure(let error): if state != .closed { fail(error) }
    case .success(.closed): if state != .closed { peerClosed() }
    case .success(.needsInput), .success(.bytes): break
    }
  }

  private func decrypt(into frames: inout [Frame]) throws(TransportError) -> TLSEngine.ReadResult {
    guard let engine else { return .needsInput }
    while true {
      var filled = 0
      var result = TLSEngine.ReadResult.bytes(0)
      while case .bytes = result, context.plain.count - filled >= Self.recordBytes {
        result = try engine.read(into: UnsafeMutableRawBufferPointer(rebasing: context.plain[filled...]))
        if case .bytes(let count) = result { filled += count }
      }
      let bytes = UnsafeRawBufferPointer(rebasing: context.plain[..<filled])
      if state == .open { try decoder.append(bytes.bytes, into: &frames) }
      if case .bytes = result { continue }
      return result
    }
  }

  private func peerClosed() {
    guard decoder.isBetweenFrames || state != .open else {
      return fail(TransportError(.protocolViolation, "\(remote) closed inside a frame"))
    }
    engine?.close()
    flushOnce()
    finish(nil)
  }

  private func streamEnded() {
    switch state {
    case .flushing, .lingering: finish(nil)
    case .handshaking: finish(TransportError(.handshake, "\(remote) closed during the handshake"))
    case .connecting, .open, .closed: finish(TransportError(.closed, "\(remote) closed without saying so"))
    }
  }

  /// What an error of the socket means now: after our farewell it means nothing.
  private func endError(_ error: TransportError) -> TransportError? {
    switch state {
    case .lingering: nil
    case .handshaking: TransportError(.handshake, "\(remote) broke off the handshake", cause: error.cause)
    case .connecting, .open, .flushing, .closed: error
    }
  }

  // MARK: Writing

  private func writable() {
    _ = channel?.setWriting(false)
    if state == .handshaking { flushHandshake() } else { pump() }
  }

  private func schedulePump() {
    guard !isPumpScheduled, !queue.isEmpty || state == .flushing, state == .open || state == .flushing else { return }
    isPumpScheduled = true
    context.queue.async { [self] in
      isPumpScheduled = false
      pump()
    }
  }

  /// Encrypts and sends in batches until the socket is full or nothing is left.
  private func pump() {
    guard state == .open || state == .flushing, let engine else { return }
    var moved = 0
    loop: while true {
      switch flushOutput() {
      case .failed(let number): return finish(endError(.system("send", number, "\(remote) went away")))
      case .wouldBlock: break loop
      case .moved, .ended: break
      }
      if queue.isEmpty { break }
      if moved >= Self.sendBytesPerTurn {
        schedulePump()
        break
      }
      let count = queue.copy(into: context.staged)
      moved += count
      do throws(TransportError) {
        try engine.write(UnsafeRawBufferPointer(rebasing: context.staged[..<count]))
      } catch { return fail(error) }
    }
    let pending = pendingBytes
    watchStall(pending)
    if isAboveLowWater, pending < context.limits.lowWater {
      isAboveLowWater = false
      handlers?.onDrained()
    }
    if state == .flushing, pending == 0 { sayGoodbye() }
  }

  /// Sends TLS output; asks for a call when the socket takes no more.
  private func flushOutput() -> SocketChannel.Transfer {
    guard let engine, let channel else { return .ended }
    var last = SocketChannel.Transfer.moved(0)
    while engine.outputByteCount > 0 {
      engine.consumeOutput { bytes in
        last = channel.transmit(bytes)
        guard case .moved(let count) = last else { return 0 }
        wireBytesSent += count
        return count
      }
      if case .moved = last { continue }
      if case .wouldBlock = last, !channel.setWriting(true) { last = .failed(EMFILE) }
      break
    }
    return last
  }

  private func flushOnce() { _ = flushOutput() }

  private func sayGoodbye() {
    engine?.close()
    flushOnce()
    guard engine?.outputByteCount == 0 else { return watchStall(pendingBytes) }
    _ = channel?.setWriting(false)
    channel?.endWriting()
    state = .lingering
    startTimer(context.limits.closeTimeout)
  }

  // MARK: Time

  private func startTimer(_ delay: Duration) {
    let timer = timer ?? makeTimer()
    self.timer = timer
    timer.schedule(deadline: .now() + delay.dispatchInterval, leeway: .milliseconds(10))
  }

  private func stopTimer() {
    timer?.schedule(deadline: .distantFuture)
    isStallWatched = false
  }

  private func makeTimer() -> any DispatchSourceTimer {
    let timer = DispatchSource.makeTimerSource(queue: context.queue)
    timer.setEventHandler { [weak self] in self?.timeout() }
    timer.activate()
    return timer
  }

  private func watchStall(_ pending: Int) {
    if pending == 0 {
      if isStallWatched { stopTimer() }
    } else if !isStallWatched {
      isStallWatched = true
      progressMark = (wireBytesSent, monotonicNow())
      startTimer(context.limits.stallTimeout)
    } else if wireBytesSent - progressMark.bytes >= context.limits.progressMinimum {
      progressMark = (wireBytesSent, monotonicNow())
    }
  }

  private func timeout() {
    switch state {
    case .connecting, .closed: break
    case .handshaking: fail(TransportError(.timedOut, "\(remote) did not finish the handshake in time"))
    case .open, .flushing:
      guard isStallWatched else { return }
      let left = progressMark.at + context.limits.stallTimeout - monotonicNow()
      guard left > .zero else {
        return finish(TransportError(.timedOut, "\(remote) does not read what it is sent"))
      }
      startTimer(left)
    case .lingering: finish(nil)
    }
  }

  private func check() { dispatchPrecondition(condition: .onQueue(context.queue)) }

  /// Reads of one event, so that one busy peer does not keep the others waiting.
  private static let readsPerEvent = 4
  private static let handshakeReadBytes = 16_384
  private static let sendBytesPerTurn = 1_048_576
  /// Most plain bytes of one TLS record (RFC 8446 §5.1).
  private static let recordBytes = 16_384
}

extension Duration {
  /// For timers; up to some centuries.
  var dispatchInterval: DispatchTimeInterval {
    .nanoseconds(Int(components.seconds) * 1_000_000_000 + Int(components.attoseconds / 1_000_000_000))
  }
}
