public import Identity
public import Primitives

/// What peers say to each other, one frame each (schemas/peer.md). Bodies are deterministic CBOR but for RUN, which is
/// the store's own bytes.
public enum Message: Hashable, Sendable {
  case hello(Hello)
  case statement([UInt8])
  /// Part of the sender's interests; `more` until the last part.
  case interests([PersonID], more: Bool)
  case digest(Digest)
  /// Asks for the next page of the digest.
  case digestNext
  case recordWant([PersonID])
  /// Part of a person record; `more` until the last part. Empty and final: not held.
  case record(PersonID, [UInt8], more: Bool)
  case want(Want)
  case run([UInt8])
  /// Wants that are dealt with, by their number in the session.
  case end([UInt32: EndCode])
  case evidenceWant([LogName])
  case evidence(LogID, [UInt8])
  /// The sender has what it wanted, or as much as there was.
  case done
  case bye(Farewell)
  case join(JoinRequest)
  /// Part of the person record that now certifies the new device; `more` until the last part.
  case joined([UInt8], more: Bool)
  /// The sender of this still holds the connection, which stands.
  case alive
  /// Asks for persons of this name.
  case find(String)
  /// Persons held by the sender whose name is the one asked for.
  case found([FoundPerson])
  /// Asks to be dialled at this port of the address that the receiver sees.
  case dialBack(port: UInt16)
  /// What became of that.
  case dialled(DialBackOutcome)

  public struct Hello: Hashable, Sendable {
    public var version: UInt64
    public var instance: UInt64
    public var mark: ChangeMark
    /// Hash of the sender's interests.
    public var interests: UInt64
    /// What the sender remembers of the receiver's history, if its interests have not changed since.
    public var cursor: (instance: UInt64, mark: ChangeMark)?
    /// Hash of the receiver's interests as the sender remembers them.
    public var knownInterests: UInt64?
    /// Hash of the receiver's statement as the sender remembers it.
    public var knownStatement: UInt64?
    /// Whether the sender would keep the connection when both sides are done.
    public var stands: Bool

    public init(
      version: UInt64 = 1, instance: UInt64, mark: ChangeMark, interests: UInt64,
      cursor: (instance: UInt64, mark: ChangeMark)?, knownInterests: UInt64?, knownStatement: UInt64?,
      stands: Bool = false
    ) {
      self.version = version
      self.instance = instance
      self.mark = mark
      self.interests = interests
      self.cursor = cursor
      self.knownInterests = knownInterests
      self.knownStatement = knownStatement
      self.stands = stands
    }

    public static func == (a: Self, b: Self) -> Bool {
      a.version == b.version && a.instance == b.instance && a.mark == b.mark && a.interests == b.interests
        && a.cursor?.instance == b.cursor?.instance && a.cursor?.mark == b.cursor?.mark
        && a.knownInterests == b.knownInterests && a.knownStatement == b.knownStatement && a.stands == b.stands
    }

    public func hash(into hasher: inout Hasher) {
      hasher.combine(instance)
      hasher.combine(mark)
    }
  }

  public struct Digest: Hashable, Sendable {
    public enum Tier: UInt64, Hashable, Sendable {
      /// Changes since the receiver's cursor.
      case changes = 0
      /// Everything.
      case list = 1
    }

    public var tier: Tier
    public var page: DigestPage

    public init(tier: Tier, page: DigestPage) {
      self.tier = tier
      self.page = page
    }
  }

  public struct Want: Hashable, Sendable {
    public struct Item: Hashable, Sendable {
      public var log: LogName
      public var from: SequenceNumber
      public var to: SequenceNumber
      public var chained: Bool

      public init(log: LogName, from: SequenceNumber, to: SequenceNumber, chained: Bool) {
        self.log = log
        self.from = from
        self.to = to
        self.chained = chained
      }
    }

    /// The number of the first item in the session; the others follow.
    public var first: UInt32
    public var items: [Item]
    /// How many bytes of RUN the asker will take for these items; nil for as many as it takes.
    public var bytesMaximum: Int?

    public init(first: UInt32, items: [Item], bytesMaximum: Int?) {
      self.first = first
      self.items = items
      self.bytesMaximum = bytesMaximum
    }
  }

