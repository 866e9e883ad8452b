public import Events
public import Identity
import Primitives
public import Store

/// The tables from which timelines, profiles, threads and follows are read. They point at events and hold no text of a
/// post; a profile's fields are the only text, and go with their event.
///
/// Which events count at a moment (not from the future, not expired) is judged when reading, so nothing here depends on a
/// clock.
public final class TimelineModel: ReadModel {
  public init() {}

  /// See schemas/timelines.sql, which says the same with more words; a test compares the two.
  public static let schema = """
    CREATE TABLE IF NOT EXISTS post(lid INTEGER, at INTEGER, id INTEGER, seq INTEGER NOT NULL, ttl INTEGER NOT NULL, \
    parent INTEGER, PRIMARY KEY(lid, at, id)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS feed(pid INTEGER, lid INTEGER, newest INTEGER NOT NULL, PRIMARY KEY(pid, lid)) \
    WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS reply(parent INTEGER, lid INTEGER, seq INTEGER, PRIMARY KEY(parent, lid, seq)) \
    WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS follow(pid INTEGER, target BLOB, dot BLOB, lid INTEGER, seq INTEGER, \
    id INTEGER NOT NULL, ttl INTEGER NOT NULL, PRIMARY KEY(pid, target, dot, lid, seq)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS follow_target ON follow(target);
    CREATE TABLE IF NOT EXISTS unfollow(pid INTEGER, target BLOB, dot BLOB, lid INTEGER, seq INTEGER, \
    id INTEGER NOT NULL, PRIMARY KEY(pid, target, dot, lid, seq)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS profile(pid INTEGER, field INTEGER, id INTEGER, lid INTEGER, seq INTEGER NOT NULL, \
    ttl INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY(pid, field, id, lid)) WITHOUT ROWID;
    """

  static let tables = ["post", "feed", "reply", "follow", "unfollow", "profile"]

  /// Fields of a profile, by their keys in the event (schemas/event.cddl).
  enum ProfileField: Int64, CaseIterable {
    case name = 1
    case about = 2
    case link = 3
  }

  // MARK: - Adding

  public func add(
    _ stretch: Stretch, _ range: Range<Int>, of log: LogIdentity, in database: Database
  ) throws(StoreError) {
    var newest = Int64.min
    let insertPost = try database.statement(Self.insertPost)
    for index in range {
      guard let payload = stretch.payloadRange(index), Self.isShown(flags: stretch.headerBytes[index * 128 + 2]) else {
        continue
      }
      switch stretch.kind(index) {
      case .post:
        guard let post = try? PostOutline(stretch.raw, payload) else { continue }
        let header = stretch.header(index)
        newest = max(newest, try insert(post, header, log, insertPost, database))
      case .follow, .unfollow, .profile:
        guard let content = try? EventContent(stretch.kind(index), stretch.raw, payload) else { continue }
        try add(content, stretch.header(index), log, database)
      default: break
      }
    }
    if newest > .min { try raise(newest, log, database) }
  }

  /// What an event with this flags byte says can be read: nothing is encrypted, and no later version marked it.
  static func isShown(flags: UInt8) -> Bool { flags == 0 }

  private static let insertPost = "INSERT OR REPLACE INTO post(lid, at, id, seq, ttl, parent) VALUES(?,?,?,?,?,?)"

  private func insert(
    _ post: PostOutline, _ header: EventHeader, _ log: LogIdentity, _ insert: Store.Statement, _ database: Database
  ) throws(StoreError) -> Int64 {
    let rank = TimelinePosition(of: header, written: post.written).rank
    let parent = post.replyTo.map { Int64(bitPattern: $0.hash.prefix64) }
    insert.bind(log.lid, at: 0)
    insert.bind(rank.at, at: 1)
    insert.bind(rank.id, at: 2)
    insert.bind(header.sequence, at: 3)
    insert.bind(Int64(header.ttl), at: 4)
    insert.bind(parent, at: 5)
    try insert.run()
    if let parent {
      let insert = try database.statement("INSERT OR REPLACE INTO reply(parent, lid, seq) VALUES(?,?,?)")
      insert.bind(parent, at: 0)
      insert.bind(log.lid, at: 1)
      insert.bind(header.sequence, at: 2)
      try insert.run()
    }
    return rank.at
  }

