import Events
import Identity
import Primitives

/// Whose log it is when a device has consented to two persons. Its first event names one of them in `previous`, and that
/// is the word of the device itself: the log is that person's. While the first event is not here, and where evidence
/// leaves none, it is the person's with the lowest id. So every replica that knows the same records decides alike,
/// whatever came first.
extension EventStore {
  /// Looks again whose log it is, after something came that may have changed it.
  func settleOwner(_ entry: LogEntry) throws {
    let claimants = try claimants(of: entry.key)
    guard let lowest = claimants.min(by: { $0.record.id < $1.record.id }) else { return }
    let named = try firstPrevious(entry).flatMap { hash in claimants.first { $0.record.id == hash.cast() } }
    let owner = named ?? lowest
    if owner.pid != entry.pid { try give(entry, to: owner) }
  }

  /// The person whose log a stretch from the first event on is, by what that event names: another one than the log is
  /// held for here, but one who certifies it.
  func otherOwner(_ received: ReceivedStretch, of entry: LogEntry) throws -> StoredPerson? {
    guard received.envelope.first == .first else { return nil }
    let select: Statement
    switch received.envelope.previous {
    case .whole(let hash):
      if hash == entry.person.cast() { return nil }
      select = try database.statement("SELECT key FROM person WHERE key=?")
      select.bind(hash, at: 0)
    case .prefix(let prefix):
      if prefix == entry.person.prefix64 { return nil }
      let bytes = withUnsafeBytes(of: prefix.bigEndian) { Array($0) }
      select = try database.statement("SELECT key FROM person WHERE key>=? AND key<=? ORDER BY key LIMIT 1")
      select.bind(bytes, at: 0)
      select.bind(bytes + [UInt8](repeating: 0xFF, count: 24), at: 1)
    }
    guard let key = try select.first({ $0.bytes32(0, PersonRole.self) }) ?? nil, let person = try soundPerson(key),
      person.record.isAuthor(entry.key)
    else { return nil }
    return person
  }

  /// Takes a stretch whose first event names another person than the log was held for. What was held goes, and comes
  /// again as that person's; where another first event is held, the two are a fork.
  func take(
    _ received: ReceivedStretch, of entry: LogEntry, naming owner: StoredPerson, horizon: Timestamp
  ) throws -> IngestOutcome {
    let probe = LogEntry(lid: entry.lid, key: entry.key, pid: owner.pid, person: owner.record.id)
    probe.segments = entry.segments
    probe.end = entry.end
    probe.hasSuspect = entry.hasSuspect
    let incoming: Incoming
    switch try check(received, of: probe, after: nil) {
    case .refused(let outcome): return outcome
    case .holds(let held): incoming = held
    }
    if entry.lastAllowed < .first {
      try settleOwner(entry)
      return .beyondEnd
    }
    guard try header(entry, at: .first) == nil else {
      guard entry.revocation == nil, let evidence = try makeEvidence(ofForkAt: .first, incoming, entry) else {
        return .unproven
      }
      try freeze(entry, by: evidence)
      return .fork(stored: 0)
    }
    try give(entry, to: owner)
    // What only its neighbour proved lost that proof with what was held, and comes again.
    return incoming.lastSignature == nil ? .unproven : try place(incoming, in: entry, horizon: horizon)
  }

  /// Everybody here whose record certifies a device.
  private func claimants(of log: LogID) throws -> [StoredPerson] {
    let select = try database.statement("SELECT key FROM person WHERE instr(record, ?)>0")
    select.bind(log, at: 0)
    return try select.map { $0.bytes32(0, PersonRole.self) }.compactMap { key in
      guard let key, let person = try soundPerson(key), person.record.isAuthor(log) else { return nil }
      return person
    }
  }

  /// What the first event of a log names, where there is one first event: the held one, or that of evidence which is only
  /// about its rules.
  private func firstPrevious(_ entry: LogEntry) throws -> EventHash? {
    if let held = try header(entry, at: .first) { return held.previous }
    guard entry.isFrozen, entry.lastAllowed < .first, let known = try storedEvidence(entry), known.kind == .ruleBreak,
      let first = known.branches[0].headers.first, first.sequence == .first
    else { return nil }
    return first.previous
  }

  /// Empties a log and begins it anew for its owner. What is known of it stays wanted, and evidence stays if it is true
  /// of the owner's log too.
  func give(_ entry: LogEntry, to owner: StoredPerson) throws {
    let evidence = try storedEvidence(entry)
    let head = entry.top.map { LogHead(sequence: $0.last, hash: $0.hash) }
    try truncate(entry, from: .first)
    try dropSuspect(entry)
    let delete = try database.statement("DELETE FROM evidence WHERE lid=?")
    delete.bind(entry.lid, at: 0)
    try delete.run()
    let update = try database.statement("UPDATE log SET pid=? WHERE lid=?")
    update.bind(owner.pid, at: 0)
    update.bind(entry.lid, at: 1)
    try update.run()
    entry.belongs(to: owner.record.id, pid: owner.pid)
    entry.end = owner.record.revocation(of: entry.key).map { .revoked($0) }
    if let head, head.sequence > entry.want?.sequence ?? SequenceNumber(0) { entry.want = head }
    if let want = entry.want, want.sequence > entry.lastAllowed { entry.want = nil }
    markDirty(entry)
    guard let evidence else { return }
    let proof: Evidence
    do throws(ByteError) {
      proof = try Evidence(decoding: evidence.encoded, log: entry.key, person: owner.record.id)
    } catch { return }
    try freeze(entry, by: proof)
  }
}
