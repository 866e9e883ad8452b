import Events
import Identity
import Primitives

extension EventStore {
  /// Takes stretches from peers, in one durable transaction. Each is judged by itself, in the order given.
  ///
  /// - Throws: only for our own disk. Whatever a peer or an author did wrong is in the outcomes.
  public func ingest(_ stretches: [ReceivedStretch]) throws -> [IngestOutcome] {
    try write {
      let horizon = environment.now().advanced(milliseconds: options.futureMaximum)
      var above: AnsweredAbove?
      return try stretches.map { try take($0, after: &above, horizon: horizon) }
    }
  }

  /// - Parameter above: about the stretch before this one, and then about this one.
  private func take(
    _ received: ReceivedStretch, after above: inout AnsweredAbove?, horizon: Timestamp
  ) throws -> IngestOutcome {
    let before = above
    above = nil
    guard let person = try storedPerson(received.person), person.record.isAuthor(received.log) else {
      return .notAuthorized
    }
    // Made for good only when something is stored: an unused row number costs nothing, a stored empty log would.
    let known = try entry(received.log)
    if let known, known.pid != person.pid { return .notAuthorized }
    let entry =
      known ?? LogEntry(lid: 0, key: received.log, pid: person.pid, person: received.person)
    if known == nil { entry.end = person.record.revocation(of: received.log).map { .revoked($0) } }
    switch try check(received, of: entry, after: before) {
    case .refused(let outcome): return outcome
    case .holds(let incoming):
      above = AnsweredAbove(log: received.log, first: incoming.first, previous: incoming.stretch.previous)
      let target = try known ?? makeEntry(received.log, person: received.person, pid: person.pid)
      if known == nil { target.end = entry.end }
      return try place(incoming, in: target, horizon: horizon)
    }
  }

  /// Puts an authentic stretch where it belongs, or finds out why it belongs nowhere.
  private func place(_ incoming: Incoming, in entry: LogEntry, horizon: Timestamp) throws -> IngestOutcome {
    if entry.segments.count >= Self.segmentMaximum,
      !entry.segments.contains(where: { $0.first <= incoming.last + 1 && incoming.first <= $0.last + 1 })
    {
      return .unproven
    }
    var incoming = incoming
    if incoming.last > entry.lastAllowed {
      switch try cutToEnd(incoming, entry) {
      case .refused(let outcome): return outcome
      case .holds(let front): incoming = front
      }
    }
    let conflict = try conflict(of: incoming, with: entry)
    if incoming.isOfSuspect { return try follow(incoming, conflict, in: entry, horizon: horizon) }
    if let conflict { return try resolve(conflict, incoming, in: entry, horizon: horizon) }
    return try join(incoming, to: entry, horizon: horizon)
  }

  /// A stretch that agrees with everything held beside it: judge its headers and store what is new.
  func join(_ incoming: Incoming, to entry: LogEntry, horizon: Timestamp) throws -> IngestOutcome {
    let (held, missing) = ranges(of: incoming, in: entry)
    let filled = try fill(incoming, held, in: entry)
    guard !missing.isEmpty else { return filled > 0 ? .filled(filled) : .duplicate }
    var judged = Judged()
    if entry.revocation == nil {
      judged = try judge(incoming, in: entry)
    } else {
      judged.bytes = nil
    }
    // Before the broken header, if any.
    let goodEnd = judged.broken.map { min($0.sequence - 1, incoming.last) } ?? incoming.last
    if goodEnd >= incoming.first {
      for index in 0...(goodEnd - incoming.first) {
        let time = incoming.stretch.id(index).time
        if time > horizon { return .notYet(due: time.advanced(milliseconds: -options.futureMaximum)) }
      }
    }
    var evidence: Evidence?
    if let broken = judged.broken {
      evidence = try makeEvidence(ofRuleBreakAt: broken.sequence, incoming, entry)
      // The author's doing, but no signature in reach says so to others: the next stretch above may bring one.
      if evidence == nil { return .unproven }
    }
    var count = 0
    if goodEnd >= incoming.first {
      let front = try incoming.prefix(through: goodEnd)
      for range in missing where range.lowerBound <= goodEnd {
        let new = range.lowerBound...min(range.upperBound, goodEnd)
        try store(front, new, in: entry, chunkBytes: judged.bytes)
        count += new.upperBound - new.lowerBound + 1
      }
    }
    if let evidence, let broken = judged.broken {
      try freeze(entry, by: evidence)
      return .ruleBreak(broken.rule, stored: count)
    }
    if try resolveSuspect(entry) { return .fork(stored: count) }
    return .stored(count)
  }

