public import Events
public import Identity
public import Primitives

extension EventStore {
  // MARK: - What is known

  /// The proof that froze a log, if there is one.
  public func evidence(of log: LogID) throws -> Evidence? {
    guard let entry = try entry(log) else { return nil }
    return try storedEvidence(entry)
  }

  func storedEvidence(_ entry: LogEntry) throws -> Evidence? {
    let select = try database.statement("SELECT bytes FROM evidence WHERE lid=?")
    select.bind(entry.lid, at: 0)
    guard let bytes = try select.first({ $0.blob(0) }) else { return nil }
    do throws(ByteError) {
      return try Evidence(decoding: bytes, log: entry.key, person: entry.person)
    } catch {
      throw damaged(entry, .first, row: nil, "its evidence does not read: \(error)")
    }
  }

  func evidenceCut(_ entry: LogEntry) throws -> (cut: SequenceNumber, previous: EventHash)? {
    if case .frozen(let cut, let previous) = entry.end { return (cut, previous) }
    return try storedCut(entry).map { ($0.sequence, $0.hash) }
  }

  /// The cut that evidence is filed under, and the hash before it.
  func storedCut(_ entry: LogEntry) throws -> LogHead? {
    let select = try database.statement("SELECT cut, previous FROM evidence WHERE lid=?")
    select.bind(entry.lid, at: 0)
    return try select.first { row in
      row.bytes32(1, EventRole.self).map { LogHead(sequence: row.sequence(0), hash: $0) }
    } ?? nil
  }

  /// Takes a proof from a peer. It was checked when it was decoded.
  ///
  /// - Returns: whether the log's end changed.
  public func ingest(_ evidence: Evidence, log: LogID, person: PersonID) throws -> Bool {
    try write {
      guard let stored = try storedPerson(person), stored.record.isAuthor(log) else { return false }
      let isNew = try entry(log) == nil
      let entry = try makeEntry(log, person: person, pid: stored.pid)
      guard entry.pid == stored.pid else { return false }
      if isNew, let revocation = stored.record.revocation(of: log) { entry.end = .revoked(revocation) }
      return try freeze(entry, by: evidence)
    }
  }

  // MARK: - Freezing

  /// Ends a log at the cut of evidence, unless lower evidence has done so. A revocation outranks it, but it is kept: it
  /// counts again if the revocation falls.
  @discardableResult
  func freeze(_ entry: LogEntry, by evidence: Evidence) throws -> Bool {
    if let known = try evidenceCut(entry), known.cut <= evidence.cut {
      if known.cut == evidence.cut, known.previous != evidence.previous, let branch = continuation(evidence) {
        // Two chains lead to one cut, so there is a fork below it.
        try suspect(entry, first: evidence.cut, previous: evidence.previous, branch)
        return try resolveSuspect(entry)
      }
      return false
    }
    let parted = try part(entry, partedBy: evidence)
    let insert = try database.statement(
      "INSERT OR REPLACE INTO evidence(lid, cut, previous, bytes) VALUES(?,?,?,?)")
    insert.bind(entry.lid, at: 0)
    insert.bind(evidence.cut, at: 1)
    insert.bind(evidence.previous, at: 2)
    insert.bind(evidence.encoded, at: 3)
    try insert.run()
    guard entry.revocation == nil else { return false }
    try end(entry, by: evidence, parted)
    return true
  }

  /// The stored chunk that the cut of evidence goes through, as a suspect, where it is of another branch than the
  /// evidence. What would be left of it has no signature and could never show where the two part; so it goes as a whole,
  /// and its events that are common to both come again with those of the evidence's branch.
  private func part(_ entry: LogEntry, partedBy evidence: Evidence) throws -> Suspect? {
    guard evidence.cut > .first, let held = try hash(entry, at: evidence.cut - 1), held != evidence.previous else {
      return nil
    }
    let part = try part(entry, containing: evidence.cut - 1)
    guard part.place != .tail, part.last >= evidence.cut,
      let branch = try branch(entry, nil, from: part.first, through: evidence.cut - 1)
    else { return nil }
    return Suspect(first: part.first, previous: part.stretch.previous, branch: branch)
  }

  private func end(_ entry: LogEntry, by evidence: Evidence, _ parted: Suspect?) throws {
    entry.end = .frozen(cut: evidence.cut, previous: evidence.previous)
    if let want = entry.want, want.sequence >= evidence.cut { entry.want = nil }
    markDirty(entry)
    try truncate(entry, from: parted?.first ?? evidence.cut)
    if let known = try storedSuspect(entry),
      known.first > evidence.cut || known.first == evidence.cut && known.previous == evidence.previous
    {
      try dropSuspect(entry)
    }
    if let parted { try suspect(entry, first: parted.first, previous: parted.previous, parted.branch) }
    guard evidence.cut > .first, let held = try hash(entry, at: evidence.cut - 1), held != evidence.previous else {
      return
    }
    // What is held below the cut is another branch than the evidence's: there is a fork lower still.
    if let branch = continuation(evidence) {
      try suspect(entry, first: evidence.cut, previous: evidence.previous, branch)
    }
  }

