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
        guard let envelope = try envelope(entry, part, low: low, high: next, request, isProvenAbove) else {
          // Nothing here proves it: as good as damaged.
          run.damaged.append(max(part.first, low)...min(next, max(request.range.upperBound, part.first)))
          guard part.first > low else { break }
          next = part.first - 1
          continue
        }
        run.stretches.append(envelope)
        run.bytes += envelope.encoded.count
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

  /// The lowest event at or above `sequence` whose part ends in a proof of its own.
  private func proofAbove(_ entry: LogEntry, _ segment: Segment, _ sequence: SequenceNumber) throws -> SequenceNumber? {
    var next = sequence
    while next <= segment.last {
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
      var signatures: [Signature] = []
      for index in (first - part.first)...(last - part.first) {
        guard try isVerified(entry, part, index), let signature = part.signatures[index] else {
          signatures = []
          continue
        }
        signatures.append(signature)
      }
      if signatures.count == last - first + 1 {
        proof = .everySignature(signatures)
      } else if let signature = signatures.last {
        proof = .lastSignature(signature)
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
      block = Block(
        compressing: StretchColumns.encode(
          Array(part.stretch.events[(first - part.first)...(last - part.first)])))
    }
    return StretchEnvelope(
      first: first, count: last - first + 1, previous: previous, proof: proof, rawBytes: block.rawBytes,
      block: block.bytes)
  }

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
