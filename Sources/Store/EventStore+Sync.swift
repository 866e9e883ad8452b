import Events
public import Identity
public import Primitives

/// Which of the store's changes a peer has seen. Any mismatch of its parts makes it worthless.
public struct ChangeCursor: Hashable, Sendable {
  /// Whose numbers these are.
  public var instance: UInt64
  /// The last change that was seen; 0 before the first.
  public var number: UInt64
  /// Eight random bytes that belong to the number: a store rolled back to an older copy does not have them.
  public var cookie: UInt64

  public init(instance: UInt64, number: UInt64, cookie: UInt64) {
    self.instance = instance
    self.number = number
    self.cookie = cookie
  }
}

/// What a replica holds of a person.
public struct PersonStanding: Hashable, Sendable {
  public var person: PersonID
  public var recordHash: Digest

  public init(person: PersonID, recordHash: Digest) {
    self.person = person
    self.recordHash = recordHash
  }
}

/// What a replica says of a log: how far it holds it, or where it ends.
public struct LogStanding: Hashable, Sendable {
  public enum State: Hashable, Sendable {
    case head(LogHead)
    /// Frozen or revoked: the first sequence number beyond the log, and the hash of the event before it.
    case cut(SequenceNumber, previous: EventHash)
  }

  public var log: LogID
  public var person: PersonID
  public var state: State

  public init(log: LogID, person: PersonID, state: State) {
    self.log = log
    self.person = person
    self.state = state
  }
}

/// What changed at a replica, or a part of it.
public struct ChangePage: Hashable, Sendable {
  public var persons: [PersonStanding] = []
  public var logs: [LogStanding] = []
  /// Up to which change the page tells; the last page of a walk reaches the store's newest.
  public var cursor: ChangeCursor
  /// More changes follow.
  public var hasMore = false

  public init(persons: [PersonStanding] = [], logs: [LogStanding] = [], cursor: ChangeCursor, hasMore: Bool = false) {
    self.persons = persons
    self.logs = logs
    self.cursor = cursor
    self.hasMore = hasMore
  }
}

/// What is remembered of a peer between sessions.
public struct StoredPeer: Hashable, Sendable {
  public var node: PublicKey
  /// What we have seen of the peer's changes.
  public var cursor: ChangeCursor
  /// Hash of our own interests when the cursor was remembered; with others it says nothing.
  public var ownInterests: UInt64 = 0
  public var interestsHash: Digest
  public var interests: [UInt8]?
  public var statement: [UInt8]?
  public var lastSeen: Timestamp

  public init(
    node: PublicKey, cursor: ChangeCursor, interestsHash: Digest, interests: [UInt8]? = nil, statement: [UInt8]? = nil,
    lastSeen: Timestamp
  ) {
    self.node = node
    self.cursor = cursor
    self.interestsHash = interestsHash
    self.interests = interests
    self.statement = statement
    self.lastSeen = lastSeen
  }
}

extension EventStore {
  // MARK: - Cursors

  /// The cursor of the newest change. Only the writer gives cursors out: it must know which changes it has told.
  public func cursor() throws -> ChangeCursor {
    guard database.mode == .writer else {
      throw StoreError(.misuse, "a reader gives out no cursors", path: database.path)
    }
    changesAreTold()
    let number = try database.number("SELECT max(n) FROM change") ?? 0
    return ChangeCursor(instance: instance, number: UInt64(clamping: number), cookie: try cookie(number))
  }

  /// Whether a cursor that a peer brings is one of ours, and not from a future that was rolled back.
  public func knows(_ cursor: ChangeCursor) throws -> Bool {
    guard cursor.instance == instance, cursor.number <= UInt64(Int64.max) else { return false }
    let newest = try database.number("SELECT max(n) FROM change") ?? 0
    guard Int64(cursor.number) <= newest else { return false }
    return try cookie(Int64(cursor.number)) == cursor.cookie && (cursor.number == 0 || cursor.cookie != 0)
  }

  private func cookie(_ number: Int64) throws -> UInt64 {
    guard number > 0 else { return 0 }
    let select = try database.statement("SELECT cookie FROM epoch WHERE first<=? ORDER BY first DESC LIMIT 1")
    select.bind(number, at: 0)
    return try select.first { $0.blob(0).reduce(0) { $0 << 8 | UInt64($1) } } ?? 0
  }