  /// The headers of evidence from its cut on.
  private func continuation(_ evidence: Evidence) -> Evidence.Branch? {
    let branch = evidence.branches[0]
    guard let start = branch.headers.firstIndex(where: { $0.previous == evidence.previous }) else { return nil }
    return Evidence.Branch(headers: Array(branch.headers[start...]), signature: branch.signature)
  }

  /// Brings a log in line with what its person's record says of it now.
  func apply(_ record: PersonRecord, to entry: LogEntry) throws {
    let revocation = record.revocation(of: entry.key)
    guard revocation != entry.revocation else { return }
    markDirty(entry)
    if let revocation {
      entry.end = .revoked(revocation)
      if let want = entry.want, want.sequence >= revocation.sequence { entry.want = nil }
      try truncate(entry, from: revocation.sequence + 1)
      if let held = try hash(entry, at: revocation.sequence), held != revocation.hash {
        try truncate(entry, from: part(entry, containing: revocation.sequence).first)
      }
      try dropSuspect(entry)
    } else {
      // The revocation fell with its root. What was taken on its word is judged like any other log again.
      entry.end = nil
      if let evidence = try storedEvidence(entry) { try end(entry, by: evidence, part(entry, partedBy: evidence)) }
      try judgeAgain(entry)
    }
  }

  private func judgeAgain(_ entry: LogEntry) throws {
    for segment in entry.segments {
      var judge = HeaderJudge(person: entry.person)
      for part in try parts(entry, segment.first...segment.last) {
        for index in 0..<part.stretch.count where judge.judge(part.stretch.header(index)) != nil {
          if let evidence = try makeEvidence(ofRuleBreakAt: part.first + index, nil, entry) {
            try freeze(entry, by: evidence)
          } else {
            try truncate(entry, from: part.first + index)
          }
          return
        }
      }
    }
  }

  // MARK: - Making evidence

  func makeEvidence(
    ofForkAt sequence: SequenceNumber, _ incoming: Incoming, _ entry: LogEntry
  ) throws -> Evidence? {
    guard let ours = try branch(entry, nil, from: sequence, through: sequence),
      let theirs = try branch(entry, incoming, from: sequence, through: sequence)
    else { return nil }
    return Evidence(fork: ours, theirs, log: entry.key, person: entry.person)
  }

  /// As much before the broken header as its rule can need: its predecessor's chunk from place 0 on.
  func makeEvidence(
    ofRuleBreakAt sequence: SequenceNumber, _ incoming: Incoming?, _ entry: LogEntry
  ) throws -> Evidence? {
    var start = sequence
    while start > .first, sequence - start < HeaderJudge.chunkCountMaximum,
      let before = try header(entry, incoming, at: start - 1)
    {
      start = start - 1
      if before.place == 0 { break }
    }
    guard let branch = try branch(entry, incoming, from: start, through: sequence) else { return nil }
    return Evidence(ruleBreak: branch, log: entry.key, person: entry.person)
  }

  private func header(_ entry: LogEntry, _ incoming: Incoming?, at sequence: SequenceNumber) throws -> EventHeader? {
    if let incoming, sequence >= incoming.first, sequence <= incoming.last { return incoming.header(at: sequence) }
    return try header(entry, at: sequence)
  }

  /// Headers from `start` to the first signature at or after `end`: the incoming stretch's own where it has them, else
  /// what chains to them: the held ones, and where these end, those of the suspect branch or of the evidence that cut
  /// the log. Nil without a signature in reach.
  func branch(
    _ entry: LogEntry, _ incoming: Incoming?, from start: SequenceNumber, through end: SequenceNumber
  ) throws -> Evidence.Branch? {
    var headers: [EventHeader] = []
    var sequence = start
    while headers.count < Evidence.branchCountMaximum {
      if let incoming, sequence >= incoming.first, sequence <= incoming.last {
        headers.append(incoming.header(at: sequence))
        if sequence >= end, let signature = self.signature(incoming, at: sequence) {
          return Evidence.Branch(headers: headers, signature: signature)
        }
      } else if let header = try header(entry, at: sequence), headers.last.map({ header.previous == $0.hash }) ?? true {
        headers.append(header)
        if sequence >= end, let signature = try signature(entry, at: sequence) {
          return Evidence.Branch(headers: headers, signature: signature)
        }
      } else {
        break
      }
      sequence = sequence + 1
    }
    func completed(by rest: Evidence.Branch) -> Evidence.Branch? {
      guard let last = headers.last, let next = rest.headers.first, next.previous == last.hash,
        headers.count + rest.headers.count <= Evidence.branchCountMaximum
      else { return nil }
      return Evidence.Branch(headers: headers + rest.headers, signature: rest.signature)
    }
    if let known = try storedSuspect(entry), known.first == sequence, let whole = completed(by: known.branch) {
      return whole
    }
    if let known = try storedEvidence(entry), known.cut == sequence, let rest = continuation(known) {
      return completed(by: rest)
    }
    return nil
  }

