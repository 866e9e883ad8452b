public import Identity
public import Primitives

/// What an event says, once its payload is parsed (schemas/event.cddl). Unknown keys are stepped over, so that later
/// versions can say more; the payload's bytes are kept as they came.
public enum EventContent: Hashable, Sendable {
  case post(Post)
  case follow(Follow)
  case unfollow(Unfollow)
  case delete(Reference)
  case profile(Profile)
  case carry(Carry)

  public struct Post: Hashable, Sendable {
    public var text: String
    public var replyTo: Reference?
    public var mentions: [PersonID]
    /// The post's own date where it is older than the event, as for an import; not after the id.
    public var written: Timestamp?
    public var source: Source?

    public init(
      text: String, replyTo: Reference? = nil, mentions: [PersonID] = [], written: Timestamp? = nil,
      source: Source? = nil
    ) {
      self.text = text
      self.replyTo = replyTo
      self.mentions = mentions
      self.written = written
      self.source = source
    }
  }

  /// Where an imported post came from; it makes a second import of the same line a no-op.
  public struct Source: Hashable, Sendable {
    public var feed: String
    /// BLAKE2b-256 of the line's identity, as the importer defines it.
    public var line: Digest

    public init(feed: String, line: Digest) {
      self.feed = feed
      self.line = line
    }
  }

  /// An event of one's own set, named by where it stands (an observed-remove set's dot).
  public struct Dot: Hashable, Comparable, Sendable {
    public var log: LogID
    public var sequence: SequenceNumber

    public init(log: LogID, sequence: SequenceNumber) {
      self.log = log
      self.sequence = sequence
    }

    public static func < (a: Dot, b: Dot) -> Bool { a.log != b.log ? a.log < b.log : a.sequence < b.sequence }
  }

  public struct Follow: Hashable, Sendable {
    public var person: PersonID
    /// The original add that this one renews.
    public var renews: Dot?

    public init(person: PersonID, renews: Dot? = nil) {
      self.person = person
      self.renews = renews
    }
  }

  public struct Unfollow: Hashable, Sendable {
    public var person: PersonID
    /// The original adds that were seen; their renewals are covered with them. In order, without repeats.
    public var dots: [Dot]

    public init(person: PersonID, dots: [Dot]) {
      self.person = person
      self.dots = dots
    }
  }

  public struct Profile: Hashable, Sendable {
    public var name: String?
    public var about: String?
    public var link: String?

    public init(name: String? = nil, about: String? = nil, link: String? = nil) {
      self.name = name
      self.about = about
      self.link = link
    }
  }

  /// An earlier post, profile or delete of the same person, kept alive by a later event. That its log is the person's
  /// is for the reader to check, who knows the person record.
  public struct Carry: Hashable, Sendable {
    public var header: EventHeader
    public var payload: [UInt8]

    public init(header: EventHeader, payload: [UInt8]) {
      self.header = header
      self.payload = payload
    }
  }

  public var kind: EventKind {
    switch self {
    case .post: .post
    case .follow: .follow
    case .unfollow: .unfollow
    case .delete: .delete
    case .profile: .profile
    case .carry: .carry
    }
  }
}

/// Named bounds of the contents, in bytes of UTF-8 or in items.
public enum ContentLimits {
  /// DESIGN §4.
  public static let textBytes = 8_192
  public static let mentions = 64
  /// Long enough for any URL in use.
  public static let feedBytes = 2_048
  public static let nameBytes = 128
  public static let aboutBytes = 2_048
  public static let linkBytes = 2_048
  /// Adds of one person that one remove can name; renewals are covered by their original.
  public static let dots = 512
  /// DESIGN §4: a carry holds at most 16 KiB.
  public static let carryBytes = 16_384
  /// Random bytes before the content, so that a hash left by a deletion cannot confirm a guess.
  public static let saltBytes = 8
}

extension EventContent {
  /// The payload: 8 bytes of salt and the deterministic CBOR.
  ///
  /// - Parameter salt: 8 random bytes.
  public func payload(salt: [UInt8]) -> [UInt8] {
    precondition(salt.count == ContentLimits.saltBytes, "\(salt.count) bytes of salt")
    var writer = CBORWriter(reserving: 160)
    writer.encoded(salt)
    switch self {
    case .post(let post): post.write(to: &writer)
    case .follow(let follow):
      writer.map(follow.renews == nil ? 1 : 2)
      writer.unsigned(1)
      writer.byteString(follow.person)
      if let dot = follow.renews {
        writer.unsigned(2)
        dot.write(to: &writer)
      }
    case .unfollow(let unfollow):
      writer.map(2)
      writer.unsigned(1)
      writer.byteString(unfollow.person)
      writer.unsigned(2)
      writer.array(unfollow.dots.count)
      for dot in unfollow.dots { dot.write(to: &writer) }
    case .delete(let reference):
      writer.map(1)
      writer.unsigned(1)
      reference.write(to: &writer)
    case .profile(let profile):
      let fields: [(UInt64, String)] = [(1, profile.name), (2, profile.about), (3, profile.link)].compactMap {
        key, text in
        text.map { (key, $0) }
      }
      writer.map(fields.count)
      for (key, text) in fields {
        writer.unsigned(key)
        writer.text(text)
      }
    case .carry(let carry):
      writer.map(2)
      writer.unsigned(1)
      writer.byteString(carry.header.encoded)
      writer.unsigned(2)
      writer.byteString(carry.payload)
    }
    return writer.bytes
  }
}

extension EventContent.Post {
  fileprivate func write(to writer: inout CBORWriter) {
    writer.map(
      1 + (replyTo == nil ? 0 : 1) + (mentions.isEmpty ? 0 : 1) + (written == nil ? 0 : 1) + (source == nil ? 0 : 1))
    writer.unsigned(1)
    writer.text(text)
    if let replyTo {
      writer.unsigned(2)
      replyTo.write(to: &writer)
    }
    if !mentions.isEmpty {
      writer.unsigned(3)
      writer.array(mentions.count)
      for person in mentions { writer.byteString(person) }
    }
    if let written {
      writer.unsigned(4)
      writer.integer(written.milliseconds)
    }
    if let source {
      writer.unsigned(5)
      writer.array(2)
      writer.text(source.feed)
      writer.byteString(source.line)
    }
  }
}

extension Reference {
  package func write(to writer: inout CBORWriter) {
    writer.array(3)
    writer.byteString(log)
    writer.unsigned(sequence.rawValue)
    writer.byteString(hash)
  }

  package init(from reader: inout CBORReader) throws(ByteError) {
    let start = reader.offset
    guard try reader.arrayCount(atMost: 3) == 3 else { throw ByteError(at: start, "a reference has three parts") }
    let log: LogID = try reader.bytes32()
    let sequence = try SequenceNumber(from: &reader)
    self.init(log: log, sequence: sequence, hash: try reader.bytes32())
  }
}

extension SequenceNumber {
  package init(from reader: inout CBORReader) throws(ByteError) {
    let start = reader.offset
    let value = try reader.unsigned()
    guard value >= 1, value <= SequenceNumber.maximum.rawValue else { throw ByteError(at: start, "sequence \(value)") }
    self.init(value)
  }
}

extension EventContent.Dot {
  fileprivate func write(to writer: inout CBORWriter) {
    writer.array(2)
    writer.byteString(log)
    writer.unsigned(sequence.rawValue)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    let start = reader.offset
    guard try reader.arrayCount(atMost: 2) == 2 else { throw ByteError(at: start, "a dot has two parts") }
    let log: LogID = try reader.bytes32()
    self.init(log: log, sequence: try SequenceNumber(from: &reader))
  }
}
