public import Events
public import Identity
public import Primitives

/// One log as the inspector found it.
public struct InspectedLog {
  /// A range that the store says it holds and that is not there, or not to be trusted.
  public struct Loss: Hashable, Sendable {
    public var range: ClosedRange<SequenceNumber>
    public var reason: String
    /// Its bytes are there; only their proof is gone.
    public var isReadable: Bool
  }

  public enum SignatureState: String, Hashable, Sendable {
    case good, bad
    /// The event above, evidence or a revocation vouches for it.
    case none
    /// Taken on the word of the event above; it does hold.
    case pending
  }

  /// A chunk row, or a run of tail rows.
  public struct Piece {
    /// The row number of a chunk; nil for tail rows.
    public var row: Int64?
    public var first: SequenceNumber
    public var count: Int
    public var storedBytes: Int
    /// Columns and payloads before compression.
    public var rawBytes: Int
    public var checksumHolds: Bool
    /// nil where there is nothing to compare with.
    public var chainHolds: Bool?
    public var signature: SignatureState
    /// What is wrong; nil for a sound piece.
    public var problem: String?
    /// The hashes before its first event and of its last, as far as they could be worked out.
    var previous: EventHash?
    var lastHash: EventHash?
    var content = Content.lost
    /// One for the last event of a chunk, or one for each event of the tail.
    var signatures: [Signature?] = []
    var unverified: Set<Int> = []

    enum Content {
      case lost
      /// Decoded again when it is wanted: a store may be larger than memory.
      case chunk(ChunkLoader)
      case tail(Stretch)

      var stretch: Stretch? {
        switch self {
        case .lost: nil
        case .chunk(let loader): loader.load()?.stretch
        case .tail(let stretch): stretch
        }
      }
    }

    public var last: SequenceNumber { first + max(0, count - 1) }
    public var isTail: Bool { row == nil }
    /// Its events are what the author wrote.
    public var isProven: Bool { if case .lost = content { false } else { true } }
  }

  public var lid: Int64
  /// nil when the log's row is lost and nothing tells whose the events are.
  public var key: LogID?
  public var person: PersonID?
  /// Whether its row in the table `log` reads.
  public var hasRow: Bool
  /// The ranges that the store says it holds, from the lowest up.
  public var ranges: [ClosedRange<SequenceNumber>] = []
  public var head: LogHead?
  public var end: LogEnd?
  public var want: LogHead?
  public var hasSuspect = false
  public var change: Int64 = 0
  public var evidence: Evidence?
  public var suspectFirst: SequenceNumber?
  /// In order of their first events.
  public var pieces: [Piece] = []
  public var losses: [Loss] = []
  /// What is wrong and has no range.
  public var problems: [String] = []

  public var isSound: Bool { losses.isEmpty && problems.isEmpty && pieces.allSatisfy { $0.problem == nil } }
  public var chunkCount: Int { pieces.count { !$0.isTail } }
  public var tailCount: Int { pieces.reduce(0) { $0 + ($1.isTail ? $1.count : 0) } }
  public var eventCount: Int { ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound + 1) } }

  /// What never came: between 1 and the head, outside the held ranges. No damage.
  public var holes: [ClosedRange<SequenceNumber>] {
    var holes: [ClosedRange<SequenceNumber>] = []
    var next = SequenceNumber.first
    for range in ranges {
      if range.lowerBound > next { holes.append(next...(range.lowerBound - 1)) }
      next = range.upperBound + 1
    }
    return holes
  }

  /// The newest event that proves itself.
  public var soundHead: Reference? {
    guard let key, let piece = pieces.last(where: { $0.isProven }), let hash = piece.lastHash else { return nil }
    return Reference(log: key, sequence: piece.last, hash: hash)
  }

  /// One event of a sound piece.
  public struct InspectedEvent {
    public var event: Event
    public var hash: EventHash
    public var signature: SignatureState
    /// The row number of its chunk; nil in the tail.
    public var row: Int64?
  }

  /// Every event that proves itself, oldest first.
  public func forEachEvent(_ body: (InspectedEvent) throws -> Void) rethrows {
    for piece in pieces {
      guard let stretch = piece.content.stretch else { continue }
      for index in 0..<stretch.count {
        var state = SignatureState.none
        let signature =
          piece.isTail ? piece.signatures[index] : index == stretch.count - 1 ? piece.signatures.first ?? nil : nil
        if let signature {
          state =
            !stretch.isSigned(index, by: signature) ? .bad : piece.unverified.contains(index) ? .pending : .good
        }
        try body(
          InspectedEvent(event: stretch.event(index), hash: stretch.hashes[index], signature: state, row: piece.row))
      }
    }
  }
}
