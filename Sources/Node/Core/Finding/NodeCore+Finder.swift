import DHT
import Identity
import Primitives

// The finder in the node: it hears of the store, the DHT and the connections, and they do what it wants.
extension NodeCore {
  /// The finder, and what the node keeps for it.
  struct Seeking: Sendable {
    var finder: Finder?
    /// When it is due; it changes only when the finder is told something.
    var finderDue: Instant?
    /// What it wants and has not got yet. An answer that comes at once waits here for its turn.
    var outputs: [Finder.Output] = []
    var isPerforming = false
    /// The store is being asked what it holds.
    var isSurveying = false
    /// It has changed since.
    var isStale = false
    var surveyedAt: Instant?
    /// Connections that the finder has asked for, and whether they stand.
    var stands: [Endpoint: Bool] = [:]
    var searches: [SyncID: Search] = [:]

    var nextDeadline: Instant? {
      var due = [finderDue].compactMap { $0 }
      if isStale, !isSurveying, let surveyedAt { due.append(surveyedAt + NodeCore.surveyInterval) }
      return (due + searches.values.compactMap(\.nextDeadline)).min()
    }
  }

  /// What the store holds is looked at once in so long at most.
  static let surveyInterval = Duration.milliseconds(500)

  /// The finder, to be looked at; nil before `.find`.
  public var finder: Finder? { seeking.finder }

  // MARK: Inputs

  mutating func find(_ settings: Finder.Settings, _ moment: Moment) -> [Effect] {
    if seeking.finder == nil {
      seeking.finder = Finder(random: SeededRandom(seed: random.next()), at: moment)
    }
    return tellFinder(.settings(settings), moment) + tellFinder(.reachable(isReachable), moment) + survey(moment)
      + joinedIfAll(moment)
  }

  /// The finder begins when no family is on its way into its network any more.
  mutating func joinedIfAll(_ moment: Moment) -> [Effect] {
    let isJoining = finding.operations.values.contains { if case .joining = $0.asker { true } else { false } }
    guard !isJoining, DHTFamily.allCases.contains(where: { dht($0) != nil }) else { return [] }
    return tellFinder(.joined, moment) + searchesGoOn(moment)
  }

  /// The store has changed, or is to be looked at for the first time.
  mutating func survey(_ moment: Moment) -> [Effect] {
    guard seeking.finder != nil else { return [] }
    seeking.isStale = true
    return surveyIfDue(moment)
  }

  private mutating func surveyIfDue(_ moment: Moment) -> [Effect] {
    guard seeking.isStale, !seeking.isSurveying,
      seeking.surveyedAt.map({ $0 + Self.surveyInterval <= moment.instant }) ?? true
    else { return [] }
    seeking.isStale = false
    seeking.isSurveying = true
    seeking.surveyedAt = moment.instant
    return [.survey]
  }

  mutating func surveyed(_ survey: Survey?, _ moment: Moment) -> [Effect] {
    seeking.isSurveying = false
    guard let survey else { return searchesGoOn(moment, surveyed: true) }
    return tellFinder(.surveyed(survey), moment) + searchesGoOn(moment, surveyed: true)
  }

  mutating func seekingDeadlineReached(_ moment: Moment) -> [Effect] {
    guard let due = seeking.nextDeadline, due <= moment.instant else { return [] }
    return surveyIfDue(moment) + tellFinder(.deadlineReached, moment) + searchesGoOn(moment)
  }

  /// What the effects of an input mean for the finder: what the store holds may have changed, and connections.
  mutating func followUp(_ effects: [Effect], _ moment: Moment) -> [Effect] {
    var more: [Effect] = []
    if seeking.isStale { more += surveyIfDue(moment) }
    let areMoved = effects.contains { effect in
      switch effect {
      case .standingBegan, .standingEnded: true
      default: false
      }
    }
    if areMoved { more += standsChanged(moment) }
    return more
  }

  // MARK: The finder

  mutating func tellFinder(_ input: Finder.Input, _ moment: Moment) -> [Effect] {
    guard let outputs = seeking.finder?.handle(input, at: moment) else { return [] }
    seeking.finderDue = seeking.finder?.nextDeadline
    seeking.outputs += outputs
    guard !seeking.isPerforming else { return [] }
    seeking.isPerforming = true
    defer { seeking.isPerforming = false }
    var effects: [Effect] = []
    var next = 0
    while next < seeking.outputs.count {
      let output = seeking.outputs[next]
      next += 1
      switch output {
      case .ask(let errand, let command): effects += ask(command, for: .finder(errand), moment)
      case .withdraw(let key): effects += withdraw(key, moment)
      case .sign(let head, let last): effects.append(.signHead(head, after: last))
      case .stand(let endpoint):
        seeking.stands[endpoint] = false
        effects += stand(Target(address: endpoint.description), for: .finder)
      case .leave(let endpoint):
        if seeking.stands.removeValue(forKey: endpoint) != nil {
          effects += unstand(Target(address: endpoint.description), for: .finder)
        }
      case .left: effects.append(.left)
      }
    }
    seeking.outputs.removeAll(keepingCapacity: true)
    return effects
  }

  /// What the DHT said to the finder.
  mutating func tellFinder(_ errand: Finder.Errand, _ found: Found, _ moment: Moment) -> [Effect] {
    switch found {
    case .peers(let endpoints): tellFinder(.foundPeers(errand, endpoints), moment)
    case .item(let item): tellFinder(.foundItem(errand, item), moment)
    case .finished(let report):
      tellFinder(.foundNodes(errand, report.closest.map(\.endpoint)), moment)
        + tellFinder(.finished(errand, report.outcome), moment) + searchesGoOn(moment)
    }
  }

  /// Connections came or went: the finder hears of those that it asked for.
  mutating func standsChanged(_ moment: Moment) -> [Effect] {
    var effects: [Effect] = []
    for (endpoint, stood) in seeking.stands.sorted(by: { $0.key.compact.lexicographicallyPrecedes($1.key.compact) }) {
      let target = Target(address: endpoint.description)
      switch stands.first(where: { $0.target == target })?.state {
      case .dialling: continue
      case .held(let id):
        guard let connection = connections[id], connection.standing != nil, !stood else { continue }
        seeking.stands[endpoint] = true
        effects += tellFinder(.connected(endpoint, node: connection.node), moment)
      case .waiting, nil: effects += tellFinder(.disconnected(endpoint), moment)
      }
    }
    return effects
  }
}
