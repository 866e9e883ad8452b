public import DHT
internal import Identity
public import Primitives

/// Nodes of a DHT in one process, on virtual time: the real core, and datagrams that take their time, or get lost. Equal
/// seeds give equal runs, to the packet.
public struct DHTNetwork: Sendable {
  public struct Options: Sendable {
    /// One way, in ms; each pair of nodes has its own, which does not change.
    public var delay = 5...60
    /// Of all datagrams, 0 to 1.
    public var loss = 0.0
    public var settings = DHTSettings()
    /// Whether `events` and `outside` are filled: a network of many thousands writes more of them than memory holds.
    public var keepsEvents = true

    public init() {}
  }

  public struct Member: Sendable {
    public var node: DHTNode
    public var endpoint: Endpoint
    public var isAlive = true
    /// Says yes to everything, stores nothing, and names others of its kind only.
    public internal(set) var isSybil = false
    /// The call that is in the queue.
    var wake: Instant?
  }

  private enum Event: Sendable {
    case datagram([UInt8], from: Endpoint, to: Endpoint)
    case wake(Int)
  }

  public var options: Options
  public private(set) var members: [Member] = []
  public private(set) var now = Moment(
    instant: Instant(nanoseconds: 0), wall: Timestamp(milliseconds: 1_700_000_000_000))
  /// Finished commands, until they are taken.
  public private(set) var reports: [DHTNode.OperationID: DHTNode.Report] = [:]
  /// All other effects than datagrams and reports, of all nodes, in their order.
  public private(set) var events: [(member: Int, effect: DHTNode.Effect)] = []
  /// Datagrams to endpoints at which no member is: what a scripted remote gets.
  public private(set) var outside: [(bytes: [UInt8], from: Endpoint, to: Endpoint)] = []
  /// Changes with every datagram that is delivered, and depends on all of them in their order (FNV-1a over words).
  public private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325
  /// Datagrams that arrived, their bytes, and how often a node was called because its deadline had come.
  public private(set) var delivered = 0
  public private(set) var deliveredBytes = 0
  public private(set) var wakes = 0

  private var queue = Agenda<Event>()
  private var places: [Endpoint: Int] = [:]
  private var sybils: [Int] = []
  public var random: SeededRandom
  private var operation: UInt64 = 0
  /// Commands that `perform` waits for.
  private var awaited: Set<DHTNode.OperationID> = []
  private var site: UInt32 = 0

  public init(seed: UInt64, options: Options = Options()) {
    random = SeededRandom(seed: seed)
    self.options = options
  }

  // MARK: Members

  /// Adds a node. Without an endpoint it gets a global address in a /24 of its own.
  @discardableResult
  public mutating func add(
    settings: DHTSettings? = nil, id: NodeID? = nil, at endpoint: Endpoint? = nil
  ) -> Int {
    let endpoint = endpoint ?? Endpoint(freshAddress(), port: 6881)
    let index = members.count
    let node = DHTNode(
      settings: settings ?? options.settings, id: id, secret: AuthenticationCode(random.bytes(32))!,
      random: SeededRandom(seed: random.next()), at: now)
    members.append(Member(node: node, endpoint: endpoint))
    places[endpoint] = index
    schedule(index)
    return index
  }

  /// The multiplier is odd: every site comes once, spread over the whole space.
  private mutating func freshAddress() -> IPAddress {
    while true {
      site += 1
      let address = IPAddress.v4((site &* 0x9E37_79B1) << 8 | 1)
      if address.addressClass == .global { return address }
    }
  }

  /// Adds a node that joins as all do, and lies to all who ask it.
  public mutating func addSybil(id: NodeID) {
    let index = add(id: id)
    members[index].isSybil = true
    sybils.append(index)
    command(index, .bootstrap(contacts: [], routers: [members[0].endpoint]))
  }

  public mutating func removeSybils() {
    for index in sybils { kill(index) }
    sybils = []
  }

  private mutating func lie(_ index: Int, _ query: KRPCQuery, _ transaction: [UInt8], _ endpoint: Endpoint) {
    var reply = KRPCReply(id: members[index].node.id)
    switch query.ask {
    case .findNode(let target, _), .getPeers(let target, _), .get(let target, _, _), .sampleInfohashes(let target, _):
      let kind = sybils.map { Contact(members[$0].node.id, at: members[$0].endpoint) }
      let sorted = kind.sorted { $0.id.distance(to: target) < $1.id.distance(to: target) }
      reply.nodes = Array(sorted.prefix(8))
      reply.token = [1]
    case .ping, .announcePeer, .putImmutable, .putMutable, .unknown: break
    }
    let message = KRPCMessage(transaction: transaction, body: .reply(reply))
    send(message.encoded(for: options.settings.networkKey), from: members[index].endpoint, to: endpoint)
  }

  mutating func assume(_ index: Int, _ contacts: [Contact], _ distances: [[Double]]) {
    members[index].node.assume(contacts, distances: distances, at: now.instant)
  }

  /// The node is gone, without a word.
  public mutating func kill(_ index: Int) { members[index].isAlive = false }

  /// Adds nodes, one after the other, each joining by way of the first.
  public mutating func grow(to count: Int, settle: Duration = .seconds(30)) {
    while members.count < count {
      let index = add()
      if index > 0 { command(index, .bootstrap(contacts: [], routers: [members[0].endpoint])) }
      run(for: .milliseconds(100))
    }
    run(for: settle)
  }

