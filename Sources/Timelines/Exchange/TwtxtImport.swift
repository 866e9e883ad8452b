public import Events
public import Identity
public import Primitives
import Store

/// What the import of a twtxt feed would append, worked out without touching anything.
///
/// Each post keeps its line's date as `written` and carries as `source` the feed's name and the identity of the line:
/// BLAKE2b-256("tl-twtxt-line-v1\0" ‖ occurrence u32 ‖ line bytes), where the occurrence counts equal lines of the file
/// from 0. So equal lines are all kept, and a line is known again wherever the file lies and in whatever order its lines
/// stand.
public struct TwtxtImport: Sendable {
  /// New posts in the order in which they are to be appended: by (time, line number).
  public let posts: [EventContent.Post]
  /// Lines that an earlier import brought.
  public let knownCount: Int
  /// Persons to follow, each once, in the order of the file.
  public let follows: [PersonID]
  /// Follow headers whose target nobody here knows.
  public let unknownFollows: [TwtxtFeed.Follow]
  /// In the order of the file.
  public let badLines: [TwtxtFeed.BadLine]

  /// - Parameters:
  ///   - name: goes into `source` when the feed states no `# url` of its own; a file name, say.
  ///   - now: the moment of the import; a line dated later is bad, because `written` must not lie after the id.
  ///   - known: line identities of the posts that are held already, see `TimelineReader.importedLines`.
  ///   - target: the person that a nick and URL mean, if that is known.
  public init(
    _ feed: TwtxtFeed, name: String, now: Timestamp, known: Set<Digest>,
    target: (_ nick: String, _ url: String) -> PersonID?
  ) {
    var bad = feed.badLines
    var seen: [[UInt8]: UInt32] = [:]
    var fresh: [(time: Timestamp, line: Int, post: EventContent.Post)] = []
    var knownCount = 0
    let source = String(decoding: (feed.url ?? name).utf8.prefix(ContentLimits.feedBytes), as: UTF8.self)
    let feedName = source.utf8.count <= ContentLimits.feedBytes ? source : ""
    for post in feed.posts {
      let occurrence = seen[post.bytes, default: 0]
      seen[post.bytes] = occurrence + 1
      guard post.time <= now else {
        bad.append(.init(line: post.line, reason: .future))
        continue
      }
      let line = Self.identity(of: post.bytes, occurrence: occurrence)
      if known.contains(line) {
        knownCount += 1
        continue
      }
      fresh.append(
        (
          post.time, post.line,
          EventContent.Post(text: post.text, written: post.time, source: .init(feed: feedName, line: line))
        ))
    }
    fresh.sort { $0.time != $1.time ? $0.time < $1.time : $0.line < $1.line }
    posts = fresh.map(\.post)
    self.knownCount = knownCount
    badLines = bad.sorted { $0.line < $1.line }
    var follows: [PersonID] = []
    var unknown: [TwtxtFeed.Follow] = []
    for follow in feed.follows {
      if let person = target(follow.nick, follow.url) {
        if !follows.contains(person) { follows.append(person) }
      } else {
        unknown.append(follow)
      }
    }
    self.follows = follows
    unknownFollows = unknown
  }

  static func identity(of line: [UInt8], occurrence: UInt32) -> Digest {
    var writer = ByteWriter(reserving: line.count + 24)
    writer.append("tl-twtxt-line-v1\0".utf8)
    writer.integer(occurrence)
    writer.append(line)
    return Digest(hashing: writer.bytes)
  }
}

extension TimelineReader {
  /// The line identities of a person's imported posts, for an import to leave out. Reads every such post once.
  public func importedLines(of person: PersonID) throws -> Set<Digest> {
    try database.snapshot {
      try forgetWhenChanged()
      var lines: Set<Digest> = []
      for log in try logs(of: person) {
        let select = try database.statement("SELECT seq FROM post WHERE lid=? ORDER BY seq")
        select.bind(log.lid, at: 0)
        for sequence in try select.map({ $0.sequence(0) }) {
          guard let payload = try source.view(at: EventPlace(log, sequence))?.payload,
            let content = try? EventContent(.post, payload), case .post(let post) = content, let origin = post.source
          else { continue }
          lines.insert(origin.line)
        }
      }
      return lines
    }
  }
}
