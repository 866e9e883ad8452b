/// How big the store is, and of what.
public struct StoreStatistics: Hashable, Sendable {
  public var persons = 0
  public var logs = 0
  public var events = 0
  public var chunks = 0
  public var tailEvents = 0
  /// Compressed bytes of all chunks.
  public var chunkBytes = 0
  /// The columns and payloads of all chunks before compression.
  public var rawBytes = 0
  /// The file without the write-ahead log, free pages included.
  public var fileBytes = 0
  public var freeBytes = 0
  public var frozenLogs = 0
  public var revokedLogs = 0
}

extension EventStore {
  /// Counts everything; walks the chunk table, so its cost grows with the store.
  public func statistics() throws -> StoreStatistics {
    try snapshot {
      var result = StoreStatistics()
      func number(_ sql: String) throws -> Int { Int(try database.number(sql) ?? 0) }
      result.persons = try number("SELECT count(*) FROM person")
      result.logs = try number("SELECT count(*) FROM log")
      result.events =
        try number("SELECT ifnull(sum(head-first+1), 0) FROM log WHERE head>0")
        + number("SELECT ifnull(sum(last-first+1), 0) FROM segment")
      result.chunks = try number("SELECT count(*) FROM chunk")
      result.tailEvents = try number("SELECT count(*) FROM tail")
      result.chunkBytes = try number("SELECT ifnull(sum(length(block)), 0) FROM chunk")
      result.rawBytes = try number(
        "SELECT ifnull(sum(CASE raw_bytes WHEN 0 THEN length(block) ELSE raw_bytes END), 0) FROM chunk")
      let page = try number("PRAGMA page_size")
      result.fileBytes = try number("PRAGMA page_count") * page
      result.freeBytes = try number("PRAGMA freelist_count") * page
      result.frozenLogs = try number("SELECT count(*) FROM log WHERE state & 3 = 1")
      result.revokedLogs = try number("SELECT count(*) FROM log WHERE state & 3 = 2")
      return result
    }
  }
}
