public import DHT
public import Identity
public import Primitives
public import Replication

/// Everything a node decides: whom to dial, which sessions run, who is banned, in which order things are stored and
/// said. The runtime executes its effects and reports what happened; the simulator does the same with another clock,
/// network and disk.
///
/// Durable before told: what arrived or was appended is spoken of only in reply to the store's word that it is on disk.
public struct NodeCore: Sendable {
  /// One transport connection, numbered by the runtime.
  public struct ConnectionID: Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  }

  /// One request to the store; replies carry it back.
  public struct StoreTicket: Hashable, Sendable {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  }

  /// One command of the user to sync with peers.
  public struct SyncID: Hashable, Sendable {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  }

  public enum Input: Sendable {
    /// Sync with these peers, one after the other.
    case sync(SyncID, [Target], Exchange.Options)
    /// Whoever wanted the sync does not any more.
    case cancelSync(SyncID)
    /// Ask the holder of a root key for a certificate.
    case join(SyncID, Target, Message.JoinRequest)
    /// - Parameter from: the other end's address, where it is known.
    case connected(ConnectionID, node: PublicKey, dialled: DialID?, from: IPAddress? = nil)
    case dialFailed(DialID, String)
    case received(ConnectionID, type: UInt8, body: [UInt8])
    case unsent(ConnectionID, Int)
    case disconnected(ConnectionID, String?)
    case store(StoreTicket, StoreReply)
    /// The answer to `.certify`: the record that names the new device, or nil for a refusal.
    case certified(ConnectionID, [UInt8]?)
    /// Begins to be a node of the DHT in one address family, in the place of the one before if there was one.
    case startDHT(DHTStart)
    /// What is known of the DHT is saved, and whoever waits for something is told that it does not come.
    case stopDHT
    case datagram([UInt8], from: Endpoint)
    case dht(DHTRequestID, DHTNode.Command)
    /// A value is not to be stored again.
    case withdraw(DHTNode.PublicationKey)
    /// A value is not to be stored again after this time; one that others may want too, not before the time it was kept
    /// for already.
    case keep(DHTNode.PublicationKey, for: Duration, isShared: Bool = false)
    case deadlineReached
    /// Keep a connection to this peer from now on.
    case stand(Target)
    /// Keep it no longer.
    case unstand(Target)
    /// Find those who have what is wanted, and be found, from now on; or go on under other settings.
    case find(Finder.Settings)
    /// The answer to `.survey`; nil when the store could not be read.
    case surveyed(Survey?)
    /// The answer to `.signHead`: nil while the device key cannot be had.
    case headSigned(MutableItem?)
    /// Whether a dial from outside came through.
    case reachable(Bool)
    /// Peers told who has somebody's logs.
    case learnt(PersonID, [Endpoint])
    /// Sync with whoever has what is wanted; needs `.find` before.
    case search(SyncID, Exchange.Options)
    /// The node stops in order: the DHT is told.
    case farewell
    /// Ask a peer who is called so; at most one name in a connection of its own.
    case findName(SyncID, Target, String)
    /// Peers come in at this port, or nowhere; whether in everybody's network or in one's own.
    case listening(port: UInt16?, isPublic: Bool)
    /// Something was appended here, or what we are interested in has changed. What peers bring is known without it.
    case storeChanged
  }

  public enum Effect: Hashable, Sendable {
    case dial(DialID, Target)
    /// The dial has no purpose any more; `.dialFailed` follows, or `.connected` if it was too late.
    case abandon(DialID)
    case send(ConnectionID, Message)
    case pauseReading(ConnectionID)
    case resumeReading(ConnectionID)
    /// After what was sent has left.
    case close(ConnectionID)
    case store(StoreTicket, StoreRequest)
    case certify(ConnectionID, Message.JoinRequest)
    case sessionEnded(SessionEnd)
    case syncEnded(SyncID, [SessionEnd])
    case joined(SyncID, record: [UInt8]?, reason: String?)
    case sendDatagram([UInt8], to: Endpoint)
    /// The first attempt to join is over, and met somebody or did not; the DHT goes on trying.
    case dhtJoined(DHTFamily, DHTNode.Report)
    /// Peers that a request has found so far, each once.
    case dhtFoundPeers(DHTRequestID, [Endpoint])
    /// An item that is newer than any that the request found before.
    case dhtFoundItem(DHTRequestID, MutableItem)
    /// The last word about a request.
    case dhtFinished(DHTRequestID, DHTNode.Report)
    case saveContacts(DHTFamily, SavedContacts)
    /// From here on new events travel over this connection as they come; the target that it is kept for, if any.
    case standingBegan(ConnectionID, node: PublicKey, Target?)
    /// Say what the store holds.
    case survey
    /// Sign this by the device key, under a number above the last.
    case signHead(HeadItem, after: Int64?)
    /// What was to be told before the node stops is told.
    case left
    /// What a search came to; `.syncEnded` follows.
    case searchEnded(SyncID, SearchReport)
    /// A standing connection is gone, or an attempt to get one failed; that follows on `.sessionEnded`, if there was a
    /// session. A target that is still wanted is dialled again.
    case standingEnded(SessionEnd)
    /// The answer to `.findName`, and whose it is; nil with the reason why there is none.
    case foundPersons(SyncID, [FoundPerson]?, from: PublicKey?, reason: String?)
    /// Peers that dialled us back reached us, or none did for an hour.
    case reachabilityChanged(Bool)
  }

  /// A peer to dial, and the node key it must have, if that is known.
  public struct Target: Hashable, Sendable {
    public var address: String
    public var node: PublicKey?

    public init(address: String, node: PublicKey? = nil) {
      self.address = address
      self.node = node
    }
  }

  public struct DialID: Hashable, Sendable {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  }

  let limits: Limits
  /// Our own key, by which two nodes that dialled each other agree which connection stays.
  let ownNode: PublicKey?
  var random: SeededRandom
  /// The time of the input at hand.
  var clock = Instant(nanoseconds: 0)
  var wall = Timestamp(milliseconds: 0)
  var connections: [ConnectionID: Connection] = [:]
  var dials: [DialID: Dial] = [:]
  var syncs: [SyncID: RunningSync] = [:]
  var tickets: [StoreTicket: ConnectionID] = [:]
  /// Questions outside of exchanges: whether there is news for a peer, and who is called as it asks.
  var questions: [StoreTicket: Question] = [:]
  var reachability = Reachability()
  /// In the order asked for.
  var stands: [Stand] = []
  var offenders: [PublicKey: (until: Instant, ban: Duration)] = [:]
  var nextTicket: UInt64 = 0
  var nextDial: UInt64 = 0
  var finding = Finding()
  var seeking = Seeking()

  /// - Parameter seed: of the chance in when to dial again.
  public init(limits: Limits = Limits(), node: PublicKey? = nil, seed: UInt64 = 0) {
    self.limits = limits
    ownNode = node
    random = SeededRandom(seed: seed)
  }

  /// When `.deadlineReached` is due; nil while nothing waits.
  public var nextDeadline: Instant? {
    let sessions = connections.values.compactMap { connection -> Instant? in
      switch connection.session {
      case .undecided(let since): since + limits.greetingMaximum
      case .finding(_, let since): since + limits.greetingMaximum
      case .joining(_, let since, _), .certifying(let since): since + limits.joinMaximum
      case .exchange(let exchange, _): exchange.nextDeadline
      case .standing: connection.standing?.nextDeadline
      case .closing: nil
      }
    }.min()
    return [sessions, finding.nextDeadline, seeking.nextDeadline, nextStand, reachability.expiry].compactMap { $0 }
      .min()
  }

  public var sessionCount: Int { connections.count }

  /// The connection whose session a request to the store is part of.
  public func connection(of ticket: StoreTicket) -> ConnectionID? { tickets[ticket] ?? questions[ticket]?.connection }

  /// The sync that a request to the store is part of.
  public func sync(of ticket: StoreTicket) -> SyncID? {
    guard let id = tickets[ticket], case .exchange(_, let sync) = connections[id]?.session else { return nil }
    return sync
  }

  public mutating func handle(_ input: Input, at moment: Moment) -> [Effect] {
    clock = moment.instant
    wall = moment.wall
    var effects = take(input, moment)
    for case .reachabilityChanged(let isReachable) in effects { effects += take(.reachable(isReachable), moment) }
    if seeking.finder != nil { effects += followUp(effects, moment) }
    return effects
  }

  private mutating func take(_ input: Input, _ moment: Moment) -> [Effect] {
    let now = moment.instant
    switch input {
    case .sync(let sync, let targets, let options):
      syncs[sync] = RunningSync(rest: targets, options: options)
      return nextTarget(of: sync)
    case .cancelSync(let sync): return cancel(sync)
    case .join(let sync, let target, let request):
      return dial(.join(sync, target, request), target)
    case .connected(let id, let node, let dialled, let source): return connected(id, node, dialled, source, now)
    case .dialFailed(let dialID, let reason): return dialFailed(dialID, reason)
    case .received(let id, let type, let body): return received(id, type, body, now)
    case .unsent(let id, let bytes): return drive(id, .unsent(bytes), now)
    case .disconnected(let id, let reason): return disconnected(id, reason)
    case .store(let ticket, let reply):
      if let question = questions.removeValue(forKey: ticket) { return answered(question, reply) }
      guard let id = tickets.removeValue(forKey: ticket) else { return [] }
      return drive(id, .store(reply), now) + (reply.isChange ? storeChanged() : [])
    case .certified(let id, let record): return certified(id, record)
    case .startDHT(let start): return startDHT(start, moment)
    case .stopDHT: return stopDHT(moment)
    case .datagram(let bytes, let source): return datagram(bytes, source, moment)
    case .dht(let request, let command): return ask(command, for: .user(request), moment)
    case .withdraw(let key): return withdraw(key, moment)
    case .keep(let key, let span, let isShared): return keep(key, until: now + span, isShared)
    case .deadlineReached:
      return deadlineReached(now) + findingDeadlineReached(moment) + seekingDeadlineReached(moment)
        + judgeReachability()
    case .stand(let target): return stand(target, for: .user)
    case .unstand(let target): return unstand(target, for: .user)
    case .find(let settings): return find(settings, moment)
    case .surveyed(let survey): return surveyed(survey, moment)
    case .headSigned(let item): return tellFinder(.signed(item), moment)
    case .reachable(let isReachable):
      return DHTFamily.allCases.flatMap { drive($0, .dialBack(isReachable: isReachable), moment) }
        + tellFinder(.reachable(isReachable), moment)
    case .learnt(let person, let endpoints): return tellFinder(.learnt(person, endpoints), moment)
    case .search(let sync, let options): return search(sync, options, moment)
    case .farewell: return seeking.finder == nil ? [.left] : tellFinder(.leaving, moment)
    case .storeChanged: return storeChanged()
    case .findName(let sync, let target, let name): return dial(.find(sync, target, name: name), target)
    case .listening(let port, let isPublic): return listening(port, isPublic)
    }
  }

  // MARK: Connections

  private mutating func connected(
    _ id: ConnectionID, _ node: PublicKey, _ dialled: DialID?, _ source: IPAddress?, _ now: Instant
  ) -> [Effect] {
    let dial = dialled.flatMap { dials.removeValue(forKey: $0) }
    var connection = Connection(
      node: node, target: nil, isDialled: dialled != nil, source: source, session: .undecided(since: now))
    switch dial {
    case nil:
      connections[id] = connection
      if isBanned(node, now) { return refuse(id, .refused) }
      // A peer that is being sent away still holds its connection for a while, and takes nobody's place.
      let staying = connections.values.count { if case .closing = $0.session { false } else { true } }
      if staying > limits.sessionsMaximum { return makeRoom(for: id, now) }
      return []
    case .join(let sync, let target, let request):
      connection.target = target
      connection.session = .joining(sync, since: now, record: [])
      connections[id] = connection
      if let expected = target.node, expected != node {
        return end(id, "the peer at \(target.address) has another key than the ticket says")
      }
      return [.send(id, .join(request))]
    case .sync(let sync, let target):
      connection.target = target
      guard syncs[sync]?.isCancelled == false else {
        connection.session = .closing
        connections[id] = connection
        return [.close(id)] + notReached(target, of: sync, Self.cancelled)
      }
      var exchange = Exchange(role: .initiator, node: node, options: syncs[sync]?.options ?? .init(), at: now)
      let effects = exchange.start()
      connection.session = .exchange(exchange, sync: sync)
      connections[id] = connection
      if let expected = target.node, expected != node {
        return end(id, "the peer at \(target.address) has another key than expected")
      }
      return translate(effects, of: id)
    case .stand(let target):
      connection.target = target
      connections[id] = connection
      return met(id, at: target, by: dialled!)
    case .find(let sync, let target, let name):
      connection.target = target
      connection.session = .finding(sync, since: now)
      connections[id] = connection
      return [.send(id, .find(name))]
    case .back(let asker):
      // The handshake proved whom we met; nothing is to be said.
      connection.session = .closing
      connections[id] = connection
      return [.close(id)] + tell(asker, connections[asker]?.node == node ? .reached : .notReached)
    }
  }

  private mutating func received(_ id: ConnectionID, _ type: UInt8, _ body: [UInt8], _ now: Instant) -> [Effect] {
    guard let connection = connections[id] else { return [] }
    if case .closing = connection.session { return [] }
    let message: Message
    do {
      // A frame type of a later version is stepped over.
      guard let known = try Message(type: type, body: body) else { return [] }
      message = known
    } catch {
      ban(connection.node, now)
      return [.send(id, .bye(.fault))] + end(id, "unreadable \(Message.name(ofType: type)) frame: \(error)")
    }
    if connection.standing != nil || connection.isUndecided || isBetween(id), let effects = receivedAside(id, message) {
      return effects
    }
    switch connection.session {
    case .standing: return receivedBetween(id, message)
    case .exchange:
      if isBetween(id), case .hello = message, connections[id]!.early == nil {
        connections[id]!.early = message
        return []
      }
      return drive(id, .received(message), now)
    case .undecided:
      if case .join(let request) = message {
        connections[id]!.session = .certifying(since: now)
        return [.certify(id, request)]
      }
      if case .bye = message { return end(id, nil) }
      return begin(.responder, on: id, stands: message.asksToStand && hasStandingRoom)
        + drive(id, .received(message), now)
    case .finding(let sync, _):
      switch message {
      case .found(let persons):
        connections[id]!.session = .closing
        return [
          .foundPersons(sync, persons, from: connection.node, reason: nil), .send(id, .bye(.finished)), .close(id),
        ]
      case .bye(let reason): return end(id, "the peer refused: \(reason)")
      default: return end(id, "the peer answered with \(Message.name(ofType: type))")
      }
    case .joining(let sync, let since, var record):
      switch message {
      case .joined(let part, let more):
        record += part
        guard record.count <= MessageLimits.recordBytes else { return end(id, "the peer sent too long a record") }
        connections[id]!.session = more ? .joining(sync, since: since, record: record) : .closing
        if more { return [] }
        return [.joined(sync, record: record, reason: nil), .close(id)]
      case .bye(let reason): return end(id, "the peer refused: \(reason)")
      default: return end(id, "the peer answered with \(Message.name(ofType: type))")
      }
    case .certifying, .closing: return []
    }
  }

  /// Hands an input to the session's machine and turns what it wants into effects.
  mutating func drive(_ id: ConnectionID, _ input: Exchange.Input, _ now: Instant) -> [Effect] {
    // Take the machine out, so that it is changed in place and not copied.
    guard let index = connections.index(forKey: id),
      case .exchange(var exchange, let sync) = connections.values[index].session
    else { return [] }
    connections.values[index].session = .closing
    let stood = exchange.stands
    let effects = exchange.handle(input, at: now)
    connections.values[index].session = .exchange(exchange, sync: sync)
    if case .fault = exchange.report.ending { ban(exchange.node, now) }
    let isNew = exchange.stands && !stood && connections.values[index].standing == nil
    return translate(effects, of: id) + (isNew ? keepOne(id) : [])
  }

  mutating func translate(_ effects: [Exchange.Effect], of id: ConnectionID) -> [Effect] {
    var translated: [Effect] = []
    for effect in effects {
      switch effect {
      case .send(let message): translated.append(.send(id, message))
      case .store(let request):
        let ticket = StoreTicket(nextTicket)
        nextTicket += 1
        tickets[ticket] = id
        translated.append(.store(ticket, request))
      case .pauseReading: translated.append(.pauseReading(id))
      case .resumeReading: translated.append(.resumeReading(id))
      case .close(let ending): translated += end(id, Self.words(for: ending))
      case .rest: translated += rest(id)
      }
    }
    return translated
  }

  private mutating func disconnected(_ id: ConnectionID, _ reason: String?) -> [Effect] {
    guard let connection = connections[id] else { return [] }
    defer { connections[id] = nil }
    if case .closing = connection.session { return [] }
    return conclude(id, connection, reason ?? "the connection ended early")
  }

  /// Closes a connection and says how its session ended.
  mutating func end(_ id: ConnectionID, _ failure: String?) -> [Effect] {
    guard let connection = connections[id] else { return [] }
    if case .closing = connection.session { return [] }
    connections[id]!.session = .closing
    return [.close(id)] + conclude(id, connection, failure)
  }

  private mutating func conclude(_ id: ConnectionID, _ connection: Connection, _ failure: String?) -> [Effect] {
    switch connection.session {
    case .standing:
      return standingOver(
        id, connection,
        SessionEnd(
          sync: nil, target: connection.target, node: connection.node, connection: id,
          report: connection.standing?.report, failure: failure))
    case .joining(let sync, _, _): return [.joined(sync, record: nil, reason: failure)]
    case .finding(let sync, _): return [.foundPersons(sync, nil, from: nil, reason: failure)]
    case .exchange(let exchange, let sync):
      // A cut after both sides were done loses nothing but the farewell.
      let failure = exchange.report.ending == .finished ? nil : failure
      let end = SessionEnd(
        sync: sync, target: connection.target, node: connection.node, connection: id,
        report: connection.standing?.sum(with: exchange.report) ?? exchange.report, failure: failure)
      guard let sync else { return standingOver(id, connection, end) }
      if let target = connection.target, syncs[sync]?.isCancelled == false, syncs[sync]!.refusals < Self.retryMaximum,
        exchange.report.ending == .farewell(.busy), exchange.report.roundTrips == 0
      {
        // Whoever is crowded lets those go who wait longest, and a newcomer is the last of them.
        syncs[sync]!.refusals += 1
        return dial(.sync(sync, target), target)
      }
      syncs[sync]?.ends.append(end)
      return [.sessionEnded(end)] + nextTarget(of: sync)
    case .undecided, .certifying, .closing: return []
    }
  }

  mutating func refuse(_ id: ConnectionID, _ reason: Message.Farewell) -> [Effect] {
    connections[id]?.session = .closing
    return [.send(id, .bye(reason)), .close(id)]
  }

  /// Ends the session that has been silent longest, rather than turn a newcomer away; those who dial and say nothing
  /// must not keep out those who have something to say. Sessions that move stay.
  private mutating func makeRoom(for id: ConnectionID, _ now: Instant) -> [Effect] {
    let silent = connections.compactMap { other, connection -> (since: Instant, isGreeted: Bool, id: ConnectionID)? in
      switch connection.session {
      case .undecided(let since) where other != id: (since, false, other)
      case .exchange(let exchange, nil) where !connection.isDialled && exchange.lastMove + limits.idleMinimum <= now:
        (exchange.lastMove, true, other)
      default: nil
      }
    }
    guard
      let first = silent.min(by: {
        ($0.isGreeted ? 1 : 0, $0.since, $0.id) < ($1.isGreeted ? 1 : 0, $1.since, $1.id)
      })
    else { return refuse(id, .busy) }
    return [.send(first.id, .bye(.busy))] + end(first.id, "gave way to another peer")
  }

  private mutating func certified(_ id: ConnectionID, _ record: [UInt8]?) -> [Effect] {
    guard case .certifying = connections[id]?.session else { return [] }
    connections[id]!.session = .closing
    let answer = record.map(Message.joined(record:)) ?? [.bye(.refused)]
    return answer.map { .send(id, $0) } + [.close(id)]
  }

  private mutating func deadlineReached(_ now: Instant) -> [Effect] {
    var effects: [Effect] = []
    for id in connections.keys.sorted() {
      switch connections[id]!.session {
      case .undecided(let since), .finding(_, let since):
        if since + limits.greetingMaximum <= now { effects += end(id, "no answer in \(limits.greetingMaximum)") }
      case .joining(_, let since, _), .certifying(let since):
        if since + limits.joinMaximum <= now { effects += end(id, "no answer in \(limits.joinMaximum)") }
      case .exchange: effects += drive(id, .deadlineReached, now)
      case .standing: effects += standingDeadline(id)
      case .closing: break
      }
    }
    return effects + dialDue()
  }
}
