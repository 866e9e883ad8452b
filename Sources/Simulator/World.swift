public import DHT
public import Identity
public import Node
public import Primitives
public import Replication

/// Whole nodes on a virtual network and clock, from one seed, on one thread: the real `NodeCore`, and any store.
///
/// Equal seeds and equal calls give equal traces (`traceHash`). Time passes only from event to event.
public struct World {
  /// What the network does to connections, as ratios per frame, and how long things take.
  public struct Weather: Sendable {
    /// Chance that a frame is lost and with it, as on TCP, the connection.
    public var cutRatio = 0.0
    /// Chance that a node crashes when a frame reaches it.
    public var crashRatio = 0.0
    public var delayMinimum = Duration.milliseconds(1)
    public var delayMaximum = Duration.milliseconds(40)
    /// Chance that a dial meets nobody.
    public var dialFailureRatio = 0.0
    /// Chance that a datagram does not arrive.
    public var lossRatio = 0.0
    public init() {}
  }

  public struct Member {
    public let key: PublicKey
    public fileprivate(set) var core: NodeCore
    public fileprivate(set) var store: any StoreAnswering
    /// Makes the store again from what its disk kept.
    let reopen: () -> any StoreAnswering
    /// Grows with every crash; what was under way before is void.
    fileprivate var life = 0
    public fileprivate(set) var ends: [NodeCore.SessionEnd] = []
    /// Standing connections as they came and went.
    public fileprivate(set) var standings: [NodeCore.Effect] = []
    /// What searches came to.
    public fileprivate(set) var searches: [NodeCore.SyncID: SearchReport] = [:]
    /// Where it gets datagrams, and peers dial it.
    public internal(set) var endpoint: Endpoint
    /// Whether it runs.
    public internal(set) var isUp = true
    /// It has said what it had to before it stops.
    public internal(set) var hasLeft = false
    /// Answers to names that were asked for; nil inside for none.
    public fileprivate(set) var found: [NodeCore.SyncID: [FoundPerson]?] = [:]
    /// How the syncs went that came to an end.
    public fileprivate(set) var syncs: [NodeCore.SyncID: [NodeCore.SessionEnd]] = [:]
    /// What the DHT had found when a request came to its end.
    public fileprivate(set) var reports: [NodeCore.DHTRequestID: DHTNode.Report] = [:]
    /// What the node had saved of the DHT, by family.
    public fileprivate(set) var contacts: [NodeCore.DHTFamily: SavedContacts] = [:]
    /// The one deadline that is on the agenda.
    fileprivate var wake: Instant?
    let limits: NodeCore.Limits
  }

  public var weather = Weather()
  public private(set) var nodes: [Member] = []
  public private(set) var now = Instant(nanoseconds: 1_000_000_000)
  public private(set) var traceHash: UInt64 = 0xCBF2_9CE4_8422_2325
  public private(set) var framesDelivered = 0
  public private(set) var crashes = 0
  private var random: SeededRandom
  private var agenda = Agenda()
  private var links: [Link] = []
  private var nextSync: UInt64 = 1
  private var nextRequest: UInt64 = 1
  private var abandoned: Set<Dial> = []

  /// One connection; its two ends are numbered apart at each node.
  private struct Link {
    var nodes: (Int, Int)
    var lives: (Int, Int)
    var isOpen = true
    /// Nothing arrives any more, and nobody is told.
    var isMute = false
    /// When the last frame of each direction arrives: frames of one connection keep their order.
    var lastArrival: (Instant, Instant)
  }

  /// A dial under way, in one life of the node that dials.
  private struct Dial: Hashable {
    var node: Int
    var life: Int
    var id: NodeCore.DialID
  }

  private enum Happening {
    case frame(link: Int, to: Int, type: UInt8, body: [UInt8])
    case closed(link: Int, to: Int)
    case dialled(Dial, NodeCore.Target)
    case reply(node: Int, life: Int, NodeCore.StoreTicket, StoreReply)
    case datagram([UInt8], from: Endpoint, to: Endpoint)
    case answer(node: Int, life: Int, NodeCore.Input)
    case deadline(node: Int, life: Int)
  }

  public init(seed: UInt64) { random = SeededRandom(seed: seed) }

  /// Adds a node. `open` is called now and after every crash.
  @discardableResult
  public mutating func add(
    key: PublicKey, limits: NodeCore.Limits = .init(), open: @escaping () -> any StoreAnswering
  ) -> Int {
    let core = NodeCore(limits: limits, node: key, seed: UInt64(nodes.count))
    nodes.append(
      Member(
        key: key, core: core, store: open(), reopen: open, endpoint: Self.endpoint(nodes.count), limits: limits))
    return nodes.count - 1
  }

