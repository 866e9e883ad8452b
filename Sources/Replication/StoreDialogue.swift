public import Identity
public import Primitives

/// What a session asks of the store. The shell carries it out in the order given and answers each with the reply named
/// beside it; nothing here knows a database.
public enum StoreRequest: Hashable, Sendable {
  /// Who we are and what we remember of a peer → `.opened`.
  case open(node: PublicKey)
  /// The peer's interests, kept so that it need not send them again → `.done`.
  case rememberInterests(node: PublicKey, [PersonID])
  /// The peer's statement, judged by its person's record → `.merged`.
  case rememberStatement(node: PublicKey, [UInt8])
  /// What changed among the persons the peer is interested in, oldest change first → `.digest`.
  case digest(node: PublicKey, from: DigestStart, entriesMaximum: Int)
  /// Whose records differ from what the peer has → `.persons`.
  case comparePersons([PersonDigest])
  /// The bytes of person records → `.records`.
  case records([PersonID])
  /// A record from the peer → `.merged`.
  case mergeRecord(PersonID, [UInt8])
  /// Keeps what the peer's logs show us to lack as durable wants; when given, moves the peer's cursor in the same
  /// transaction → `.compared`.
  case compareLogs(node: PublicKey, [LogDigest], advance: Cursor?)
  /// The next ranges to ask for, newest first → `.wants`. First the events that are missing, of all logs but those
  /// excluded; when there are none, and `payloads` is set, payloads that are missing from held events, outside of what
  /// the peer `answered` already. Of more than `itemsMaximum` of the latter chance decides, so that all get their turn.
  /// Of a log whose head the peer named, only what lies below that is asked for.
  case openWants(
    newest: Int?, named: NamedHeads, excluding: Set<LogID>, payloads: Bool, answered: LogRanges, itemsMaximum: Int)
  /// Drops durable wants of these heads, by whole names: the peer that named them in this session does not have them
  /// → `.done`.
  case forgetWants([LogDigest])
  /// Stretches for a peer's wants, as one RUN body of about `bytesMaximum` → `.read`.
  case read([NumberedWant], bytesMaximum: Int)
  /// RUN bodies as received, with the wants they answer → `.ingested`.
  case ingest([[UInt8]], wants: [UInt32: WantItem])
  /// Proofs that freeze logs → `.evidence`, one for each name; empty bytes where there is none.
  case evidence([LogName])
  /// A proof from the peer → `.merged`.
  case mergeEvidence(LogID, [UInt8])
  /// What has changed after our change number `since` among the persons the peer is interested in, and what we are
  /// interested in now → `.news`.
  case news(node: PublicKey, since: UInt64, entriesMaximum: Int)
  /// Persons whose record is held and whose name is this one, by `Name.folded` → `.found`.
  case find(name: String, maximum: Int)
}

public enum StoreReply: Hashable, Sendable {
  case opened(SelfView, PeerMemory)
  case done
  /// A page, and whether it begins at the peer's cursor: false for one that follows another.
  case digest(DigestPage, sinceCursor: Bool)
  case persons(wanted: [PersonID])
  case records([(PersonID, [UInt8])])
  /// Whether the bytes were what they claimed; false is the peer's fault.
  case merged(valid: Bool)
  case compared(evidenceWanted: [LogName])
  /// Beside the ranges: whether a payload that is still wanted is missing in those `answered`, or there were more such
  /// ranges to ask for than the items allowed.
  case wants([WantItem], lacksPayloads: Bool)
  case read(ReadResult)
  case ingested(IngestResult)
  case evidence([(LogID, [UInt8])])
  /// A page, and the hash of our interests.
  case news(DigestPage, interests: UInt64)
  case found([FoundPerson])
  /// The store could not answer: our own trouble, never the peer's.
  case failed(String)

