public import Events
public import Identity
public import Primitives

/// What is needed to show an event, without its place in the chain.
public struct EventView: Hashable, Sendable {
  public var sequence: SequenceNumber
  public var id: EventID
  public var kind: EventKind
  public var flags: UInt8
  public var ttl: UInt32
  /// nil when it was deleted, has expired or never came.
  public var payload: [UInt8]?

  public init(
    sequence: SequenceNumber, id: EventID, kind: EventKind, flags: UInt8, ttl: UInt32, payload: [UInt8]?
  ) {
    self.sequence = sequence
    self.id = id
    self.kind = kind
    self.flags = flags
    self.ttl = ttl
    self.payload = payload
  }
}

/// What the store holds of one log.
public struct LogSummary: Hashable, Sendable {
  public var identity: LogIdentity
  /// The held ranges, from the lowest up.
  public var ranges: [ClosedRange<SequenceNumber>]
  public var head: LogHead?
  public var end: LogEnd?
  /// The newest head that a peer named and that is not held.
  public var want: LogHead?
  /// Whether the person's record certifies the log now.
  public var isAuthorized: Bool

  public var eventCount: Int { ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound + 1) } }
}

extension EventStore {
  // MARK: - Logs

  public func log(_ key: LogID) throws -> LogSummary? { try entry(key).map(summary) }

  /// The logs of a person that are here, in order of their local numbers.
  public func logs(of person: PersonID) throws -> [LogSummary] {
    guard let stored = try storedPerson(person) else { return [] }
    let select = try database.statement("SELECT lid FROM log WHERE pid=? ORDER BY lid")
    select.bind(stored.pid, at: 0)
    return try select.map { $0.int(0) }.compactMap { try entry(row: $0).map(summary) }
  }

  /// Every log, in order of their local numbers.
  public func logs() throws -> [LogSummary] {
    try database.statement("SELECT lid FROM log ORDER BY lid").map { $0.int(0) }.compactMap {
      try entry(row: $0).map(summary)
    }
  }

  public func identity(row lid: Int64) throws -> LogIdentity? { try entry(row: lid)?.identity }
  public func identity(of log: LogID) throws -> LogIdentity? { try entry(log)?.identity }

  private func summary(_ entry: LogEntry) throws -> LogSummary {
    LogSummary(
      identity: entry.identity, ranges: entry.segments.map { $0.first...$0.last },
      head: entry.top.map { LogHead(sequence: $0.last, hash: $0.hash) }, end: entry.end, want: entry.want,
      isAuthorized: try storedPerson(entry.person)?.record.isAuthor(entry.key) ?? false)
  }

  // MARK: - Events

  /// Held events of a log, oldest first, with their headers worked out.
  ///
  /// - Throws: `.damaged` when a part of the range is.
  public func events(_ log: LogID, _ range: ClosedRange<SequenceNumber>) throws -> [Event] {
    var events: [Event] = []
    try forEachEvent(log, range) { event, _, _ in events.append(event) }
    return events
  }

  /// As `events`, one after the other, with each event's hash and signature, where one is kept.
  public func forEachEvent(
    _ log: LogID, _ range: ClosedRange<SequenceNumber>, _ body: (Event, EventHash, Signature?) throws -> Void
  ) throws {
    guard let entry = try entry(log) else { return }
    for segment in entry.segments where segment.first <= range.upperBound && segment.last >= range.lowerBound {
      let low = max(segment.first, range.lowerBound)
      let high = min(segment.last, range.upperBound)
      var next = low
      while next <= high {
        let part = try part(entry, containing: next)
        for index in (next - part.first)..<part.stretch.count where part.first + index <= high {
          try body(part.stretch.event(index), part.stretch.hashes[index], part.signature(index))
        }
        next = part.last + 1
      }
    }
  }

  public func event(_ log: LogID, _ sequence: SequenceNumber) throws -> Event? {
    guard let entry = try entry(log), entry.segmentIndex(containing: sequence) != nil else { return nil }
    let part = try part(entry, containing: sequence)
    return part.stretch.event(sequence - part.first)
  }

  /// The reference of a held event.
  public func reference(_ log: LogID, _ sequence: SequenceNumber) throws -> Reference? {
    guard let entry = try entry(log), let hash = try hash(entry, at: sequence) else { return nil }
    return Reference(log: log, sequence: sequence, hash: hash)
  }

  /// Whether this very event is held.
  public func holds(_ reference: Reference) throws -> Bool {
    try self.reference(reference.log, reference.sequence)?.hash == reference.hash
  }

  /// The quick way to one event's content, by the log's local number: no chain, no header. Nil when it is not held.
  public func view(row lid: Int64, log: LogID, _ sequence: SequenceNumber) throws -> EventView? {
    guard let place = try chunkPlace(lid, containing: sequence) else { return try tailView(lid, log, sequence) }
    let outline = try outline(lid, log, place)
    let index = sequence - place.first
    return EventView(
      sequence: sequence, id: outline.ids[index],
      kind: EventKind(rawValue: outline.raw[outline.kinds.lowerBound + index]),
      flags: outline.raw[outline.flags.lowerBound + index], ttl: outline.ttls[index],
      payload: outline.payloads[index].map { Array(outline.raw[$0]) })
  }

  private func outline(_ lid: Int64, _ log: LogID, _ place: ChunkPlace) throws -> StretchOutline {
    let first = place.first
    let key = ChunkKey(lid: lid, first: first)
    if let cached = viewCache.value(key), cached.checksum == place.checksum { return cached.outline }
    let entry = LogEntry(lid: lid, key: log, pid: 0, person: PersonID())
    guard let row = try chunkRow(entry, containing: first), row.first == first, let columns = row.block.columns() else {
      throw damaged(entry, first, row: nil, "the chunk does not read")
    }
    do throws(ByteError) {
      let outline = try StretchOutline(columns, count: row.count)
      let cached = CachedOutline(checksum: row.checksum, outline: outline)
      viewCache.insert(cached, for: key, cost: outline.raw.count + outline.count * 40 + 256)
      return outline
    } catch {
      throw damaged(entry, first, row: row.row, error.description)
    }
  }

  private func tailView(_ lid: Int64, _ log: LogID, _ sequence: SequenceNumber) throws -> EventView? {
    let select = try database.statement(Self.selectTail + " WHERE lid=? AND seq=?")
    select.bind(lid, at: 0)
    select.bind(sequence, at: 1)
    let entry = LogEntry(lid: lid, key: log, pid: 0, person: PersonID())
    return try select.first { row in
      let event = try Self.readTail(row, of: entry, path: database.path).event
      return EventView(
        sequence: sequence, id: event.header.id, kind: event.header.kind, flags: event.header.flags,
        ttl: event.header.ttl, payload: event.payload.bytes)
    }
  }
}