  /// Where others dial node `index`.
  public func target(_ index: Int) -> NodeCore.Target {
    NodeCore.Target(address: String(index), node: nodes[index].key)
  }

  /// Node `index` begins to sync with the others given, one after the other.
  @discardableResult
  public mutating func sync(
    _ index: Int, with others: [Int], options: Exchange.Options = .init()
  ) -> NodeCore.SyncID {
    let id = NodeCore.SyncID(nextSync)
    nextSync += 1
    feed(.sync(id, others.map(target), options), to: index)
    return id
  }

  /// Node `index` gives a sync up that it began.
  public mutating func cancel(_ sync: NodeCore.SyncID, of index: Int) { feed(.cancelSync(sync), to: index) }

  /// Where node `index` gets datagrams.
  public static func endpoint(_ index: Int) -> Endpoint {
    Endpoint(.v4(0x0A00_0000 | UInt32(index + 1)), port: 7001)
  }

  /// Node `index` becomes one of the DHT, by way of the others given and of what it had saved.
  public mutating func startDHT(_ index: Int, _ settings: DHTSettings = DHTSettings(), routers: [Int]) {
    let secret = AuthenticationCode(random.bytes(AuthenticationCode.byteCount))!
    feed(
      .startDHT(
        NodeCore.DHTStart(
          settings: settings, saved: nodes[index].contacts[.ipv4], routers: routers.map { nodes[$0].endpoint },
          secret: secret,
          random: SeededRandom(seed: random.next()))), to: index)
  }

  /// Node `index` asks the DHT; the answer will be in its `reports`.
  @discardableResult
  public mutating func ask(_ index: Int, _ command: DHTNode.Command) -> NodeCore.DHTRequestID {
    let id = NodeCore.DHTRequestID(nextRequest)
    nextRequest += 1
    feed(.dht(id, command), to: index)
    return id
  }

  /// Any other input to node `index`.
  public mutating func tell(_ index: Int, _ input: NodeCore.Input) { feed(input, to: index) }

  /// Node `index` syncs with whoever has what it wants; `searches` and `syncs` will have what came of it.
  @discardableResult
  public mutating func search(_ index: Int, options: Exchange.Options = .init()) -> NodeCore.SyncID {
    let id = NodeCore.SyncID(nextSync)
    nextSync += 1
    feed(.search(id, options), to: index)
    return id
  }

  /// A node is gone, without a word; its disk stays.
  public mutating func stop(_ index: Int) {
    crash(index)
    nodes[index].isUp = false
  }

  /// A node that was stopped begins again, maybe elsewhere.
  public mutating func start(_ index: Int, at endpoint: Endpoint? = nil) {
    nodes[index].isUp = true
    nodes[index].hasLeft = false
    if let endpoint { nodes[index].endpoint = endpoint }
  }

  private func node(at address: String) -> Int? {
    if let index = Int(address) { return nodes.indices.contains(index) && nodes[index].isUp ? index : nil }
    return nodes.indices.first { nodes[$0].isUp && nodes[$0].endpoint.description == address }
  }

  /// Kills a node and starts it again with what its disk had kept.
  public mutating func crash(_ index: Int) {
    crashes += 1
    note(4, UInt64(index))
    for link in links.indices where links[link].isOpen && (links[link].nodes.0 == index || links[link].nodes.1 == index)
    {
      drop(link, tellBoth: false, except: index)
    }
    nodes[index].life += 1
    nodes[index].wake = nil
    nodes[index].core = NodeCore(
      limits: nodes[index].limits, node: nodes[index].key, seed: UInt64(nodes[index].life) << 32 | UInt64(index))
    nodes[index].store = nodes[index].reopen()
  }

  /// Runs until nothing is left to happen, or the steps run out. Returns whether it came to rest.
  @discardableResult
  public mutating func run(stepsMaximum: Int = 1_000_000) -> Bool {
    for _ in 0..<stepsMaximum {
      guard let (time, happening) = agenda.pop() else { return true }
      if time > now { now = time }
      happen(happening)
    }
    return false
  }

  /// Lets time pass: a node of the DHT never comes to rest.
  public mutating func run(for span: Duration) {
    let end = now + span
    while let time = agenda.firstTime, time <= end, let (time, happening) = agenda.pop() {
      if time > now { now = time }
      happen(happening)
    }
    now = end
  }

