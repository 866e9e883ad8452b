public import Events
public import Identity
public import Primitives

/// Events that somebody asks for.
public struct StretchRequest: Hashable, Sendable {
  public var log: LogID
  public var range: ClosedRange<SequenceNumber>
  /// The asker holds the event below the range: what begins there needs eight bytes of `previous` only.
  public var holdsBelow: Bool
  /// The asker holds the event above the range: what ends there needs no other proof.
  public var holdsAbove: Bool

  public init(
    log: LogID, range: ClosedRange<SequenceNumber>, holdsBelow: Bool = false, holdsAbove: Bool = false
  ) {
    self.log = log
    self.range = range
    self.holdsBelow = holdsBelow
    self.holdsAbove = holdsAbove
  }
}

/// An answer to a request.
public struct StretchRun: Sendable {
  /// Newest first; each proves itself, or is proven by the one before it.
  public var stretches: [StretchEnvelope] = []
  /// Encoded bytes of all of them.
  public var bytes = 0
  /// What is left of the range, when the budget ended the run.
  public var rest: ClosedRange<SequenceNumber>?
  /// Parts of the range that are damaged here, and so are not served.
  public var damaged: [ClosedRange<SequenceNumber>] = []
}

extension EventStore {
  /// Held events of a range as they lie on disk: a closed chunk without recompressing, the tail as one stretch with
  /// every signature. Where a proof demands it, the run goes beyond the range.
  ///
  /// - Parameter budget: ends the run after the stretch that reaches it, in bytes.
  public func read(_ request: StretchRequest, budget: Int) throws -> StretchRun {
    var run = StretchRun()
    guard let entry = try entry(request.log), request.range.lowerBound >= .first else { return run }
    var isProvenAbove = request.holdsAbove
    for segment in entry.segments.reversed() {
      guard segment.first <= request.range.upperBound, segment.last >= request.range.lowerBound else { continue }
      let low = max(segment.first, request.range.lowerBound)
      var next = min(segment.last, request.range.upperBound)
      if next < request.range.upperBound { isProvenAbove = false }
      if !isProvenAbove { next = try proofAbove(entry, segment, next) ?? next }
      while next >= low {
        let envelope: StretchEnvelope
        if let whole = try wholeChunk(entry, containing: next, low: low, request) {
          envelope = whole
        } else {
          let part: Part
          do {
            part = try self.part(entry, containing: next)
          } catch let error as StoreError where error.code == .damaged {
            let below = try previousStored(entry, before: next, in: segment)
            let start = max(below.map { $0 + 1 } ?? segment.first, low)
            run.damaged.append(start...max(start, min(next, request.range.upperBound)))
            isProvenAbove = false
            guard let below, below >= low else { break }
            next = below
            continue
          }
          guard let made = try self.envelope(entry, part, low: low, high: next, request, isProvenAbove) else {
            // Nothing here proves it: as good as damaged.
            run.damaged.append(max(part.first, low)...min(next, max(request.range.upperBound, part.first)))
            guard part.first > low else { break }
            next = part.first - 1
            continue
          }
          envelope = made
        }
        run.stretches.append(envelope)
        run.bytes += envelope.encodedByteCount
        isProvenAbove = true
        guard envelope.first > .first else { break }
        next = envelope.first - 1
        // What only proves the range does not end a run, or a small budget would never get past it.
        if run.bytes >= budget, next >= request.range.lowerBound, next < request.range.upperBound {
          run.rest = request.range.lowerBound...min(next, request.range.upperBound)
          return run
        }
      }
    }
    return run
  }

  /// The lowest event at or above `sequence` whose part ends in a proof of its own. Everything up to it has to fit the
  /// frame that answers, so what lies further above proves nothing.
  private func proofAbove(_ entry: LogEntry, _ segment: Segment, _ sequence: SequenceNumber) throws -> SequenceNumber? {
    var next = sequence
    for _ in 0..<Self.proofPartsMaximum where next <= segment.last {
      if let place = try chunkPlace(entry.lid, containing: next), place.isSigned { return place.last }
      guard let part = try? part(entry, containing: next) else { return nil }
      if part.place == .tail {
        for index in (next - part.first)..<part.stretch.count where part.signatures[index] != nil {
          if try isVerified(entry, part, index) { return part.first + index }
        }
      } else if part.lastSignature != nil {
        return part.last
      }
      if try endProof(entry, part.last, part.stretch.lastHash) != nil { return part.last }
      next = part.last + 1
    }
    return nil
  }

  /// Parts that may lie between a range and its proof: four of at most 100 KB each, beside what a RUN holds already.
  private static let proofPartsMaximum = 4

