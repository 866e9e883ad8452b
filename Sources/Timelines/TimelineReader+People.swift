public import Events
public import Identity
public import Primitives
public import Store

/// The logs whose posts a person sees, for as long as nothing but the clock changes.
struct FollowedLogs {
  var logs: LogList
  var validFrom: Timestamp
  var validUntil: Timestamp
}

/// Logs that have posts, those with the newest first.
struct LogList {
  /// Local numbers.
  private(set) var lids: [Int64] = []
  /// No post of the log has a greater `at`.
  private var newest: [Int64] = []

  init(_ logs: [(newest: Int64, lid: Int64)]) {
    let sorted = logs.sorted { $0.newest != $1.newest ? $0.newest > $1.newest : $0.lid < $1.lid }
    lids = sorted.map(\.lid)
    newest = sorted.map(\.newest)
  }

  var count: Int { lids.count }

  /// How many logs, from the first, may have a post at or after `at`.
  func count(reaching at: Int64) -> Int {
    var low = 0
    var high = newest.count
    while low < high {
      let middle = (low + high) / 2
      if newest[middle] >= at { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The first `count` of them as a JSON array, which is how SQL takes a list.
  func json(first count: Int) -> String { "[" + lids.prefix(count).map { String($0) }.joined(separator: ",") + "]" }
}

extension TimelineReader {
  // MARK: - Follows

  /// Whom the person follows, in order of their ids: every target with an add that no remove has seen.
  public func following(_ person: PersonID, now: Timestamp) throws -> [FollowEntry] {
    try database.snapshot {
      try forgetWhenChanged()
      guard let pid = try pid(of: person) else { return [] }
      return try targets(of: pid, now: now).map { target, id in
        FollowEntry(label: try label(target, now: now), id: id, isHeld: try isHeld(target))
      }
    }
  }

  /// Who follows the person, among those whose logs are here, in order of their ids.
  public func followers(_ person: PersonID, now: Timestamp) throws -> [FollowEntry] {
    try database.snapshot {
      try forgetWhenChanged()
      let select = try database.statement("SELECT DISTINCT pid FROM follow WHERE target=?")
      select.bind(person, at: 0)
      let candidates = try select.map { $0.int(0) }
      return try candidates.compactMap { pid -> FollowEntry? in
        guard let id = try targets(of: pid, only: person, now: now).first?.id, let follower = try self.person(pid)
        else {
          return nil
        }
        return FollowEntry(label: try label(follower, now: now), id: id, isHeld: true)
      }.sorted { $0.label.person < $1.label.person }
    }
  }

  public func follows(_ person: PersonID, _ target: PersonID, now: Timestamp) throws -> Bool {
    guard let pid = try pid(of: person) else { return false }
    return try !targets(of: pid, only: target, now: now).isEmpty
  }

  /// The original adds of a target that no remove has seen: what an unfollow has to name, and a renewal one of.
  /// Expired ones and those from the future are among them. In order.
  public func followDots(of person: PersonID, _ target: PersonID) throws -> [EventContent.Dot] {
    guard let pid = try pid(of: person) else { return [] }
    let select = try database.statement(
      """
      SELECT DISTINCT a.dot FROM follow a WHERE a.pid=? AND a.target=? AND NOT EXISTS \
      (SELECT 1 FROM unfollow r WHERE r.pid=a.pid AND r.target=a.target AND r.dot=a.dot) ORDER BY a.dot
      """)
    select.bind(pid, at: 0)
    select.bind(target, at: 1)
    return try select.map { $0.blob(0) }.compactMap(EventContent.Dot.init(key:))
  }

  /// An add `a` of person ?1 counts when it is due (id ≤ ?2), not expired (?3), and no remove that is due names its dot.
  private static let addCounts = """
    a.pid=?1 AND a.id<=?2 AND (a.ttl=0 OR (a.id>>22)+a.ttl*1000>=?3) AND NOT EXISTS \
    (SELECT 1 FROM unfollow r WHERE r.pid=a.pid AND r.target=a.target AND r.dot=a.dot AND r.id<=?2)
    """

  private func targets(
    of pid: Int64, only target: PersonID? = nil, now: Timestamp
  ) throws -> [(person: PersonID, id: EventID)] {
    let time = ReadingTime(now: now)
    let select = try database.statement(
      """
      SELECT a.target, max(a.id) FROM follow a WHERE \(Self.addCounts)\(target == nil ? "" : " AND a.target=?4") \
      GROUP BY a.target ORDER BY a.target
      """)
    select.bind(pid, at: 0)
    select.bind(time.idMaximum, at: 1)
    select.bind(time.expiryMinimum, at: 2)
    if let target { select.bind(target, at: 3) }
    var found: [(PersonID, EventID)] = []
    defer { select.reset() }
    while try select.step() {
      if let person: PersonID = select.bytes32(0) { found.append((person, EventID(rawValue: select.unsigned(1)))) }
    }
    return found
  }

  func makeFollowedLogs(of viewer: PersonID, at now: Timestamp) throws -> FollowedLogs {
    let pid = try pid(of: viewer)
    var logs: [Int64: Int64] = [:]
    var until = Timestamp(milliseconds: .max)
    if let pid {
      let time = ReadingTime(now: now)
      // The next moment at which an add or a remove comes due, or an add expires.
      let select = try database.statement(
        """
        SELECT min(t) FROM ( \
        SELECT min((id>>22)-60000) AS t FROM follow WHERE pid=?1 AND id>?2 UNION ALL \
        SELECT min((id>>22)-60000) FROM unfollow WHERE pid=?1 AND id>?2 UNION ALL \
        SELECT min((id>>22)+ttl*1000+60001) FROM follow WHERE pid=?1 AND ttl>0 AND (id>>22)+ttl*1000>=?3)
        """)
      select.bind(pid, at: 0)
      select.bind(time.idMaximum, at: 1)
      select.bind(time.expiryMinimum, at: 2)
      if let next = try select.first({ $0.isNull(0) ? nil : $0.int(0) }) ?? nil {
        until = Timestamp(milliseconds: next).advanced(milliseconds: EventID.epochMilliseconds)
      }
      let followed = try database.statement(
        """
        SELECT f.lid, f.newest FROM follow a CROSS JOIN person p CROSS JOIN feed f WHERE \(Self.addCounts) \
        AND p.key=a.target AND f.pid=p.pid UNION ALL SELECT lid, newest FROM feed WHERE pid=?1
        """)
      followed.bind(pid, at: 0)
      followed.bind(time.idMaximum, at: 1)
      followed.bind(time.expiryMinimum, at: 2)
      while try followed.step() { logs[followed.int(0)] = followed.int(1) }
    }
    return FollowedLogs(
      logs: LogList(logs.map { (newest: $0.value, lid: $0.key) }), validFrom: now, validUntil: until)
  }

  /// The logs of these persons that have posts.
  func logList(of persons: [PersonID]) throws -> LogList {
    let select = try database.statement(
      "SELECT f.newest, f.lid FROM person p JOIN feed f ON f.pid=p.pid WHERE p.key=?")
    var logs: [(newest: Int64, lid: Int64)] = []
    defer { select.reset() }
    for person in persons {
      select.bind(person, at: 0)
      while try select.step() { logs.append((select.int(0), select.int(1))) }
    }
    return LogList(logs)
  }

  // MARK: - Persons

  func pid(of person: PersonID) throws -> Int64? {
    let select = try database.statement("SELECT pid FROM person WHERE key=?")
    select.bind(person, at: 0)
    return try select.first { $0.int(0) }
  }

  func person(_ pid: Int64) throws -> PersonID? {
    let select = try database.statement("SELECT key FROM person WHERE pid=?")
    select.bind(pid, at: 0)
    return try select.first { $0.bytes32(0) } ?? nil
  }

  private func isHeld(_ person: PersonID) throws -> Bool { try !logs(of: person).isEmpty }

  /// The person's logs of which events are held, in order of their keys.
  public func logs(of person: PersonID) throws -> [LogIdentity] {
    guard let pid = try pid(of: person) else { return [] }
    let select = try database.statement("SELECT lid FROM log WHERE pid=? AND head>0 ORDER BY key")
    select.bind(pid, at: 0)
    return try select.map { $0.int(0) }.map { try log($0) }
  }

  /// The person as lists show them, also one of whom nothing is held.
  public func label(_ person: PersonID, now: Timestamp) throws -> PersonLabel {
    guard let pid = try pid(of: person) else { return PersonLabel(person: person, name: nil) }
    return PersonLabel(person: person, name: try field(.name, of: pid, now: now))
  }

  /// What the person says about themselves: of each field the newest word, by id and then by log. Nil for a person of whom
  /// nothing is held.
  public func profile(_ person: PersonID, now: Timestamp) throws -> PersonProfile? {
    try database.snapshot {
      try forgetWhenChanged()
      guard let pid = try pid(of: person) else { return nil }
      let logs = try logs(of: person)
      let heads = try logs.map { log -> PersonProfile.HeldLog in
        .init(log: log.log, head: try heldRanges(log.lid).last?.upperBound ?? SequenceNumber(0))
      }
      let count = try database.statement("SELECT count(*) FROM post WHERE lid=?")
      let posts = try logs.reduce(0) { sum, log in
        count.bind(log.lid, at: 0)
        return sum + Int(try count.first { $0.int(0) } ?? 0)
      }
      return PersonProfile(
        label: try label(person, now: now), about: try field(.about, of: pid, now: now),
        link: try field(.link, of: pid, now: now), logs: heads, posts: posts,
        following: try targets(of: pid, now: now).count, followers: try followers(person, now: now).count)
    }
  }

  /// The newest value of a field that counts now; empty text is none.
  func field(_ field: TimelineModel.ProfileField, of pid: Int64, now: Timestamp) throws -> String? {
    let time = ReadingTime(now: now)
    let select = try database.statement(
      """
      SELECT value, id, lid FROM profile WHERE pid=? AND field=? AND id<=? AND (ttl=0 OR (id>>22)+ttl*1000>=?) \
      ORDER BY id DESC
      """)
    select.bind(pid, at: 0)
    select.bind(field.rawValue, at: 1)
    select.bind(time.idMaximum, at: 2)
    select.bind(time.expiryMinimum, at: 3)
    defer { select.reset() }
    guard try select.step() else { return nil }
    var value = select.text(0)
    let id = select.int(1)
    var lid = select.int(2)
    while try select.step(), select.int(1) == id {
      if try log(select.int(2)).log > log(lid).log { (value, lid) = (select.text(0), select.int(2)) }
    }
    return value.isEmpty ? nil : value
  }

  /// The ranges of a log that are held, from the lowest up.
  func heldRanges(_ lid: Int64) throws -> [ClosedRange<SequenceNumber>] {
    let select = try database.statement(
      """
      SELECT first, last FROM segment WHERE lid=?1 UNION ALL SELECT first, head FROM log WHERE lid=?1 AND head>0 \
      ORDER BY 1
      """)
    select.bind(lid, at: 0)
    return try select.map { $0.sequence(0) <= $0.sequence(1) ? $0.sequence(0)...$0.sequence(1) : nil }.compactMap { $0 }
  }
}
