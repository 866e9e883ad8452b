public import Events
public import Identity
public import Primitives

/// An event that an author means to append.
public struct Draft: Hashable, Sendable {
  public var kind: EventKind
  public var flags: UInt8
  /// 8 bytes of salt and the content.
  public var payload: [UInt8]
  /// Lifetime in seconds; 0 = does not expire.
  public var ttl: UInt32
  /// The id of the shown event that a post replies to: the new id sorts after it (DESIGN §6).
  public var after: EventID?

  public init(kind: EventKind, flags: UInt8 = 0, payload: [UInt8], ttl: UInt32, after: EventID? = nil) {
    self.kind = kind
    self.flags = flags
    self.payload = payload
    self.ttl = ttl
    self.after = after
  }

  /// - Parameter salt: 8 random bytes.
  public init(_ content: EventContent, ttl: UInt32, salt: [UInt8], after: EventID? = nil) {
    self.init(kind: content.kind, payload: content.payload(salt: salt), ttl: ttl, after: after)
  }
}

/// The device that writes.
public struct Author {
  public var key: SigningKey
  public var device: DeviceNumber
  public var person: PersonID

  public init(key: SigningKey, device: DeviceNumber, person: PersonID) {
    self.key = key
    self.device = device
    self.person = person
  }
}

/// What became of one draft.
public struct Appended: Hashable, Sendable {
  public var header: EventHeader
  public var hash: EventHash

  public var reference: Reference { Reference(log: header.log, sequence: header.sequence, hash: hash) }
}

extension EventStore {
  /// Appends to the author's own log. All drafts become durable together, or none does; when this returns they are.
  ///
  /// The author closes a chunk by starting the next at place 0. Every event in the tail is signed by itself; of a
  /// chunk that is closed within one call only the last event needs to be, for no other signature would be kept.
  ///
  /// - Parameters:
  ///   - drafts: any number; their payloads are checked against the limit of 65,536 bytes.
  ///   - clockOffset: shifts new ids, in ms, never backwards in a log (DESIGN §6).
  /// - Throws: `.notFound` when the person's record is not here or does not certify the device, `.verification` when the
  ///   log is frozen or revoked, `.damaged` when its head does not verify.
  public func append(_ drafts: [Draft], by author: Author, clockOffset: Int64 = 0) throws -> [Appended] {
    try write {
      let entry = try writableEntry(author)
      try loadHead(entry)
      try expectWhole(entry)
      var clock = HybridClock(device: author.device, last: entry.headHeader?.id)
      let now = environment.now().advanced(milliseconds: clockOffset)
      var appended: [Appended] = []
      appended.reserveCapacity(drafts.count)
      var open = OpenChunk(entry)
      for draft in drafts {
        guard draft.payload.count <= Int(EventHeader.payloadBytesMaximum) else {
          throw StoreError(.misuse, "a payload of \(draft.payload.count) bytes", path: database.path)
        }
        guard let id = clock.next(at: now, after: draft.after) else {
          throw StoreError(.misuse, "the clock of event ids has run out", path: database.path)
        }
        let place = HeaderJudge.nextPlace(after: open.last, chunkBytes: open.bytes, adding: draft.payload.count)
        if place == 0, open.last != nil { try close(entry, &open, author) }
        let sequence = open.last.map { $0.sequence + 1 } ?? .first
        let header = EventHeader(
          kind: draft.kind, flags: draft.flags, place: place, sequence: sequence, id: id, log: entry.key,
          previous: open.lastHash, payloadBytes: UInt32(draft.payload.count),
          payloadHash: Digest(hashing: draft.payload), ttl: draft.ttl,
          live: UInt32(min(sequence.rawValue - 1, UInt64(UInt32.max))))
        let hash = header.hash
        open.add(header, hash, draft.payload)
        appended.append(Appended(header: header, hash: hash))
      }
      try leaveOpen(entry, &open, author)
      return appended
    }
  }

  private func writableEntry(_ author: Author) throws -> LogEntry {
    guard let person = try storedPerson(author.person) else {
      throw StoreError(.notFound, "the person's record is not in the store", path: database.path)
    }
    guard person.record.isAuthor(author.key.publicKey) else {
      throw StoreError(
        .verification, "the person's record does not certify this device", path: database.path)
    }
    let entry = try makeEntry(author.key.publicKey, person: author.person, pid: person.pid)
    switch entry.end {
    case nil: return entry
    case .revoked: throw StoreError(.verification, "this device is revoked", path: database.path)
    case .frozen: throw StoreError(.verification, "this device's log is frozen by a fork", path: database.path)
    }
  }

  /// The chunk that the author is filling: what lies on disk of it, and what this call adds.
  private struct OpenChunk {
    var last: EventHeader?
    var lastHash: EventHash
    /// Payload bytes so far. A chunk that is not held from place 0 counts as full, so the next event starts a new one.
    var bytes: Int
    var events: [Event] = []
    /// The hash before the first of `events`.
    var previous: EventHash

    init(_ entry: LogEntry) {
      last = entry.headHeader
      lastHash = entry.top?.hash ?? entry.person.cast()
      bytes = entry.headChunkBytes ?? HeaderJudge.chunkBytesMaximum
      previous = lastHash
    }

    mutating func add(_ header: EventHeader, _ hash: EventHash, _ payload: [UInt8]) {
      bytes = header.place == 0 ? payload.count : bytes + payload.count
      events.append(Event(header: header, payload: .present(payload)))
      last = header
      lastHash = hash
    }
  }

  /// The open chunk is complete: it becomes one row.
  private func close(_ entry: LogEntry, _ open: inout OpenChunk, _ author: Author) throws {
    guard let first = open.events.first, let last = open.events.last else {
      // Nothing new in it: all of it is on disk.
      try fold(entry, endingAt: open.last!.sequence)
      return
    }
    let signature = last.header.sign(with: author.key)
    let stretch = try Self.stretch(
      of: open.events, log: entry.key, first: first.header.sequence, previous: open.previous)
    if first.header.place == 0 {
      try insertChunk(entry, stretch, signature: signature, block: Block(compressing: stretch.raw))
    } else {
      let parts = try chunkParts(entry, endingAt: first.header.sequence - 1)
      try rewrite(
        entry, replacing: parts, by: parts.flatMap(\.stretch.events) + open.events, first: parts[0].first,
        previous: parts[0].stretch.previous, signature: signature)
    }
    try joined(entry, stretch, &open)
  }

  /// The events of the chunk that stays open go to the tail, each with its signature.
  private func leaveOpen(_ entry: LogEntry, _ open: inout OpenChunk, _ author: Author) throws {
    guard let first = open.events.first else { return }
    let isRun = try first.header.place != 0 && hasTailRow(entry, first.header.sequence - 1)
    for (index, event) in open.events.enumerated() {
      try insertTail(
        entry, event.header, event.payload, signature: event.header.sign(with: author.key), verified: true,
        anchored: index == 0 && !isRun)
    }
    let stretch = try Self.stretch(
      of: open.events, log: entry.key, first: first.header.sequence, previous: open.previous)
    try joined(entry, stretch, &open)
  }

  private func joined(_ entry: LogEntry, _ stretch: Stretch, _ open: inout OpenChunk) throws {
    try extend(
      entry,
      by: Segment(first: stretch.first, last: stretch.last, previous: stretch.previous, hash: stretch.lastHash))
    entry.headHeader = open.last
    entry.headChunkBytes = open.bytes
    open.events = []
    open.previous = open.lastHash
    try tellReadModels(entry, stretch, 0..<stretch.count)
  }
}
