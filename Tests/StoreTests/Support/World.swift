import Events
import Identity
import Primitives
import Store

/// A person with devices, made from a seed.
struct TestPerson {
  var root: SigningKey
  var record: PersonRecord
  var devices: [SigningKey] = []
  var id: PersonID { record.id }

  init(seed: UInt64, devices count: Int = 1) {
    var random = SeededRandom(seed: seed)
    root = SigningKey(seed: random.bytes(32))!
    let recovery = SigningKey(seed: random.bytes(32))!
    record = PersonRecord(creating: root, recovery: recovery.publicKey)
    for index in 0..<count {
      let device = SigningKey(seed: random.bytes(32))!
      try! record.certify(
        device: device.publicKey, number: UInt16(index), label: "device \(index)",
        consent: device.consent(to: record.id), with: root)
      devices.append(device)
    }
  }

  func author(_ index: Int = 0) -> Author {
    Author(key: devices[index], device: DeviceNumber(rawValue: UInt16(index))!, person: id)
  }
}

/// The naive twin of a log: an array of headers with everything beside them.
struct TestLog {
  var key: SigningKey
  var person: PersonID
  var events: [Event] = []
  var hashes: [EventHash] = []
  var signatures: [Signature] = []
  private var random: SeededRandom

  init(key: SigningKey, person: PersonID, seed: UInt64) {
    self.key = key
    self.person = person
    random = SeededRandom(seed: seed)
  }

  var log: LogID { key.publicKey }
  var count: Int { events.count }
  static let time = Timestamp(milliseconds: 1_750_000_000_000)

  func previous(_ sequence: Int) -> EventHash { sequence == 1 ? person.cast() : hashes[sequence - 2] }

  /// Starts the log again from `count` events, with other randomness: what is added then forks it.
  func fork(at count: Int, seed: UInt64) -> TestLog {
    var other = self
    other.events.removeLast(events.count - count)
    other.hashes.removeLast(hashes.count - count)
    other.signatures.removeLast(signatures.count - count)
    other.random = SeededRandom(seed: seed)
    return other
  }

  /// Adds an event. `change` may break the rules before it is signed.
  mutating func add(
    kind: EventKind = .post, payload: [UInt8]? = nil, closing: Bool = false,
    change: (inout EventHeader) -> Void = { _ in }
  ) {
    let content =
      payload
      ?? EventContent.post(.init(text: "post \(count + 1) \(random.next() % 1000)")).payload(salt: random.bytes(8))
    let last = events.last?.header
    var sum = 0
    for event in events.reversed() {
      sum += Int(event.header.payloadBytes)
      if event.header.place == 0 { break }
    }
    let place = closing ? 0 : HeaderJudge.nextPlace(after: last, chunkBytes: sum, adding: content.count)
    let id = (last?.id.rawValue ?? EventID(floorOf: Self.time).rawValue) + 1 + random.next() % (5000 << 22)
    var header = EventHeader(
      kind: kind, place: place, sequence: SequenceNumber(UInt64(count + 1)), id: EventID(rawValue: id), log: log,
      previous: hashes.last ?? person.cast(), payloadBytes: UInt32(content.count),
      payloadHash: Digest(hashing: content),
      ttl: 0, live: UInt32(count))
    change(&header)
    events.append(Event(header: header, payload: .present(content)))
    hashes.append(header.hash)
    signatures.append(header.sign(with: key))
  }

  /// Adds events in chunks of random length.
  mutating func grow(_ more: Int, chunkAbout: Int = 12) {
    for _ in 0..<more { add(closing: Int(random.next() % UInt64(chunkAbout)) == 0) }
  }

  /// The first and last sequence numbers of each chunk.
  var chunks: [ClosedRange<Int>] {
    var chunks: [ClosedRange<Int>] = []
    for sequence in 1...max(1, count) where count > 0 {
      if events[sequence - 1].header.place == 0 || chunks.isEmpty {
        chunks.append(sequence...sequence)
      } else {
        chunks[chunks.count - 1] = chunks[chunks.count - 1].lowerBound...sequence
      }
    }
    return chunks
  }

  enum ProofKind { case last, every, neighbour, revocation, evidence }

