import Dispatch
import Glibc
import Identity
import Transport

enum PeerEvent: Sendable {
  case ready(PublicKey)
  case frames([Frame])
  case closed(TransportError?)
  case drained
}

/// What a connection told, as a stream that a test can wait on.
struct PeerEvents: Sendable {
  let stream: AsyncStream<PeerEvent>
  let handlers: PeerHandlers

  init() {
    let (stream, continuation) = AsyncStream.makeStream(of: PeerEvent.self)
    self.stream = stream
    handlers = PeerHandlers(
      onReady: { continuation.yield(.ready($0)) },
      onFrames: { continuation.yield(.frames($0)) },
      onClosed: {
        continuation.yield(.closed($0))
        continuation.finish()
      },
      onDrained: { continuation.yield(.drained) })
  }

  /// The key of the next `ready`; nil when the connection ends before.
  func ready() async -> PublicKey? {
    for await event in stream {
      if case .ready(let key) = event { return key }
      if case .closed = event { return nil }
    }
    return nil
  }

  /// At least `count` frames, or those that came before the end.
  func frames(_ count: Int) async -> [Frame] {
    var frames: [Frame] = []
    guard count > 0 else { return [] }
    for await event in stream {
      if case .frames(let more) = event { frames += more }
      if frames.count >= count { break }
    }
    return frames
  }

  /// How the connection ended; nil for a clean end.
  func end() async -> TransportError? {
    for await event in stream {
      if case .closed(let error) = event { return error }
    }
    return TransportError(.closed, "the stream ended without an end")
  }
}

/// One side on its own queue.
final class Station: Sendable {
  let queue: DispatchQueue
  let context: PeerContext
  let key = SigningKey()

  init(_ change: (inout PeerLimits) -> Void = { _ in }) throws {
    queue = DispatchQueue(label: "station")
    var limits = PeerLimits()
    change(&limits)
    context = PeerContext(queue: queue, identity: try TLSIdentity(key), limits: limits)
  }

  /// Runs on the queue, as an owner does.
  func on<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Swift.Result { try body() }) }
    }
  }

  /// A listener, and what it accepts.
  func listen() async throws -> (listener: PeerListener, accepted: AsyncStream<(PeerConnection, PeerEvents)>) {
    let (stream, continuation) = AsyncStream.makeStream(of: (PeerConnection, PeerEvents).self)
    let listener = try await on { [context] in
      try PeerListener(on: PeerAddress("127.0.0.1:0", for: .listening), in: context) { connection in
        let events = PeerEvents()
        continuation.yield((connection, events))
        return events.handlers
      }
    }
    return (listener, stream)
  }

  func connect(
    to address: PeerAddress, expecting: PublicKey? = nil
  ) async throws -> (connection: PeerConnection, events: PeerEvents) {
    let events = PeerEvents()
    let connection = try await on { [context] in
      PeerConnector.connect(to: address, expecting: expecting, in: context, handlers: events.handlers)
    }
    return (connection, events)
  }
}

extension AsyncSequence {
  func first() async rethrows -> Element? {
    for try await element in self { return element }
    return nil
  }
}

/// A bare TCP connection to a port of this machine, blocking.
func plainConnect(_ port: UInt16) -> Int32 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  let result = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
  precondition(result == 0, "connect: \(errno)")
  return descriptor
}

/// Blocks until the other side ends the connection, or ten seconds have passed; false for the latter.
func waitForEnd(_ descriptor: Int32) -> Bool {
  var limit = timeval(tv_sec: 10, tv_usec: 0)
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  var buffer = [UInt8](repeating: 0, count: 4_096)
  while true {
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count == 0 { return true }
    if count < 0 { return errno == ECONNRESET }
  }
}

/// Sockets that this process has open.
func openSockets() -> Int {
  guard let directory = opendir("/proc/self/fd") else { return -1 }
  defer { closedir(directory) }
  var count = 0
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    var target = [UInt8](repeating: 0, count: 64)
    let length = target.withUnsafeMutableBytes {
      readlink("/proc/self/fd/" + name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    if length > 0, target.prefix(length).starts(with: "socket:".utf8) { count += 1 }
  }
  return count
}