  /// Why the sender closes.
  public enum Farewell: UInt64, Hashable, Sendable {
    case finished = 0
    case version = 1
    /// The other side broke the protocol or sent bytes that meet no proof.
    case fault = 2
    case busy = 3
    case refused = 4
    case trouble = 5
  }

  public enum DialBackOutcome: UInt64, Hashable, Sendable {
    case notReached = 0
    /// A connection came about, with the node key of the asker at its other end.
    case reached = 1
    /// It was not tried.
    case refused = 2
  }

  /// A person record cut into parts that fit a frame, each with whether more follow. An empty one is one empty part.
  static func parts(of record: [UInt8]) -> [(part: [UInt8], more: Bool)] {
    guard !record.isEmpty else { return [([], false)] }
    return stride(from: 0, to: record.count, by: MessageLimits.recordPartBytes).map { start in
      let end = min(start + MessageLimits.recordPartBytes, record.count)
      return (Array(record[start..<end]), end < record.count)
    }
  }

  /// The answer to a join.
  public static func joined(record: [UInt8]) -> [Message] { parts(of: record).map { .joined($0.part, more: $0.more) } }

  /// A new device asks the holder of the root key to certify it (DESIGN §3).
  public struct JoinRequest: Hashable, Sendable {
    /// From the one-time ticket.
    public var secret: [UInt8]
    public var device: PublicKey
    public var label: String
    /// The device's signature over the person id, without which it cannot be certified.
    public var consent: Signature

    public init(secret: [UInt8], device: PublicKey, label: String, consent: Signature) {
      self.secret = secret
      self.device = device
      self.label = label
      self.consent = consent
    }
  }

  /// The frame type on the wire.
  public var type: UInt8 {
    switch self {
    case .hello: 1
    case .statement: 2
    case .interests: 3
    case .digest: 4
    case .digestNext: 5
    case .recordWant: 6
    case .record: 7
    case .want: 8
    case .run: 9
    case .end: 10
    case .evidenceWant: 11
    case .evidence: 12
    case .done: 13
    case .bye: 14
    case .join: 15
    case .joined: 16
    case .alive: 17
    case .find: 18
    case .found: 19
    case .dialBack: 20
    case .dialled: 21
    }
  }

  /// Short names for `--explain`, by frame type.
  public static func name(ofType type: UInt8) -> String {
    let names = [
      "", "hello", "statement", "interests", "digest", "digest-next", "record-want", "record", "want", "run", "end",
      "evidence-want", "evidence", "done", "bye", "join", "joined", "alive",
      "find", "found", "dial-back", "dialled",
    ]
    return Int(type) < names.count ? names[Int(type)] : "type-\(type)"
  }
}

/// Somebody of a certain name, as a peer says. A hint: names are claims, and whoever follows pins the id.
public struct FoundPerson: Hashable, Sendable {
  public var person: PersonID
  /// As the person writes it.
  public var name: String

  public init(person: PersonID, name: String) {
    self.person = person
    self.name = name
  }
}

/// Named bounds of a session, each with its reason.
public enum MessageLimits {
  /// 32 bytes each: a frame of half a megabyte.
  public static let interestsPerMessage = 16_384
  /// A person can follow this many; 3.2 MB at a peer that remembers them.
  public static let interestsMaximum = 100_000
  /// About 20 bytes each: a page of 80 KB, and one round trip for 4,096 changes.
  public static let digestEntries = 4_096
  /// Entries of a digest in all its pages: a record and nine logs for each of the persons that one can follow.
  public static let digestEntriesInAll = 1_000_000
  public static let recordsPerMessage = 4_096
  /// A part of a record, in RECORD and JOINED; whole records are bounded by `recordBytes`.
  public static let recordPartBytes = 524_288
  /// 4,096 statements of at most 512 bytes, and their frame.
  public static let recordBytes = 2_200_000
  public static let wantItems = 4_096
  /// Ten whole chunks: large enough to fill a pipe, small enough to interleave logs.
  public static let runBytes = 262_144
  public static let evidencePerMessage = 1_024
  public static let evidenceBytes = 140_000
  public static let statementBytes = 512
  public static let labelBytes = 128
  /// As long as a name may be.
  public static let nameBytes = Name.byteMaximum
  /// As many of one name as somebody will look through: 11 KB.
  public static let foundPersons = 64
}
