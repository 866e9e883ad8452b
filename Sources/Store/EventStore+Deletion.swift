import Events
package import Identity
import Primitives

/// Deletes: they hide at once and erase the payload, win when they come before their target, and count as long as the
/// deleting event is part of its log (DESIGN §10).
extension EventStore {
  /// Tells the read models of new events, after the deletes among them took effect.
  func tellReadModels(_ entry: LogEntry, _ stretch: Stretch, _ range: Range<Int>) throws {
    var told = stretch
    for index in range where stretch.kind(index) == .delete { try takeDelete(entry, stretch, range, index) }
    let erased = try deletedAmong(entry, stretch, range)
    if !erased.isEmpty {
      var events = stretch.events
      for index in erased {
        try erasePayload(entry, stretch.first + index)
        events[index].payload = .absent(.deleted)
      }
      told = try Self.stretch(of: events, log: entry.key, first: stretch.first, previous: stretch.previous)
    }
    for model in readModels { try model.add(told, range, of: entry.identity, in: database) }
  }

  /// Which events a delete can take (DESIGN §10).
  private static func isDeletable(_ kind: EventKind) -> Bool {
    [.post, .profile, .message, .like, .repost, .carry].contains(kind)
  }

  private func takeDelete(_ entry: LogEntry, _ stretch: Stretch, _ told: Range<Int>, _ index: Int) throws {
    guard let range = stretch.payloadRange(index),
      case .delete(let target)? = try? EventContent(.delete, stretch.raw, range)
    else { return }
    let insert = try database.statement(
      "INSERT OR REPLACE INTO deletion(key, seq, lid, by_seq, hash) VALUES(?,?,?,?,?)")
    insert.bind(target.log, at: 0)
    insert.bind(target.sequence, at: 1)
    insert.bind(entry.lid, at: 2)
    insert.bind(stretch.first + index, at: 3)
    insert.bind(target.hash, at: 4)
    try insert.run()
    // A target that the read models are not told of yet is met by `deletedAmong`.
    if target.log == entry.key, told.contains(target.sequence - stretch.first) { return }
    guard let other = try self.entry(target.log), other.pid == entry.pid,
      try hash(other, at: target.sequence) == target.hash
    else { return }
    let part = try part(other, containing: target.sequence)
    let event = part.stretch.event(target.sequence - part.first)
    guard Self.isDeletable(event.header.kind), event.payload != .absent(.deleted) else { return }
    if event.payload.bytes != nil {
      for model in readModels { try model.hide(event, of: other.identity, in: database) }
    }
    try erasePayload(other, target.sequence)
    markDirty(other)
  }

  /// Events of a range that somebody who may has deleted and that do not say so yet. A payload that came as missing is
  /// among them: what a peer says of it counts for nothing, the delete does.
  private func deletedAmong(_ entry: LogEntry, _ stretch: Stretch, _ range: Range<Int>) throws -> [Int] {
    let select = try database.statement(
      """
      SELECT d.seq, d.hash FROM deletion d JOIN log l ON l.lid=d.lid \
      WHERE d.key=? AND d.seq BETWEEN ? AND ? AND l.pid=?
      """)
    select.bind(entry.key, at: 0)
    select.bind(stretch.first + range.lowerBound, at: 1)
    select.bind(stretch.first + (range.upperBound - 1), at: 2)
    select.bind(entry.pid, at: 3)
    var found: Set<Int> = []
    try select.eachRow { row in
      let index = row.sequence(0) - stretch.first
      if row.bytes32(1) == stretch.hashes[index], Self.isDeletable(stretch.kind(index)),
        stretch.payload(index) != .absent(.deleted)
      {
        found.insert(index)
      }
    }
    return found.sorted()
  }

  /// Whether a delete that counts names this event.
  func isDeleted(_ entry: LogEntry, _ sequence: SequenceNumber, _ hash: EventHash) throws -> Bool {
    let select = try database.statement(
      "SELECT d.hash FROM deletion d JOIN log l ON l.lid=d.lid WHERE d.key=? AND d.seq=? AND l.pid=?")
    select.bind(entry.key, at: 0)
    select.bind(sequence, at: 1)
    select.bind(entry.pid, at: 2)
    return try select.map { $0.bytes32(0, EventRole.self) }.contains(hash)
  }

  /// Deletes that are part of their log no more do not count: what they took is missing now, and may come again.
  func dropDeletions(by entry: LogEntry, from sequence: SequenceNumber) throws {
    let select = try database.statement("SELECT key, seq FROM deletion WHERE lid=? AND by_seq>=?")
    select.bind(entry.lid, at: 0)
    select.bind(sequence, at: 1)
    let targets = try select.map { (log: $0.bytes32(0, KeyRole.self), sequence: $0.sequence(1)) }
    guard !targets.isEmpty else { return }
    let delete = try database.statement("DELETE FROM deletion WHERE lid=? AND by_seq>=?")
    delete.bind(entry.lid, at: 0)
    delete.bind(sequence, at: 1)
    try delete.run()
    for target in targets {
      guard let log = target.log, let other = try self.entry(log), other.pid == entry.pid,
        other !== entry || target.sequence < sequence, let hash = try hash(other, at: target.sequence),
        try !isDeleted(other, target.sequence, hash)
      else { continue }
      try setPayload(other, target.sequence, .absent(.notHad), from: .absent(.deleted))
    }
  }

  /// Takes the payload of one event off the disk and leaves its hash. The chain still verifies.
  ///
  /// - Returns: whether there was a payload.
  @discardableResult
  package func erase(_ log: LogID, _ sequence: SequenceNumber) throws -> Bool {
    try write {
      guard let entry = try entry(log), entry.segmentIndex(containing: sequence) != nil else { return false }
      let part = try part(entry, containing: sequence)
      let event = part.stretch.event(sequence - part.first)
      guard event.payload.bytes != nil else { return false }
      for model in readModels { try model.hide(event, of: entry.identity, in: database) }
      try erasePayload(entry, sequence)
      markDirty(entry)
      return true
    }
  }

  private func erasePayload(_ entry: LogEntry, _ sequence: SequenceNumber) throws {
    try setPayload(entry, sequence, .absent(.deleted))
  }

  /// - Parameter from: only an event in this state is changed; nil = in any other than the new one.
  private func setPayload(
    _ entry: LogEntry, _ sequence: SequenceNumber, _ payload: Payload, from state: Payload? = nil
  ) throws {
    let part = try part(entry, containing: sequence)
    var events = part.stretch.events
    let index = sequence - part.first
    if let state {
      guard events[index].payload == state else { return }
    } else if events[index].payload == payload {
      return
    }
    if events[index].payload.bytes != nil { database.logHoldsErased = true }
    events[index].payload = payload
    try replace(entry, part, by: events)
    markDirty(entry)
  }

  /// Writes a part again with other payload states.
  func replace(_ entry: LogEntry, _ part: Part, by events: [Event]) throws {
    switch part.place {
    case .chunk:
      try rewrite(
        entry, replacing: [part], by: events, first: part.first, previous: part.stretch.previous,
        signature: part.lastSignature)
    case .tail:
      for index in events.indices where events[index].payload != part.stretch.payload(index) {
        try insertTail(
          entry, events[index].header, events[index].payload, signature: part.signatures[index],
          verified: !part.unverified.contains(index), anchored: index == 0)
      }
    }
  }
}
