import Events
import Identity
import Primitives

extension EventStore {
  /// Takes everything that `verify` finds damaged out of the store, so that it is missing, is wanted, and comes again
  /// from any replica.
  ///
  /// An own log that lost its newest events takes no more drafts until they are back: signing other events with their
  /// sequence numbers would fork it.
  ///
  /// - Returns: what was damaged.
  @discardableResult
  public func discardDamage() throws -> [Damage] {
    let found = try verify(full: false)
    // From the highest down: the read models of what lies above a damaged place are made again, and that must read.
    for damage in found.reversed() {
      guard let log = damage.log, let range = damage.range else { continue }
      try write { if let entry = try entry(log) { try discard(entry, range) } }
    }
    return found
  }

  /// - Parameter range: whole rows, as `verify` names them.
  private func discard(_ entry: LogEntry, _ range: ClosedRange<SequenceNumber>) throws {
    guard let index = entry.segmentIndex(containing: range.lowerBound) else { return }
    let segment = entry.segments[index]
    let high = min(range.upperBound, segment.last)
    // A sound, signed head under a wrong name: it is the name that rotted.
    if high == segment.last, let head = try? part(entry, containing: high), head.last >= high,
      let signature = head.lastSignature, head.stretch.isSigned(head.stretch.count - 1, by: signature),
      try chainsBelow(head, entry, segment)
    {
      entry.segments[index].last = head.last
      entry.segments[index].hash = head.stretch.lastHash
      entry.lowerChanged = true
      entry.forgetDerived()
      markDirty(entry)
      return
    }
    var low = range.lowerBound
    try deleteRows(entry, low...high)
    var rest: [Segment] = []
    // What cannot be read next to it goes with it.
    while low > segment.first {
      if let below = try? part(entry, containing: low - 1), below.last == low - 1 {
        rest.append(
          Segment(first: segment.first, last: low - 1, previous: segment.previous, hash: below.stretch.lastHash))
        break
      }
      low = low - 1
      try deleteRows(entry, low...low)
    }
    if high < segment.last {
      let above = try part(entry, containing: high + 1)
      rest.append(
        Segment(first: high + 1, last: segment.last, previous: above.stretch.previous, hash: segment.hash))
    } else if index == entry.segments.count - 1 {
      try rememberLoss(entry, LogHead(sequence: segment.last, hash: segment.hash))
    }
    entry.segments.replaceSubrange(index...index, with: rest)
    entry.lowerChanged = true
    entry.forgetDerived()
    markDirty(entry)
    for model in readModels { try model.truncate(entry.identity, from: low, in: database) }
    for segment in entry.segments where segment.last > high {
      for part in try parts(entry, max(segment.first, high + 1)...segment.last) {
        for model in readModels {
          try model.add(part.stretch, 0..<part.stretch.count, of: entry.identity, in: database)
        }
      }
    }
  }

  private func chainsBelow(_ part: Part, _ entry: LogEntry, _ segment: Segment) throws -> Bool {
    if part.first == segment.first { return part.stretch.previous == segment.previous }
    guard let below = try? self.part(entry, containing: part.first - 1) else { return false }
    return below.last == part.first - 1 && below.stretch.lastHash == part.stretch.previous
  }

  private func deleteRows(_ entry: LogEntry, _ range: ClosedRange<SequenceNumber>) throws {
    let delete = try database.statement("DELETE FROM chunk WHERE lid=? AND first BETWEEN ? AND ?")
    delete.bind(entry.lid, at: 0)
    delete.bind(range.lowerBound, at: 1)
    delete.bind(range.upperBound, at: 2)
    try delete.run()
    try deleteTail(entry, range)
  }

  // MARK: - Lost heads

  private func rememberLoss(_ entry: LogEntry, _ head: LogHead) throws {
    // A higher head that a peer named stays wanted; its range covers this one.
    if entry.want.map({ $0.sequence < head.sequence }) ?? true { entry.want = head }
    entry.isKnownWhole = false
    let insert = try database.statement("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)")
    insert.bind("lost \(entry.key.hex)", at: 0)
    insert.bind(head.sequence, at: 1)
    try insert.run()
  }

  /// Refuses to append to a log whose newest events were lost here and have not come back.
  func expectWhole(_ entry: LogEntry) throws {
    guard !entry.isKnownWhole else { return }
    let key = "lost \(entry.key.hex)"
    let select = try database.statement("SELECT value FROM meta WHERE key=?")
    select.bind(key, at: 0)
    guard let lost = try select.first({ $0.sequence(0) }) else {
      entry.isKnownWhole = true
      return
    }
    guard let top = entry.top, top.last >= lost else {
      throw StoreError(
        .damaged, "this device's log lost events up to \(lost): sync before appending, or add a new device",
        path: database.path)
    }
    let delete = try database.statement("DELETE FROM meta WHERE key=?")
    delete.bind(key, at: 0)
    try delete.run()
  }
}
