public import Identity
public import Primitives

/// A node of the Mainline DHT, or of a private one (BEP 5, 32, 42, 43, 44, 51): finds nodes, peers and items, stores its
/// share for others, and keeps its own values alive.
///
/// Pure: it is told what came and what time it is, and answers with effects and one deadline. Whoever drives it sends the
/// datagrams, calls `handle(.deadlineReached)` at `nextDeadline`, and keeps what it asks to be saved.
///
/// Everything it finds is a hint of strangers, but for items: their hash or signature has been checked.
public struct DHTNode: Sendable {
  /// Names one command; the caller chooses it, and effects carry it back.
  public struct OperationID: Hashable, Sendable {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  }

  public enum Input: Sendable {
    /// A datagram, whole, as it came.
    case received([UInt8], from: Endpoint)
    case command(OperationID, Command)
    /// Stops storing a value again. What others hold of it fades within its lifetime: BEP 5 and 44 know no deletion.
    case withdraw(PublicationKey)
    /// Whether remotes could reach us, as the owner found out.
    case dialBack(isReachable: Bool)
    case deadlineReached
  }

  public enum Command: Sendable {
    /// Joins the network by way of contacts that were saved and of endpoints that are always there (at most 16 count).
    /// Finishes with `.nodes` or `.unreachable`; in the second case it goes on trying.
    case bootstrap(contacts: [Contact], routers: [Endpoint])
    case ping(Endpoint)
    case findNode(NodeID)
    case getPeers(NodeID)
    /// Announces a peer under an info-hash, again every 15 min until it is withdrawn. Port nil: that of our datagrams.
    case announce(NodeID, port: UInt16?)
    case getImmutable(NodeID)
    /// Looks for the item with the highest number above `known`; nil for any.
    case getMutable(PublicKey, salt: [UInt8], known: Int64?)
    /// Stores a value; with `keeps` again every hour until it is withdrawn. With `copies` (1 to 20) at that many of the nearest
    /// nodes, instead of at all within the expected distance of the k-th.
    case putImmutable(ImmutableItem, keeps: Bool, copies: Int? = nil)
    /// Stores an item that is signed already, by whomever. With a signer, a number that others are beyond is raised and
    /// signed anew, up to three times. With `compareAndSwap`, only where that number is stored, or nothing.
    case putMutable(MutableItem, signer: SigningKey?, compareAndSwap: Int64?, keeps: Bool, copies: Int? = nil)
  }

  public enum Effect: Hashable, Sendable {
    case send([UInt8], to: Endpoint)
    /// Peers of a running `.getPeers`, each once.
    case foundPeers(OperationID, [Endpoint])
    /// An item of a running `.getMutable` that is newer than any before.
    case foundItem(OperationID, MutableItem)
    /// The last word about a command.
    case finished(Report)
    /// A value that is kept was stored again. After `.superseded` it is not kept any longer.
    case republished(PublicationKey, Outcome)
    /// Others see us here.
    case externalAddress(IPAddress)
    case stateChanged(State)
    /// Every 5 min; `savedContacts` gives the same at an orderly exit.
    case saveContacts(SavedContacts)
  }

  public enum State: Hashable, Sendable {
    /// Nobody has answered yet.
    case bootstrapping
    /// Asks, and answers nobody (BEP 43).
    case client
    case server
  }

  /// Names a value that is stored again and again.
  public enum PublicationKey: Hashable, Sendable {
    case announce(NodeID)
    case item(NodeID)
  }

  /// How a command ended, and what it cost.
  public struct Report: Hashable, Sendable {
    public var id: OperationID
    public var outcome: Outcome
    /// Queries sent.
    public var queries = 0
    /// Those of them that were not answered in the short time.
    public var timeouts = 0
    /// Packets one after another that it took to reach the nearest node; 1 if it was known before.
    public var hops = 0
    public var duration = Duration.zero
    /// The nearest nodes that answered, the nearest first; at most k.
    public var closest: [Contact] = []

    /// Of a command that cost nothing.
    public init(id: OperationID, outcome: Outcome) {
      self.id = id
      self.outcome = outcome
    }
  }

  public enum Outcome: Hashable, Sendable {
    /// `.ping`
    case answered(NodeID, roundTrip: Duration)
    /// `.bootstrap`, `.findNode`: they are in the report.
    case nodes
    /// `.getPeers`: at least one.
    case peers([Endpoint])
    /// `.getImmutable`: the value, bencoded; its hash is the target.
    case immutable(ImmutableItem)
    /// `.getMutable`: the newest, and how many nodes gave it.
    case mutable(MutableItem, copies: Int)
    /// Nodes answered, and none had it, or anything newer than what is known.
    case notFound
    /// `.announce`, `.put…`
    case stored(Storage)
    /// A put of a number that others are beyond, or have another value for.
    case superseded(MutableItem)
    /// A put with `compareAndSwap`, where others have another number; the newest item, if one was seen.
    case conflict(MutableItem?)
    /// Nobody answered.
    case unreachable
    /// Too many commands at a time, or too many values kept.
    case busy
  }