  // Tuples are not Equatable, so the two cases that hold them are compared by hand.
  public static func == (a: Self, b: Self) -> Bool {
    switch (a, b) {
    case (.opened(let a, let c), .opened(let b, let d)): a == b && c == d
    case (.done, .done): true
    case (.digest(let a, let c), .digest(let b, let d)): a == b && c == d
    case (.persons(let a), .persons(let b)): a == b
    case (.records(let a), .records(let b)): a.elementsEqual(b) { $0.0 == $1.0 && $0.1 == $1.1 }
    case (.merged(let a), .merged(let b)): a == b
    case (.compared(let a), .compared(let b)): a == b
    case (.wants(let a, let c), .wants(let b, let d)): a == b && c == d
    case (.read(let a), .read(let b)): a == b
    case (.ingested(let a), .ingested(let b)): a == b
    case (.evidence(let a), .evidence(let b)): a.elementsEqual(b) { $0.0 == $1.0 && $0.1 == $1.1 }
    case (.news(let a, let c), .news(let b, let d)): a == b && c == d
    case (.found(let a), .found(let b)): a == b
    case (.failed(let a), .failed(let b)): a == b
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    if case .digest(let page, _) = self { hasher.combine(page) }
  }
}

/// Where a page of a digest begins.
public enum DigestStart: Hashable, Sendable {
  /// After the peer's cursor, if the store gave that number out with those bytes; else at the beginning.
  case cursor(ChangeMark)
  case beginning
  /// After this change number, where the page before ended.
  case page(UInt64)
}

/// How far a store's history goes: its change number and eight random bytes that a rolled-back copy cannot repeat.
public struct ChangeMark: Hashable, Sendable {
  public var number: UInt64
  public var cookie: UInt64

  public init(number: UInt64, cookie: UInt64) {
    self.number = number
    self.cookie = cookie
  }
}

/// What we remember of a peer's history: everything up to `mark` of database `instance` was named to us, while our
/// interests had the hash `interests` (DESIGN §7, tier A).
public struct Cursor: Hashable, Sendable {
  public var instance: UInt64
  public var mark: ChangeMark
  public var interests: UInt64

  public init(instance: UInt64, mark: ChangeMark, interests: UInt64) {
    self.instance = instance
    self.mark = mark
    self.interests = interests
  }
}

/// Our own side of a greeting.
public struct SelfView: Hashable, Sendable {
  /// Random per database.
  public var instance: UInt64
  public var mark: ChangeMark
  /// The persons whose logs we want, in order, without repeats.
  public var interests: [PersonID]
  /// The device's statement about our node key, if the key was unlocked.
  public var statement: [UInt8]?
  /// Whether a range of a wanted log is known and missing.
  public var hasOpenWants: Bool

  public init(instance: UInt64, mark: ChangeMark, interests: [PersonID], statement: [UInt8]?, hasOpenWants: Bool) {
    self.instance = instance
    self.mark = mark
    self.interests = interests
    self.statement = statement
    self.hasOpenWants = hasOpenWants
  }
}

/// What the store remembers of a peer, by its node key.
public struct PeerMemory: Hashable, Sendable {
  public var cursor: Cursor?
  /// Hash of the interests it told us last.
  public var interests: UInt64?
  /// Hash of the statement it showed us last.
  public var statement: UInt64?

  public init(cursor: Cursor? = nil, interests: UInt64? = nil, statement: UInt64? = nil) {
    self.cursor = cursor
    self.interests = interests
    self.statement = statement
  }
}

public struct PersonDigest: Hashable, Sendable {
  public var person: PersonID
  /// First eight bytes of the record's hash.
  public var record: UInt64

  public init(person: PersonID, record: UInt64) {
    self.person = person
    self.record = record
  }
}

/// A log by the first eight bytes of its key, or by all of them where eight would be ambiguous.
public struct LogName: Hashable, Sendable {
  public var prefix: UInt64
  public var whole: LogID?

  public init(prefix: UInt64) { self.prefix = prefix }

  public init(_ log: LogID, whole: Bool = false) {
    prefix = log.prefix64
    self.whole = whole ? log : nil
  }
}

/// One log in a digest: where it stands.
public struct LogDigest: Hashable, Sendable {
  public enum State: UInt8, Hashable, Sendable {
    /// `sequence` and `hash` are the head's.
    case open = 0
    /// `sequence` is the cut, `hash` that of the event before it.
    case frozen = 1
  }

  public var log: LogName
  public var state: State
  public var sequence: SequenceNumber
  /// First eight bytes of the hash.
  public var hash: UInt64

  public init(log: LogName, state: State, sequence: SequenceNumber, hash: UInt64) {
    self.log = log
    self.state = state
    self.sequence = sequence
    self.hash = hash
  }
}

/// A part of a digest. Pages follow each other by change number.
public struct DigestPage: Hashable, Sendable {
  public var persons: [(prefix: UInt64, record: UInt64)]
  public var logs: [LogDigest]
  /// Where the next page begins; nil after the last.
  public var next: UInt64?
  /// The store's mark when this page was made.
  public var mark: ChangeMark

