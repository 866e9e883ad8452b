public import DHT
public import Identity
public import Primitives

/// Decides what to tell the DHT of the logs held here, where to look for those that are wanted, and with whom to stay
/// connected. It owes the reader everything that anybody still has, and the author that whoever looks finds a replica.
///
/// Pure, like the cores that it sits between. What the DHT says is a hint: nothing is believed but that it is worth a dial,
/// and that a log has a head that its device signed.
public struct Finder: Sendable {
  public struct Settings: Hashable, Sendable {
    /// Where peers reach this node, the best first.
    public var addresses: [Endpoint] = []
    /// The port that is announced; nil for a node that nobody can reach.
    public var port: UInt16?
    /// Whether the logs of others that are held are announced too: it tells everybody whom this node follows.
    public var announcesOthers = true
    public var rules = AddressRules(isPublic: false)
    /// Connections that are kept at a time; none for a command, which does not stay.
    public var sessionsMaximum = 32

    public init() {}
  }

  /// Why the DHT was asked for something.
  public enum Errand: Hashable, Sendable {
    case head(PersonID, device: PublicKey)
    case personItem(PersonID)
    case replicas(PersonID)
    case publish(DHTNode.PublicationKey)
    case farewell
  }

  public enum Input: Sendable {
    case settings(Settings)
    /// Whether a dial from outside came through. In public nothing of ours is announced before.
    case reachable(Bool)
    /// The network was joined, or nobody answered; until then nobody is asked.
    case joined
    /// The network was left: what was found and said in it counts for nothing in the next one.
    case networkLeft
    case surveyed(Survey)
    /// The head that was to be signed; nil while the key cannot be had.
    case signed(MutableItem?)
    case foundPeers(Errand, [Endpoint])
    case foundItem(Errand, MutableItem)
    case finished(Errand, DHTNode.Outcome)
    /// Nodes of a private network that are near to a search: the network is ours, so each of them may hold something.
    case foundNodes(Errand, [Endpoint])
    /// Peers told us who has somebody's logs.
    case learnt(PersonID, [Endpoint])
    /// A connection that is kept came about, or ended, or did not come about.
    case connected(Endpoint, node: PublicKey)
    case disconnected(Endpoint)
    /// Look for these now, whatever was tried before.
    case seek([PersonID])
    /// The node stops in order.
    case leaving
    case deadlineReached
  }

  public enum Output: Sendable {
    case ask(Errand, DHTNode.Command)
    case withdraw(DHTNode.PublicationKey)
    case sign(HeadItem, after: Int64?)
    case stand(Endpoint)
    case leave(Endpoint)
    /// What could be said before leaving is said.
    case left
  }

  // Bounds.

  /// Values kept alive in the DHT; it keeps 1,024, and some are the user's.
  public static let publicationsMaximum = 1_000
  /// Connections that are wanted for one person, and at most.
  static let sessionsWanted = 2
  static let sessionsPerPerson = 4
  /// Addresses remembered for one person, and for all.
  static let candidatesMaximum = 64
  static let candidatesMinimum = 8
  /// In public, addresses of one host or site for one person that come from strangers; and dials of all of them together.
  static let candidatesPerHost = 2
  static let strangerDials = Rate(60, per: .seconds(60))
  static let addressesMaximum = 8_192
  /// Devices of one person whose heads are looked up.
  static let devicesMaximum = 16
  /// Lookups under way, of persons.
  static let pursuitsMaximum = 32
  /// Values that are being stored at a time.
  static let storesMaximum = 64

  // Times.

  /// One's own head is published at most so often.
  static let headPause = Duration.seconds(5)
  static let headInterval = Duration.seconds(3_300)
  /// Between two lookups of somebody of whom nobody was found; doubles.
  static let lookupPauseMinimum = Duration.seconds(5)
  static let lookupPauseMaximum = Duration.seconds(900)
  /// And of somebody with whose replicas we are connected.
  static let lookupInterval = Duration.seconds(3_600)
  /// Between two dials of one address; doubles.
  static let dialPauseMinimum = Duration.seconds(5)
  static let dialPauseMaximum = Duration.seconds(1_800)
  /// A value that hardly anybody has taken is stored again after this; doubles until the DHT's own time.
  static let weakPauseMinimum = Duration.seconds(10)
  static let weakPauseMaximum = Duration.seconds(320)
  /// When there is more to publish than there is room, others have their turn so often.
  static let rotationInterval = Duration.seconds(900)
  /// How long an orderly exit waits for the DHT.
  static let farewellPatience = Duration.seconds(1)

