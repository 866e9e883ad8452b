public import Primitives

/// A message of the voidphone DHT API (TUM peer-to-peer course; schemas/dht.md): big endian, size u16 of the whole, type u16.
public enum VoidphoneMessage: Hashable, Sendable {
  /// 650: store this. `lifetime` in seconds and `copies` are hints, 0 for none. There is no answer.
  case put(key: [UInt8], value: [UInt8], lifetime: UInt16, copies: UInt8)
  /// 651: who has this? Answered by one of the two below, in no particular order.
  case get(key: [UInt8])
  /// 652
  case success(key: [UInt8], value: [UInt8])
  /// 653: nobody has it.
  case failure(key: [UInt8])

  public static let keyByteCount = 32
  /// What fits a `.success`.
  public static let valueByteCountMaximum = 65_535 - 4 - keyByteCount

  /// - Precondition: keys of 32 bytes; a value that fits.
  public var bytes: [UInt8] {
    let type: UInt16
    var body: [UInt8] = []
    switch self {
    case .put(let key, let value, let lifetime, let copies):
      type = 650
      body = [UInt8(lifetime >> 8), UInt8(truncatingIfNeeded: lifetime), copies, 0] + key + value
    case .get(let key):
      type = 651
      body = key
    case .success(let key, let value):
      type = 652
      body = key + value
    case .failure(let key):
      type = 653
      body = key
    }
    let size = 4 + body.count
    precondition(size <= 65_535, "a message of \(size) bytes")
    return [UInt8(size >> 8), UInt8(size & 0xFF), UInt8(type >> 8), UInt8(type & 0xFF)] + body
  }

  /// Reads what follows size and type.
  init(type: UInt16, body: ArraySlice<UInt8>) throws(ByteError) {
    func key(_ bytes: ArraySlice<UInt8>) -> [UInt8] { Array(bytes.prefix(Self.keyByteCount)) }
    switch (type, body.count) {
    case (650, (4 + Self.keyByteCount)...):
      let lifetime = body.prefix(2).reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
      let rest = body.dropFirst(4)
      self = .put(
        key: key(rest), value: Array(rest.dropFirst(Self.keyByteCount)), lifetime: lifetime,
        copies: body[body.startIndex + 2])
    case (651, Self.keyByteCount): self = .get(key: key(body))
    case (652, Self.keyByteCount...): self = .success(key: key(body), value: Array(body.dropFirst(Self.keyByteCount)))
    case (653, Self.keyByteCount): self = .failure(key: key(body))
    default: throw ByteError(at: 0, "a message of type \(type) with \(body.count) bytes")
    }
  }
}

/// Makes messages of a stream of bytes, in whatever pieces they come.
public struct VoidphoneDecoder: Sendable {
  private var pending: [UInt8] = []
  /// Where the next message begins.
  private var start = 0

  public init() {}

  /// The messages that are whole now, and what is wrong with the one after them; after a fault the stream cannot be read on.
  public mutating func append(_ bytes: [UInt8]) -> (messages: [VoidphoneMessage], fault: ByteError?) {
    pending += bytes
    var messages: [VoidphoneMessage] = []
    do throws(ByteError) {
      while let message = try next() { messages.append(message) }
    } catch {
      return (messages, error)
    }
    pending.removeFirst(start)
    start = 0
    return (messages, nil)
  }

  private mutating func next() throws(ByteError) -> VoidphoneMessage? {
    guard pending.count - start >= 4 else { return nil }
    let size = Int(pending[start]) << 8 | Int(pending[start + 1])
    guard size >= 4 else { throw ByteError(at: start, "a message of \(size) bytes") }
    let type = UInt16(pending[start + 2]) << 8 | UInt16(pending[start + 3])
    // A type that is none need not be waited for.
    guard (650...653).contains(type) else { throw ByteError(at: start + 2, "type \(type)") }
    guard pending.count - start >= size else { return nil }
    let message = try VoidphoneMessage(type: type, body: pending[(start + 4)..<(start + size)])
    start += size
    return message
  }
}
