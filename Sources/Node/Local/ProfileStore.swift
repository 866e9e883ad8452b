import Events
import Identity
import Primitives
public import Replication
import Store
import Timelines

/// The writer's side of a profile: the store, its read models, and what answers peers from them.
///
/// Confined to the store's queue.
public final class ProfileStore: StoreAnswering {
  let store: EventStore
  let reader: TimelineReader
  let environment: StorageEnvironment
  /// This device, as far as its key file tells without a passphrase.
  let device: KeyFile.PublicPart
  let person: PersonID
  let keys: ProfileKeys
  let spoken: Spoken
  private let bridge: StoreBridge
  private var known = KnownLines()

  /// What this node says of itself.
  final class Spoken {
    /// The device's word for the node key; nil while there is none that holds.
    var statement: [UInt8]?
  }

  /// The identities of imported lines in the person's logs, as long as nobody else has changed the store.
  private struct KnownLines {
    var lines: Set<Digest>?
    var mark: Int64 = 0
  }

  init(
    _ directory: ProfileDirectory, device: KeyFile.PublicPart, keys: ProfileKeys, lock: WriteLock,
    environment: StorageEnvironment, options: EventStore.Options
  ) throws {
    guard let person = device.person else {
      throw StoreError(.damaged, "the device key names no person", path: directory.path(of: .deviceKey))
    }
    let store = try EventStore(
      writing: directory.path(of: .database), authority: .holding(lock), environment: environment, options: options,
      readModels: [TimelineModel()])
    let reader = TimelineReader(store)
    let spoken = Spoken()
    self.store = store
    self.reader = reader
    self.environment = environment
    self.device = device
    self.person = person
    self.keys = keys
    self.spoken = spoken
    bridge = StoreBridge(
      store: store,
      interests: { [person] + (try reader.following(person, now: environment.now()).map(\.label.person)) },
      statement: { spoken.statement },
      find: { name, maximum in
        try reader.persons(named: name, maximum: maximum, now: environment.now()).map {
          FoundPerson(person: $0.person, name: $0.name)
        }
      }, now: environment.now, random: environment.random)
  }

  public func answer(_ request: StoreRequest) -> StoreReply { bridge.answer(request) }

  /// Takes what a record says, and returns all that is known of that person then.
  func merge(_ record: PersonRecord) throws -> (changed: Bool, record: PersonRecord) {
    let changed = try store.merge(record)
    return (changed, try store.record(of: record.id) ?? record)
  }

  /// What can be done while nobody waits: signatures that were taken on trust, and pages that wait in the write-ahead
  /// log.
  /// - Returns: whether there is more to verify.
  func tidy() throws -> Bool {
    let verified = try store.verifyPending(limit: Self.verifiedPerTurn)
    if verified == 0 { store.database.checkpoint() }
    return verified == Self.verifiedPerTurn
  }

  func rebuild(progress: (LocalProgress) -> Void) throws -> LocalReply {
    let before = try store.readModelDigest()
    var events = 0
    var told = 0
    try store.rebuild { done in
      events = done
      guard done - told >= Self.progressEvents else { return }
      told = done
      progress(.rebuilding(events: done))
    }
    return .rebuilt(events: events, before: before, after: try store.readModelDigest())
  }

  func repair() throws -> LocalReply { .repaired(places: try store.discardDamage().count { $0.log != nil }) }

  // MARK: Known lines

  /// The lines that imports brought, those of drafts that were just appended included.
  func importedLines() throws -> Set<Digest> {
    let mark = try store.database.contentMark()
    if let lines = known.lines, known.mark == mark { return lines }
    let lines = try reader.importedLines(of: person)
    known = KnownLines(lines: lines, mark: mark)
    return lines
  }

  /// Keeps the lines as they are after a change of our own.
  func setImportedLines(_ lines: Set<Digest>) throws {
    known = KnownLines(lines: lines, mark: try store.database.contentMark())
  }

  /// About 20 ms of signatures, after which others have their turn.
  private static let verifiedPerTurn = 500
  private static let progressEvents = 16_384
}