  /// The parts of a stretch that are held, each within one segment, and those that are not.
  private func ranges(
    of incoming: Incoming, in entry: LogEntry
  ) -> (held: [ClosedRange<SequenceNumber>], missing: [ClosedRange<SequenceNumber>]) {
    var held: [ClosedRange<SequenceNumber>] = []
    var missing: [ClosedRange<SequenceNumber>] = []
    var next = incoming.first
    for segment in entry.segments where segment.last >= incoming.first && segment.first <= incoming.last {
      if segment.first > next { missing.append(next...(segment.first - 1)) }
      held.append(max(segment.first, incoming.first)...min(segment.last, incoming.last))
      next = max(next, segment.last + 1)
    }
    if next <= incoming.last { missing.append(next...incoming.last) }
    return (held, missing)
  }

  private struct Judged {
    var broken: (sequence: SequenceNumber, rule: RuleBreak)?
    /// Payload bytes of the chunk that the stretch's last event is in, where known.
    var bytes: Int?
  }

  /// Judges the stretch after what is held below it, and what is held above after the stretch.
  private func judge(_ incoming: Incoming, in entry: LogEntry) throws -> Judged {
    var judge = HeaderJudge(person: entry.person)
    if incoming.first > .first {
      let before = SequenceNumber(incoming.first.rawValue - 1)
      // Beside a segment that it does not chain to, a stretch is judged by itself.
      if try hash(entry, at: before) == incoming.stretch.previous {
        if let top = entry.top, top.last == before { try loadHead(entry) }
        judge = try self.judge(entry, after: before)
      }
    }
    for index in 0..<incoming.stretch.count {
      if let rule = judge.judge(incoming.stretch.header(index)) {
        return Judged(broken: (incoming.first + index, rule))
      }
    }
    let bytes = judge.runningChunkBytes
    // The header above, and the rest of its chunk, now have something to be judged by.
    let above = incoming.last + 1
    guard let next = try header(entry, at: above), next.previous == incoming.stretch.lastHash else {
      return Judged(bytes: bytes)
    }
    if let rule = judge.judge(next) { return Judged(broken: (above, rule), bytes: bytes) }
    if next.place != 0 {
      for part in try chunkParts(entry, continuingAt: above, after: next.place - 1) {
        for index in 0..<part.stretch.count where part.first + index > above {
          let header = part.stretch.header(index)
          if let rule = judge.judge(header) { return Judged(broken: (part.first + index, rule), bytes: bytes) }
          if header.place == 0 { return Judged(bytes: bytes) }
        }
      }
    }
    return Judged(bytes: bytes)
  }

  // MARK: - Storing