  private func signature(_ incoming: Incoming, at sequence: SequenceNumber) -> Signature? {
    let index = sequence - incoming.first
    if sequence == incoming.last { return incoming.lastSignature }
    guard let signature = incoming.signatures?[index], incoming.stretch.isSigned(index, by: signature) else {
      return nil
    }
    return signature
  }

  // MARK: - Suspects

  /// A branch that does not fit what is held. Only its lowest known piece matters: the fork is below it.
  struct Suspect {
    var first: SequenceNumber
    var previous: EventHash
    var branch: Evidence.Branch
  }

  func storedSuspect(_ entry: LogEntry) throws -> Suspect? {
    guard entry.hasSuspect else { return nil }
    let select = try database.statement("SELECT first, previous, headers, signature FROM suspect WHERE lid=?")
    select.bind(entry.lid, at: 0)
    return try select.first { row -> Suspect? in
      let bytes = row.blob(2)
      guard let previous: EventHash = row.bytes32(1), let signature = row.withBlob(3, { Signature($0) }),
        !bytes.isEmpty, bytes.count % EventHeader.byteCount == 0
      else { return nil }
      let headers = stride(from: 0, to: bytes.count, by: EventHeader.byteCount).compactMap {
        try? EventHeader(decoding: bytes, at: $0)
      }
      return Suspect(
        first: row.sequence(0), previous: previous, branch: Evidence.Branch(headers: headers, signature: signature))
    } ?? nil
  }

  func suspect(_ entry: LogEntry, _ incoming: Incoming) throws {
    guard let branch = try branch(entry, incoming, from: incoming.first, through: incoming.first) else { return }
    try suspect(entry, first: incoming.first, previous: incoming.stretch.previous, branch)
  }

  func suspect(
    _ entry: LogEntry, first: SequenceNumber, previous: EventHash, _ branch: Evidence.Branch
  ) throws {
    if let known = try storedSuspect(entry), known.first <= first { return }
    let insert = try database.statement(
      "INSERT OR REPLACE INTO suspect(lid, first, previous, headers, signature) VALUES(?,?,?,?,?)")
    insert.bind(entry.lid, at: 0)
    insert.bind(first, at: 1)
    insert.bind(previous, at: 2)
    insert.bind(branch.headers.flatMap(\.encoded), at: 3)
    insert.bind(branch.signature.bytes, at: 4)
    try insert.run()
    entry.hasSuspect = true
    markDirty(entry)
  }

  func dropSuspect(_ entry: LogEntry) throws {
    guard entry.hasSuspect else { return }
    let delete = try database.statement("DELETE FROM suspect WHERE lid=?")
    delete.bind(entry.lid, at: 0)
    try delete.run()
    entry.hasSuspect = false
    markDirty(entry)
  }

  /// Looks whether what is held now shows where a suspect branch leaves the log.
  ///
  /// - Returns: whether it froze the log.
  func resolveSuspect(_ entry: LogEntry) throws -> Bool {
    guard let suspect = try storedSuspect(entry) else { return false }
    if suspect.first > .first {
      guard try hash(entry, at: suspect.first - 1) == suspect.previous else { return false }
    }
    for (index, header) in suspect.branch.headers.enumerated() {
      let sequence = suspect.first + index
      guard let held = try self.header(entry, at: sequence) else {
        // In a gap, or below the cut, the events that come may still be others.
        let last = entry.isFrozen ? entry.lastAllowed : entry.top?.last ?? SequenceNumber(0)
        if sequence <= last { return false }
        break
      }
      if held == header { continue }
      let theirs = Evidence.Branch(
        headers: Array(suspect.branch.headers[index...]), signature: suspect.branch.signature)
      guard let ours = try branch(entry, nil, from: sequence, through: sequence),
        let evidence = Evidence(fork: ours, theirs, log: entry.key, person: entry.person)
      else { return false }
      try dropSuspect(entry)
      return try freeze(entry, by: evidence)
    }
    // It fits after all: what was wrong with it went when something lower was settled.
    try dropSuspect(entry)
    return false
  }
}
