import Identity
import Primitives
import Replication

/// Peers that a connection is to be kept to, by whomever it is dialled: what is lost is dialled again.
extension NodeCore {
  /// Who wants a connection kept. What both want is kept until neither does.
  enum StandOwner: Hashable, Sendable { case user, finder }

  struct Stand: Sendable {
    let target: Target
    var owners: Set<StandOwner>
    /// The key that was met at the target, when none was expected.
    var node: PublicKey?
    var state: StandState
    /// Attempts since a connection last stood for a while.
    var failures = 0
  }

  enum StandState: Hashable, Sendable {
    case waiting(until: Instant)
    case dialling(DialID)
    case held(ConnectionID)
  }

  /// When the next target is dialled.
  var nextStand: Instant? {
    stands.compactMap { if case .waiting(let until) = $0.state { until } else { nil } }.min()
  }

  mutating func stand(_ target: Target, for owner: StandOwner) -> [Effect] {
    if let index = stands.firstIndex(where: { $0.target == target }) {
      guard stands[index].owners.insert(owner).inserted, case .held(let id) = stands[index].state,
        let connection = connections[id], connection.standing != nil
      else { return [] }
      return [.standingBegan(id, node: connection.node, target)]
    }
    guard stands.count < Self.standsMaximum else {
      return [.standingEnded(Self.failed(target, "more than \(Self.standsMaximum) peers to keep a connection to"))]
    }
    stands.append(Stand(target: target, owners: [owner], node: target.node, state: .waiting(until: clock)))
    return dialDue()
  }

  mutating func unstand(_ target: Target, for owner: StandOwner) -> [Effect] {
    guard let index = stands.firstIndex(where: { $0.target == target }),
      stands[index].owners.remove(owner) != nil, stands[index].owners.isEmpty
    else { return [] }
    switch stands.remove(at: index).state {
    case .waiting: return []
    case .dialling(let id): return [.abandon(id)]
    case .held(let id):
      // What the peer dialled, it wants to keep.
      guard connections[id]?.isDialled == true, !stands.contains(where: { $0.state == .held(id) }) else { return [] }
      return sendAway(id, .finished, "the connection is not wanted any more")
    }
  }

  mutating func dialDue() -> [Effect] {
    var effects: [Effect] = []
    for index in stands.indices {
      guard case .waiting(let until) = stands[index].state, until <= clock else { continue }
      let target = stands[index].target
      if let node = stands[index].node, let id = standingConnection(with: node) {
        stands[index].state = .held(id)
        effects.append(.standingBegan(id, node: node, target))
      } else {
        effects += dial(.stand(target), target)
        stands[index].state = .dialling(DialID(nextDial - 1))
      }
    }
    return effects
  }

  /// A dial met somebody.
  mutating func met(_ id: ConnectionID, at target: Target, by dial: DialID) -> [Effect] {
    let node = connections[id]!.node
    guard let index = stands.firstIndex(where: { $0.state == .dialling(dial) }) else {
      connections[id]!.session = .closing
      return [.close(id)]
    }
    let trouble: String? =
      if let expected = target.node, expected != node {
        "the peer at \(target.address) has another key than expected"
      } else if node == ownNode {
        "\(target.address) is this node itself"
      } else if isBanned(node, clock) {
        "the peer at \(target.address) broke the protocol before"
      } else { nil }
    if let trouble {
      connections[id]!.session = .closing
      lose(index, after: nil)
      return [.close(id), .standingEnded(Self.failed(target, trouble, node: node))]
    }
    stands[index].node = node
    if let other = standingConnection(with: node) {
      connections[id]!.session = .closing
      stands[index].state = .held(other)
      return [.close(id), .standingBegan(other, node: node, target)]
    }
    stands[index].state = .held(id)
    return begin(.initiator, on: id, stands: hasStandingRoom)
  }

  mutating func unmet(_ target: Target, by dial: DialID, _ reason: String) -> [Effect] {
    guard let index = stands.firstIndex(where: { $0.state == .dialling(dial) }) else { return [] }
    lose(index, after: nil)
    return [.standingEnded(Self.failed(target, reason))]
  }

  /// A connection that stood, or was to, has ended.
  mutating func standingOver(_ id: ConnectionID, _ connection: Connection, _ end: SessionEnd) -> [Effect] {
    let held = stands.indices.filter { stands[$0].state == .held(id) }
    let other = standingConnection(with: connection.node, except: id)
    for index in held {
      if let other { stands[index].state = .held(other) } else { lose(index, after: connection.standing?.since) }
    }
    let isMissed = connection.standing != nil || !held.isEmpty
    return [.sessionEnded(end)] + (isMissed ? [.standingEnded(end)] : [])
  }

  /// Dials again later; soon, when the connection had stood for a while.
  private mutating func lose(_ index: Int, after since: Instant?) {
    if let since, clock - since >= Self.steadyMinimum { stands[index].failures = 0 }
    let factor = 1 << min(stands[index].failures, 9)
    stands[index].failures += 1
    // Between half and three halves, so that those who lost the same peer do not come back together.
    let chance = 0.5 + Double(random.next() >> 11) / Double(1 << 53)
    let delay = min(max(Self.redialMinimum * factor * chance, Self.redialMinimum), Self.redialMaximum)
    stands[index].state = .waiting(until: clock + delay)
  }

  private static func failed(_ target: Target, _ reason: String, node: PublicKey? = nil) -> SessionEnd {
    SessionEnd(sync: nil, target: target, node: node, connection: nil, report: nil, failure: reason)
  }

  /// As many as there are sessions.
  private static let standsMaximum = 64
  private static let redialMinimum = Duration.seconds(1)
  private static let redialMaximum = Duration.seconds(300)
  /// A connection that stood for less has not shown that it can.
  private static let steadyMinimum = Duration.seconds(30)
}
