public import Events
public import Identity

/// Tables that follow the logs, in the same transaction as the logs themselves.
///
/// The store calls these as events become part of a log or leave it; a read model holds nothing that cannot be made again
/// from the logs (`reset`, then `add` for everything), and no text that the log has lost.
public protocol ReadModel: AnyObject {
  /// `CREATE TABLE IF NOT EXISTS …` statements, run once when a writer opens the store. Part of schemas/store.sql.
  static var schema: String { get }

  /// Events `range` of `stretch` are now part of the log. They come in any order of stretches, each event once.
  /// Events whose payload is absent or deleted are among them.
  func add(_ stretch: Stretch, _ range: Range<Int>, of log: LogIdentity, in database: Database) throws(StoreError)

  /// The payload of an event is about to be erased, or a delete hides it; the event comes as it was.
  func hide(_ event: Event, of log: LogIdentity, in database: Database) throws(StoreError)

  /// Everything of the log from `sequence` on is gone: a fork, a broken rule or a revocation cut it there.
  func truncate(_ log: LogIdentity, from sequence: SequenceNumber, in database: Database) throws(StoreError)

  /// Empties the tables.
  func reset(in database: Database) throws(StoreError)

  /// A digest of everything in the tables, independent of the order of insertion; equal before and after a rebuild.
  func digest(in database: Database) throws(StoreError) -> Digest
}

/// A log as the tables name it: by a small local number, beside the names that mean the same everywhere.
public struct LogIdentity: Hashable, Sendable {
  /// Local number of the log; `log.lid` in the schema.
  public let lid: Int64
  public let log: LogID
  /// Local number of the person; `person.pid` in the schema.
  public let pid: Int64
  public let person: PersonID

  public init(lid: Int64, log: LogID, pid: Int64, person: PersonID) {
    self.lid = lid
    self.log = log
    self.pid = pid
    self.person = person
  }
}