  /// Who stored a value.
  public struct Storage: Hashable, Sendable {
    public enum Durability: Hashable, Sendable {
      /// At least five nodes: in a public network all gone within an hour once in 10⁵ or less.
      case durable
      /// One to four; it is stored again in 5 min, if it is kept.
      case weak
      case failed
    }

    public var durability: Durability
    /// Those that said so.
    public var nodes: [Contact]
    /// We are near enough to the target to hold it too, and do.
    public var isHeldHere: Bool
    /// What the others said, each code with its count, the commonest first.
    public var refusals: [Refusal]
    /// The item as it was stored: with a signer its number may have been raised.
    public var item: MutableItem?

    public struct Refusal: Hashable, Sendable {
      public var code: KRPCError.Code
      public var count: Int
    }

    public init(
      durability: Durability, nodes: [Contact] = [], isHeldHere: Bool = false, refusals: [Refusal] = [],
      item: MutableItem? = nil
    ) {
      self.durability = durability
      self.nodes = nodes
      self.isHeldHere = isHeldHere
      self.refusals = refusals
      self.item = item
    }

    /// Acknowledgements that make a value durable.
    public static let durableMinimum = 5
  }

  /// Packets since the start, by what became of them.
  public struct Statistics: Hashable, Sendable {
    public var received = 0
    public var receivedBytes = 0
    public var sent = 0
    public var sentBytes = 0
    /// From addresses that are not talked to, or over their rate.
    public var unheard = 0
    /// No KRPC, or of another network.
    public var malformed = 0
    /// Replies to nothing that was asked, or from elsewhere.
    public var unmatched = 0
    /// Queries that came while we answer nobody.
    public var unanswered = 0
    /// Replies that a budget held back.
    public var withheld = 0
    /// Errors that were sent.
    public var refused = 0

    public init() {}
  }

  /// Commands at a time.
  public static let operationsMaximum = 1_024
  /// Values that are stored again and again: the parts of the longest that `StoredValue` makes, and as many others.
  public static let publicationsMaximum = 2_048
  static let routersMaximum = 16
  /// A node answers only after so long, in public: most leave again before.
  static let serverAge = Duration.seconds(15 * 60)

  public let settings: DHTSettings
  /// Changes with the address in public mode (BEP 42).
  public internal(set) var id: NodeID
  public internal(set) var state: State
  public internal(set) var statistics = Statistics()

  var table: RoutingTable
  var tokens: Tokens
  var numbers: TransactionNumbers
  var limits: RateLimits
  var peers: PeerStore
  var items: ItemStore
  var size = NetworkSize()
  var times = RoundTripTimes()
  var vote = ExternalAddressVote()
  var random: SeededRandom

  var agenda = Agenda<Appointment>()
  var transactions: [UInt32: Transaction] = [:]
  var operations: [UInt64: Operation] = [:]
  var operationNumber: UInt64 = 0
  var publications: [PublicationKey: Publication] = [:]
  /// Old nodes that know no items, the one noticed longest ago first.
  var withoutItems: [Endpoint] = []
  var routers: [Endpoint] = []
  /// Pings under way to contacts that asked us something.
  var verifying: Set<Endpoint> = []
  /// Contacts that others named and for which there is room, to be pinged one by one.
  var heard: [Contact] = []
  var isReachable = false
  let began: Instant
  var savedAt: Instant
  var expiredAt: Instant
  /// Until the next attempt to join a network in which nobody answers; doubles.
  var bootstrapPause = Self.bootstrapPauseMinimum
  var bootstrapDue: Instant?
  /// Whether a join is under way; and the contacts that were saved, for when all others are gone.
  var isJoining = false
  var joinContacts: [Contact] = []
  /// The time of the input that is being handled, and what came of it so far.
  var now: Moment
  var effects: [Effect] = []

  enum Appointment: Sendable {
    case slow(UInt32)
    case failed(UInt32)
    case send([UInt8], to: Endpoint)
    case lookupOver(UInt64)
    case publish(PublicationKey)
    case maintenance
  }

  /// A query that has no answer yet.
  struct Transaction: Sendable {
    var endpoint: Endpoint
    var purpose: Purpose
    var sent: Instant
  }

  /// Why something was asked; an answer is read by it, not by its shape.
  enum Purpose: Hashable, Sendable {
    /// To see whether somebody is there who deserves a place in the table, or still is.
    case verification
    /// The same of somebody whom others named, who names others in turn.
    case exploration
    case ping(OperationID)
    /// `isItem`: a `get`, which old nodes do not answer.
    case lookup(UInt64, isItem: Bool)
    /// The plain question to a node that did not answer a `get`.
    case fallback(UInt64)
    case store(UInt64)
  }

