import Events
public import Identity
public import Primitives

/// Payloads that are missing from held events. Why somebody else does not have one counts for nothing: it stays wanted
/// until it expires here, or a delete that counts here names it (DESIGN §7).
extension EventStore {
  /// Until when what is missing of an event is wanted, in ms since 1970; `Int64.max` for one that does not expire. Nil
  /// when nothing of it is missing, or this store itself does not want it.
  static func wantedUntil(_ header: EventHeader, _ payload: Payload) -> Int64? {
    payload == .absent(.notHad) ? header.lastsUntil?.milliseconds ?? .max : nil
  }

  /// As above, for the longest-lived of the events of a row.
  static func wantedUntil(_ stretch: Stretch) -> Int64? {
    var until: Int64?
    for index in 0..<stretch.count where stretch.payloadRange(index) == nil {
      guard let wanted = wantedUntil(stretch.header(index), stretch.payload(index)) else { continue }
      until = max(until ?? wanted, wanted)
    }
    return until
  }

  /// Names the stored rows of the logs of `persons` that lack a payload which is still wanted; in each log newest first.
  ///
  /// - Parameters:
  ///   - newestPerLog: only rows that hold some of so many newest events of their log.
  ///   - visit: takes the events of one row, at most 256, and says whether to go on.
  public func forEachMissingPayload(
    of persons: some Collection<PersonID>, newestPerLog: Int? = nil, _ visit: (StretchRequest) throws -> Bool
  ) throws {
    let select = try database.statement(
      """
      SELECT lid, first, count FROM chunk INDEXED BY chunk_wanted WHERE wanted_until>=?1 \
      UNION ALL SELECT lid, seq, 1 FROM tail INDEXED BY tail_wanted WHERE wanted_until>=?1 ORDER BY 1 DESC, 2 DESC
      """)
    select.bind(environment.now().milliseconds, at: 0)
    defer { select.reset() }
    var wanted: Set<PersonID>?
    var lid: Int64?
    var entry: LogEntry?
    while try select.step() {
      if wanted == nil { wanted = Set(persons) }
      if lid != select.int(0) {
        lid = select.int(0)
        entry = try self.entry(row: select.int(0)).flatMap { found in
          guard wanted!.contains(found.person), let person = try soundPerson(found.person),
            person.record.isAuthor(found.key)
          else { return nil }
          return found
        }
      }
      let first = select.sequence(1)
      guard let entry, let index = entry.segmentIndex(containing: first) else { continue }
      let last = min(first + (Int(min(max(1, select.int(2)), 256)) - 1), entry.segments[index].last)
      if let newestPerLog, let top = entry.top, top.last - last >= newestPerLog { continue }
      guard try visit(StretchRequest(log: entry.key, range: first...last)) else { return }
    }
  }

  /// Takes payloads that were missing from held events.
  ///
  /// - Parameter ranges: parts of the stretch that are held, and agree with it.
  /// - Returns: how many were taken.
  func fill(_ incoming: Incoming, _ ranges: [ClosedRange<SequenceNumber>], in entry: LogEntry) throws -> Int {
    var count = 0
    for range in ranges {
      for part in try parts(entry, range) { count += try fill(part, from: incoming, range, in: entry) }
    }
    return count
  }

  private func fill(
    _ part: Part, from incoming: Incoming, _ range: ClosedRange<SequenceNumber>, in entry: LogEntry
  ) throws -> Int {
    let now = environment.now()
    var events = part.stretch.events
    var added: [Int] = []
    for sequence in max(part.first, range.lowerBound).rawValue...min(part.last, range.upperBound).rawValue {
      let sequence = SequenceNumber(sequence)
      let index = sequence - part.first
      guard events[index].payload == .absent(.notHad), !events[index].header.isExpired(at: now),
        part.stretch.hashes[index] == incoming.hash(at: sequence),
        case .present(let payload) = incoming.stretch.payload(sequence - incoming.first),
        try !isDeleted(entry, sequence, part.stretch.hashes[index])
      else { continue }
      events[index].payload = .present(payload)
      added.append(index)
    }
    guard !added.isEmpty else { return 0 }
    try replace(entry, part, by: events)
    let stretch = try Self.stretch(of: events, log: entry.key, first: part.first, previous: part.stretch.previous)
    for index in added {
      for model in readModels {
        try model.hide(part.stretch.event(index), of: entry.identity, in: database)
      }
      try tellReadModels(entry, stretch, index..<(index + 1))
    }
    markDirty(entry)
    return added.count
  }
}
