public import Identity
public import Primitives

/// The heads that a peer named in a session: of each name the highest, and of equal ones the first, as the store takes
/// them for durable wants; and the records. Bounded by what a session's digest may hold.
public struct NamedHeads: Hashable, Sendable {
  private var heads: [LogName: LogDigest] = [:]
  /// Hash by person, eight bytes of each.
  private var records: [UInt64: UInt64] = [:]

  public init() {}

  public mutating func insert(_ digest: LogDigest) {
    guard digest.state == .open, digest.sequence >= .first else { return }
    if let known = heads[digest.log], known.sequence >= digest.sequence { return }
    heads[digest.log] = digest
  }

  public mutating func insert(person: UInt64, record: UInt64) { records[person] = record }

  /// Whether the peer named all of this itself: its records as they are, and of each log the same head or a later one.
  public func covers(_ page: DigestPage) -> Bool {
    page.next == nil && page.persons.allSatisfy { records[$0.prefix] == $0.record }
      && page.logs.allSatisfy { log in
        log.state == .open && heads[log.log].map { $0.sequence > log.sequence || $0 == log } ?? false
      }
  }

  /// How far the peer says that it holds a log; nil when it did not speak of it.
  public func head(of log: LogID) -> LogDigest? {
    let named = [heads[LogName(log, whole: true)], heads[LogName(log)]].compactMap { $0 }
    return named.max { $0.sequence < $1.sequence }
  }

  /// Whether eight bytes of the log's key mean two logs to the peer.
  public func isNamedWhole(_ log: LogID) -> Bool { heads[LogName(log, whole: true)] != nil }
}