  private func isVerified(_ entry: LogEntry, _ part: Part, _ index: Int) throws -> Bool {
    guard let signature = part.signatures[index] else { return false }
    return !part.unverified.contains(index) || part.stretch.isSigned(index, by: signature)
  }

  private func endProof(
    _ entry: LogEntry, _ sequence: SequenceNumber, _ hash: EventHash
  ) throws -> StretchEnvelope.Proof? {
    switch entry.end {
    case .revoked(let revocation) where revocation.sequence == sequence && revocation.hash == hash: .revocation
    case .frozen(let cut, let previous) where cut == sequence + 1 && previous == hash: .evidence
    default: nil
    }
  }

  /// A chunk with its signature, as it lies on disk: nothing of it is unpacked. Nil where that is not what lies there.
  private func wholeChunk(
    _ entry: LogEntry, containing sequence: SequenceNumber, low: SequenceNumber, _ request: StretchRequest
  ) throws -> StretchEnvelope? {
    // A damaged row is for the long way to deal with.
    guard let row = (try? chunkRow(entry, containing: sequence)) ?? nil, row.first >= low,
      let signature = row.signature
    else { return nil }
    let isKnown = row.first == .first || request.holdsBelow && row.first == request.range.lowerBound
    return StretchEnvelope(
      first: row.first, count: row.count, previous: isKnown ? .prefix(row.previous.prefix64) : .whole(row.previous),
      proof: .lastSignature(signature), rawBytes: row.block.rawBytes, block: row.block.bytes)
  }

  private func envelope(
    _ entry: LogEntry, _ part: Part, low: SequenceNumber, high: SequenceNumber, _ request: StretchRequest,
    _ isProvenAbove: Bool
  ) throws -> StretchEnvelope? {
    let first = max(part.first, low)
    // A closed chunk goes whole to its signed end; a part without one ends where a neighbour vouches for it.
    var last = part.last
    var proof: StretchEnvelope.Proof?
    switch part.place {
    case .tail:
      last = high
      // The asker verifies the last one, and the others before anything ends on them, as this store does.
      if try isVerified(entry, part, last - part.first), let signature = part.signatures[last - part.first] {
        let signatures = part.signatures[(first - part.first)...(last - part.first)].compactMap { $0 }
        proof =
          signatures.count == last - first + 1 && signatures.count <= Self.signaturesMaximum
          ? .everySignature(signatures) : .lastSignature(signature)
      }
    case .chunk:
      if let signature = part.lastSignature { proof = .lastSignature(signature) }
    }
    if proof == nil {
      last = high
      proof = try endProof(entry, last, part.stretch.hashes[last - part.first])
      if proof == nil, isProvenAbove { proof = .neighbour }
    }
    guard let proof else { return nil }
    let previousHash = first == part.first ? part.stretch.previous : part.stretch.hashes[first - part.first - 1]
    let isKnown = first == .first || request.holdsBelow && first == request.range.lowerBound
    let previous: StretchEnvelope.Previous = isKnown ? .prefix(previousHash.prefix64) : .whole(previousHash)
    let block: Block
    if case .chunk = part.place, first == part.first, last == part.last {
      guard let row = try chunkRow(entry, containing: first) else { return nil }
      block = row.block
    } else {
      let columns =
        first == part.first && last == part.last
        ? part.stretch.raw
        : StretchColumns.encode(Array(part.stretch.events[(first - part.first)...(last - part.first)]))
      // What comes with every signature is compressed as part of a whole RUN.
      if case .everySignature = proof {
        block = Block(rawBytes: nil, bytes: columns)
      } else {
        block = Block(compressing: columns)
      }
    }
    return StretchEnvelope(
      first: first, count: last - first + 1, previous: previous, proof: proof, rawBytes: block.rawBytes,
      block: block.bytes)
  }

  /// A tail of more events goes out with its last signature only, and lies with the asker as one compressed row that
  /// takes the next events as any other does. A signature each would be 64 bytes an event on the wire, and with a row
  /// each twice as much on disk, to serve prefixes that nobody who knows of the head asks for.
  private static let signaturesMaximum = 16

  private func previousStored(
    _ entry: LogEntry, before sequence: SequenceNumber, in segment: Segment
  ) throws -> SequenceNumber? {
    let select = try database.statement(
      """
      SELECT max(s) FROM (SELECT max(first+count-1) s FROM chunk WHERE lid=?1 AND first+count<=?2 \
      UNION ALL SELECT max(seq) FROM tail WHERE lid=?1 AND seq<?2)
      """)
    select.bind(entry.lid, at: 0)
    select.bind(sequence, at: 1)
    let found = try select.first { $0.isNull(0) ? nil : $0.sequence(0) } ?? nil
    return found.flatMap { $0 >= segment.first && $0 < sequence ? $0 : nil }
  }
}
