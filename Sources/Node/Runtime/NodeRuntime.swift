import DHT
import Dispatch
import Glibc
import Identity
import Primitives
public import Replication
public import Transport

/// Drives a `NodeCore`: sockets in, effects out. It decides nothing.
///
/// All of it runs on one queue. The store has its own; its replies come back as inputs.
public actor NodeRuntime<Store: StoreAnswering> {
  private nonisolated let executor = QueueExecutor("tl.node")
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  let context: PeerContext
  let store: StoreWorker<Store>
  private(set) var core: NodeCore
  private var links: [NodeCore.ConnectionID: Link] = [:]
  private var dials: [NodeCore.DialID: PeerConnection] = [:]
  private(set) var listeners: [PeerListener] = []
  var sockets: [NodeCore.DHTFamily: UDPSocket] = [:]
  var dhtRequests: [NodeCore.DHTRequestID: CheckedContinuation<DHTNode.Report, Never>] = [:]
  /// Families whose first attempt to join is under way, and who waits for its end.
  var joining: Set<NodeCore.DHTFamily> = []
  var joinWaiters: [CheckedContinuation<Void, Never>] = []
  var saveContacts: (@Sendable (NodeCore.DHTFamily, SavedContacts) -> Void)?
  private var syncs: [NodeCore.SyncID: SyncWaiter] = [:]
  var searchReports: [NodeCore.SyncID: SearchReport] = [:]
  var leavers: [CheckedContinuation<Void, Never>] = []
  var hasLeft = false
  private var joins: [NodeCore.SyncID: CheckedContinuation<[UInt8], any Error>] = [:]
  var finds: [NodeCore.SyncID: CheckedContinuation<FoundPersons, any Error>] = [:]
  var onReachability: (@Sendable (Bool) -> Void)?
  private var certifier: (@Sendable (Message.JoinRequest) async -> [UInt8]?)?
  var onStanding: (@Sendable (StandingChange) -> Void)?
  private var quiet: [CheckedContinuation<Void, Never>] = []
  private var timer: (any DispatchSourceTimer)?
  /// What the timer is set to.
  private var armed: Instant?
  private var inputs: [NodeCore.Input] = []
  private var isHandling = false
  private var isStopping = false
  private var nextID: UInt64 = 1

  /// One connection and what it cost.
  private struct Link {
    let connection: PeerConnection
    var traffic = Traffic()
  }

  private struct SyncWaiter {
    let continuation: CheckedContinuation<[SyncOutcome], Never>
    let progress: (@Sendable (SyncProgress) -> Void)?
    var outcomes: [SyncOutcome] = []
    var events = 0
    var received = 0
  }

  public init(
    identity: TLSIdentity, store: StoreWorker<Store>, limits: NodeCore.Limits = .init(),
    peerLimits: PeerLimits = .init()
  ) {
    context = PeerContext(queue: executor.queue, identity: identity, limits: peerLimits)
    self.store = store
    core = NodeCore(limits: limits, node: identity.publicKey, seed: UInt64.random(in: .min ... .max))
  }

  // MARK: Commands

  /// Accepts peers at `address`, and takes part in the DHT on the same port; port 0 picks one. Returns the address that is
  /// bound.
  public func listen(on address: PeerAddress, dht: DHTConfiguration? = nil) throws -> PeerAddress {
    let (listener, sockets) = try bind(address, datagrams: dht != nil) { [weak self] connection in
      guard let self else { return PeerHandlers() }
      let slot = Slot()
      slot.connection = connection
      return handlers(slot, dialled: nil)
    }
    listeners.append(listener)
    feed(.listening(port: listener.address.port, isPublic: dht?.isPublic ?? false))
    if let dht { startDHT(sockets, dht) }
    return listener.address
  }

  /// Runs one session with each target, one after the other, and says how each went. When the task is cancelled the
  /// session at hand ends, and no further target is dialled.
  public func sync(
    _ targets: [NodeCore.Target], options: Exchange.Options = .init(),
    progress: (@Sendable (SyncProgress) -> Void)? = nil
  ) async -> [SyncOutcome] {
    let id = NodeCore.SyncID(take())
    return await syncing(id, progress) { $0.feed(.sync(id, targets, options)) }
  }

  func syncing(
    _ id: NodeCore.SyncID, _ progress: (@Sendable (SyncProgress) -> Void)?,
    begin: (isolated NodeRuntime<Store>) -> Void
  ) async -> [SyncOutcome] {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        syncs[id] = SyncWaiter(continuation: continuation, progress: progress)
        begin(self)
      }
    } onCancel: {
      // Runs after the above, which keeps the actor until the sync has begun.
      Task { await self.feed(.cancelSync(id)) }
    }
  }

  /// Asks the holder of the root key at `target` to certify this device; returns the person record that does.
  public func join(_ target: NodeCore.Target, _ request: Message.JoinRequest) async throws -> [UInt8] {
    let id = NodeCore.SyncID(take())
    return try await withCheckedThrowingContinuation { continuation in
      joins[id] = continuation
      feed(.join(id, target, request))
    }
  }

  /// Who answers devices that want to join; nil refuses them.
  public func setCertifier(_ certifier: (@Sendable (Message.JoinRequest) async -> [UInt8]?)?) {
    self.certifier = certifier
  }

  public var sessionCount: Int { core.sessionCount }

  /// Stops listening, ends every session and returns when the last connection is gone.
  public func stop() async {
    isStopping = true
    for listener in listeners { listener.close() }
    listeners = []
    stopDHT()
    for connection in dials.values { connection.close() }
    for link in links.values { link.connection.close() }
    await drained()
    timer?.cancel()
    timer = nil
    armed = nil
  }

  /// Returns when no connection is left.
  public func drained() async {
    guard !links.isEmpty || !dials.isEmpty else { return }
    await withCheckedContinuation { quiet.append($0) }
  }

  // MARK: The funnel

  /// The one way into the core. Effects may bring further inputs; they wait their turn.
  func feed(_ input: NodeCore.Input) {
    inputs.append(input)
    guard !isHandling else { return }
    isHandling = true
    var index = 0
    while index < inputs.count {
      for effect in core.handle(inputs[index], at: Self.moment()) { perform(effect) }
      index += 1
    }
    inputs.removeAll(keepingCapacity: true)
    isHandling = false
    arm()
  }

  private func perform(_ effect: NodeCore.Effect) {
    switch effect {
    case .dial(let id, let target): dial(id, target)
    case .abandon(let id): dials[id]?.close()
    case .send(let id, let message): send(id, message)
    case .pauseReading(let id): links[id]?.connection.pauseReading()
    case .resumeReading(let id): links[id]?.connection.resumeReading()
    case .close(let id): links[id]?.connection.close()
    case .store(let ticket, let request):
      store.answer(request, for: core.connection(of: ticket)?.rawValue ?? 0) {
        [weak self, queue = executor.queue] reply in
        queue.async { self?.assumeIsolated { $0.answered(ticket, reply) } }
      }
    case .certify(let id, let request):
      let certifier = certifier
      Task { [weak self] in
        let record = await certifier?(request)
        await self?.feed(.certified(id, record))
      }
    case .sessionEnded(let end):
      let outcome = SyncOutcome(end: end, traffic: end.connection.map(traffic) ?? Traffic())
      if let sync = end.sync { syncs[sync]?.outcomes.append(outcome) }
    case .syncEnded(let id, let ends):
      guard let waiter = syncs.removeValue(forKey: id) else { return }
      // Targets that were never reached have no session, and so no outcome yet.
      var outcomes = waiter.outcomes[...]
      waiter.continuation.resume(
        returning: ends.map { end in
          if end.connection != nil, let outcome = outcomes.popFirst() { return outcome }
          return SyncOutcome(end: end, traffic: Traffic())
        })
    case .joined(let id, let record, let reason):
      guard let waiter = joins.removeValue(forKey: id) else { return }
      if let record {
        waiter.resume(returning: record)
      } else {
        waiter.resume(throwing: NodeError(.unreachable, reason ?? "the other device did not answer"))
      }
    case .survey: survey()
    case .signHead(let head, let last): sign(head, after: last)
    case .left: left()
    case .searchEnded(let id, let report): searchReports[id] = report
    case .standingBegan(_, let node, let target): onStanding?(.began(node: node, target))
    case .standingEnded(let end): onStanding?(.ended(end))
    case .foundPersons(let id, let persons, let node, let reason):
      guard let waiter = finds.removeValue(forKey: id) else { return }
      if let persons, let node {
        waiter.resume(returning: FoundPersons(node: node, persons: persons))
      } else {
        waiter.resume(throwing: NodeError(.unreachable, reason ?? "the peer did not answer"))
      }
    case .reachabilityChanged(let isReachable): onReachability?(isReachable)
    case .sendDatagram(let bytes, let endpoint):
      sockets[endpoint.address.isIPv4 ? .ipv4 : .ipv6]?.send(bytes, to: endpoint)
    case .dhtJoined(let family, _): joined(family)
    case .dhtFinished(let id, let report): dhtRequests.removeValue(forKey: id)?.resume(returning: report)
    case .saveContacts(let family, let contacts): saveContacts?(family, contacts)
    // The report has all of it.
    case .dhtFoundPeers, .dhtFoundItem: break
    }
  }

  private func answered(_ ticket: NodeCore.StoreTicket, _ reply: StoreReply) {
    let stored: Int
    if case .ingested(let result) = reply { stored = result.events } else { stored = 0 }
    if stored > 0, let sync = core.sync(of: ticket), syncs[sync] != nil {
      syncs[sync]!.events += stored
      syncs[sync]!.progress?(SyncProgress(events: syncs[sync]!.events, bytesReceived: syncs[sync]!.received))
    }
    feed(.store(ticket, reply))
  }

  private func arm() {
    guard let deadline = core.nextDeadline else {
      timer?.cancel()
      timer = nil
      armed = nil
      return
    }
    guard deadline != armed else { return }
    armed = deadline
    if timer == nil {
      let source = DispatchSource.makeTimerSource(queue: executor.queue)
      source.setEventHandler { [weak self] in
        self?.assumeIsolated {
          $0.armed = nil
          $0.feed(.deadlineReached)
        }
      }
      source.resume()
      timer = source
    }
    timer?.schedule(
      deadline: DispatchTime(uptimeNanoseconds: UInt64(max(0, deadline.nanoseconds))), leeway: .milliseconds(50))
  }

  // MARK: Connections

  private func dial(_ id: NodeCore.DialID, _ target: NodeCore.Target) {
    guard !isStopping else { return feed(.dialFailed(id, "the node is stopping")) }
    let address: PeerAddress
    do { address = try PeerAddress(target.address) } catch {
      feed(.dialFailed(id, "\(error)"))
      return
    }
    let slot = Slot()
    dials[id] = PeerConnector.connect(
      to: address, expecting: target.node, in: context, handlers: handlers(slot, dialled: id))
  }

  private nonisolated func handlers(_ slot: Slot, dialled: NodeCore.DialID?) -> PeerHandlers {
    PeerHandlers(
      onReady: { [weak self] node in self?.assumeIsolated { $0.ready(slot, node, dialled) } },
      onFrames: { [weak self] frames in self?.assumeIsolated { $0.received(slot, frames) } },
      onClosed: { [weak self] error in self?.assumeIsolated { $0.closed(slot, dialled, error) } },
      onDrained: { [weak self] in self?.assumeIsolated { $0.drained(slot) } })
  }

  /// Which connection a handler speaks of, once it has a number.
  /// `@unchecked Sendable`: touched on the node's queue only, like the handlers that hold it.
  private final class Slot: @unchecked Sendable {
    var id: NodeCore.ConnectionID?
    /// An accepted connection, until it is ready; a dialled one is in `dials`.
    var connection: PeerConnection?
  }

  private func ready(_ slot: Slot, _ node: PublicKey, _ dialled: NodeCore.DialID?) {
    guard let connection = slot.connection ?? dialled.flatMap({ dials[$0] }) else { return }
    slot.connection = nil
    let id = NodeCore.ConnectionID(take())
    slot.id = id
    links[id] = Link(connection: connection)
    if let dialled { dials[dialled] = nil }
    feed(.connected(id, node: node, dialled: dialled, from: connection.remoteAddress))
  }

  private func received(_ slot: Slot, _ frames: [Frame]) {
    guard let id = slot.id else { return }
    for frame in frames {
      links[id]?.traffic.received[frame.type, default: 0] += frame.encodedByteCount
      feed(.received(id, type: frame.type, body: frame.body))
    }
  }

  private func drained(_ slot: Slot) {
    guard let id = slot.id, let link = links[id] else { return }
    feed(.unsent(id, link.connection.pendingBytes))
  }

  private func closed(_ slot: Slot, _ dialled: NodeCore.DialID?, _ error: TransportError?) {
    slot.connection = nil
    if let id = slot.id {
      feed(.disconnected(id, error.map { "\($0)" }))
      links[id] = nil
    } else if let dialled {
      dials[dialled] = nil
      feed(.dialFailed(dialled, error.map { "\($0)" } ?? "closed"))
    }
    if links.isEmpty, dials.isEmpty {
      for waiter in quiet { waiter.resume() }
      quiet = []
    }
  }

  private func send(_ id: NodeCore.ConnectionID, _ message: Message) {
    guard let link = links[id] else { return }
    let frame = Frame(type: message.type, body: message.body)
    links[id]!.traffic.sent[frame.type, default: 0] += frame.encodedByteCount
    do {
      try link.connection.send([frame])
      inputs.append(.unsent(id, link.connection.pendingBytes))
    } catch {
      // The transport reports the end of the connection itself; a full queue is the peer's not reading.
      link.connection.abort(error)
    }
  }

  private func traffic(_ id: NodeCore.ConnectionID) -> Traffic {
    guard let link = links[id] else { return Traffic() }
    var traffic = link.traffic
    traffic.counters = link.connection.counters
    return traffic
  }

  func take() -> UInt64 {
    defer { nextID += 1 }
    return nextID
  }

  /// Both clocks.
  private static func moment() -> Moment {
    var wall = timespec()
    clock_gettime(CLOCK_REALTIME, &wall)
    return Moment(
      instant: Instant(nanoseconds: Int64(DispatchTime.now().uptimeNanoseconds)),
      wall: Timestamp(milliseconds: Int64(wall.tv_sec) * 1000 + Int64(wall.tv_nsec) / 1_000_000))
  }
}

/// Frame bytes of one connection, by frame type and with the 5 bytes before each.
public struct Traffic: Hashable, Sendable {
  public var sent: [UInt8: Int] = [:]
  public var received: [UInt8: Int] = [:]
  /// What the transport made of them when the session ended; the farewell may not have left yet.
  public var counters = PeerCounters()

  public init() {}

  public var bytesSent: Int { sent.values.reduce(0, +) }
  public var bytesReceived: Int { received.values.reduce(0, +) }
}

/// How the session with one target went.
public struct SyncOutcome: Hashable, Sendable {
  public var end: NodeCore.SessionEnd
  public var traffic: Traffic

  public init(end: NodeCore.SessionEnd, traffic: Traffic) {
    self.end = end
    self.traffic = traffic
  }
}

/// How far a sync has come.
public struct SyncProgress: Hashable, Sendable {
  public var events: Int
  public var bytesReceived: Int

  public init(events: Int, bytesReceived: Int) {
    self.events = events
    self.bytesReceived = bytesReceived
  }
}