  /// Cuts all connections between two nodes. Silently: none of them is told, and what is said is lost.
  public mutating func cut(_ a: Int, _ b: Int, silently: Bool = false) {
    for link in links.indices where links[link].isOpen && [(a, b), (b, a)].contains(where: { $0 == links[link].nodes })
    {
      if silently { links[link].isMute = true } else { drop(link, tellBoth: true, except: nil) }
    }
  }

  // MARK: What happens

  private mutating func happen(_ happening: Happening) {
    switch happening {
    case .frame(let link, let to, let type, let body):
      guard links[link].isOpen, !links[link].isMute else { return }
      if chance(weather.cutRatio) {
        note(2, UInt64(link))
        drop(link, tellBoth: true, except: nil)
        return
      }
      let index = to == 0 ? links[link].nodes.0 : links[link].nodes.1
      if chance(weather.crashRatio) {
        crash(index)
        return
      }
      framesDelivered += 1
      note(1, UInt64(type) << 32 | UInt64(body.count))
      feed(.received(Self.id(link, to), type: type, body: body), to: index)
    case .closed(let link, let to):
      let index = to == 0 ? links[link].nodes.0 : links[link].nodes.1
      guard nodes[index].life == (to == 0 ? links[link].lives.0 : links[link].lives.1) else { return }
      feed(.disconnected(Self.id(link, to), nil), to: index)
    case .dialled(let dial, let target):
      let isAbandoned = abandoned.remove(dial) != nil
      let (from, life, id) = (dial.node, dial.life, dial.id)
      guard nodes[from].life == life else { return }
      if isAbandoned {
        feed(.dialFailed(id, "the dial was given up"), to: from)
        return
      }
      guard let other = node(at: target.address), !chance(weather.dialFailureRatio) else {
        feed(.dialFailed(id, "nobody answers"), to: from)
        return
      }
      links.append(
        Link(nodes: (from, other), lives: (life, nodes[other].life), lastArrival: (now, now)))
      let link = links.count - 1
      feed(
        .connected(Self.id(link, 1), node: nodes[from].key, dialled: nil, from: nodes[from].endpoint.address), to: other
      )
      feed(
        .connected(Self.id(link, 0), node: nodes[other].key, dialled: id, from: nodes[other].endpoint.address), to: from
      )
    case .reply(let index, let life, let ticket, let reply):
      guard nodes[index].life == life else { return }
      feed(.store(ticket, reply), to: index)
    case .answer(let index, let life, let input):
      guard nodes[index].life == life else { return }
      feed(input, to: index)
    case .datagram(let bytes, let source, let destination):
      guard let index = nodes.indices.first(where: { nodes[$0].endpoint == destination && nodes[$0].isUp }) else {
        return
      }
      note(5, UInt64(bytes.count))
      feed(.datagram(bytes, from: source), to: index)
    case .deadline(let index, let life):
      guard nodes[index].life == life else { return }
      nodes[index].wake = nil
      guard let due = nodes[index].core.nextDeadline else { return }
      guard due <= now else { return wake(index, at: due) }
      feed(.deadlineReached, to: index)
    }
  }

  private mutating func feed(_ input: NodeCore.Input, to index: Int) {
    let life = nodes[index].life
    for effect in nodes[index].core.handle(input, at: moment) {
      guard nodes[index].life == life else { return }
      perform(effect, of: index)
    }
    if let due = nodes[index].core.nextDeadline { wake(index, at: due) }
  }

  private mutating func wake(_ index: Int, at due: Instant) {
    let due = max(due, now)
    if let wake = nodes[index].wake, wake <= due { return }
    nodes[index].wake = due
    agenda.push(.deadline(node: index, life: nodes[index].life), at: due)
  }

  /// Both clocks, which agree here.
  private var moment: Moment {
    Moment(instant: now, wall: Timestamp(milliseconds: 1_700_000_000_000 + now.nanoseconds / 1_000_000))
  }

