import Identity
import Primitives
import Replication

/// Connections that stand (schemas/peer.md): between two exchanges nothing is said but a sign of life, and either side
/// begins the next one as soon as it has news for the other.
extension NodeCore {
  struct Standing: Sendable {
    /// When both sides were done for the first time.
    let since: Instant
    /// When the peer last brought something that was new here.
    var helpedAt: Instant?
    /// When the peer last said something, and we to it, while no exchange ran.
    var heardAt: Instant
    var saidAt: Instant
    /// What the peer knows of our history, and the hash of our interests that it knows.
    var told: Exchange.Settled
    var interests: UInt64
    /// What the peer named in the last exchange, until it was looked at: none of it is news to the peer.
    var offered: NamedHeads?
    /// The store has changed since it was asked for news.
    var isDue = true
    /// The next exchange is due whether or not there is news: the connection may be dead.
    var isProbed = false
    /// The store looks for news.
    var isAsking = false
    /// When the store may be asked again.
    var renewableAt: Instant
    /// When the peer was last asked to dial us, and since when its answer is waited for.
    var askedBackAt: Instant?
    var diallingSince: Instant?
    /// The last exchange; events, bytes and round trips of all.
    var report: ExchangeReport

    func sum(with last: ExchangeReport) -> ExchangeReport {
      var sum = last
      sum.events += report.events
      sum.runBytes += report.runBytes
      sum.roundTrips += report.roundTrips
      return sum
    }

    var nextDeadline: Instant {
      let quiet = min(heardAt + NodeCore.silenceMaximum, saidAt + NodeCore.aliveInterval)
      return isDue && !isAsking ? min(quiet, renewableAt) : quiet
    }
  }

  /// Connections that stand now.
  public var standingConnectionCount: Int { connections.values.count { $0.standing != nil && !$0.isClosing } }

  /// Connections that stand, and those that will when their first exchange is over.
  var standingCount: Int {
    connections.values.count { connection in
      switch connection.session {
      case .standing: true
      case .exchange(let exchange, _): exchange.options.stands
      case .undecided, .finding, .joining, .certifying, .closing: false
      }
    }
  }

  /// Whether one more connection may stand.
  var hasStandingRoom: Bool {
    limits.standingMaximum > 0 && (standingCount < limits.standingMaximum || unhelpful != nil)
  }

  /// Who gives way to a newcomer: of those that brought nothing for a while the one that never did, or did so first. Peers
  /// that we dialled stay.
  private var unhelpful: ConnectionID? {
    connections.compactMap { id, connection -> (hasHelped: Int, at: Instant, id: ConnectionID)? in
      guard let standing = connection.standing, !connection.isDialled, !connection.isClosing else { return nil }
      let at = standing.helpedAt ?? standing.since
      return at + limits.unhelpfulMinimum <= clock ? (standing.helpedAt == nil ? 0 : 1, at, id) : nil
    }.min { ($0.hasHelped, $0.at, $0.id) < ($1.hasHelped, $1.at, $1.id) }?.id
  }

  /// The connection to this node that stands, or is about to.
  func standingConnection(with node: PublicKey, except: ConnectionID? = nil) -> ConnectionID? {
    connections.filter { $0.key != except && $0.value.node == node && $0.value.stands }.keys.min()
  }

  // MARK: Exchanges

  mutating func begin(_ role: Exchange.Role, on id: ConnectionID, stands: Bool) -> [Effect] {
    var options = Exchange.Options()
    options.stands = stands
    var exchange = Exchange(
      role: role, node: connections[id]!.node, options: options, settled: connections[id]!.standing?.told, at: clock)
    let effects = exchange.start()
    connections[id]!.session = .exchange(exchange, sync: nil)
    return translate(effects, of: id)
  }

  /// Whether both sides are done, and only our own store is not yet: a greeting is of the next exchange.
  func isBetween(_ id: ConnectionID) -> Bool {
    guard case .exchange(let exchange, _) = connections[id]?.session else { return false }
    return exchange.stands && exchange.isDone
  }

  /// An exchange is over, and the connection stays.
  mutating func rest(_ id: ConnectionID) -> [Effect] {
    guard let connection = connections[id], case .exchange(let exchange, _) = connection.session else { return [] }
    var standing =
      connection.standing
      ?? Standing(
        since: clock, heardAt: clock, saidAt: clock, told: exchange.told, interests: 0, renewableAt: clock,
        report: ExchangeReport())
    if exchange.report.events > 0 { standing.helpedAt = clock }
    standing.heardAt = clock
    standing.saidAt = clock
    standing.told = exchange.told
    standing.interests = exchange.interestsHash
    standing.offered = exchange.offered
    standing.isDue = true
    standing.isProbed = false
    standing.report = standing.sum(with: exchange.report)
    connections[id]!.standing = standing
    connections[id]!.session = .standing
    var effects: [Effect] = []
    if connection.standing == nil {
      effects.append(.standingBegan(id, node: connection.node, connection.target))
      if standingCount > limits.standingMaximum, let other = unhelpful {
        effects += sendAway(other, .busy, "gave way to another peer")
      }
    }
    effects += askBack(id)
    guard let early = connection.early else { return effects + renew(id) }
    connections[id]!.early = nil
    return effects + receivedBetween(id, early)
  }

  mutating func receivedBetween(_ id: ConnectionID, _ message: Message) -> [Effect] {
    connections[id]!.standing!.heardAt = clock
    switch message {
    case .hello:
      guard connections[id]!.requests.allows(Self.requestRate, at: clock) else {
        return sendAway(id, .busy, "the peer asks too often")
      }
      connections[id]!.requests.take(Self.requestRate, at: clock)
      return begin(.responder, on: id, stands: true) + drive(id, .received(message), clock)
    case .bye(let reason): return end(id, Self.words(for: reason == .finished ? .finished : .farewell(reason)))
    default:
      ban(connections[id]!.node, clock)
      let name = Message.name(ofType: message.type)
      return sendAway(id, .fault, "the peer broke the protocol: \(name) between sessions")
    }
  }

