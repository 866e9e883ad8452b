import Events
public import Identity
public import Primitives

/// Consecutive events of a log that are held and chained to each other.
struct Segment: Hashable {
  var first: SequenceNumber
  var last: SequenceNumber
  /// The hash of the event before the first.
  var previous: EventHash
  /// The hash of the last event.
  var hash: EventHash

  func contains(_ sequence: SequenceNumber) -> Bool { sequence >= first && sequence <= last }
}

/// What the store knows of one log between two looks at the disk. The writer keeps these; a transaction that fails
/// forgets them all.
final class LogEntry {
  let identity: LogIdentity
  var lid: Int64 { identity.lid }
  var key: LogID { identity.log }
  var pid: Int64 { identity.pid }
  var person: PersonID { identity.person }
  /// From the lowest to the highest; none before the first event.
  var segments: [Segment] = []
  /// Where the log ends for good, if it does.
  var end: LogEnd?
  /// The newest head that somebody named and that is not held.
  var want: LogHead?
  /// A branch is known that does not fit the log, and where they part is not.
  var hasSuspect = false
  /// The lower segments changed and must be written.
  var lowerChanged = false
  var change: Int64 = 0
  /// It was looked up that no newest events of an own log were lost here.
  var isKnownWhole = false
  /// It changed and must be written before the transaction ends.
  var isDirty = false

  // Derived from stored events when first needed; nil = not known now.
  var headHeader: EventHeader?
  var headChunkBytes: Int?
  /// An event that lies in the tail.
  var tailEvent: SequenceNumber?
  /// The first header of the top segment.
  var topHeader: EventHeader?

  init(lid: Int64, key: LogID, pid: Int64, person: PersonID) {
    identity = LogIdentity(lid: lid, log: key, pid: pid, person: person)
  }

  var top: Segment? { segments.last }

  func segmentIndex(containing sequence: SequenceNumber) -> Int? {
    segments.lastIndex { $0.contains(sequence) }
  }

  /// The highest sequence that may be held.
  var lastAllowed: SequenceNumber {
    switch end {
    case nil: .maximum
    case .revoked(let revocation): revocation.sequence
    case .frozen(let cut, _): SequenceNumber(cut.rawValue - 1)
    }
  }

  var isFrozen: Bool { if case .frozen = end { true } else { false } }
  var revocation: Revocation? { if case .revoked(let revocation) = end { revocation } else { nil } }

  func forgetDerived() {
    headHeader = nil
    headChunkBytes = nil
    tailEvent = nil
    topHeader = nil
  }
}

/// Why a log ends. A root's word outranks evidence (DESIGN §3).
public enum LogEnd: Hashable, Sendable {
  /// Evidence: the lowest sequence number that the log does not have any more, and the hash of the event before it.
  case frozen(cut: SequenceNumber, previous: EventHash)
  case revoked(Revocation)
}

/// A sequence number and the hash of the event there.
public struct LogHead: Hashable, Sendable {
  public var sequence: SequenceNumber
  public var hash: EventHash

  public init(sequence: SequenceNumber, hash: EventHash) {
    self.sequence = sequence
    self.hash = hash
  }
}