  /// Notes that the log has a post as new as `at`, so that logs can be looked at in a good order. It never falls, and it
  /// rises a minute beyond what was seen, so that posts in quick succession do not write it each time.
  private func raise(_ at: Int64, _ log: LogIdentity, _ database: Database) throws(StoreError) {
    let raise = try database.statement(
      """
      INSERT INTO feed(pid, lid, newest) VALUES(?,?,?+?) \
      ON CONFLICT DO UPDATE SET newest=excluded.newest WHERE excluded.newest-?4>newest
      """)
    raise.bind(log.pid, at: 0)
    raise.bind(log.lid, at: 1)
    raise.bind(min(at, Int64.max - Self.feedLead), at: 2)
    raise.bind(Self.feedLead, at: 3)
    try raise.run()
  }

  /// A minute of ids.
  private static let feedLead: Int64 = 60_000 << 22

  private func add(
    _ content: EventContent, _ header: EventHeader, _ log: LogIdentity, _ database: Database
  ) throws(StoreError) {
    switch content {
    case .follow(let follow):
      let insert = try database.statement(
        "INSERT OR REPLACE INTO follow(pid, target, dot, lid, seq, id, ttl) VALUES(?,?,?,?,?,?,?)")
      bind(insert, log, follow.person, follow.dot(of: header), header)
      insert.bind(header.id.rawValue, at: 5)
      insert.bind(Int64(header.ttl), at: 6)
      try insert.run()
    case .unfollow(let unfollow):
      let insert = try database.statement(
        "INSERT OR REPLACE INTO unfollow(pid, target, dot, lid, seq, id) VALUES(?,?,?,?,?,?)")
      for dot in unfollow.dots {
        bind(insert, log, unfollow.person, dot, header)
        insert.bind(header.id.rawValue, at: 5)
        try insert.run()
      }
    case .profile(let profile):
      let insert = try database.statement(
        "INSERT OR REPLACE INTO profile(pid, field, id, lid, seq, ttl, value) VALUES(?,?,?,?,?,?,?)")
      for (field, value) in profile.fields {
        insert.bind(log.pid, at: 0)
        insert.bind(field.rawValue, at: 1)
        insert.bind(header.id.rawValue, at: 2)
        insert.bind(log.lid, at: 3)
        insert.bind(header.sequence, at: 4)
        insert.bind(Int64(header.ttl), at: 5)
        insert.bind(value, at: 6)
        try insert.run()
      }
    case .post, .delete, .carry: break
    }
  }

  // MARK: - Leaving

  public func hide(_ event: Event, of log: LogIdentity, in database: Database) throws(StoreError) {
    let header = event.header
    guard case .present(let payload) = event.payload, Self.isShown(flags: header.flags),
      let content = try? EventContent(header.kind, payload)
    else { return }
    switch content {
    case .post(let post):
      let rank = TimelinePosition(of: header, written: post.written).rank
      let delete = try database.statement("DELETE FROM post WHERE lid=? AND at=? AND id=?")
      delete.bind(log.lid, at: 0)
      delete.bind(rank.at, at: 1)
      delete.bind(rank.id, at: 2)
      try delete.run()
      if let parent = post.replyTo?.hash.prefix64 {
        try dropReply(Int64(bitPattern: parent), log.lid, header.sequence, database)
      }
    case .follow(let follow):
      let delete = try database.statement(
        "DELETE FROM follow WHERE pid=? AND target=? AND dot=? AND lid=? AND seq=?")
      bind(delete, log, follow.person, follow.dot(of: header), header)
      try delete.run()
    case .unfollow(let unfollow):
      let delete = try database.statement(
        "DELETE FROM unfollow WHERE pid=? AND target=? AND dot=? AND lid=? AND seq=?")
      for dot in unfollow.dots {
        bind(delete, log, unfollow.person, dot, header)
        try delete.run()
      }
    case .profile(let profile):
      let delete = try database.statement("DELETE FROM profile WHERE pid=? AND field=? AND id=? AND lid=?")
      for (field, _) in profile.fields {
        delete.bind(log.pid, at: 0)
        delete.bind(field.rawValue, at: 1)
        delete.bind(header.id.rawValue, at: 2)
        delete.bind(log.lid, at: 3)
        try delete.run()
      }
    case .delete, .carry: break
    }
  }

