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

extension EventStore {
  /// Bounded decompression, headers rebuilt, chain, proof (DESIGN §7, On arrival). Changes nothing.
  func check(_ received: ReceivedStretch, of entry: LogEntry) throws -> ProofCheck {
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
    switch envelope.proof {
    case .lastSignature(let signature):
      guard stretch.isSigned(last, by: signature) else { return .refused(.badBytes("the signature does not hold")) }
      incoming.lastSignature = signature
    case .everySignature(let signatures):
      guard signatures.count == stretch.count, stretch.isSigned(last, by: signatures[last]) else {
        return .refused(.badBytes("the signature does not hold"))
      }
      incoming.lastSignature = signatures[last]
      incoming.signatures = signatures
    case .neighbour:
      guard let segment = entry.segments.first(where: { $0.first <= stretch.last + 1 && $0.last > stretch.last }) else {
        return .refused(.unproven)
      }
      let expected: EventHash?
      if segment.first == stretch.last + 1 {
        expected = segment.previous
      } else {
        expected = try hash(entry, at: stretch.last)
      }
      guard expected == stretch.lastHash else { return .refused(.badBytes("its neighbour names another event")) }
    case .revocation:
      guard let revocation = entry.revocation, revocation.sequence == stretch.last else { return .refused(.unproven) }
      guard revocation.hash == stretch.lastHash else {
        return .refused(.badBytes("the revocation names another event"))
      }
    case .evidence:
      guard let known = try evidenceCut(entry), known.cut == stretch.last + 1 else { return .refused(.unproven) }
      guard known.previous == stretch.lastHash else { return .refused(.badBytes("the evidence names another event")) }
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
}
