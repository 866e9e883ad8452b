public import Identity
public import Primitives

/// What an event does. Unknown kinds are kept and replicated, and not shown.
@frozen
public struct EventKind: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt8

  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let post = EventKind(rawValue: 1)
  public static let follow = EventKind(rawValue: 2)
  public static let unfollow = EventKind(rawValue: 3)
  public static let delete = EventKind(rawValue: 4)
  public static let profile = EventKind(rawValue: 5)
  public static let message = EventKind(rawValue: 6)
  public static let carry = EventKind(rawValue: 7)
  /// Reserved numbers.
  public static let like = EventKind(rawValue: 8)
  public static let repost = EventKind(rawValue: 9)
  public static let block = EventKind(rawValue: 10)
  public static let unblock = EventKind(rawValue: 11)
  public static let `private` = EventKind(rawValue: 12)

  /// The name used in JSON and on the command line; unknown kinds are `kind-N`.
  public var name: String {
    let names = [
      "", "post", "follow", "unfollow", "delete", "profile", "message", "carry", "like", "repost", "block", "unblock",
      "private",
    ]
    return rawValue > 0 && Int(rawValue) < names.count ? names[Int(rawValue)] : "kind-\(rawValue)"
  }
}

/// The 128 signed bytes of an event: everything needed to place, check and expire it.
///
/// Layout, big endian, exactly one BLAKE2b block (schemas/event.md):
/// ```
///   0 version u8 = 1 | 1 kind u8 | 2 flags u8 | 3 place u8 | 4 sequence u64 | 12 id u64
///  20 log 32 | 52 previous 32 | 84 payloadBytes u32 | 88 payloadHash 32 | 120 ttl u32 | 124 live u32
/// ```
public struct EventHeader: Hashable, Sendable {
  public static let byteCount = 128
  public static let version: UInt8 = 1
  /// Flag bit 0: the payload is encrypted. Unknown bits are kept.
  public static let encryptedFlag: UInt8 = 1
  /// Longest payload, salt included.
  public static let payloadBytesMaximum: UInt32 = 65_536

  public var kind: EventKind
  public var flags: UInt8
  /// Events before this one in its chunk.
  public var place: UInt8
  public var sequence: SequenceNumber
  public var id: EventID
  public var log: LogID
  /// The hash of the event before this one; the person id at sequence 1.
  public var previous: EventHash
  /// Length of the payload with its 8 bytes of salt; 0 for an event without payload.
  public var payloadBytes: UInt32
  public var payloadHash: Digest
  /// Lifetime in seconds from the id's time; 0 = does not expire.
  public var ttl: UInt32
  /// How many events before this one the author still vouches for.
  public var live: UInt32

  public init(
    kind: EventKind, flags: UInt8 = 0, place: UInt8, sequence: SequenceNumber, id: EventID, log: LogID,
    previous: EventHash, payloadBytes: UInt32, payloadHash: Digest, ttl: UInt32, live: UInt32
  ) {
    self.kind = kind
    self.flags = flags
    self.place = place
    self.sequence = sequence
    self.id = id
    self.log = log
    self.previous = previous
    self.payloadBytes = payloadBytes
    self.payloadHash = payloadHash
    self.ttl = ttl
    self.live = live
  }

  /// The lowest sequence number that the author still vouches for; 1 when the header claims more than exists.
  public var floor: SequenceNumber {
    SequenceNumber(sequence.rawValue > UInt64(live) ? sequence.rawValue - UInt64(live) : 1)
  }

