import Events
import Identity
import Primitives
public import Store

/// Takes a lossless export into a store, piece by piece as it is read. Everything is verified as if it came from a peer:
/// a line that claims what its author did not sign is reported and changes nothing.
///
/// Use: `take` for each piece of the input, then `finish`. What was taken is durable after `finish`, and much of it before.
public struct NDJSONImport {
  /// Lines that were refused, and why.
  public struct Refusal: Hashable, Sendable {
    /// Counted from 1.
    public let lines: ClosedRange<Int>
    public let reason: String
  }

  public struct Summary: Hashable, Sendable {
    /// Records that said something new.
    public var persons = 0
    /// Events that are new.
    public var events = 0
    /// Events that were held already.
    public var knownEvents = 0
    /// In the order of the lines, as far as one batch goes; at most `refusalMaximum`.
    public var refusals: [Refusal] = []
    /// All refused lines, also those beyond `refusalMaximum`.
    public var refusedLines = 0
  }

  public static let refusalMaximum = 1_000

  public private(set) var summary = Summary()
  /// Lines read so far.
  public private(set) var lineCount = 0

  private let store: EventStore
  private var rest: [UInt8] = []
  private var isSkipping = false
  private var person: PersonRecord?
  private var run = Run()
  private var work: [Work] = []
  private var workBytes = 0

  private enum Work {
    case record(PersonRecord)
    case evidence([UInt8], LogID, PersonID, line: Int)
    case stretch(ReceivedStretch, lines: ClosedRange<Int>)
  }

  /// Linked events of one log, in order, not yet made into stretches.
  private struct Run {
    var events: [(event: Event, signature: Signature?, line: Int)] = []
    var lastHash = EventHash()
    var person = PersonID()
  }

  /// What waits in memory before it is stored in one transaction, in bytes, roughly.
  private static let workBytesMaximum = 4 << 20
  /// Events that wait for a signature further down; a chunk has 256, and nearly every one ends in a signature.
  private static let runMaximum = 65_536

  public init(into store: EventStore) { self.store = store }

  /// Takes the next bytes of the input, which need not end with a line.
  public mutating func take(_ bytes: [UInt8]) throws {
    var start = 0
    while let end = bytes[start...].firstIndex(of: 0x0A) {
      if isSkipping {
        isSkipping = false
      } else if rest.isEmpty {
        try line(Array(bytes[start..<end]))
      } else {
        try line(rest + bytes[start..<end])
      }
      rest.removeAll(keepingCapacity: true)
      start = end + 1
    }
    if isSkipping { return }
    rest += bytes[start...]
    if rest.count > ExportLine.byteMaximum {
      lineCount += 1
      refuse(lineCount...lineCount, "longer than \(ExportLine.byteMaximum) bytes")
      rest = []
      isSkipping = true
    }
  }

  /// Takes the last line, if it has no end, and stores what is left.
  public mutating func finish() throws -> Summary {
    if !rest.isEmpty { try line(rest) }
    rest = []
    closeRun()
    try store(work)
    return summary
  }

  // MARK: - Lines