  public init(persons: [(prefix: UInt64, record: UInt64)], logs: [LogDigest], next: UInt64?, mark: ChangeMark) {
    self.persons = persons
    self.logs = logs
    self.next = next
    self.mark = mark
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.persons.elementsEqual(b.persons) { $0 == $1 } && a.logs == b.logs && a.next == b.next && a.mark == b.mark
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(logs)
    hasher.combine(mark)
  }
}

/// A range of a log that we lack.
public struct WantItem: Hashable, Sendable {
  public var log: LogID
  public var from: SequenceNumber
  public var to: SequenceNumber
  /// The asker holds the event before `from`, so eight bytes of its hash suffice.
  public var chained: Bool
  /// The events are held, and payloads among them are missing.
  public var isHeld: Bool
  /// Eight bytes of the log's key would mean two logs here.
  public var isNamedWhole = false

  public init(log: LogID, from: SequenceNumber, to: SequenceNumber, chained: Bool, isHeld: Bool = false) {
    self.log = log
    self.from = from
    self.to = to
    self.chained = chained
    self.isHeld = isHeld
  }
}

/// Ranges of logs, kept as few as they can be. Looking one up takes the logarithm of the ranges of its log.
public struct LogRanges: Hashable, Sendable {
  /// Newest first, as they mostly come, so that most are added at the end; no two overlap or lie beside each other.
  private var ranges: [LogID: [ClosedRange<SequenceNumber>]] = [:]

  public init() {}

  public mutating func insert(_ range: ClosedRange<SequenceNumber>, of log: LogID) {
    Self.insert(range, into: &ranges[log, default: []])
  }

  private static func insert(
    _ range: ClosedRange<SequenceNumber>, into sorted: inout [ClosedRange<SequenceNumber>]
  ) {
    // Those that it joins are neighbours.
    let start = sorted.partitioningIndex { $0.lowerBound <= range.upperBound + 1 }
    let end = sorted.partitioningIndex { $0.upperBound + 1 < range.lowerBound }
    var joined = range
    if start < end {
      joined =
        min(range.lowerBound, sorted[end - 1].lowerBound)...max(range.upperBound, sorted[start].upperBound)
    }
    sorted.replaceSubrange(start..<end, with: CollectionOfOne(joined))
  }

  public mutating func formUnion(_ other: LogRanges) {
    for (log, ranges) in other.ranges { for range in ranges { insert(range, of: log) } }
  }

  public func overlaps(_ range: ClosedRange<SequenceNumber>, of log: LogID) -> Bool {
    guard let sorted = ranges[log] else { return false }
    let index = sorted.partitioningIndex { $0.lowerBound <= range.upperBound }
    return index < sorted.count && sorted[index].upperBound >= range.lowerBound
  }
}

/// A want as the peer wrote it, under its number in the session.
public struct NumberedWant: Hashable, Sendable {
  public var number: UInt32
  public var item: Message.Want.Item

  public init(number: UInt32, item: Message.Want.Item) {
    self.number = number
    self.item = item
  }
}

/// What a want came to at the serving side.
public enum EndCode: UInt8, Hashable, Sendable {
  /// The whole range was sent.
  case complete = 0
  /// A part of it, or all, is not held.
  case notHad = 1
  /// The byte budget ended first.
  case budget = 2
  /// Held, but damaged on disk.
  case damaged = 3
}

public struct ReadResult: Hashable, Sendable {
  /// A RUN body, or nil when nothing of the wants is held.
  public var body: [UInt8]?
  /// Wants that are dealt with, by number.
  public var ended: [UInt32: EndCode]
  /// What remains of the others, in the order to be served.
  public var rest: [NumberedWant]

  public init(body: [UInt8]?, ended: [UInt32: EndCode], rest: [NumberedWant]) {
    self.body = body
    self.ended = ended
    self.rest = rest
  }
}

public struct IngestResult: Hashable, Sendable {
  /// Events that were new, and held ones whose missing payload came.
  public var events: Int
  /// Whether bytes met no proof or could not be read: the peer's fault.
  public var bad: Bool
  /// Logs whose stretch hung on another event than ours: ask again with the whole hash.
  public var unchained: Set<LogID>
  /// Logs with an event that is not accepted yet: of a later version, or too far ahead. Nobody is at fault.
  public var postponed: Set<LogID> = []
  /// What the bodies had events of, whether new or held already.
  public var brought = LogRanges()

  public init(events: Int, bad: Bool, unchained: Set<LogID> = []) {
    self.events = events
    self.bad = bad
    self.unchained = unchained
  }
}
