public import Events
public import Identity
public import Primitives
import Store

/// A person as lists show them.
public struct PersonLabel: Hashable, Sendable {
  public let person: PersonID
  /// What the person calls themselves, as received: clean it before it reaches a terminal. Nil when they never said.
  public let name: String?
  /// `name#fingerprint` with 8 characters of the id; `#fingerprint` without a name.
  public let handle: String

  public init(person: PersonID, name: String?) {
    self.person = person
    self.name = name
    handle = person.handle(name: name ?? "")
  }

  /// As much of a fingerprint as lists show.
  public static func fingerprint(_ person: PersonID) -> String { String(person.fingerprint.prefix(Handle.shownCount)) }
}

/// An event with everything that a listing says of it.
public struct TimelineItem: Hashable, Sendable {
  public let kind: EventKind
  public let id: EventID
  public let log: LogID
  public let sequence: SequenceNumber
  /// Lifetime in seconds from the id's time; 0 = does not expire.
  public let ttl: UInt32
  /// Nil where nobody asked for it: working out a header means hashing its chunk.
  public let header: EventHeader?
  /// Nil when the payload is absent, not of its kind's form, encrypted, or of a later version.
  public let content: EventContent?
  public let author: PersonLabel
  /// The id of the event at the place that this post replies to, when that place is held here.
  public let replyToID: EventID?
  /// Where it stands; `before:` this position is the page after it.
  public let position: TimelinePosition

  init(
    _ view: EventView, of log: LogID, header: EventHeader?, content: EventContent?, author: PersonLabel,
    replyToID: EventID? = nil
  ) {
    kind = view.kind
    id = view.id
    self.log = log
    sequence = view.sequence
    ttl = view.ttl
    self.header = header
    self.content = content
    self.author = author
    self.replyToID = replyToID
    let written: Timestamp? = if case .post(let post) = content { post.written } else { nil }
    position = TimelinePosition(time: written ?? view.id.time, id: view.id, log: log)
  }

  /// Shown time, which orders timelines: a post's own date where it has one, else the id's time.
  public var time: Timestamp { position.time }
  /// Nil exactly when there is no header.
  public var reference: Reference? { header?.reference }
  public var post: EventContent.Post? { if case .post(let post) = content { post } else { nil } }
  /// As received: clean it before it reaches a terminal.
  public var text: String? { post?.text }
  public var replyTo: Reference? { post?.replyTo }
}

/// A place in a thread.
public struct ThreadEntry: Hashable, Sendable {
  /// Why a place shows no post.
  public enum Placeholder: String, Hashable, Sendable {
    case deleted = "deleted by author"
    case expired
    case notHeld = "not held here"
    case notDue = "dated in the future"
    case malformed
    case damaged = "damaged here"
  }

  /// 0 for the oldest ancestor that is known.
  public let depth: Int
  public let item: TimelineItem?
  /// Nil exactly when there is an item.
  public let placeholder: Placeholder?
  public let reference: Reference
  /// Whether this is the post that was asked for.
  public let isSubject: Bool
}

/// What a person says about themselves, and what is held of them.
public struct PersonProfile: Hashable, Sendable {
  public let label: PersonLabel
  public let about: String?
  public let link: String?
  /// The person's logs that are held, with their newest sequence number, in order of their keys.
  public let logs: [HeldLog]
  /// Posts in the tables here, expired ones and those from the future too.
  public let posts: Int
  public let following: Int
  /// Among the persons whose logs are held.
  public let followers: Int

  public struct HeldLog: Hashable, Sendable {
    public let log: LogID
    public let head: SequenceNumber
  }
}

/// A followed person, or a follower.
public struct FollowEntry: Hashable, Sendable {
  public let label: PersonLabel
  /// The id of the newest event that says so.
  public let id: EventID
  /// Whether a log of the person is held.
  public let isHeld: Bool
}