  private mutating func line(_ bytes: [UInt8]) throws {
    lineCount += 1
    if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return }
    do {
      switch try ExportLine(parsing: bytes) {
      case .person(let encoded):
        closeRun()
        let record = try PersonRecord(decoding: encoded)
        person = record
        add(.record(record), encoded.count)
      case .evidence(let log, let proof):
        closeRun()
        guard let owner = try owner(of: log) else { return refuse(lineCount...lineCount, Self.noOwner) }
        add(.evidence(proof, log, owner, line: lineCount), proof.count)
      case .event(let event, let signature): try take(event, signature)
      }
    } catch let error as ByteError {
      refuse(lineCount...lineCount, error.reason)
    } catch let error as IdentityError {
      refuse(lineCount...lineCount, error.description)
    }
    if workBytes > Self.workBytesMaximum, run.events.isEmpty || run.events.count >= 2 * HeaderJudge.chunkCountMaximum {
      closeRun(keepingOpenEnd: run.events.count < Self.runMaximum)
      try store(work)
    }
  }

  private static let noOwner = "no person before it, nor in the store, has this log"

  /// Whose log it is: the person's above, or one's in the store.
  private func owner(of log: LogID) throws -> PersonID? {
    if let person, person.isAuthor(log) { return person.id }
    return try store.identity(of: log)?.person
  }

  private mutating func take(_ event: Event, _ signature: Signature?) throws {
    let header = event.header
    if let last = run.events.last?.event.header,
      last.log != header.log || header.sequence != last.sequence + 1 || header.previous != run.lastHash
    {
      closeRun()
    }
    if run.events.isEmpty {
      guard let owner = try owner(of: header.log) else { return refuse(lineCount...lineCount, Self.noOwner) }
      run.person = owner
    }
    run.events.append((event, signature, lineCount))
    run.lastHash = header.hash
    workBytes += Int(header.payloadBytes) + 256
  }

  private mutating func add(_ item: Work, _ bytes: Int) {
    work.append(item)
    workBytes += bytes
  }

  private mutating func refuse(_ lines: ClosedRange<Int>, _ reason: String) {
    summary.refusedLines += lines.count
    if summary.refusals.count < Self.refusalMaximum { summary.refusals.append(Refusal(lines: lines, reason: reason)) }
  }

  // MARK: - Stretches

  /// Cuts the run where its author closed chunks, and after the last signature, and hands the stretches on: first those
  /// with a signature, then from the newest down those that only the event after them proves.
  ///
  /// - Parameter keepingOpenEnd: leaves what may yet get a proof from the lines that follow.
  private mutating func closeRun(keepingOpenEnd: Bool = false) {
    guard !run.events.isEmpty else { return }
    var cuts = [0]
    for index in run.events.indices.dropFirst() {
      let place = run.events[index].event.header.place
      if place == 0 || Int(place) != Int(run.events[index - 1].event.header.place) + 1 { cuts.append(index) }
    }
    cuts.append(run.events.count)
    var pieces: [Range<Int>] = []
    for (low, high) in zip(cuts, cuts.dropFirst()) {
      let signed = (low..<high).last { run.events[$0].signature != nil }
      if let signed {
        pieces.append(low..<(signed + 1))
        if signed + 1 < high { pieces.append((signed + 1)..<high) }
      } else {
        pieces.append(low..<high)
      }
    }
    var kept = run.events.count
    if keepingOpenEnd {
      // The last chunk may go on, and what has no signature may be proven by it.
      pieces.removeLast()
      while let last = pieces.last, run.events[last.upperBound - 1].signature == nil { pieces.removeLast() }
      kept = pieces.last?.upperBound ?? 0
    }
    for piece in pieces where run.events[piece.upperBound - 1].signature != nil { add(piece) }
    for piece in pieces.reversed() where run.events[piece.upperBound - 1].signature == nil { add(piece) }
    run.events.removeFirst(kept)
  }

  private mutating func add(_ piece: Range<Int>) {
    let items = run.events[piece]
    let first = items[piece.lowerBound].event.header
    let last = items[piece.upperBound - 1]
    let signatures = items.compactMap(\.signature)
    let proof: StretchEnvelope.Proof =
      if let signature = last.signature {
        signatures.count == piece.count ? .everySignature(signatures) : .lastSignature(signature)
      } else {
        unsignedProof(of: last.event.header)
      }
    let envelope = StretchEnvelope(
      first: first.sequence, count: piece.count, previous: .whole(first.previous), proof: proof, rawBytes: nil,
      block: StretchColumns.encode(items.map(\.event)))
    let received = ReceivedStretch(person: run.person, log: first.log, envelope: envelope)
    add(.stretch(received, lines: items[piece.lowerBound].line...last.line), 0)
  }

  /// What may stand behind an event without a signature: the end of its log, or the event above it.
  private func unsignedProof(of header: EventHeader) -> StretchEnvelope.Proof {
    if let person, person.id == run.person, person.revocation(of: header.log)?.sequence == header.sequence {
      return .revocation
    }
    for case .evidence(let bytes, header.log, let owner, _) in work {
      if let proof = try? Evidence(decoding: bytes, log: header.log, person: owner), proof.cut == header.sequence + 1 {
        return .evidence
      }
    }
    if case .frozen(let cut, _)? = try? store.log(header.log)?.end, cut == header.sequence + 1 { return .evidence }
    return .neighbour
  }

  // MARK: - Storing

  private mutating func store(_ items: [Work]) throws {
    work = []
    workBytes = 0
    guard !items.isEmpty else { return }
    var outcomes: [(IngestOutcome, count: Int, lines: ClosedRange<Int>)] = []
    var refusals: [(Int, String)] = []
    var persons = 0
    try store.batch {
      outcomes = []
      refusals = []
      persons = 0
      var received: [(ReceivedStretch, ClosedRange<Int>)] = []
      func flush() throws {
        for (outcome, item) in zip(try store.ingest(received.map(\.0)), received) {
          outcomes.append((outcome, item.0.envelope.count, item.1))
        }
        received = []
      }
      for item in items {
        switch item {
        case .record(let record):
          try flush()
          if try store.merge(record) { persons += 1 }
        case .evidence(let bytes, let log, let person, let line):
          try flush()
          do throws(ByteError) {
            _ = try Evidence(decoding: bytes, log: log, person: person)
          } catch {
            refusals.append((line, error.reason))
            continue
          }
          _ = try store.ingest(Evidence(decoding: bytes, log: log, person: person), log: log, person: person)
        case .stretch(let stretch, let lines): received.append((stretch, lines))
        }
      }
      try flush()
    }
    summary.persons += persons
    for (line, reason) in refusals { refuse(line...line, reason) }
    for (outcome, count, lines) in outcomes { note(outcome, count, lines) }
  }

  private mutating func note(_ outcome: IngestOutcome, _ count: Int, _ lines: ClosedRange<Int>) {
    func stored(_ new: Int) {
      summary.events += new
      summary.knownEvents += count - new
    }
    switch outcome {
    case .stored(let new), .secondSegment(let new), .filled(let new): stored(new)
    case .duplicate: stored(0)
    case .ruleBreak(let rule, let new):
      summary.events += new
      refuse(lines, "the author broke the rule of \(rule): the log is frozen there")
    case .fork(let new):
      summary.events += new
      refuse(lines, "the author forked the log: it is frozen there")
    case .badBytes(let reason): refuse(lines, reason)
    case .notAuthorized: refuse(lines, "the person's record does not certify this log")
    case .needsPrevious, .unproven: refuse(lines, "nothing proves these events: no signature at their end")
    case .notYet(let due):
      refuse(lines, due.map { "dated in the future, acceptable from \($0.rfc3339) on" } ?? "of a later version")
    case .beyondEnd: refuse(lines, "beyond the end of a revoked or frozen log")
    }
  }
}