  // MARK: - Digests

  /// Persons and logs of `persons` that changed after change number `since`, in the order of their newest changes.
  ///
  /// - Parameter limit: at most that many entries; with more the page says so and its cursor goes on from there.
  public func digest(of persons: Set<PersonID>, since: UInt64, limit: Int) throws -> ChangePage {
    try snapshot {
      var page = ChangePage(cursor: try cursor())
      let select = try database.statement(
        """
        SELECT c.n, c.lid, p.key, p.record_hash, l.key, l.head, l.head_hash, l.state, l.cut, l.cut_previous, p.change \
        FROM change c JOIN person p ON p.pid=c.pid LEFT JOIN log l ON l.lid=c.lid WHERE c.n>? ORDER BY c.n
        """)
      select.bind(Int64(clamping: since), at: 0)
      defer { select.reset() }
      var last = Int64(clamping: since)
      var told: Set<PersonID> = []
      while try select.step() {
        if page.persons.count + page.logs.count >= limit {
          page.hasMore = true
          page.cursor.number = UInt64(clamping: last)
          page.cursor.cookie = try cookie(last)
          break
        }
        last = select.int(0)
        guard let person: PersonID = select.bytes32(2), persons.contains(person) else { continue }
        // A record that changed after its log comes along with it: whoever lacks the record cannot take the log.
        if select.isNull(1) || select.int(10) > last, let hash: Digest = select.bytes32(3),
          told.insert(person).inserted
        {
          page.persons.append(PersonStanding(person: person, recordHash: hash))
        }
        if !select.isNull(1), let digest = logDigest(select, from: 4, person) {
          page.logs.append(digest)
        }
      }
      return page
    }
  }

  /// Everything held of `persons`: the list that two peers without a common past compare.
  public func digest(of persons: some Collection<PersonID>) throws -> ChangePage {
    try snapshot {
      var page = ChangePage(cursor: try cursor())
      let record = try database.statement("SELECT pid, record_hash FROM person WHERE key=?")
      let logs = try database.statement(
        "SELECT key, head, head_hash, state, cut, cut_previous FROM log WHERE pid=? ORDER BY lid")
      for person in persons {
        record.bind(person, at: 0)
        guard let (pid, hash) = try record.first({ ($0.int(0), $0.bytes32(1, ContentRole.self)) }), let hash else {
          continue
        }
        page.persons.append(PersonStanding(person: person, recordHash: hash))
        logs.bind(pid, at: 0)
        try logs.eachRow { if let digest = logDigest($0, from: 0, person) { page.logs.append(digest) } }
      }
      return page
    }
  }

  /// Columns: key, head, head_hash, state, cut, cut_previous.
  private func logDigest(_ row: Statement, from column: Int, _ person: PersonID) -> LogStanding? {
    guard let log: LogID = row.bytes32(column) else { return nil }
    if let previous: EventHash = row.bytes32(column + 5) {
      switch row.int(column + 3) & 3 {
      case 1: return LogStanding(log: log, person: person, state: .cut(row.sequence(column + 4), previous: previous))
      case 2:
        return LogStanding(log: log, person: person, state: .cut(row.sequence(column + 4) + 1, previous: previous))
      default: break
      }
    }
    guard row.int(column + 1) > 0, let hash: EventHash = row.bytes32(column + 2) else { return nil }
    return LogStanding(
      log: log, person: person, state: .head(LogHead(sequence: row.sequence(column + 1), hash: hash)))
  }

  // MARK: - Wants

  /// The logs whose keys begin with these eight bytes; more than one only where somebody searched for the clash.
  public func logs(startingWith prefix: UInt64) throws -> [LogID] {
    let bytes = withUnsafeBytes(of: prefix.bigEndian) { Array($0) }
    let select = try database.statement("SELECT key FROM log WHERE key>=? AND key<=? ORDER BY key LIMIT 2")
    select.bind(bytes, at: 0)
    select.bind(bytes + [UInt8](repeating: 0xFF, count: 24), at: 1)
    return try select.map { $0.bytes32(0, KeyRole.self) }.compactMap { $0 }
  }