  func stretch(_ range: ClosedRange<Int>, _ proof: ProofKind = .last, short: Bool = false) -> ReceivedStretch {
    let raw = StretchColumns.encode(Array(events[(range.lowerBound - 1)...(range.upperBound - 1)]))
    let made: StretchEnvelope.Proof
    switch proof {
    case .last: made = .lastSignature(signatures[range.upperBound - 1])
    case .every: made = .everySignature(Array(signatures[(range.lowerBound - 1)...(range.upperBound - 1)]))
    case .neighbour: made = .neighbour
    case .revocation: made = .revocation
    case .evidence: made = .evidence
    }
    let before = previous(range.lowerBound)
    return ReceivedStretch(
      person: person, log: log,
      envelope: StretchEnvelope(
        first: SequenceNumber(UInt64(range.lowerBound)), count: range.count,
        previous: short ? .prefix(before.prefix64) : .whole(before), proof: made, rawBytes: nil, block: raw))
  }

  /// Every chunk with its last signature.
  var closedStretches: [ReceivedStretch] { chunks.map { stretch($0) } }
}

extension EventStore {
  /// A writer on a disk of its own.
  static func inMemory(
    _ disk: MemoryDisk = MemoryDisk(), options: Options = Options(), readModels: [any ReadModel] = [],
    now: Timestamp = TestLog.time.advanced(milliseconds: 40 * 86_400_000)
  ) throws -> EventStore {
    let counter = Counter()
    return try EventStore(
      writing: "store", authority: .alone,
      environment: StorageEnvironment(disk: disk, random: { counter.bytes($0) }, now: { now }), options: options,
      readModels: readModels)
  }

  /// The hashes of everything held, by sequence number.
  func held(_ log: LogID) throws -> [UInt64: EventHash] {
    var held: [UInt64: EventHash] = [:]
    try forEachEvent(log, .first...(.maximum)) { event, hash, _ in held[event.header.sequence.rawValue] = hash }
    return held
  }
}

/// Repeatable bytes that differ each time. `@unchecked Sendable`: used on one thread.
final class Counter: @unchecked Sendable {
  private var random = SeededRandom(seed: 42)
  func bytes(_ count: Int) -> [UInt8] { random.bytes(count) }
}

/// A read model that remembers what it was told: the payload of each event.
final class TestModel: ReadModel {
  static let schema = """
    CREATE TABLE IF NOT EXISTS seen(lid INTEGER, seq INTEGER, kind INTEGER, payload BLOB, PRIMARY KEY(lid, seq)) \
    WITHOUT ROWID;
    """

  func add(_ stretch: Stretch, _ range: Range<Int>, of log: LogIdentity, in database: Database) throws(StoreError) {
    let insert = try database.statement("INSERT OR REPLACE INTO seen VALUES(?,?,?,?)")
    for index in range {
      insert.bind(log.lid, at: 0)
      insert.bind(stretch.first + index, at: 1)
      insert.bind(Int(stretch.kind(index).rawValue), at: 2)
      insert.bind(stretch.payload(index).bytes, at: 3)
      try insert.run()
    }
  }

  func hide(_ event: Event, of log: LogIdentity, in database: Database) throws(StoreError) {
    let update = try database.statement("UPDATE seen SET payload=NULL WHERE lid=? AND seq=?")
    update.bind(log.lid, at: 0)
    update.bind(event.header.sequence, at: 1)
    try update.run()
  }

  func truncate(_ log: LogIdentity, from sequence: SequenceNumber, in database: Database) throws(StoreError) {
    let delete = try database.statement("DELETE FROM seen WHERE lid=? AND seq>=?")
    delete.bind(log.lid, at: 0)
    delete.bind(sequence, at: 1)
    try delete.run()
  }

  func reset(in database: Database) throws(StoreError) { try database.execute("DELETE FROM seen") }

  func digest(in database: Database) throws(StoreError) -> Digest {
    var bytes: [UInt8] = []
    let select = try database.statement(
      "SELECT l.key, s.seq, s.kind, s.payload FROM seen s JOIN log l ON l.lid=s.lid ORDER BY l.key, s.seq")
    while try select.step() {
      bytes += select.blob(0)
      bytes += Array("\(select.int(1)) \(select.int(2)) ".utf8)
      bytes += select.blob(3)
    }
    return Digest(hashing: bytes)
  }
}
