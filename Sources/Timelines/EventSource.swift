public import Events
public import Identity
public import Primitives
public import Store

/// What the readers ask of the store besides SQL: events, with its caches of decoded chunks behind them.
public protocol EventSource: AnyObject {
  /// A connection on which nothing but reading is done here.
  var database: Database { get }

  /// What is needed to show an event, without its place in the chain; nil when it is not held. Costs microseconds.
  func view(at place: EventPlace) throws -> EventView?

  /// The event with its whole header; nil when it is not held. Costs up to the hashing of its chunk.
  func event(at place: EventPlace) throws -> Event?
}

extension EventStore: EventSource {
  public func view(at place: EventPlace) throws -> EventView? {
    try view(row: place.lid, log: place.log, place.sequence)
  }

  public func event(at place: EventPlace) throws -> Event? { try event(place.log, place.sequence) }
}

/// Names an event of a held log by the log's local number.
public struct EventPlace: Hashable, Sendable {
  public var lid: Int64
  public var log: LogID
  public var sequence: SequenceNumber

  public init(_ log: LogIdentity, _ sequence: SequenceNumber) {
    self.init(lid: log.lid, log: log.log, sequence: sequence)
  }

  public init(lid: Int64, log: LogID, sequence: SequenceNumber) {
    self.lid = lid
    self.log = log
    self.sequence = sequence
  }
}

/// The moment at which reading judges what counts: ids up to a minute ahead are shown, and what has expired is not
/// (DESIGN §6, §10).
struct ReadingTime: Hashable {
  let now: Timestamp

  /// How far ahead of the clock an id may be and still be shown, in ms.
  static let aheadMaximum: Int64 = 60_000

  /// The greatest id that is shown; −1 before 2024.
  var idMaximum: Int64 {
    Int64(EventID(floorOf: now.advanced(milliseconds: Self.aheadMaximum + 1)).rawValue) - 1
  }

  /// What milliseconds since 2024 of id plus lifetime must reach: `EventHeader.isExpired` in SQL.
  var expiryMinimum: Int64 {
    now.advanced(milliseconds: -EventID.epochMilliseconds).advanced(milliseconds: -60_000).milliseconds
  }

  func isDue(_ id: EventID) -> Bool { Int64(bitPattern: id.rawValue) <= idMaximum }
  func counts(_ header: EventHeader) -> Bool { isDue(header.id) && !header.isExpired(at: now) }
}