  /// Compares how a peer's logs stand with what is here; those that no record here certifies are none of ours. Of the
  /// hashes only the first eight bytes count, which is what peers tell each other: an author who searches for two heads that agree in them hides a fork until the next event,
  /// whose `previous` is whole.
  ///
  /// Heads that are not held become durable wants in the same transaction that remembers how far the peer's changes were
  /// seen. That is not remembered while evidence is lacking.
  ///
  /// - Returns: the logs whose evidence is lacking.
  public func reconcile(_ logs: [LogStanding], remembering memory: StoredPeer? = nil) throws -> [LogID] {
    try write {
      var evidence: [LogID] = []
      for digest in logs {
        guard let person = try soundPerson(digest.person), person.record.isAuthor(digest.log) else { continue }
        let known = try entry(digest.log)
        if let known, known.pid != person.pid { continue }
        switch digest.state {
        case .head(let head):
          guard head.sequence >= .first, head.sequence <= .maximum else { continue }
          try want(head, known, digest, person)
        case .cut(let cut, let previous):
          if person.record.revocation(of: digest.log) != nil {
            // The record says where the log ends, and so what is wanted of it.
            if known == nil { try makeRevoked(digest, person) }
          } else if let known, let held = try evidenceCut(known),
            held.cut < cut || held.cut == cut && held.previous.prefix64 == previous.prefix64
          {
            continue
          } else {
            evidence.append(digest.log)
          }
        }
      }
      // Evidence is no durable want: what was seen counts only once it is here.
      if let memory, evidence.isEmpty { try save(memory) }
      return evidence
    }
  }

  private func makeRevoked(_ digest: LogStanding, _ person: StoredPerson) throws {
    let entry = try makeEntry(digest.log, person: digest.person, pid: person.pid)
    entry.end = person.record.revocation(of: digest.log).map { .revoked($0) }
    markDirty(entry)
  }

  private func want(
    _ head: LogHead, _ known: LogEntry?, _ digest: LogStanding, _ person: StoredPerson
  ) throws {
    if let known, head.sequence > known.lastAllowed { return }
    if let known, known.segmentIndex(containing: head.sequence) != nil,
      try hash(known, at: head.sequence)?.prefix64 == head.hash.prefix64
    {
      return
    }
    let entry = try known ?? makeEntry(digest.log, person: digest.person, pid: person.pid)
    if known == nil, let revocation = person.record.revocation(of: digest.log) { entry.end = .revoked(revocation) }
    // A head below ours with another hash is a fork's other branch; it is wanted until a higher one is named.
    if entry.want.map({ head.sequence > $0.sequence }) ?? true, head.sequence <= entry.lastAllowed {
      entry.want = head
      markDirty(entry)
    }
  }

  /// Drops wants for heads that the peer which named them turned out not to have; those of other heads stay.
  ///
  /// A want that is dropped may hide a lower one, or the same, that another peer named: so everybody's cursor is
  /// forgotten too, and the next session with each compares the whole list.
  ///
  /// - Parameter heads: of their hashes only the first eight bytes count.
  public func forgetWants(_ heads: [LogID: LogHead]) throws {
    try write {
      var hasForgotten = false
      for (log, head) in heads.sorted(by: { $0.key < $1.key }) {
        guard let entry = try entry(log), let want = entry.want, want.sequence == head.sequence,
          want.hash.prefix64 == head.hash.prefix64
        else { continue }
        entry.want = nil
        markDirty(entry)
        hasForgotten = true
      }
      if hasForgotten { try database.execute("UPDATE peer SET instance=zeroblob(8), n=0, cookie=zeroblob(8)") }
    }
  }

