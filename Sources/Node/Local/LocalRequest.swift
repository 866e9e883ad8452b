public import Events
public import Identity
public import Primitives
public import Replication

/// What a command asks of whoever may write to the profile: the service in its own process, or the node that runs.
///
/// Everything that only reads is not among it: readers open the store themselves and never wait (DESIGN §5).
public enum LocalRequest: Hashable, Sendable {
  /// Appends to this device's log, all of them in one transaction → `.appended`, one result for each draft.
  case append([LocalDraft])
  /// Takes what a person record says → `.merged`.
  case mergeRecord([UInt8])
  /// Reads an NDJSON export from a file that the service opens itself → `.imported`, with `.importing` and `.badLines`
  /// on the way. The path is absolute, for a node has another working directory than the command.
  case importExport(path: String)
  /// One session with each target, one after the other → `.synced`, with `.syncing` on the way.
  case sync([NodeCore.Target], Exchange.Options)
  /// Makes the read models again → `.rebuilt`, with `.rebuilding` on the way.
  case rebuild
  /// Takes out what is damaged, so that it is wanted and the next sync brings it again → `.repaired`.
  case repair
  /// Waits for a device with this ticket → `.done` when one was given its certificate; `.listening` and `.joinRequest` on
  /// the way. It ends with `.refused` when the ticket runs out.
  case offerJoin(LocalJoinOffer)
  /// Answers a `.joinRequest`: with the record that certifies the device, which is merged first, or with a refusal
  /// → `.done`.
  case answerJoin(number: UInt32, record: [UInt8]?)
  /// Syncs with whoever has what is wanted, found through the DHT → `.searched`, with `.syncing` on the way.
  case search(Exchange.Options)
  /// Asks the network who goes by a name → `.foundNames`.
  case findName(String)
  /// Who answers → `.status`.
  case status
  /// Takes up a network of the DHT: the bytes of a `NetworkConfiguration` → `.done`. Refused when the profile is in
  /// another one that is not to be replaced.
  case setNetwork([UInt8], replaces: Bool)
  /// Asks the DHT; see there for the replies.
  case dht(LocalDHTRequest)
}

/// An event as a command means it; the service adds what only the writer knows.
public enum LocalDraft: Hashable, Sendable {
  case post(Post)
  /// Skipped when the person is followed already.
  case follow(PersonID)
  /// Names every add that the store has seen. Skipped when there is none.
  case unfollow(PersonID)
  /// Of an event of the same person that is held. Its lifetime is the rest of its target's.
  case delete(Reference)
  /// Fields that are nil stay as they are; an empty text takes one back.
  case profile(EventContent.Profile)

  public struct Post: Hashable, Sendable {
    public var text: String
    public var replyTo: Reference?
    /// Seconds; 0 = does not expire.
    public var ttl: UInt32
    public var written: Timestamp?
    /// A post whose source is in the person's logs already is skipped.
    public var source: EventContent.Source?

    public init(
      text: String, replyTo: Reference? = nil, ttl: UInt32 = LocalDraft.postLifetime, written: Timestamp? = nil,
      source: EventContent.Source? = nil
    ) {
      self.text = text
      self.replyTo = replyTo
      self.ttl = ttl
      self.written = written
      self.source = source
    }
  }

  // Lifetimes in seconds (DESIGN §4, §10).

  /// 30 days.
  public static let postLifetime: UInt32 = 30 * 86_400
  /// Follows and profiles: 90 days.
  public static let stateLifetime: UInt32 = 90 * 86_400
  /// Removes: 180 days, so that they outlive every add that they cover.
  public static let removeLifetime: UInt32 = 180 * 86_400
}

/// An invitation that is waiting for its device.
public struct LocalJoinOffer: Hashable, Sendable {
  /// The secret of the one-time ticket, `Ticket.Join.secretCount` bytes.
  public var secret: [UInt8]
  /// When the ticket runs out.
  public var notAfter: Timestamp
  /// Where to listen if the service does not do so yet; nil for any free port of every interface.
  public var listen: String?

  public init(secret: [UInt8], notAfter: Timestamp, listen: String? = nil) {
    self.secret = secret
    self.notAfter = notAfter
    self.listen = listen
  }
}

/// Named bounds of what crosses the control socket, each with its reason. Everything else is bounded by the frame.
public enum LocalLimits {
  /// Drafts in one request: a transaction of some milliseconds, so that nobody else waits long.
  public static let drafts = 4_096
  /// Bytes of drafts in one request; a frame takes 1 MiB.
  public static let draftBytes = 524_288
  /// A person record in one frame: more than 2,000 statements. A longer one comes by sync alone.
  public static let recordBytes = 1_000_000
  /// PATH_MAX.
  public static let pathBytes = 4_096
  /// Peers of one sync.
  public static let targets = 1_024
  /// The longest DNS name, brackets, a zone, colon and port.
  public static let addressBytes = 320
  /// Texts of errors and reasons; what is longer is cut.
  public static let messageBytes = 4_096
  /// Counts that need no closer bound, so that sums of them stay within an Int.
  public static let countMaximum = 1 << 48
  /// A session's stall limit, in nanoseconds: one day.
  public static let stallNanoseconds: Int64 = 86_400_000_000_000
  /// A key of the DHT that a person says.
  public static let keyBytes = 1_024
  /// Devices of one person that are asked about.
  public static let devices = 64
  /// Contacts of one table: every bucket full, the first ones being larger.
  public static let contacts = 2_048
  /// Persons of one name: eight peers with 64 of them each.
  public static let candidates = 512
  /// Logs of everybody followed: 1,000 persons of some devices each.
  public static let searchedLogs = 8_192
  /// Addresses of a node.
  public static let listeners = 64
  /// Progress waiting for a command that does not read: the bad lines that an import names, a step for each piece of it,
  /// and some more. Beyond it the oldest is dropped.
  public static let progressWaiting = 16_384
}