  /// Stores the events `new` of a stretch: at the top of the log with a signature each as tail rows, otherwise in the
  /// chunk row of their author's chunk, together with what is held of it.
  ///
  /// - Parameter chunkBytes: payload bytes of the last event's chunk, for the next one to be judged by.
  private func store(
    _ incoming: Incoming, _ new: ClosedRange<SequenceNumber>, in entry: LogEntry, chunkBytes: Int?
  ) throws {
    let stretch = incoming.stretch
    let low = new.lowerBound - stretch.first
    let high = new.upperBound - stretch.first
    let isTop = entry.top.map { new.upperBound > $0.last } ?? true
    let isLinkedBelow =
      low > 0 || entry.segments.contains { $0.last + 1 == new.lowerBound && $0.hash == stretch.previous }
    let startsChunk =
      try !isLinkedBelow
      || !Self.continues(header(entry, at: new.lowerBound - 1)?.place ?? 0, stretch.place(low))
    let endsWithChunk = stretch.place(high) == UInt8(HeaderJudge.chunkCountMaximum - 1)
    if isTop, let signatures = incoming.signatures, !endsWithChunk {
      if startsChunk, isLinkedBelow { try fold(entry, endingAt: SequenceNumber(new.lowerBound.rawValue - 1)) }
      // Nobody can say yet that a chunk which is not held from its start is too long; what is sent in one piece is not.
      let isRun =
        try !startsChunk && hasTailRow(entry, new.lowerBound - 1)
        && tailBytes(entry, endingAt: new.lowerBound - 1) + stretch.raw.count <= Int(EventHeader.payloadBytesMaximum)
      for index in low...high {
        try insertTail(
          entry, stretch.header(index), stretch.payload(index), signature: signatures[index],
          verified: incoming.lastSignature != nil && index == stretch.count - 1, anchored: index == low && !isRun)
      }
    } else {
      let below = try startsChunk ? [] : chunkParts(entry, endingAt: new.lowerBound - 1)
      let above = try chunkParts(
        entry, linkedAt: new.upperBound + 1, to: stretch.hashes[high], after: stretch.place(high))
      if below.isEmpty, above.isEmpty {
        let isWhole = new == stretch.first...stretch.last
        let piece =
          isWhole
          ? stretch
          : try Self.stretch(
            of: Array(stretch.events[low...high]), log: entry.key, first: new.lowerBound,
            previous: low == 0 ? stretch.previous : stretch.hashes[low - 1])
        try insertChunk(
          entry, piece, signature: high == stretch.count - 1 ? incoming.lastSignature : nil,
          block: isWhole ? incoming.block ?? Block(compressing: piece.raw) : Block(compressing: piece.raw))
      } else {
        let signature =
          above.last != nil
          ? try self.signature(entry, at: above.last!.last)
          : high == stretch.count - 1 ? incoming.lastSignature : nil
        try rewrite(
          entry, replacing: below + above,
          by: below.flatMap(\.stretch.events) + stretch.events[low...high] + above.flatMap(\.stretch.events),
          first: below.first?.first ?? new.lowerBound,
          previous: below.first?.stretch.previous ?? (low == 0 ? stretch.previous : stretch.hashes[low - 1]),
          signature: signature)
      }
      if startsChunk, isLinkedBelow { try fold(entry, endingAt: SequenceNumber(new.lowerBound.rawValue - 1)) }
    }
    try extend(
      entry,
      by: Segment(
        first: new.lowerBound, last: new.upperBound,
        previous: low == 0 ? stretch.previous : stretch.hashes[low - 1], hash: stretch.hashes[high]))
    if isTop {
      entry.headHeader = stretch.header(high)
      entry.headChunkBytes = chunkBytes
    }
    if entry.top?.first == new.lowerBound { entry.topHeader = stretch.header(low) }
    try tellReadModels(entry, stretch, low..<(high + 1))
  }

  private func chunkParts(
    _ entry: LogEntry, linkedAt sequence: SequenceNumber, to hash: EventHash, after place: UInt8
  ) throws -> [Part] {
    guard let segment = entry.segments.first(where: { $0.first == sequence }), segment.previous == hash else {
      return []
    }
    if let top = entry.topHeader, top.sequence == sequence, top.place == 0 { return [] }
    return try chunkParts(entry, continuingAt: sequence, after: place)
  }

  /// Segments that one log may have. Then only what touches one of them is taken: a peer that serves a long log with
  /// gaps must not keep others from filling them.
  private static let segmentMaximum = 1024
}