  /// - Parameters:
  ///   - id: of the last run; nil for a new one.
  ///   - secret: of the operating system's randomness, known to nobody else: tokens and transaction ids come from it.
  ///   - random: for what may be guessed: targets, jitter, choices.
  public init(
    settings: DHTSettings, id: NodeID?, secret: AuthenticationCode, random: SeededRandom, at now: Moment
  ) {
    self.settings = settings
    self.random = random
    self.now = now
    let own = id ?? NodeID(random: &self.random)
    self.id = own
    state = settings.provesReachability || settings.isReadOnly ? .bootstrapping : .server
    table = RoutingTable(own: own, options: settings.tableOptions, at: now.instant)
    tokens = Tokens(secret: secret, at: now.instant)
    numbers = TransactionNumbers(secret: secret)
    limits = RateLimits(options: settings.rateOptions, at: now.instant)
    peers = PeerStore(own: own, limits: settings.peerLimits)
    items = ItemStore(own: own, limits: settings.itemLimits)
    began = now.instant
    savedAt = now.instant
    expiredAt = now.instant
    agenda.add(.maintenance, at: now.instant + Self.maintenanceInterval)
  }

  /// When the node wants to be called; never nil for long, but later once nothing is under way.
  public var nextDeadline: Instant? { agenda.nextDue }

  /// Takes one input. The effects are to be executed in their order.
  public mutating func handle(_ input: Input, at now: Moment) -> [Effect] {
    self.now = now
    switch input {
    case .received(let bytes, let endpoint): receive(bytes, from: endpoint)
    case .command(let id, let command): begin(command, id)
    case .withdraw(let key): publications[key] = nil
    case .dialBack(let isReachable):
      self.isReachable = isReachable
      reconsiderState()
    case .deadlineReached: break
    }
    keepAppointments()
    defer { effects = [] }
    return effects
  }

  // MARK: What can be looked at

  /// Contacts that answered, and how many nodes the network seems to have; nil before the first lookup.
  public var contactCount: Int { table.count }
  public var networkSize: Double? { size.nodes }
  /// What is stored for others.
  public var storedCounts: (hashes: Int, items: Int) { (peers.hashCount, items.count) }
  /// All contacts of the table, bucket by bucket.
  public var contacts: [Contact] { table.entries.map(\.contact) }

  public var savedContacts: SavedContacts {
    let good = table.entries.filter { $0.failures == 0 }.enumerated().sorted {
      $0.element.answered == $1.element.answered ? $0.offset < $1.offset : $0.element.answered > $1.element.answered
    }
    return SavedContacts(id: id, contacts: good.map(\.element.contact))
  }

  /// Takes contacts as if each had answered within the last ten minutes, and the distances of the nearest nodes as if
  /// lookups had met them. Simulations of networks that are too large to be joined node by node begin with it.
  package mutating func assume(_ contacts: [Contact], distances: [[Double]], at now: Instant) {
    for contact in contacts {
      let age = Duration.milliseconds(Int.random(in: 0..<600_000, using: &random))
      _ = table.answered(contact, at: now + (.zero - age))
    }
    for nearest in distances { size.observe(nearest) }
  }

  // MARK: Time

  private mutating func keepAppointments() {
    while let (due, entry) = agenda.first {
      guard due <= now.instant || isStale(entry) else { return }
      agenda.removeFirst()
      switch entry {
      case .slow(let number): isSlow(number)
      case .failed(let number): hasFailed(number)
      case .send(let bytes, let endpoint): send(bytes, to: endpoint)
      case .lookupOver(let number): proceed(number)
      case .publish(let key): republish(key)
      case .maintenance: maintain()
      }
    }
  }

  private func isStale(_ entry: Appointment) -> Bool {
    switch entry {
    case .slow(let number), .failed(let number): transactions[number] == nil
    case .lookupOver(let number): operations[number] == nil
    case .publish(let key): publications[key] == nil
    case .send, .maintenance: false
    }
  }

  // MARK: Sending

  mutating func send(_ bytes: [UInt8], to endpoint: Endpoint) {
    statistics.sent += 1
    statistics.sentBytes += bytes.count
    effects.append(.send(bytes, to: endpoint))
  }

  /// Asks a remote, now or as soon as its address may be sent another packet. False if that is too far off.
  @discardableResult
  mutating func ask(_ ask: KRPCQuery.Ask, _ endpoint: Endpoint, for purpose: Purpose) -> Bool {
    guard let due = limits.sendTime(to: endpoint.address, at: now.instant) else { return false }
    var number = numbers.next()
    while transactions[number] != nil { number = numbers.next() }
    transactions[number] = Transaction(endpoint: endpoint, purpose: purpose, sent: due)
    let message = KRPCMessage(
      transaction: withUnsafeBytes(of: number.bigEndian) { Array($0) }, body: .query(KRPCQuery(id: id, ask: ask)),
      version: settings.version, isReadOnly: state != .server)
    var bytes = message.encoded(for: settings.networkKey)
    if settings.amplificationMaximum != nil, settings.networkKey == nil, case .get = ask {
      bytes = KRPCMessage.padded(bytes)
    }
    if due <= now.instant {
      send(bytes, to: endpoint)
    } else {
      agenda.add(.send(bytes, to: endpoint), at: due)
    }
    agenda.add(.slow(number), at: due + times.patience)
    agenda.add(.failed(number), at: due + RoundTripTimes.failure)
    return true
  }
}
