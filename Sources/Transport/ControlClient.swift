private import Glibc

/// Asks the node of this profile, over its control socket. Blocking: it is for a command that has nothing else to do.
public struct ControlClient: ~Copyable {
  private let descriptor: Int32
  private var decoder = FrameDecoder()
  private var frames: ArraySlice<Frame> = []

  /// Connects; throws `.refused` when no node listens there, `.address` for a path that cannot be one.
  public static func connect(_ path: String) throws(TransportError) -> ControlClient {
    ControlClient(descriptor: try ControlSocket.connect(to: path))
  }

  private init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// Sends a request and waits for its final answer; `onFrame` gets those before it. When `onFrame` throws, the call
  /// ends with that error and the connection is of no more use: let it go, and the node stops working on the request.
  ///
  /// - Throws: `.closed` when the node went away, `.protocolViolation` when it is no node.
  /// - Precondition: the type of the request is below 128.
  public mutating func call(_ request: Frame, onFrame: (Frame) throws -> Void = { _ in }) throws -> Frame {
    precondition(request.type < ControlSocket.moreFollows, "control type \(request.type)")
    try send(encodeFrame(request))
    while true {
      var frame = try next()
      guard frame.type & ControlSocket.moreFollows != 0 else { return frame }
      frame.type &= ~ControlSocket.moreFollows
      try onFrame(frame)
    }
  }

  private func send(_ bytes: [UInt8]) throws(TransportError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno != EINTR { throw .system("send", errno, "the node went away") }
      sent += max(0, count)
    }
  }

  private mutating func next() throws(TransportError) -> Frame {
    while true {
      if let frame = frames.popFirst() { return frame }
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: Self.readBytes) { buffer, filled in
        count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        filled = max(0, count)
      }
      if count == 0 { throw TransportError(.closed, "the node went away") }
      if count < 0, errno != EINTR { throw .system("recv", errno, "the node went away") }
      frames = try decoder.append(bytes)[...]
    }
  }

  private static let readBytes = 65_536
}