  public internal(set) var settings = Settings()
  var random: SeededRandom
  var isReachable = false
  var isJoined = false
  /// Anybody in the DHT has answered.
  var hasMetNetwork = false
  var persons: [PersonID: Survey.Person] = [:]
  /// Persons in the order of the survey.
  var order: [PersonID] = []
  var strangerDials: TokenBucket
  var pursuits: [PersonID: Pursuit] = [:]
  var addresses: [Endpoint: Address] = [:]
  var publications: [DHTNode.PublicationKey: Publication] = [:]
  /// Keys of the publications, what matters most first.
  var publicationOrder: [DHTNode.PublicationKey] = []
  /// Something changed that may change what is published.
  var isStale = true
  var rotation = 0
  var rotationDue: Instant?
  /// Person items of others, as the DHT gave them.
  var items: [PersonID: MutableItem] = [:]
  var head = OwnHead()
  /// When a stranger's address that had to wait may be dialled.
  var dialsDue: Instant?
  var farewell: Instant?
  var hasLeft = false
  var now: Moment
  var outputs: [Output] = []

  /// The search for one person's replicas.
  struct Pursuit: Sendable {
    /// What the DHT knows of a log.
    struct Known: Sendable {
      var item: Int64
      var sequence: SequenceNumber
      var hash: EventHash
    }

    var candidates: [Endpoint: Source] = [:]
    var known: [LogID: Known] = [:]
    /// Errands under way.
    var running: Set<Errand> = []
    /// Some answer of the DHT came since the lookup began.
    var isNetworkThere = false
    var due: Instant
    var pause = Finder.lookupPauseMinimum
    var hasLooked = false
  }

  /// Who named an address; the better comes first.
  public enum Source: Int, Comparable, Sendable {
    case author, preferred, learnt, announced
    /// Nobody named it; a search tries it when all others are tried, and nobody stays connected with it.
    case nearby
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  }

  struct Address: Sendable {
    enum State: Sendable { case idle, dialling, connected }
    var state = State.idle
    /// Who answered there last.
    var node: PublicKey?
    /// Not to be dialled before.
    var until: Instant?
    var failures = 0
    /// Decides among equals, so that not all go to the same one.
    var lot: UInt64
    /// Persons whose candidate it is.
    var uses = 0
  }

  struct Publication: Sendable {
    /// The number of an item, or the port of an announcement: changes when the value does.
    var version: Int64
    var command: DHTNode.Command
    /// When a new or weakly held value is to be stored; nil while the DHT keeps it by itself.
    var due: Instant?
    var isRunning = false
    var pause = Finder.weakPauseMinimum
  }

  struct OwnHead: Sendable {
    /// What was signed last.
    var published: HeadItem?
    var item: MutableItem?
    /// The highest number seen of ours.
    var number: Int64?
    var isSigning = false
    var due: Instant?
    /// Not before, however much changes.
    var pausedUntil: Instant?
  }

  public init(random: SeededRandom, at now: Moment) {
    self.random = random
    self.now = now
    strangerDials = TokenBucket(at: now.instant)
  }

  public mutating func handle(_ input: Input, at now: Moment) -> [Output] {
    self.now = now
    if hasLeft { return [] }
    switch input {
    case .settings(let settings):
      self.settings = settings
      isStale = true
      headMayHaveChanged()
    case .reachable(let isReachable):
      self.isReachable = isReachable
      isStale = true
      headMayHaveChanged()
    case .joined: isJoined = true
    case .networkLeft: networkLeft()
    case .surveyed(let survey): surveyed(survey)
    case .signed(let item): signed(item)
    case .foundPeers(let errand, let endpoints): found(endpoints, errand)
    case .foundItem(let errand, let item): found(item, errand)
    case .foundNodes(let errand, let endpoints):
      if case .replicas(let person) = errand, !settings.rules.isPublic {
        for endpoint in endpoints { add(endpoint, .nearby, for: person) }
      }
    case .finished(let errand, let outcome): finished(errand, outcome)
    case .learnt(let person, let endpoints): for endpoint in endpoints { add(endpoint, .learnt, for: person) }
    case .connected(let endpoint, let node): connected(endpoint, node)
    case .disconnected(let endpoint): disconnected(endpoint)
    case .seek(let persons): for person in persons { lookAgain(person) }
    case .leaving: beginFarewell()
    case .deadlineReached: break
    }
    if farewell == nil {
      publish()
      // What is stored or signed changes nothing of the search; there may be a thousand of it.
      switch input {
      case .finished(.publish, _), .signed: break
      default:
        look()
        connect()
      }
    } else {
      endFarewell()
    }
    defer { outputs = [] }
    return outputs
  }

