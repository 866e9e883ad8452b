import Events
import Identity
import Primitives
import Store
import Timelines

/// A log that is written by the rules, from a seed; ids may be chosen, so that logs share them.
struct SampleLog {
  let key: SigningKey
  let person: PersonID
  var events: [Event] = []
  var random: SeededRandom

  init(person: PersonID, seed: UInt64) {
    random = SeededRandom(seed: seed)
    key = SigningKey(seed: random.bytes(32))!
    self.person = person
  }

  /// The last events of another log, for a store that has the ones before.
  init(_ log: SampleLog, from index: Int) {
    self = log
    events.removeFirst(index)
  }

  /// - Parameter id: used as given when it is above the last one, else the last one plus 1.
  @discardableResult
  mutating func append(kind: EventKind, payload: [UInt8], flags: UInt8 = 0, ttl: UInt32 = 0, id: EventID) -> Reference {
    let last = events.last?.header
    let next = last.map { max(id.rawValue, $0.id.rawValue + 1) } ?? id.rawValue
    let place = last.map { $0.place == 255 ? 0 : $0.place + 1 } ?? 0
    let header = EventHeader(
      kind: kind, flags: flags, place: place, sequence: last.map { $0.sequence + 1 } ?? .first,
      id: EventID(rawValue: next), log: key.publicKey, previous: last?.hash ?? person.cast(),
      payloadBytes: UInt32(payload.count), payloadHash: Digest(hashing: payload), ttl: ttl,
      live: last.map { $0.live + 1 } ?? 0)
    events.append(Event(header: header, payload: .present(payload)))
    return header.reference
  }

  @discardableResult
  mutating func append(_ content: EventContent, ttl: UInt32 = 0, id: EventID) -> Reference {
    append(kind: content.kind, payload: content.payload(salt: random.bytes(8)), ttl: ttl, id: id)
  }
}

extension EventID {
  /// An id of that many milliseconds since 2024.
  static func at(_ milliseconds: UInt64, device: UInt16 = 1, counter: UInt64 = 0) -> EventID {
    EventID(milliseconds: milliseconds, device: DeviceNumber(rawValue: device)!, counter: counter)
  }
}

extension Timestamp {
  static func at(_ milliseconds: Int64) -> Timestamp {
    Timestamp(milliseconds: EventID.epochMilliseconds + milliseconds)
  }
}

/// The read model over a database with just enough of the store's tables, and events kept in memory.
final class SampleStore: EventSource {
  let database: Database
  let model = TimelineModel()
  private let disk: MemoryDisk
  private(set) var identities: [LogID: LogIdentity] = [:]
  private var persons: [PersonID: Int64] = [:]
  private(set) var held: [LogID: [SequenceNumber: Event]] = [:]

  init(seed: UInt64 = 1) throws {
    disk = MemoryDisk(seed: seed)
    database = try Database(path: "/store", mode: .writer, environment: StorageEnvironment(disk: disk))
    try database.execute(
      """
      CREATE TABLE person(pid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
      CREATE TABLE log(lid INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, pid INTEGER NOT NULL,
        first INTEGER NOT NULL, head INTEGER NOT NULL);
      CREATE TABLE segment(lid INTEGER, first INTEGER, last INTEGER NOT NULL, PRIMARY KEY(lid, first));
      """)
    try database.execute(TimelineModel.schema)
  }

  func identity(_ log: LogID, of person: PersonID) throws -> LogIdentity {
    if let known = identities[log] { return known }
    if persons[person] == nil {
      let insert = try database.statement("INSERT INTO person(key) VALUES(?)")
      insert.bind(person, at: 0)
      try insert.run()
      persons[person] = database.lastInsertedRow
    }
    let insert = try database.statement("INSERT INTO log(key, pid, first, head) VALUES(?,?,0,0)")
    insert.bind(log, at: 0)
    insert.bind(persons[person]!, at: 1)
    try insert.run()
    let made = LogIdentity(lid: database.lastInsertedRow, log: log, pid: persons[person]!, person: person)
    identities[log] = made
    return made
  }

  /// Takes a range of a log's events, which are consecutive and of one chunk, as the store would.
  func take(_ log: SampleLog, _ range: Range<Int>) throws {
    guard !range.isEmpty else { return }
    let identity = try identity(log.key.publicKey, of: log.person)
    let events = Array(log.events[range])
    let stretch = try StretchColumns.decode(
      StretchColumns.encode(events), log: identity.log, first: events[0].header.sequence, count: events.count,
      previous: events[0].header.previous)
    for event in events { held[identity.log, default: [:]][event.header.sequence] = event }
    let sequences = held[identity.log]!.keys
    let update = try database.statement("UPDATE log SET first=?, head=? WHERE lid=?")
    update.bind(sequences.min()!, at: 0)
    update.bind(sequences.max()!, at: 1)
    update.bind(identity.lid, at: 2)
    try update.run()
    try model.add(stretch, 0..<events.count, of: identity, in: database)
  }

  /// Takes all of a log in pieces of at most `count` events that stay within chunks.
  func takeAll(_ log: SampleLog, pieces count: Int = 100) throws {
    try database.transaction {
      var start = 0
      while start < log.events.count {
        var end = start + 1
        while end < log.events.count, end - start < count, log.events[end].header.place != 0 { end += 1 }
        try take(log, start..<end)
        start = end
      }
    }
  }

  func erase(_ reference: Reference, _ reason: Absence = .deleted) throws {
    guard let event = held[reference.log]?[reference.sequence] else { return }
    try model.hide(event, of: identities[reference.log]!, in: database)
    held[reference.log]![reference.sequence]!.payload = .absent(reason)
  }

  func truncate(_ log: LogID, from sequence: SequenceNumber) throws {
    try model.truncate(identities[log]!, from: sequence, in: database)
    held[log] = held[log]!.filter { $0.key < sequence }
  }

  func event(at place: EventPlace) throws -> Event? { held[place.log]?[place.sequence] }

  func view(at place: EventPlace) throws -> EventView? {
    try event(at: place).map {
      EventView(
        sequence: $0.header.sequence, id: $0.header.id, kind: $0.header.kind, flags: $0.header.flags,
        ttl: $0.header.ttl, payload: $0.payload.bytes)
    }
  }

  func rebuild() throws {
    try model.reset(in: database)
    for (log, events) in held {
      for event in events.values {
        let stretch = try StretchColumns.decode(
          StretchColumns.encode([event]), log: log, first: event.header.sequence, count: 1,
          previous: event.header.previous)
        try model.add(stretch, 0..<1, of: identities[log]!, in: database)
      }
    }
  }
}

func samplePerson(_ name: String) -> PersonID { PersonID(hashing: Array(name.utf8)) }