  /// What is missing of the logs of `persons`, up to the newest heads that anybody named; in each log newest first.
  /// Payloads that are missing from held events are not among it: see `forEachMissingPayload`.
  ///
  /// - Parameters:
  ///   - limit: at most that many requests.
  ///   - excluding: logs to leave out.
  ///   - newestPerLog: only the newest events of each log, at most that many; what is older is then not wanted now.
  ///   - heldByPeer: the head that the peer which is asked says it has, nil where it said nothing. What lies above it is
  ///     not asked for, and the newest are counted from it unless newer ones are here.
  public func openWants(
    of persons: some Collection<PersonID>, limit: Int, newestPerLog: Int? = nil, excluding: Set<LogID> = [],
    heldByPeer: (LogID) -> SequenceNumber? = { _ in nil }
  ) throws -> [StretchRequest] {
    var requests: [StretchRequest] = []
    let select = try database.statement(
      """
      SELECT l.lid FROM person p JOIN log l ON l.pid=p.pid WHERE p.key=? \
      AND (l.want_head>0 OR l.lower>0 OR l.first>1 OR l.state<>0) ORDER BY l.lid
      """)
    for person in persons {
      select.bind(person, at: 0)
      let rows = try select.map { $0.int(0) }
      // Most logs lack nothing, and then nobody's record is looked at.
      guard !rows.isEmpty, let stored = try soundPerson(person) else { continue }
      for lid in rows {
        guard let entry = try entry(row: lid), stored.record.isAuthor(entry.key), !excluding.contains(entry.key) else {
          continue
        }
        requests += try wants(entry, newest: newestPerLog, heldByPeer: heldByPeer(entry.key))
        if requests.count >= limit { return Array(requests.prefix(limit)) }
      }
    }
    return requests
  }

  /// Whether nothing is missing of the logs of `persons` up to the newest heads that anybody named: no event, and no
  /// payload that is still wanted.
  public func isComplete(_ persons: some Collection<PersonID>) throws -> Bool {
    guard try openWants(of: persons, limit: 1).isEmpty else { return false }
    var isComplete = true
    try forEachMissingPayload(of: persons) { _ in
      isComplete = false
      return false
    }
    return isComplete
  }

  /// The missing ranges of one log, newest first; no two overlap.
  private func wants(
    _ entry: LogEntry, newest: Int?, heldByPeer: SequenceNumber?
  ) throws -> [StretchRequest] {
    let top = entry.top?.last ?? SequenceNumber(0)
    var highest = top
    if let want = entry.want { highest = max(highest, want.sequence) }
    if entry.end != nil { highest = max(highest, entry.lastAllowed) }
    highest = min(highest, entry.lastAllowed)
    if let heldByPeer { highest = min(highest, max(heldByPeer, top)) }
    guard highest >= .first else { return [] }
    let lowest = newest.map { SequenceNumber(UInt64(max(1, Int64(highest.rawValue) - Int64($0) + 1))) } ?? .first
    var requests: [StretchRequest] = []
    var next = highest
    var holdsAbove = false
    for segment in entry.segments.reversed() {
      if segment.last < next {
        requests.append(
          StretchRequest(
            log: entry.key, range: (segment.last + 1)...next, holdsBelow: true, holdsAbove: holdsAbove))
      }
      holdsAbove = true
      next = SequenceNumber(segment.first.rawValue - 1)
    }
    if next >= .first {
      requests.append(StretchRequest(log: entry.key, range: .first...next, holdsAbove: holdsAbove))
    }
    // The other branch of a log that does not fit together: asked for without naming neighbours.
    if let suspect = try storedSuspect(entry), suspect.first > .first {
      Self.add(Self.chunkBelow(suspect.first - 1), of: entry.key, to: &requests)
    }
    if let want = entry.want, entry.segmentIndex(containing: want.sequence) != nil {
      Self.add(Self.chunkBelow(want.sequence), of: entry.key, to: &requests)
    }
    let reach = heldByPeer ?? .maximum
    return requests.compactMap { request in
      guard request.range.upperBound >= lowest, request.range.lowerBound <= reach else { return nil }
      var request = request
      if request.range.upperBound > reach {
        guard lowest <= reach else { return nil }
        request.range = request.range.lowerBound...reach
        request.holdsAbove = false
      }
      if request.range.lowerBound < lowest {
        request.range = lowest...request.range.upperBound
        request.holdsBelow = false
      }
      return request
    }
  }

  /// Asks for what of a range is not asked for yet, so that the requests stay newest first and apart.
  private static func add(
    _ range: ClosedRange<SequenceNumber>, of log: LogID, to requests: inout [StretchRequest]
  ) {
    var next = range.upperBound
    var added: [StretchRequest] = []
    for request in requests where request.range.overlaps(range) {
      if request.range.upperBound < next {
        added.append(StretchRequest(log: log, range: (request.range.upperBound + 1)...next))
      }
      next = SequenceNumber(request.range.lowerBound.rawValue - 1)
    }
    if next >= range.lowerBound { added.append(StretchRequest(log: log, range: range.lowerBound...next)) }
    requests = (requests + added).sorted { $0.range.lowerBound > $1.range.lowerBound }
  }