  public var encoded: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
      write(to: UnsafeMutableRawBufferPointer(buffer))
      count = Self.byteCount
    }
  }

  public var hash: EventHash { EventHash(hashing: encoded) }
  public var reference: Reference { Reference(log: log, sequence: sequence, hash: hash) }

  /// Reads 128 bytes. Only the version and the length can be wrong here; `HeaderJudge` knows the other rules.
  public init(decoding bytes: [UInt8], at offset: Int = 0) throws(ByteError) {
    guard offset >= 0, bytes.count - offset >= Self.byteCount else {
      throw ByteError(at: bytes.count, "truncated header")
    }
    guard bytes[offset] == Self.version else { throw ByteError(at: offset, "event version \(bytes[offset])") }
    self = bytes.withUnsafeBytes {
      EventHeader(trusted: UnsafeRawBufferPointer(rebasing: $0[offset..<(offset + Self.byteCount)]))
    }
  }

  /// Reads a header that is known to be 128 bytes of version 1.
  package init(trusted buffer: UnsafeRawBufferPointer) {
    precondition(buffer.count == Self.byteCount, "\(buffer.count) bytes are no header")
    func integer<T: FixedWidthInteger>(_ offset: Int, _: T.Type = T.self) -> T {
      T(bigEndian: buffer.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    kind = EventKind(rawValue: buffer[1])
    flags = buffer[2]
    place = buffer[3]
    sequence = SequenceNumber(integer(4))
    id = EventID(rawValue: integer(12))
    log = buffer.loadUnaligned(fromByteOffset: 20, as: LogID.self)
    previous = buffer.loadUnaligned(fromByteOffset: 52, as: EventHash.self)
    payloadBytes = integer(84)
    payloadHash = buffer.loadUnaligned(fromByteOffset: 88, as: Digest.self)
    ttl = integer(120)
    live = integer(124)
  }

  /// - Precondition: the buffer has 128 bytes.
  package func write(to buffer: UnsafeMutableRawBufferPointer) {
    precondition(buffer.count >= Self.byteCount, "no room for a header in \(buffer.count) bytes")
    buffer[0] = Self.version
    buffer[1] = kind.rawValue
    buffer[2] = flags
    buffer[3] = place
    buffer.storeBytes(of: sequence.rawValue.bigEndian, toByteOffset: 4, as: UInt64.self)
    buffer.storeBytes(of: id.rawValue.bigEndian, toByteOffset: 12, as: UInt64.self)
    buffer.storeBytes(of: log, toByteOffset: 20, as: LogID.self)
    buffer.storeBytes(of: previous, toByteOffset: 52, as: EventHash.self)
    buffer.storeBytes(of: payloadBytes.bigEndian, toByteOffset: 84, as: UInt32.self)
    buffer.storeBytes(of: payloadHash, toByteOffset: 88, as: Digest.self)
    buffer.storeBytes(of: ttl.bigEndian, toByteOffset: 120, as: UInt32.self)
    buffer.storeBytes(of: live.bigEndian, toByteOffset: 124, as: UInt32.self)
  }
}

/// Why the payload of an event is not here. What a peer says of it is neither trusted nor punished.
@frozen
public enum Absence: UInt8, Hashable, Sendable {
  case expired = 1
  case deleted = 2
  /// Above what the replica's policy keeps.
  case policy = 3
  /// The replica never had it.
  case notHad = 4
}

/// The bytes of a payload, or why they are missing.
public enum Payload: Hashable, Sendable {
  /// 8 bytes of salt and the deterministic CBOR of the content.
  case present([UInt8])
  case absent(Absence)

  public var bytes: [UInt8]? { if case .present(let bytes) = self { bytes } else { nil } }
}

/// One event with what is held of it.
public struct Event: Hashable, Sendable {
  public var header: EventHeader
  public var payload: Payload

  public init(header: EventHeader, payload: Payload) {
    self.header = header
    self.payload = payload
  }
}

extension EventHeader {
  /// Signs "tl-event-v1\0" ‖ header with the device key.
  public func sign(with key: SigningKey) -> Signature { key.sign(encoded, in: .event) }

  public func isSigned(by signature: Signature) -> Bool { log.verifies(signature, of: encoded, in: .event) }

  /// Whether the payload is content in the clear. An event with any flag is kept and replicated, and not shown: the bits
  /// but the first are not known yet.
  @inlinable
  public var isPlain: Bool { flags == 0 }

  /// Whether `payload` is this event's, by length and hash.
  public func matches(_ payload: [UInt8]) -> Bool {
    payload.count == Int(payloadBytes) && Digest(hashing: payload) == payloadHash
  }

  /// The last moment at which the event has not expired: id time + ttl + 60 s (DESIGN §10). Nil when it never does.
  /// No bytes of a header can overflow here: an id holds less than 2⁴³ ms, a ttl less than 2⁴³.
  @inlinable
  public var lastsUntil: Timestamp? {
    ttl > 0 ? id.time.advanced(milliseconds: Int64(ttl) * 1000 + 60_000) : nil
  }

  /// By the store's own clock.
  @inlinable
  public func isExpired(at now: Timestamp) -> Bool { lastsUntil.map { $0 < now } ?? false }

  /// The time under which a post is shown: its own date where it has one, never after its id (DESIGN §6).
  @inlinable
  public func shownTime(written: Timestamp?) -> Timestamp { min(written ?? id.time, id.time) }
}
