/// One message between two programs: a type and its bytes.
///
/// On the wire: length u32 big endian (of type and body, from 1 to `lengthMaximum`) ‖ type u8 ‖ body.
public struct Frame: Hashable, Sendable {
  public var type: UInt8
  public var body: [UInt8]

  public init(type: UInt8, body: [UInt8] = []) {
    self.type = type
    self.body = body
  }

  /// Most bytes that type and body may have together: 1 MiB of content and some room for its envelope.
  public static let lengthMaximum = 1_048_576 + 64
  /// Most bytes of a body.
  public static let bodyMaximum = lengthMaximum - 1
  /// Bytes before the body: the length and the type.
  public static let headerByteCount = 5

  /// Bytes of the frame on the wire.
  public var encodedByteCount: Int { Self.headerByteCount + body.count }

  /// The five bytes before the body, the first of them in the highest byte used.
  /// - Precondition: the body is not over `bodyMaximum`; longer ones are a fault of ours.
  var header: (UInt8, UInt8, UInt8, UInt8, UInt8) {
    precondition(body.count <= Self.bodyMaximum, "frame of type \(type) with \(body.count) bytes")
    let length = UInt32(body.count + 1)
    return (
      UInt8(length >> 24), UInt8(truncatingIfNeeded: length >> 16), UInt8(truncatingIfNeeded: length >> 8),
      UInt8(truncatingIfNeeded: length), type
    )
  }
}

/// The frame as it travels.
/// - Precondition: the body is not over `Frame.bodyMaximum`.
public func encodeFrame(_ frame: Frame) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(frame.encodedByteCount)
  appendFrame(frame, to: &bytes)
  return bytes
}

/// As `encodeFrame`, behind what `bytes` holds already.
public func appendFrame(_ frame: Frame, to bytes: inout [UInt8]) {
  withUnsafeBytes(of: frame.header) { bytes.append(contentsOf: $0) }
  bytes.append(contentsOf: frame.body)
}

/// Cuts a stream into frames, however the stream was cut into reads.
///
/// Pure. Every byte is copied once, into the body it belongs to; what is held is at most one unfinished body, and of
/// that no more than was received plus `reserveMaximum`. After an error the stream has no meaning any more: the same
/// error comes again.
public struct FrameDecoder: Sendable {
  /// Space set aside on the word of a length alone, before the bytes are there.
  public static let reserveMaximum = 131_072

  private var headerCount = 0  // bytes of the header that have arrived: 0...4, as at 5 the body begins
  private var headerBits: UInt64 = 0  // these bytes, the newest lowest
  private var type: UInt8 = 0
  private var body: [UInt8] = []
  private var missing = 0  // bytes of the body still to come; above 0 only inside a body
  private var failure: TransportError?

  public init() {}

  /// Bytes of an unfinished frame that are held.
  public var bufferedByteCount: Int { missing > 0 ? Frame.headerByteCount + body.count : headerCount }

  /// Whether the stream may end here without cutting a frame.
  public var isBetweenFrames: Bool { headerCount == 0 && missing == 0 && failure == nil }

  public mutating func append(_ bytes: [UInt8]) throws(TransportError) -> [Frame] {
    var frames: [Frame] = []
    try append(bytes.span.bytes, into: &frames)
    return frames
  }

  /// Takes the next bytes of the stream and adds the frames that they complete to `frames`; those before an error
  /// are added too.
  public mutating func append(_ bytes: RawSpan, into frames: inout [Frame]) throws(TransportError) {
    if let failure { throw failure }
    var offset = 0
    while offset < bytes.byteCount {
      if missing > 0 {
        offset += fillBody(bytes, from: offset, into: &frames)
      } else if headerCount == 0, bytes.byteCount - offset >= Frame.headerByteCount {
        let length = UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
        try check(length)
        let type = bytes.unsafeLoadUnaligned(fromByteOffset: offset + 4, as: UInt8.self)
        offset += Frame.headerByteCount
        beginBody(type, Int(length) - 1, into: &frames)
      } else {
        headerBits = headerBits << 8 | UInt64(bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self))
        headerCount += 1
        offset += 1
        if headerCount == 4 { try check(UInt32(truncatingIfNeeded: headerBits)) }
        if headerCount == Frame.headerByteCount {
          let length = Int(UInt32(truncatingIfNeeded: headerBits >> 8))
          let type = UInt8(truncatingIfNeeded: headerBits)
          headerCount = 0
          headerBits = 0
          beginBody(type, length - 1, into: &frames)
        }
      }
    }
  }

  private mutating func check(_ length: UInt32) throws(TransportError) {
    guard length >= 1, length <= UInt32(Frame.lengthMaximum) else {
      let error = TransportError(
        .protocolViolation,
        length == 0 ? "frame of length zero" : "frame of \(length) bytes, over \(Frame.lengthMaximum)")
      failure = error
      body = []
      throw error
    }
  }

  private mutating func beginBody(_ type: UInt8, _ count: Int, into frames: inout [Frame]) {
    guard count > 0 else {
      frames.append(Frame(type: type))
      return
    }
    self.type = type
    missing = count
    body = []
    body.reserveCapacity(min(count, Self.reserveMaximum))
  }

  /// Moves what belongs to the body, and says how many bytes that was.
  private mutating func fillBody(_ bytes: RawSpan, from offset: Int, into frames: inout [Frame]) -> Int {
    let count = min(missing, bytes.byteCount - offset)
    bytes.extracting(offset..<(offset + count)).withUnsafeBytes { body.append(contentsOf: $0) }
    missing -= count
    if missing == 0 {
      frames.append(Frame(type: type, body: body))
      body = []
    }
    return count
  }
}
