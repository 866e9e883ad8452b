import Events
public import Identity
public import Primitives
import Store

/// Reads timelines, threads, profiles and follows. It only reads, and never waits for the writer.
///
/// Confined to one executor, like its database. Everything takes `now`: what is from the future or expired by that clock
/// is not shown.
public final class TimelineReader {
  let source: any EventSource
  var database: Database { source.database }

  /// Names that the user gave to persons. They win over what persons call themselves.
  public var petnames: [String: PersonID] = [:]

  /// Whether listings leave out the events that are damaged on disk and show the rest; what was left out is then in
  /// `takeLeftOut`. Otherwise they throw. Searching for one event always throws.
  public var leavesOutDamage = false
  var leftOut: Set<EventPlace> = []

  // Valid while `mark` is the database's content mark.
  private var mark: Int64 = -1
  private var labels: [Int64: PersonLabel] = [:]
  private var labelsUntil = Timestamp(milliseconds: .min)
  private var followed: [PersonID: FollowedLogs] = [:]
  // Local numbers keep their meaning while their rows exist; forgotten with the rest, to be safe.
  private var logs: [Int64: LogIdentity] = [:]

  public init(_ source: any EventSource) {
    self.source = source
  }

  /// Persons and logs remembered between pages, about 200 bytes each.
  private static let rememberedMaximum = 100_000

  // MARK: - Pages

  /// Longest page; a greater limit counts as this one, and one below 1 gives nothing.
  public static let limitMaximum = 1_000_000

  /// The newest posts of the persons that `viewer` follows and of the viewer, newest first.
  ///
  /// - Parameters:
  ///   - before: only posts older than this position.
  ///   - author: only posts of this person, if it is among those persons.
  ///   - withHeaders: also works out each header and so the hash, which costs far more than the rest.
  public func timeline(
    of viewer: PersonID, before: TimelinePosition? = nil, limit: Int, author: PersonID? = nil,
    withHeaders: Bool = false, now: Timestamp
  ) throws -> [TimelineItem] {
    try database.snapshot {
      try forgetWhenChanged()
      let logs: LogList
      if let author {
        guard try author == viewer || follows(viewer, author, now: now) else { return [] }
        logs = try logList(of: [author])
      } else {
        logs = try followedLogs(of: viewer, at: now)
      }
      return try page(logs, before: before, limit: limit, withHeaders: withHeaders, now: now)
    }
  }

  /// The posts of one person, newest first, whether or not anybody follows them.
  public func posts(
    of person: PersonID, before: TimelinePosition? = nil, limit: Int, withHeaders: Bool = false, now: Timestamp
  ) throws -> [TimelineItem] {
    try database.snapshot {
      try forgetWhenChanged()
      return try page(try logList(of: [person]), before: before, limit: limit, withHeaders: withHeaders, now: now)
    }
  }

  // MARK: - The query

  struct Row {
    var log: LogIdentity
    var sequence: SequenceNumber
    var position: TimelinePosition
  }

  private func page(
    _ logs: LogList, before: TimelinePosition?, limit: Int, withHeaders: Bool, now: Timestamp
  ) throws -> [TimelineItem] {
    let limit = min(limit, Self.limitMaximum)
    var items: [TimelineItem] = []
    var bound = before
    while items.count < limit {
      let wanted = limit - items.count
      let rows = try rows(of: logs, before: bound, limit: wanted, now: now)
      for row in rows {
        let place = EventPlace(row.log, row.sequence)
        let item = try unlessDamaged(place) {
          if withHeaders {
            return try self.item(try expect(source.event(at: place), at: place), of: row.log, now: now)
          }
          return try self.item(try expect(source.view(at: place), at: place), of: row.log, header: nil, now: now)
        }
        if let item, item.post != nil { items.append(item) }
      }
      guard rows.count == wanted, let last = rows.last else { break }
      bound = last.position
    }
    return items
  }

  /// The newest `limit` posts of the logs by (shown time, id, log). SQL knows the order up to the log keys, so it is asked
  /// for one row more, and for as many as it takes until no tie is cut at the end.
  private func rows(
    of logs: LogList, before: TimelinePosition?, limit: Int, now: Timestamp
  ) throws -> [Row] {
    let time = ReadingTime(now: now)
    var bound = PostRank(at: time.idMaximum, id: .max)
    var cursor: TimelinePosition?
    if let before, before.rank <= bound {
      bound = before.rank
      cursor = before
    }
    // The newest posts are in the logs with the newest posts, so the others are asked only when they could have any.
    var visited = cursor == nil ? min(logs.count, limit + Self.visitedAtFirst) : logs.count
    var asked = limit + 1
    while true {
      let found = try query(logs.json(first: visited), bound, time, limit: asked)
      let isComplete = found.count < asked
      let needed = isComplete ? logs.count : logs.count(reaching: found[found.count - 1].rank.at)
      if needed > visited {
        visited = needed
        continue
      }
      var rows: [Row] = []
      let tied = isComplete ? nil : found.last?.rank
      for row in found where row.rank != tied {
        let log = try log(row.lid)
        let position = TimelinePosition(time: row.rank.time, id: row.rank.eventID, log: log.log)
        if let cursor, position >= cursor { continue }
        rows.append(Row(log: log, sequence: row.sequence, position: position))
      }
      if rows.count >= limit || isComplete {
        rows.sort { $0.position > $1.position }
        return Array(rows.prefix(limit))
      }
      asked = asked * 2 + 16
    }
  }