  private mutating func perform(_ effect: NodeCore.Effect, of index: Int) {
    let life = nodes[index].life
    switch effect {
    case .dial(let id, let target):
      agenda.push(.dialled(Dial(node: index, life: life, id: id), target), at: now + delay())
    case .abandon(let id): abandoned.insert(Dial(node: index, life: life, id: id))
    case .send(let id, let message): send(message, id)
    case .close(let id):
      let (link, side) = Self.link(id)
      guard links[link].isOpen else { return }
      // What was sent before arrives before the end does.
      if !links[link].isMute { agenda.push(.closed(link: link, to: 1 - side), at: arrival(link, to: 1 - side)) }
      agenda.push(.closed(link: link, to: side), at: now)
    case .store(let ticket, let request):
      let reply = nodes[index].store.answer(request)
      agenda.push(.reply(node: index, life: life, ticket, reply), at: now + .microseconds(100))
    case .sessionEnded(let end): nodes[index].ends.append(end)
    case .survey: answer(.surveyed(try? (nodes[index].store as? any FindingStore)?.survey()), to: index)
    case .signHead(let head, let last):
      answer(.headSigned(try? (nodes[index].store as? any FindingStore)?.sign(head, after: last)), to: index)
    case .left: nodes[index].hasLeft = true
    case .searchEnded(let sync, let report): nodes[index].searches[sync] = report
    case .standingBegan, .standingEnded, .reachabilityChanged: nodes[index].standings.append(effect)
    case .foundPersons(let id, let persons, _, _): nodes[index].found[id] = .some(persons)
    case .syncEnded(let sync, let ends): nodes[index].syncs[sync] = ends
    case .sendDatagram(let bytes, let destination):
      guard !chance(weather.lossRatio) else { return }
      agenda.push(.datagram(bytes, from: nodes[index].endpoint, to: destination), at: now + delay())
    case .dhtFinished(let request, let report): nodes[index].reports[request] = report
    case .saveContacts(let family, let contacts): nodes[index].contacts[family] = contacts
    case .pauseReading, .resumeReading, .certify, .joined, .dhtJoined, .dhtFoundPeers, .dhtFoundItem: break
    }
  }

  /// What the store says takes as long as any of its answers.
  private mutating func answer(_ input: NodeCore.Input, to index: Int) {
    agenda.push(.answer(node: index, life: nodes[index].life, input), at: now + .microseconds(100))
  }

  private mutating func send(_ message: Message, _ id: NodeCore.ConnectionID) {
    let (link, side) = Self.link(id)
    guard links[link].isOpen else { return }
    agenda.push(
      .frame(link: link, to: 1 - side, type: message.type, body: message.body), at: arrival(link, to: 1 - side))
  }

  /// Ends a connection without a word, as a cut cable does.
  private mutating func drop(_ link: Int, tellBoth: Bool, except: Int?) {
    links[link].isOpen = false
    if tellBoth || links[link].nodes.0 != except { agenda.push(.closed(link: link, to: 0), at: now + delay()) }
    if tellBoth || links[link].nodes.1 != except { agenda.push(.closed(link: link, to: 1), at: now + delay()) }
  }

  // MARK: Small things

  private mutating func arrival(_ link: Int, to side: Int) -> Instant {
    let last = side == 0 ? links[link].lastArrival.0 : links[link].lastArrival.1
    let time = max(now + delay(), last)
    if side == 0 { links[link].lastArrival.0 = time } else { links[link].lastArrival.1 = time }
    return time
  }

  private mutating func delay() -> Duration {
    let span = (weather.delayMaximum - weather.delayMinimum) / Duration.microseconds(1)
    return weather.delayMinimum + .microseconds(Int64(Double(random.next() >> 11) / Double(1 << 53) * span))
  }

  private mutating func chance(_ ratio: Double) -> Bool {
    ratio > 0 && Double(random.next() >> 11) / Double(1 << 53) < ratio
  }

  private mutating func note(_ kind: UInt64, _ value: UInt64) {
    for word in [kind, value, UInt64(now.nanoseconds)] { traceHash = (traceHash ^ word) &* 0x100_0000_01B3 }
  }

  private static func id(_ link: Int, _ side: Int) -> NodeCore.ConnectionID { .init(UInt64(link) * 2 + UInt64(side)) }
  private static func link(_ id: NodeCore.ConnectionID) -> (Int, Int) { (Int(id.rawValue / 2), Int(id.rawValue % 2)) }

  /// What is to come, earliest first; what is due at the same time comes in the order it was planned.
  private struct Agenda {
    private var heap: [(time: Instant, order: UInt64, happening: Happening)] = []
    private var order: UInt64 = 0

    mutating func push(_ happening: Happening, at time: Instant) {
      order += 1
      heap.append((time, order, happening))
      var child = heap.count - 1
      while child > 0 {
        let parent = (child - 1) / 2
        guard precedes(child, parent) else { break }
        heap.swapAt(child, parent)
        child = parent
      }
    }

    var firstTime: Instant? { heap.first?.time }

    mutating func pop() -> (Instant, Happening)? {
      guard !heap.isEmpty else { return nil }
      heap.swapAt(0, heap.count - 1)
      let first = heap.removeLast()
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(child, least) {
          least = child
        }
        if least == parent { break }
        heap.swapAt(parent, least)
        parent = least
      }
      return (first.time, first.happening)
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool { (heap[a].time, heap[a].order) < (heap[b].time, heap[b].order) }
  }
}
