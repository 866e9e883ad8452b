import Events
import Identity
import Primitives
import Store
import Testing

/// A store with something of everything, always the same bytes: an author's own log with closed chunks, a tail and a
/// delete; a replica with a hole, an erased payload, missing ones in chunk and tail, and signatures not looked at yet; a log
/// frozen by a fork; a revoked one; a peer.
struct SmallStore {
  /// The whole listing: what a reader of the store can see.
  struct Listing: Equatable {
    var persons: [PersonID] = []
    var logs: [LogID: LogSummary] = [:]
    /// Every event with its payload, or why it is absent.
    var events: [Reference: Payload] = [:]
    var digest: Digest?
  }

  let files: Files
  let listing: Listing
  static let author = TestPerson(seed: 101, devices: 2)
  static let other = TestPerson(seed: 102)
  static let forked = TestPerson(seed: 103)

  struct Files {
    var database: [UInt8]?
    var writeAheadLog: [UInt8]?

    var disk: MemoryDisk {
      let disk = MemoryDisk(seed: 3)
      disk.replace("store", with: database)
      disk.replace("store-wal", with: writeAheadLog)
      return disk
    }

    var inspection: Inspection { Inspection(StoreImage(database: database, writeAheadLog: writeAheadLog)) }
  }

  /// - Parameter keepsLog: the writer is killed, so that the last transactions lie in the write-ahead log.
  init(keepsLog: Bool = false, readModels: [any ReadModel] = [TestModel()]) throws {
    let disk = MemoryDisk(seed: 7)
    let store = try EventStore.inMemory(disk, readModels: readModels)
    try Self.fill(store)
    if keepsLog {
      store.database.checkpoint(truncates: true)
      try Self.append(store, 3, text: "late")
      try Self.append(store, 2, text: "later")
    }
    listing = try Self.listing(store)
    let log = disk.contents("store-wal")
    if !keepsLog { store.close() }
    files = Files(database: disk.contents("store"), writeAheadLog: keepsLog ? log : nil)
    store.close()
  }

  private static func append(_ store: EventStore, _ count: Int, text: String) throws {
    let drafts = (0..<count).map {
      Draft(
        .post(.init(text: "\(text) \($0)")), ttl: 86_400 * 30,
        salt: [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: 8))
    }
    _ = try store.append(drafts, by: author.author())
  }

  private static func fill(_ store: EventStore) throws {
    for record in [author.record, other.record, forked.record] { try store.merge(record) }
    let salt = [UInt8](repeating: 9, count: 8)
    _ = try store.append([Draft(.profile(.init(name: "Ada")), ttl: 0, salt: salt)], by: author.author())
    try append(store, 300, text: "a post that is not long")
    _ = try store.append([Draft(.follow(.init(person: other.id)), ttl: 0, salt: salt)], by: author.author())
    try append(store, 6, text: "tail")
    let target = try #require(try store.reference(author.devices[0].publicKey, SequenceNumber(5)))
    _ = try store.append([Draft(.delete(target), ttl: 0, salt: salt)], by: author.author(1))

    var log = TestLog(key: other.devices[0], person: other.id, seed: 5)
    log.grow(60, chunkAbout: 9)
    let chunks = log.chunks
    for sequence in [chunks[4].lowerBound, log.count - 1] { log.events[sequence - 1].payload = .absent(.policy) }
    for (index, chunk) in chunks.enumerated().reversed() where index != 2 {
      _ = try store.ingest([log.stretch(chunk, index == chunks.count - 1 ? .every : .last)])
    }
    _ = try store.erase(log.log, SequenceNumber(UInt64(chunks[3].lowerBound)))

    var trunk = TestLog(key: forked.devices[0], person: forked.id, seed: 6)
    trunk.grow(8, chunkAbout: 30)
    var branch = trunk.fork(at: 5, seed: 8)
    branch.grow(4, chunkAbout: 30)
    _ = try store.ingest(trunk.chunks.map { trunk.stretch($0) })
    _ = try store.ingest(branch.chunks.map { branch.stretch($0) })

    let cursor = try store.cursor()
    try store.remember(
      StoredPeer(
        node: other.root.publicKey, cursor: cursor, interestsHash: Digest(hashing: [1]), lastSeen: TestLog.time))
  }

  /// What becomes of files that something happened to.
  enum Outcome {
    /// The store did not open, or says what is wrong with it.
    case found
    /// It says that it is sound; this is what it shows.
    case sound(Listing)
  }

  /// Opens the files, looks at everything, verifies. Any event that is shown must be the original one.
  func outcome(_ files: Files, _ what: String) -> Outcome {
    do {
      let store = try EventStore.inMemory(files.disk, readModels: [TestModel()])
      var shown: Listing?
      do {
        shown = try Self.listing(store)
      } catch let error as StoreError {
        #expect(error.code != .misuse, "\(what): \(error)")
      }
      expectOriginal((shown?.events ?? Self.readable(store)).map { ($0.key, $0.value) }, what)
      if try !store.verify(full: true).isEmpty || !store.damageAtOpen.isEmpty { return .found }
      guard let shown else {
        Issue.record("\(what): sound, and does not list")
        return .found
      }
      return .sound(shown)
    } catch let error as StoreError {
      #expect(error.code != .misuse, "\(what): \(error)")
      return .found
    } catch {
      Issue.record("\(what): \(error)")
      return .found
    }
  }

  /// As `outcome`, by the inspector.
  func inspected(_ files: Files, _ what: String) -> Outcome {
    let inspection = files.inspection
    var shown = Listing()
    for log in inspection.logs {
      log.forEachEvent { shown.events[$0.event.header.reference(hash: $0.hash)] = $0.event.payload }
    }
    expectOriginal(shown.events.map { ($0.key, $0.value) }, what)
    return inspection.isSound ? .sound(shown) : .found
  }

  private func expectOriginal(_ events: [(Reference, Payload)], _ what: String) {
    for (reference, payload) in events where listing.events[reference] != payload {
      Issue.record("\(what): a wrong event is shown: \(reference.sequence) of \(reference.log)")
    }
  }

  /// Every event that can still be read one by one.
  private static func readable(_ store: EventStore) -> [Reference: Payload] {
    var events: [Reference: Payload] = [:]
    for log in (try? store.logs()) ?? [] {
      for sequence in 1...UInt64(330) {
        guard let event = try? store.event(log.identity.log, SequenceNumber(sequence)) else { continue }
        events[event.header.reference] = event.payload
      }
    }
    return events
  }

  static func listing(_ store: EventStore) throws -> Listing {
    var listing = Listing()
    listing.persons = try store.persons()
    for person in listing.persons { _ = try store.record(of: person) }
    for log in try store.logs() {
      // What somebody claims to have is a hint, true or not.
      var known = log
      known.want = nil
      listing.logs[log.identity.log] = known
      try store.forEachEvent(log.identity.log, .first...(.maximum)) { event, hash, _ in
        listing.events[Reference(log: event.header.log, sequence: event.header.sequence, hash: hash)] = event.payload
      }
    }
    listing.digest = try store.readModelDigest()
    return listing
  }
}

extension EventHeader {
  func reference(hash: EventHash) -> Reference { Reference(log: log, sequence: sequence, hash: hash) }
}