  /// Logs beyond one for each wanted post that are looked at before it is known how far back the page goes.
  private static let visitedAtFirst = 14

  private func query(
    _ logs: String, _ bound: PostRank, _ time: ReadingTime, limit: Int
  ) throws -> [(lid: Int64, rank: PostRank, sequence: SequenceNumber)] {
    let select = try database.statement(Self.selectPosts)
    select.bind(logs, at: 0)
    select.bind(bound.at, at: 1)
    select.bind(bound.id, at: 2)
    select.bind(time.idMaximum, at: 3)
    select.bind(time.expiryMinimum, at: 4)
    select.bind(limit, at: 5)
    var found: [(lid: Int64, rank: PostRank, sequence: SequenceNumber)] = []
    while try select.step() {
      found.append((select.int(0), PostRank(at: select.int(1), id: select.int(2)), select.sequence(3)))
    }
    return found
  }

  /// One seek a log, newest logs first: once the wanted number of rows is found, a log is left as soon as it has nothing
  /// newer, which makes this a merge. LIMIT keeps SQLite from reordering the list. The greater of `at` and `id` is the id.
  private static let selectPosts = """
    WITH f AS MATERIALIZED (SELECT value AS lid FROM json_each(?1) LIMIT 1000000000) \
    SELECT p.lid, p.at, p.id, p.seq FROM f CROSS JOIN post p \
    WHERE p.lid=f.lid AND (p.at, p.id)<=(?2, ?3) AND p.id<=?4 AND (p.ttl=0 OR \
    (max(p.at, p.id)>>22)+p.ttl*1000>=?5) \
    ORDER BY p.at DESC, p.id DESC LIMIT ?6
    """

  // MARK: - Items

  /// What a listing says of an event. Without content when the payload is absent, not of its kind's form, or not to be
  /// shown.
  func item(
    _ view: EventView, of log: LogIdentity, header: EventHeader?, now: Timestamp
  ) throws -> TimelineItem {
    var content: EventContent?
    if let payload = view.payload, TimelineModel.isShown(flags: view.flags) {
      content = (try? EventContent(view.kind, payload)) ?? nil
    }
    var replyToID: EventID?
    if case .post(let post) = content, let target = post.replyTo, let parent = try self.log(target.log) {
      let place = EventPlace(parent, target.sequence)
      replyToID = try unlessDamaged(place) { try source.view(at: place)?.id }
    }
    return TimelineItem(
      view, of: log.log, header: header, content: content, author: try label(of: log, now: now), replyToID: replyToID)
  }

  func item(_ event: Event, of log: LogIdentity, now: Timestamp) throws -> TimelineItem {
    let header = event.header
    let view = EventView(
      sequence: header.sequence, id: header.id, kind: header.kind, flags: header.flags, ttl: header.ttl,
      payload: event.payload.bytes)
    return try item(view, of: log, header: header, now: now)
  }

  /// The event that a reference names, if it is held and has that hash.
  func event(_ reference: Reference) throws -> (event: Event, log: LogIdentity)? {
    guard let log = try log(reference.log), let event = try source.event(at: EventPlace(log, reference.sequence)),
      event.header.hash == reference.hash
    else { return nil }
    return (event, log)
  }

  // MARK: - Remembered

  func forgetWhenChanged() throws {
    let current = try database.contentMark()
    if current == mark, labels.count + logs.count < Self.rememberedMaximum { return }
    labels = [:]
    followed = [:]
    logs = [:]
    mark = current
  }

  /// The log with this local number.
  func log(_ lid: Int64) throws -> LogIdentity {
    if let log = logs[lid] { return log }
    let select = try database.statement(
      "SELECT l.key, l.pid, p.key FROM log l JOIN person p ON p.pid=l.pid WHERE l.lid=?")
    select.bind(lid, at: 0)
    defer { select.reset() }
    guard try select.step(), let key: LogID = select.bytes32(0), let person: PersonID = select.bytes32(2) else {
      throw StoreError(.damaged, "the tables name log \(lid), which is not there", path: database.path)
    }
    let log = LogIdentity(lid: lid, log: key, pid: select.int(1), person: person)
    logs[lid] = log
    return log
  }

  /// The log with this key, if anything is known of it.
  func log(_ key: LogID) throws -> LogIdentity? {
    let select = try database.statement("SELECT lid FROM log WHERE key=?")
    select.bind(key, at: 0)
    guard let lid = try select.first({ $0.int(0) }) else { return nil }
    return try log(lid)
  }

  func label(of log: LogIdentity, now: Timestamp) throws -> PersonLabel {
    // Names come due and expire with time, so even in an unchanged store they are looked up again now and then.
    if now >= labelsUntil || now.advanced(milliseconds: Self.labelMilliseconds) < labelsUntil {
      labels = [:]
      labelsUntil = now.advanced(milliseconds: Self.labelMilliseconds)
    }
    if let label = labels[log.pid] { return label }
    let label = PersonLabel(person: log.person, name: try field(.name, of: log.pid, now: now))
    labels[log.pid] = label
    return label
  }

  private static let labelMilliseconds: Int64 = 10_000

  private func followedLogs(of viewer: PersonID, at now: Timestamp) throws -> LogList {
    if let known = followed[viewer], known.validFrom <= now, now < known.validUntil { return known.logs }
    let made = try makeFollowedLogs(of: viewer, at: now)
    followed[viewer] = made
    return made.logs
  }
}