  public var nextDeadline: Instant? {
    if hasLeft { return nil }
    if let farewell { return farewell }
    guard isJoined else { return nil }
    var due = [head.isSigning ? nil : head.due, rotationDue].compactMap { $0 }
    if publications.values.count(where: \.isRunning) < Self.storesMaximum {
      due += publications.values.filter { !$0.isRunning }.compactMap(\.due)
    }
    if pursuits.values.count(where: { !$0.running.isEmpty }) < Self.pursuitsMaximum {
      due += pursuits.values.filter { $0.running.isEmpty }.map(\.due)
    }
    if settings.sessionsMaximum > 0 {
      due += addresses.values.filter { $0.state == .idle }.compactMap(\.until).filter { $0 > now.instant }
      if let dialsDue { due.append(dialsDue) }
    }
    return due.min()
  }

  mutating func jittered(_ span: Duration) -> Duration { span * Int.random(in: 90...110, using: &random) / 100 }

  // MARK: What can be asked

  /// The newest head of a log that its device has published, as far as it was looked up.
  public func newestKnown(_ log: LogID, of person: PersonID) -> (sequence: SequenceNumber, hash: EventHash)? {
    pursuits[person]?.known[log].map { ($0.sequence, $0.hash) }
  }

  /// Logs of a person that the DHT knows to go on beyond what is held, or that are not held at all.
  public func logsBehind(of person: PersonID) -> [LogID] {
    guard let pursuit = pursuits[person] else { return [] }
    let held = Dictionary(
      (persons[person]?.logs ?? []).map { ($0.log, $0.sequence) }, uniquingKeysWith: { max($0, $1) })
    return pursuit.known.filter { $0.value.sequence > held[$0.key] ?? SequenceNumber(0) }.keys.sorted()
  }

  /// Whether the DHT is still being asked about the person.
  public func isLooking(for person: PersonID) -> Bool {
    guard let pursuit = pursuits[person] else { return false }
    return !pursuit.running.isEmpty || !pursuit.hasLooked
  }

  func isLookingForHead(of person: PersonID) -> Bool {
    guard let pursuit = pursuits[person] else { return false }
    return !pursuit.hasLooked && pursuit.running.isEmpty
      || pursuit.running.contains { if case .head = $0 { true } else { false } }
  }

  /// Who named an address for a person.
  func source(of endpoint: Endpoint, for person: PersonID) -> Source? { pursuits[person]?.candidates[endpoint] }

  /// Whether some device of the person has said how far its log goes.
  func knowsHead(of person: PersonID) -> Bool { pursuits[person]?.known.isEmpty == false }

  func heldLogs(of person: PersonID) -> [Survey.Log] { persons[person]?.logs ?? [] }
  func isOwn(_ person: PersonID) -> Bool { persons[person]?.isOwn ?? false }
  func hasRecord(of person: PersonID) -> Bool { persons[person]?.root != nil }

  /// Addresses of replicas, the best first.
  public func candidates(for person: PersonID) -> [(endpoint: Endpoint, source: Source)] {
    (pursuits[person]?.candidates ?? [:]).map { ($0.key, $0.value) }.sorted { a, b in
      if a.1 != b.1 { return a.1 < b.1 }
      let (first, second) = (addresses[a.0]?.lot ?? 0, addresses[b.0]?.lot ?? 0)
      return first == second ? a.0.compact.lexicographicallyPrecedes(b.0.compact) : first < second
    }
  }
}
