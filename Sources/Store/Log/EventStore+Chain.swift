import Events
import Identity
import Primitives

/// Looking along a chain, and joining and splitting its pieces. Everything here works on held events of one log.
extension EventStore {
  /// The hash of the event at a sequence number, where it is held. Cheap at the ends of segments.
  func hash(_ entry: LogEntry, at sequence: SequenceNumber) throws -> EventHash? {
    guard let index = entry.segmentIndex(containing: sequence) else { return nil }
    let segment = entry.segments[index]
    if segment.last == sequence { return segment.hash }
    let part = try part(entry, containing: sequence)
    return part.stretch.hashes[sequence - part.first]
  }

  func header(_ entry: LogEntry, at sequence: SequenceNumber) throws -> EventHeader? {
    if let head = entry.headHeader, head.sequence == sequence { return head }
    if let top = entry.topHeader, top.sequence == sequence { return top }
    guard entry.segmentIndex(containing: sequence) != nil else { return nil }
    let part = try part(entry, containing: sequence)
    return part.stretch.header(sequence - part.first)
  }

  /// A signature over the event, if one is held, and valid.
  func signature(_ entry: LogEntry, at sequence: SequenceNumber) throws -> Signature? {
    guard entry.segmentIndex(containing: sequence) != nil else { return nil }
    return try part(entry, containing: sequence).validSignature(at: sequence)
  }

  /// The parts that hold a range of one segment, from the lowest up.
  func parts(_ entry: LogEntry, _ range: ClosedRange<SequenceNumber>) throws -> [Part] {
    var parts: [Part] = []
    var next = range.lowerBound
    while next <= range.upperBound {
      let part = try part(entry, containing: next)
      parts.append(part)
      next = part.last + 1
    }
    return parts
  }

  /// The parts of the author's chunk that ends, as far as it is held, at `sequence`; from the lowest up.
  func chunkParts(_ entry: LogEntry, endingAt sequence: SequenceNumber) throws -> [Part] {
    guard let index = entry.segmentIndex(containing: sequence) else { return [] }
    var parts = [try part(entry, containing: sequence)]
    while parts[0].stretch.header(0).place != 0, parts[0].first > entry.segments[index].first {
      let below = try part(entry, containing: parts[0].first - 1)
      guard Self.continues(below.stretch.place(below.stretch.count - 1), parts[0].stretch.place(0)) else { break }
      parts.insert(below, at: 0)
    }
    return parts
  }

  /// The parts of the author's chunk that goes on at `sequence` after an event at `place` in it; none when a new chunk
  /// starts there.
  func chunkParts(_ entry: LogEntry, continuingAt sequence: SequenceNumber, after place: UInt8) throws -> [Part] {
    guard let index = entry.segmentIndex(containing: sequence) else { return [] }
    var parts: [Part] = []
    var next = sequence
    var place = place
    while next <= entry.segments[index].last {
      let part = try part(entry, containing: next)
      guard Self.continues(place, part.stretch.place(next - part.first)) else { break }
      parts.append(part)
      place = part.stretch.place(part.stretch.count - 1)
      next = part.last + 1
    }
    return parts
  }

  /// Whether an event at `place` belongs to the chunk of the event before it. In a revoked log, whose chain counts as it
  /// is, places may also be neither.
  static func continues(_ before: UInt8, _ place: UInt8) -> Bool { place != 0 && Int(place) == Int(before) + 1 }

  /// A judge that has seen the chain up to `sequence`, from the start of its chunk on where that is held.
  func judge(_ entry: LogEntry, after sequence: SequenceNumber) throws -> HeaderJudge {
    if let head = entry.headHeader, head.sequence == sequence {
      return HeaderJudge(person: entry.person, after: head, chunkBytes: entry.headChunkBytes)
    }
    guard entry.segmentIndex(containing: sequence) != nil else { return HeaderJudge(person: entry.person) }
    let parts = try chunkParts(entry, endingAt: sequence)
    var sum: Int? = parts[0].stretch.header(0).place == 0 ? 0 : nil
    var last: EventHeader?
    for part in parts {
      for index in 0..<part.stretch.count where part.first + index <= sequence {
        let header = part.stretch.header(index)
        sum = sum.map { $0 + Int(header.payloadBytes) }
        last = header
      }
    }
    return HeaderJudge(person: entry.person, after: last!, chunkBytes: sum)
  }

  /// Learns what appending and joining need to know of the head, and checks it against the log's row: an author must
  /// never sign on top of a damaged hash.
  func loadHead(_ entry: LogEntry) throws {
    guard entry.headHeader == nil, let top = entry.top else { return }
    let part = try part(entry, containing: top.last)
    guard part.last == top.last, part.stretch.lastHash == top.hash else {
      throw damaged(entry, top.last, row: nil, "the head is not the one that the log names")
    }
    let judge = try judge(entry, after: top.last)
    entry.headChunkBytes = judge.runningChunkBytes
    entry.headHeader = part.stretch.header(part.stretch.count - 1)
  }

  // MARK: - Segments

