public import Events
public import Identity
public import Primitives

/// A stretch that a peer sent, still unbelieved.
public struct ReceivedStretch: Sendable {
  public var person: PersonID
  public var log: LogID
  public var envelope: StretchEnvelope

  public init(person: PersonID, log: LogID, envelope: StretchEnvelope) {
    self.person = person
    self.log = log
    self.envelope = envelope
  }
}

/// What became of a received stretch. Only `badBytes` is the peer's fault, only `ruleBreak` and `fork` the author's.
public enum IngestOutcome: Hashable, Sendable {
  /// That many events are new, and durable.
  case stored(Int)
  /// Every event in it was held; that many payloads that were missing from them are here now, and durable.
  case filled(Int)
  /// Everything in it was held.
  case duplicate
  /// It is not what it claims to be. Nothing was stored; ask somebody else.
  case badBytes(String)
  /// The person's record here does not certify this log.
  case notAuthorized
  /// It tells its `previous` by eight bytes, and those are not the held event's: ask again with all 32.
  case needsPrevious
  /// It rests on a neighbour, a revocation or evidence that is not held. Nobody's fault; nothing stored.
  case unproven
  /// Of a later version (nil), or further in the future than is accepted: ask again at that time. No verdict.
  case notYet(due: Timestamp?)
  /// A signed header breaks a rule: the log is now frozen there. The events before it count.
  case ruleBreak(RuleBreak, stored: Int)
  /// It shows that the author forked the log: the log is now frozen below the fork.
  case fork(stored: Int)
  /// Authentic, but it does not chain to what is held: kept beside it until the events below show why.
  case secondSegment(stored: Int)
  /// Beyond the end of a frozen or revoked log.
  case beyondEnd
}

/// A stretch whose bytes, chain and proof hold.
struct Incoming {
  var stretch: Stretch
  /// As it came, when it may be kept so.
  var block: Block?
  /// The verified signature of the last event; nil when something else proves it.
  var lastSignature: Signature?
  /// Of a tail: each event's; only the last was verified.
  var signatures: [Signature]?
  /// Nothing but a suspect branch says that it is authentic.
  var isOfSuspect = false

  var first: SequenceNumber { stretch.first }
  var last: SequenceNumber { stretch.last }

  func header(at sequence: SequenceNumber) -> EventHeader { stretch.header(sequence - first) }
  func hash(at sequence: SequenceNumber) -> EventHash { stretch.hashes[sequence - first] }

  /// Its own front, up to and with `sequence`. The proof of the whole proves the part.
  func prefix(through sequence: SequenceNumber) throws -> Incoming {
    if sequence == last { return self }
    let count = sequence - first + 1
    let part = try EventStore.stretch(
      of: Array(stretch.events.prefix(count)), log: stretch.log, first: first, previous: stretch.previous)
    return Incoming(
      stretch: part, block: nil, lastSignature: nil, signatures: signatures.map { Array($0.prefix(count)) })
  }
}

enum ProofCheck {
  case holds(Incoming)
  case refused(IngestOutcome)
}

/// Where the stretch before one in the same answer begins, and the event that it names there: a `neighbour` that
/// follows must be that event, whatever is held here.
struct AnsweredAbove {
  var log: LogID
  var first: SequenceNumber
  var previous: EventHash
}

extension EventStore {
  /// Bounded decompression, headers rebuilt, chain, proof (DESIGN §7, On arrival). Changes nothing.
  ///
  /// What does not meet what is held here is no fault of the peer, who may hold another branch of the log; what
  /// contradicts itself is.
  func check(_ received: ReceivedStretch, of entry: LogEntry, after above: AnsweredAbove?) throws -> ProofCheck {
    let envelope = received.envelope
    guard envelope.count >= 1, envelope.last <= .maximum else { return .refused(.badBytes("sequence out of range")) }
    let previous: EventHash
    switch envelope.previous {
    case .whole(let hash): previous = hash
    case .prefix(let prefix):
      let before = SequenceNumber(envelope.first.rawValue - 1)
      let held: EventHash? = envelope.first == .first ? entry.person.cast() : try hash(entry, at: before)
      guard let held, held.prefix64 == prefix else { return .refused(.needsPrevious) }
      previous = held
    }
    let block = Block(rawBytes: envelope.rawBytes, bytes: envelope.block)
    guard let columns = block.columns() else { return .refused(.badBytes("the block does not decompress")) }
    var stretch: Stretch
    do throws(ByteError) {
      stretch = try StretchColumns.decode(
        columns, log: received.log, first: envelope.first, count: envelope.count, previous: previous)
    } catch {
      return .refused(.badBytes(error.description))
    }
    var incoming = Incoming(stretch: stretch, block: block.isCompact ? block : nil)
    let last = stretch.count - 1
    // Eight equal bytes may belong to two events, or to two persons, if somebody searched for them.
    var isPreviousGuessed = false
    if case .prefix = envelope.previous { isPreviousGuessed = true }
    let isUnsigned = IngestOutcome.badBytes("the signature does not hold")
    switch envelope.proof {
    case .lastSignature(let signature):
      guard stretch.isSigned(last, by: signature) else {
        return .refused(isPreviousGuessed ? .needsPrevious : isUnsigned)
      }
      incoming.lastSignature = signature
    case .everySignature(let signatures):
      guard signatures.count == stretch.count, stretch.isSigned(last, by: signatures[last]) else {
        return .refused(isPreviousGuessed ? .needsPrevious : isUnsigned)
      }
      incoming.lastSignature = signatures[last]
      incoming.signatures = signatures
    case .neighbour, .revocation, .evidence:
      if try !isNamed(stretch.lastHash, at: stretch.last, by: envelope.proof, in: entry) {
        if case .neighbour = envelope.proof, let above, above.log == received.log, above.first == stretch.last + 1,
          above.previous != stretch.lastHash
        {
          return .refused(
            isPreviousGuessed ? .needsPrevious : .badBytes("the stretch that it came with names another event"))
        }
        guard let suspect = try storedSuspect(entry), suspect.first == stretch.last + 1,
          suspect.previous == stretch.lastHash
        else { return .refused(isPreviousGuessed ? .needsPrevious : .unproven) }
        incoming.isOfSuspect = true
      }
    }
    // What a peer says about why a payload is missing is not trusted: to us it is not here yet.
    let hasForeignReason = stretch.payloads.contains {
      if case .absent(let reason) = $0 { reason != .notHad } else { false }
    }
    if hasForeignReason {
      let events = stretch.events.map { event in
        if case .absent = event.payload { Event(header: event.header, payload: .absent(.notHad)) } else { event }
      }
      incoming.stretch = try Self.stretch(of: events, log: stretch.log, first: stretch.first, previous: previous)
      incoming.block = nil
    }
    return .holds(incoming)
  }

  /// Whether what a proof speaks of is held here, and names this event.
  private func isNamed(
    _ hash: EventHash, at sequence: SequenceNumber, by proof: StretchEnvelope.Proof, in entry: LogEntry
  ) throws -> Bool {
    switch proof {
    case .lastSignature, .everySignature: return false
    case .neighbour:
      if entry.segments.contains(where: { $0.first == sequence + 1 && $0.previous == hash }) { return true }
      return try self.hash(entry, at: sequence) == hash
    case .revocation:
      return entry.revocation.map { $0.sequence == sequence && $0.hash == hash } ?? false
    case .evidence:
      return try evidenceCut(entry).map { $0.cut == sequence + 1 && $0.previous == hash } ?? false
    }
  }
}