  private static func chunkBelow(_ sequence: SequenceNumber) -> ClosedRange<SequenceNumber> {
    let start =
      sequence.rawValue >= UInt64(HeaderJudge.chunkCountMaximum)
      ? sequence.rawValue - UInt64(HeaderJudge.chunkCountMaximum) + 1 : 1
    return SequenceNumber(start)...sequence
  }

  // MARK: - Peers

  public func peer(_ node: PublicKey) throws -> StoredPeer? {
    let select = try database.statement(
      "SELECT instance, n, cookie, interests_hash, interests, statement, last_seen, own_interests FROM peer WHERE node=?"
    )
    select.bind(node, at: 0)
    return try select.first { row in
      var memory = StoredPeer(
        node: node,
        cursor: ChangeCursor(
          instance: row.blob(0).reduce(0) { $0 << 8 | UInt64($1) }, number: row.unsigned(1),
          cookie: row.blob(2).reduce(0) { $0 << 8 | UInt64($1) }),
        interestsHash: row.bytes32(3) ?? Digest(), interests: row.isNull(4) ? nil : row.blob(4),
        statement: row.isNull(5) ? nil : row.blob(5), lastSeen: Timestamp(milliseconds: row.int(6)))
      memory.ownInterests = row.blob(7).reduce(0) { $0 << 8 | UInt64($1) }
      return memory
    }
  }

  /// Remembers how far a peer's changes were seen.
  public func remember(_ memory: StoredPeer) throws { try write { try save(memory) } }

  private func save(_ memory: StoredPeer) throws {
    try makeRoom(for: memory)
    let insert = try database.statement(
      """
      INSERT OR REPLACE INTO peer(node, instance, n, cookie, interests_hash, interests, statement, last_seen, \
      own_interests) VALUES(?,?,?,?,?,?,?,?,?)
      """)
    insert.bind(memory.node, at: 0)
    insert.bind(withUnsafeBytes(of: memory.cursor.instance.bigEndian) { Array($0) }, at: 1)
    insert.bind(memory.cursor.number, at: 2)
    insert.bind(withUnsafeBytes(of: memory.cursor.cookie.bigEndian) { Array($0) }, at: 3)
    insert.bind(memory.interestsHash, at: 4)
    insert.bind(memory.interests, at: 5)
    insert.bind(memory.statement, at: 6)
    insert.bind(memory.lastSeen.milliseconds, at: 7)
    insert.bind(withUnsafeBytes(of: memory.ownInterests.bigEndian) { Array($0) }, at: 8)
    try insert.run()
  }

  /// Strangers with ever new keys must not fill the disk: whoever was not seen for the longest time is forgotten first.
  private func makeRoom(for memory: StoredPeer) throws {
    let known = try database.statement("SELECT length(interests) FROM peer WHERE node=?")
    known.bind(memory.node, at: 0)
    let before = try known.first { $0.int(0) }
    guard before.map({ $0 < Int64(memory.interests?.count ?? 0) }) ?? true else { return }
    let sizes = try database.statement("SELECT count(*), total(length(interests)) FROM peer")
    guard let (count, bytes) = try sizes.first({ ($0.int(0), $0.int(1)) }) else { return }
    guard count >= Self.peersMaximum || Int(bytes) + (memory.interests?.count ?? 0) > Self.interestBytesMaximum else {
      return
    }
    let forget = try database.statement(
      "DELETE FROM peer WHERE node IN (SELECT node FROM peer WHERE node<>? ORDER BY last_seen LIMIT max(1, ?))")
    forget.bind(memory.node, at: 0)
    forget.bind(count / 4, at: 1)
    try forget.run()
  }

  /// Peers remembered between sessions.
  private static let peersMaximum: Int64 = 1_024
  /// Interests remembered for all of them together: two million persons.
  private static let interestBytesMaximum = 64 << 20
}