  /// Adds a range to the held segments and joins what is linked. The caller has checked that nothing overlaps.
  func extend(_ entry: LogEntry, by new: Segment) throws {
    var segments = entry.segments
    let lowerBefore = segments.dropLast()
    var index = segments.firstIndex { $0.first > new.last } ?? segments.count
    segments.insert(new, at: index)
    if index + 1 < segments.count, segments[index + 1].first == new.last + 1,
      segments[index + 1].previous == segments[index].hash
    {
      segments[index].last = segments[index + 1].last
      segments[index].hash = segments[index + 1].hash
      segments.remove(at: index + 1)
    }
    if index > 0, segments[index - 1].last + 1 == segments[index].first,
      segments[index - 1].hash == segments[index].previous
    {
      segments[index - 1].last = segments[index].last
      segments[index - 1].hash = segments[index].hash
      segments.remove(at: index)
      index -= 1
    }
    if segments.dropLast() != lowerBefore { entry.lowerChanged = true }
    entry.segments = segments
    // Another hash at the wanted place is a fork's other branch, which stays wanted.
    if let want = entry.want, new.contains(want.sequence),
      try hash(entry, at: want.sequence)?.prefix64 == want.hash.prefix64
    {
      entry.want = nil
    }
    markDirty(entry)
  }

  /// Rewrites the pieces of one author's chunk as one row, or as few as hold them. Nothing else about the log changes.
  ///
  /// - Parameter events: consecutive, of one chunk; together they cover `parts` and whatever is new.
  func rewrite(
    _ entry: LogEntry, replacing parts: [Part], by events: [Event], first: SequenceNumber, previous: EventHash,
    signature: Signature?
  ) throws {
    for part in parts { try delete(entry, part) }
    // A chunk that is not held from its start may be overfull; no row may hold more than is read back.
    var rest = events[...]
    var next = first
    var before = previous
    while !rest.isEmpty {
      var bytes = 0
      let fitting = rest.prefix { event in
        bytes += event.payload.bytes?.count ?? 0
        return bytes <= Int(EventHeader.payloadBytesMaximum)
      }
      let piece = Array(rest.prefix(max(1, fitting.count)))
      rest = rest.dropFirst(piece.count)
      let stretch = try Self.stretch(of: piece, log: entry.key, first: next, previous: before)
      try insertChunk(entry, stretch, signature: rest.isEmpty ? signature : nil, block: Block(compressing: stretch.raw))
      next = stretch.last + 1
      before = stretch.lastHash
    }
  }

  func delete(_ entry: LogEntry, _ part: Part) throws {
    switch part.place {
    case .chunk(let row): try deleteChunk(entry, row: row, first: part.first)
    case .tail: try deleteTail(entry, part.first...part.last)
    }
  }

  /// The chunk that ends at `sequence` is complete: its tail rows become one chunk row with the last signature.
  func fold(_ entry: LogEntry, endingAt sequence: SequenceNumber) throws {
    guard try hasTailRow(entry, sequence) else { return }
    let parts = try chunkParts(entry, endingAt: sequence)
    guard let last = parts.last, last.last == sequence, parts.count > 1 || last.place == .tail else { return }
    try rewrite(
      entry, replacing: parts, by: parts.flatMap(\.stretch.events), first: parts[0].first,
      previous: parts[0].stretch.previous, signature: last.validSignature(at: sequence))
  }

  // MARK: - Cutting

  /// Takes everything from `sequence` on out of the log, also from the read models.
  func truncate(_ entry: LogEntry, from sequence: SequenceNumber) throws {
    guard let top = entry.top, top.last >= sequence else { return }
    for model in readModels { try model.truncate(entry.identity, from: sequence, in: database) }
    try dropDeletions(by: entry, from: sequence)
    while let segment = entry.segments.last, segment.last >= sequence {
      let from = max(segment.first, sequence)
      for part in try parts(entry, from...segment.last).reversed() {
        try delete(entry, part)
        if part.first < from { try keep(entry, part, before: from) }
      }
      entry.segments.removeLast()
      if segment.first < sequence {
        let part = try part(entry, keptAt: sequence - 1)
        entry.segments.append(
          Segment(
            first: segment.first, last: sequence - 1, previous: segment.previous, hash: part.stretch.lastHash))
      }
    }
    entry.lowerChanged = true
    entry.forgetDerived()
    markDirty(entry)
  }

  private func part(_ entry: LogEntry, keptAt sequence: SequenceNumber) throws -> Part {
    try part(entry, containing: sequence)
  }

  /// Puts the front of a deleted part back.
  private func keep(_ entry: LogEntry, _ part: Part, before sequence: SequenceNumber) throws {
    let count = sequence - part.first
    let events = Array(part.stretch.events.prefix(count))
    switch part.place {
    case .chunk:
      try rewrite(
        entry, replacing: [], by: events, first: part.first, previous: part.stretch.previous, signature: nil)
    case .tail:
      for index in 0..<count {
        try insertTail(
          entry, events[index].header, events[index].payload, signature: part.signatures[index],
          verified: !part.unverified.contains(index), anchored: index == 0)
      }
    }
  }
}
