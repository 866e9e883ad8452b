import Events
import Identity
import Primitives

/// Where an authentic stretch and what is held cannot both be of one chain.
enum Conflict {
  /// Both have an event here that leaves the same one before it: the author forked the log exactly here.
  case fork(SequenceNumber)
  /// The stretch differs from held events, and the difference begins lower than the stretch.
  case differs
  /// The event below the stretch is held and is not the one it chains to.
  case below
  /// The event above the stretch is held and does not chain to it.
  case above
}

extension EventStore {
  /// Equal hashes at the end of an overlap mean that everything below is equal, for each hash covers the one before; so
  /// agreement costs one look, and only a conflict is searched.
  func conflict(of incoming: Incoming, with entry: LogEntry) throws -> Conflict? {
    var joint: Conflict?
    for segment in entry.segments {
      if segment.last < incoming.first {
        if segment.last + 1 == incoming.first, segment.hash != incoming.stretch.previous { joint = .below }
        continue
      }
      if segment.first > incoming.last {
        if segment.first == incoming.last + 1, segment.previous != incoming.stretch.lastHash, joint == nil {
          joint = .above
        }
        break
      }
      let end = min(segment.last, incoming.last)
      guard try hash(entry, at: end) != incoming.hash(at: end) else { continue }
      return try firstDifference(incoming, entry, from: max(segment.first, incoming.first), to: end)
    }
    if incoming.first == .first, incoming.stretch.previous != entry.person.cast() { return nil }
    return joint
  }

  private func firstDifference(
    _ incoming: Incoming, _ entry: LogEntry, from low: SequenceNumber, to high: SequenceNumber
  ) throws -> Conflict {
    for part in try parts(entry, low...high) {
      for index in 0..<part.stretch.count {
        let sequence = part.first + index
        guard sequence >= low, sequence <= high, part.stretch.hashes[index] != incoming.hash(at: sequence) else {
          continue
        }
        let ours = part.stretch.header(index)
        let theirs = incoming.header(at: sequence)
        return ours.previous == theirs.previous || sequence == .first ? .fork(sequence) : .differs
      }
    }
    return .differs
  }

  func resolve(
    _ conflict: Conflict, _ incoming: Incoming, in entry: LogEntry, horizon: Timestamp
  ) throws -> IngestOutcome {
    if let revocation = entry.revocation {
      return try resolve(conflict, incoming, in: entry, revokedAt: revocation, horizon: horizon)
    }
    switch conflict {
    case .fork(let sequence):
      guard let evidence = try makeEvidence(ofForkAt: sequence, incoming, entry) else { return .unproven }
      try freeze(entry, by: evidence)
      return .fork(stored: 0)
    case .differs:
      try suspect(entry, incoming)
      return .secondSegment(stored: 0)
    case .below:
      // It replaces nothing; it lies beside what is held until the events below it show where the two part.
      try suspect(entry, incoming)
      let clash = entry.segments.contains {
        $0.first <= incoming.last && $0.last >= incoming.first
          || $0.first == incoming.last + 1 && $0.previous != incoming.stretch.lastHash
      }
      if clash { return .secondSegment(stored: 0) }
      return try secondSegment(try join(incoming, to: entry, horizon: horizon))
    case .above:
      let above = incoming.last + 1
      if let branch = try branch(entry, nil, from: above, through: above) {
        try suspect(entry, first: above, previous: branch.headers[0].previous, branch)
      }
      return try secondSegment(try join(incoming, to: entry, horizon: horizon))
    }
  }

  /// A stretch of the suspect branch is not stored, for nothing would prove it to others: it leads the suspect further
  /// down, towards the place where the branch leaves the log.
  func follow(
    _ incoming: Incoming, _ conflict: Conflict?, in entry: LogEntry, horizon: Timestamp
  ) throws -> IngestOutcome {
    if let conflict, case .fork = conflict { return try resolve(conflict, incoming, in: entry, horizon: horizon) }
    try suspect(entry, incoming)
    return try resolveSuspect(entry) ? .fork(stored: 0) : .secondSegment(stored: 0)
  }

  private func secondSegment(_ outcome: IngestOutcome) throws -> IngestOutcome {
    if case .stored(let count) = outcome { .secondSegment(stored: count) } else { outcome }
  }

  /// In a revoked log the chain that ends at the named hash is right, and what conflicts with it goes.
  private func resolve(
    _ conflict: Conflict, _ incoming: Incoming, in entry: LogEntry, revokedAt revocation: Revocation, horizon: Timestamp
  ) throws -> IngestOutcome {
    let anchored: Bool
    if incoming.last == revocation.sequence {
      anchored = incoming.stretch.lastHash == revocation.hash
    } else if let top = entry.top, top.last == revocation.sequence, top.hash == revocation.hash {
      anchored =
        try hash(entry, at: incoming.last) == incoming.stretch.lastHash
        || top.first == incoming.last + 1 && top.previous == incoming.stretch.lastHash
    } else {
      anchored = false
    }
    guard anchored else { return .secondSegment(stored: 0) }
    // Everything from the lowest clash on goes, the right events above too: those come again, and this is rare.
    var from = incoming.first
    if case .below = conflict { from = try part(entry, containing: incoming.first - 1).first }
    for segment in entry.segments where segment.contains(from) { from = try part(entry, containing: from).first }
    try truncate(entry, from: from)
    return try join(incoming, to: entry, horizon: horizon)
  }

  /// A stretch that goes beyond the end of its log is cut there, if it is on the log's own branch.
  func cutToEnd(_ incoming: Incoming, _ entry: LogEntry) throws -> ProofCheck {
    let end = entry.lastAllowed
    switch entry.end {
    case nil: return .refused(.badBytes("sequence out of range"))
    case .revoked(let revocation):
      guard incoming.first <= end, incoming.hash(at: end) == revocation.hash else { return .refused(.beyondEnd) }
    case .frozen(_, let previous):
      if incoming.first > end {
        if incoming.first == end + 1, incoming.stretch.previous != previous, incoming.first > .first {
          try suspect(entry, incoming)
          return .refused(.secondSegment(stored: 0))
        }
        return .refused(.beyondEnd)
      }
      if incoming.hash(at: end) != previous {
        // A third branch: it parts from the log below the cut that is known so far.
        if let conflict = try conflict(of: incoming, with: entry) {
          return .refused(try resolve(conflict, incoming, in: entry, horizon: Timestamp(milliseconds: .max)))
        }
        try suspect(entry, incoming)
        return .refused(.secondSegment(stored: 0))
      }
    }
    return .holds(try incoming.prefix(through: end))
  }
}