  // MARK: What happens

  @discardableResult
  public mutating func command(_ index: Int, _ command: DHTNode.Command) -> DHTNode.OperationID {
    operation += 1
    let id = DHTNode.OperationID(operation)
    input(index, .command(id, command))
    return id
  }

  /// Gives a command and runs until it is finished; nil if it is not within a minute.
  public mutating func perform(_ index: Int, _ command: DHTNode.Command) -> DHTNode.Report? {
    perform([(index, command)])[0]
  }

  /// Gives commands at one moment, and runs until all of them are finished.
  public mutating func perform(_ commands: [(member: Int, command: DHTNode.Command)]) -> [DHTNode.Report?] {
    let ids = (1...commands.count).map { DHTNode.OperationID(operation + UInt64($0)) }
    awaited = Set(ids)
    for (member, command) in commands { self.command(member, command) }
    run(for: .seconds(60)) { $0.awaited.isEmpty }
    return ids.map { reports.removeValue(forKey: $0) }
  }

  public mutating func input(_ index: Int, _ input: DHTNode.Input) {
    guard members[index].isAlive else { return }
    for effect in members[index].node.handle(input, at: now) {
      switch effect {
      case .send(let bytes, let endpoint): send(bytes, from: members[index].endpoint, to: endpoint)
      case .finished(let report):
        reports[report.id] = report
        awaited.remove(report.id)
      case .foundPeers, .foundItem, .republished, .externalAddress, .stateChanged, .saveContacts:
        if options.keepsEvents { events.append((index, effect)) }
      }
    }
    schedule(index)
  }

  /// Puts a datagram on its way, also one of nobody's, or in another's name.
  public mutating func send(_ bytes: [UInt8], from source: Endpoint, to destination: Endpoint) {
    guard options.loss == 0 || Double.random(in: 0..<1, using: &random) >= options.loss else { return }
    queue.add(.datagram(bytes, from: source, to: destination), at: now.instant + delay(source, destination))
  }

  private func delay(_ a: Endpoint, _ b: Endpoint) -> Duration {
    var mixed = SeededRandom(seed: Self.number(a) ^ Self.number(b))
    return .milliseconds(Int.random(in: options.delay, using: &mixed))
  }

  private static func number(_ endpoint: Endpoint) -> UInt64 {
    switch endpoint.address {
    case .v4(let value): UInt64(value) &* 0x1_0001_0001 &+ UInt64(endpoint.port)
    case .v6(let high, let low): (high &* 0x1_0001_0001 ^ low) &* 0x1_0001 &+ UInt64(endpoint.port)
    }
  }

  private mutating func schedule(_ index: Int) {
    guard members[index].isAlive, let deadline = members[index].node.nextDeadline else { return }
    if let wake = members[index].wake, wake <= deadline { return }
    members[index].wake = deadline
    queue.add(.wake(index), at: max(deadline, now.instant))
  }

  /// Lets time pass, until the condition holds at the latest for so long.
  public mutating func run(for duration: Duration, until isOver: (Self) -> Bool = { _ in false }) {
    let end = now.instant + duration
    while !isOver(self), let (due, event) = queue.first, due <= end {
      queue.removeFirst()
      advance(to: due)
      switch event {
      case .datagram(let bytes, let source, let destination): deliver(bytes, source, destination)
      case .wake(let index):
        guard members[index].wake == due else { continue }
        members[index].wake = nil
        wakes += 1
        input(index, .deadlineReached)
      }
    }
    if !isOver(self) { advance(to: end) }
  }

  private mutating func advance(to instant: Instant) {
    now.instant = instant
    now.wall = Timestamp(milliseconds: 1_700_000_000_000 + instant.nanoseconds / 1_000_000)
  }

  private mutating func deliver(_ bytes: [UInt8], _ source: Endpoint, _ destination: Endpoint) {
    note(bytes, destination)
    guard let index = places[destination] else {
      if options.keepsEvents { outside.append((bytes, source, destination)) }
      return
    }
    if members[index].isSybil, members[index].isAlive,
      case .message(let message) = KRPCMessage.decode(bytes, for: options.settings.networkKey),
      case .query(let query) = message.body
    {
      return lie(index, query, message.transaction, source)
    }
    input(index, .received(bytes, from: source))
  }

  private mutating func note(_ bytes: [UInt8], _ destination: Endpoint) {
    var hash = (trace ^ Self.number(destination) ^ UInt64(bytes.count)) &* 0x100_0000_01B3
    bytes.withUnsafeBytes { bytes in
      for offset in stride(from: 0, to: bytes.count & ~7, by: 8) {
        let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian
        hash = (hash ^ word) &* 0x100_0000_01B3
        hash ^= hash >> 29
      }
      for offset in (bytes.count & ~7)..<bytes.count { hash = (hash ^ UInt64(bytes[offset])) &* 0x100_0000_01B3 }
    }
    trace = hash
    delivered += 1
    deliveredBytes += bytes.count
  }

  /// Takes what went to a scripted remote.
  public mutating func takeOutside(_ endpoint: Endpoint) -> [[UInt8]] {
    let taken = outside.filter { $0.to == endpoint }.map(\.bytes)
    outside.removeAll { $0.to == endpoint }
    return taken
  }
}