  // MARK: News

  /// Whoever may not know what the store has now is told: at once, or when its turn comes.
  mutating func storeChanged() -> [Effect] {
    seeking.isStale = seeking.finder != nil
    var effects: [Effect] = []
    for id in connections.keys.sorted() where connections[id]!.standing != nil {
      connections[id]!.standing!.isDue = true
      effects += renew(id)
    }
    return effects
  }

  /// Asks the store for news for an idle peer.
  private mutating func renew(_ id: ConnectionID) -> [Effect] {
    guard let connection = connections[id], case .standing = connection.session, let standing = connection.standing,
      standing.isDue, !standing.isAsking, standing.renewableAt <= clock
    else { return [] }
    connections[id]!.standing!.isDue = false
    connections[id]!.standing!.isAsking = true
    connections[id]!.standing!.renewableAt = clock + Self.renewalInterval
    let ticket = StoreTicket(nextTicket)
    nextTicket += 1
    questions[ticket] = Question(connection: id, purpose: .news)
    return [.store(ticket, .news(node: connection.node, since: standing.told.number, entriesMaximum: Self.newsEntries))]
  }

  /// The store looked for news, or for a name.
  mutating func answered(_ question: Question, _ reply: StoreReply) -> [Effect] {
    switch question.purpose {
    case .news: answeredNews(question.connection, reply)
    case .name: answeredName(question.connection, reply)
    }
  }

  private mutating func answeredNews(_ id: ConnectionID, _ reply: StoreReply) -> [Effect] {
    guard let connection = connections[id], !connection.isClosing, let standing = connection.standing else { return [] }
    connections[id]!.standing!.isAsking = false
    // When an exchange began meanwhile, the question is asked again after it.
    guard case .standing = connection.session else { return [] }
    switch reply {
    case .news(let page, let interests):
      connections[id]!.standing!.offered = nil
      let isCovered = (standing.offered ?? NamedHeads()).covers(page)
      guard isCovered, interests == standing.interests, !standing.isProbed else {
        return begin(.initiator, on: id, stands: true)
      }
      // An exchange that ran meanwhile may have told more.
      connections[id]!.standing!.told.number = max(standing.told.number, page.mark.number)
      return []
    case .failed(let reason): return sendAway(id, .trouble, reason)
    default: preconditionFailure("the store answered \(reply) to a question for news")
    }
  }

  // MARK: Ends

  /// Two connections of one pair of nodes are one too many: both sides keep the one that the smaller node key dialled, or
  /// of two that the same side dialled the later one.
  mutating func keepOne(_ id: ConnectionID) -> [Effect] {
    var effects: [Effect] = []
    let node = connections[id]!.node
    for other in connections.keys.sorted() where other != id && connections[other]!.node == node {
      guard connections[other]!.stands, connections[id]!.stands else { continue }
      let isOwn = connections[id]!.isDialled
      let stays = isOwn == connections[other]!.isDialled ? id > other : isOwn == (ownNode.map { $0 < node } ?? true)
      let kept = stays ? id : other
      // It may be one that the peer lost long ago.
      if connections[kept]!.standing != nil {
        connections[kept]!.standing!.isProbed = true
        connections[kept]!.standing!.isDue = true
        effects += renew(kept)
      }
      effects += sendAway(stays ? other : id, .finished, "another connection to this peer stands")
    }
    return effects
  }

  mutating func sendAway(_ id: ConnectionID, _ farewell: Message.Farewell, _ failure: String) -> [Effect] {
    guard connections[id]?.isClosing == false else { return [] }
    return [.send(id, .bye(farewell))] + end(id, failure)
  }

  mutating func standingDeadline(_ id: ConnectionID) -> [Effect] {
    guard let standing = connections[id]?.standing else { return [] }
    if standing.heardAt + Self.silenceMaximum <= clock { return end(id, "the peer is silent") }
    var effects: [Effect] = []
    if standing.saidAt + Self.aliveInterval <= clock {
      connections[id]!.standing!.saidAt = clock
      effects.append(.send(id, .alive))
    }
    return effects + askBack(id) + renew(id)
  }

  /// What comes in within this time is told in one exchange.
  private static let renewalInterval = Duration.milliseconds(200)
  /// Changes that are looked at to see whether the peer named them itself; more are news in any case.
  private static let newsEntries = 64
  /// An idle side speaks up after this; middleboxes forget a connection after a few minutes.
  fileprivate static let aliveInterval = Duration.seconds(60)
  /// A side that did not has 25 seconds more, as in an exchange.
  fileprivate static let silenceMaximum = Duration.seconds(85)
  /// Twice what a node does by itself, so that delays on the way do not count as haste.
  static let requestRate = Rate(20, per: .seconds(2))
}

extension NodeCore.Connection {
  var isClosing: Bool { if case .closing = session { true } else { false } }

  /// Whether it stays when the exchange at hand is over.
  var stands: Bool {
    switch session {
    case .standing: true
    case .exchange(let exchange, _): standing != nil || exchange.stands
    case .undecided, .finding, .joining, .certifying, .closing: false
    }
  }

  var isUndecided: Bool { if case .undecided = session { true } else { false } }
}

extension Message {
  var asksToStand: Bool { if case .hello(let hello) = self { hello.stands } else { false } }
}

extension StoreReply {
  /// Whether something is in the store that was not before.
  var isChange: Bool {
    switch self {
    case .ingested(let result): result.events > 0
    case .merged(let valid): valid
    default: false
    }
  }
}