  public func truncate(
    _ log: LogIdentity, from sequence: SequenceNumber, in database: Database
  ) throws(StoreError) {
    let replies = try database.statement("SELECT parent, seq FROM post WHERE lid=? AND seq>=? AND parent IS NOT NULL")
    replies.bind(log.lid, at: 0)
    replies.bind(sequence, at: 1)
    var dropped: [(parent: Int64, sequence: SequenceNumber)] = []
    while try replies.step() { dropped.append((replies.int(0), replies.sequence(1))) }
    for reply in dropped { try dropReply(reply.parent, log.lid, reply.sequence, database) }
    let posts = try database.statement("DELETE FROM post WHERE lid=? AND seq>=?")
    posts.bind(log.lid, at: 0)
    posts.bind(sequence, at: 1)
    try posts.run()
    for table in ["follow", "unfollow", "profile"] {
      let delete = try database.statement("DELETE FROM \(table) WHERE pid=? AND lid=? AND seq>=?")
      delete.bind(log.pid, at: 0)
      delete.bind(log.lid, at: 1)
      delete.bind(sequence, at: 2)
      try delete.run()
    }
  }

  private func dropReply(
    _ parent: Int64, _ lid: Int64, _ sequence: SequenceNumber, _ database: Database
  ) throws(StoreError) {
    let delete = try database.statement("DELETE FROM reply WHERE parent=? AND lid=? AND seq=?")
    delete.bind(parent, at: 0)
    delete.bind(lid, at: 1)
    delete.bind(sequence, at: 2)
    try delete.run()
  }

  public func reset(in database: Database) throws(StoreError) {
    for table in Self.tables { try database.execute("DELETE FROM \(table)") }
  }

  /// The columns that the three follow statements have in common.
  private func bind(
    _ statement: Store.Statement, _ log: LogIdentity, _ target: PersonID, _ dot: EventContent.Dot, _ header: EventHeader
  ) {
    statement.bind(log.pid, at: 0)
    statement.bind(target, at: 1)
    statement.bind(dot.key, at: 2)
    statement.bind(log.lid, at: 3)
    statement.bind(header.sequence, at: 4)
  }
}

extension EventContent.Follow {
  /// The original add that this event is, or renews. Removes name that one, and so cover all of its renewals.
  func dot(of header: EventHeader) -> EventContent.Dot {
    renews ?? EventContent.Dot(log: header.log, sequence: header.sequence)
  }
}

extension EventContent.Dot {
  /// Log key and sequence number: 40 bytes that sort as dots do.
  var key: [UInt8] {
    var writer = ByteWriter(reserving: 40)
    writer.append(log)
    writer.integer(sequence.rawValue)
    return writer.bytes
  }

  init?(key: [UInt8]) {
    var reader = ByteReader(key)
    guard key.count == 40, let log: LogID = try? reader.bytes32(), let sequence = try? reader.integer(UInt64.self)
    else {
      return nil
    }
    self.init(log: log, sequence: SequenceNumber(sequence))
  }
}

extension EventContent.Profile {
  var fields: [(TimelineModel.ProfileField, String)] {
    [(.name, name), (.about, about), (.link, link)].compactMap { field, value in value.map { (field, $0) } }
  }
}
