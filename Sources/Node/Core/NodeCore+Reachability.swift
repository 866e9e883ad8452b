import DHT
import Identity
import Primitives
import Replication

/// Whether others can dial us: standing peers are asked to try (schemas/peer.md, DIAL-BACK), and we try for them.
extension NodeCore {
  struct Reachability: Sendable {
    /// Where peers come in.
    var port: UInt16?
    var isPublic = false
    /// Who reached us, when, and from which network.
    var witnesses: [PublicKey: (at: Instant, network: UInt32)] = [:]
    var isReachable = false
    /// Whom we dialled for less than a minute ago, and all that were dialled for.
    var served: [PublicKey: Instant] = [:]
    var requests = TokenBucket(at: Instant(nanoseconds: 0))

    /// When the oldest witness counts no longer.
    var expiry: Instant? { witnesses.values.map(\.at).min().map { $0 + NodeCore.witnessMaximum } }
  }

  /// Whether peers of enough networks dialled us within the last hour: two in everybody's network, where a single one may
  /// lie, else one.
  public var isReachable: Bool { reachability.isReachable }

  mutating func listening(_ port: UInt16?, _ isPublic: Bool) -> [Effect] {
    if port != reachability.port || isPublic != reachability.isPublic { reachability.witnesses = [:] }
    reachability.port = port
    reachability.isPublic = isPublic
    var effects = judgeReachability()
    for id in connections.keys.sorted() where connections[id]!.standing != nil {
      connections[id]!.standing!.askedBackAt = nil
      effects += askBack(id)
    }
    return effects
  }

  // MARK: For us

  /// Asks a peer to dial us, when it is time and it sees us from where our peers are.
  mutating func askBack(_ id: ConnectionID) -> [Effect] {
    guard let port = reachability.port, let connection = connections[id], let standing = connection.standing,
      !connection.isClosing, let source = connection.source,
      !reachability.isPublic || source.addressClass == .global,
      standing.askedBackAt.map({ $0 + Self.askInterval <= clock }) ?? true,
      // An answer that is so late does not come.
      standing.diallingSince.map({ $0 + Self.askInterval <= clock }) ?? true
    else { return [] }
    connections[id]!.standing!.askedBackAt = clock
    connections[id]!.standing!.diallingSince = clock
    return [.send(id, .dialBack(port: port))]
  }

  /// A peer tells what became of its dial.
  mutating func dialled(_ id: ConnectionID, _ outcome: Message.DialBackOutcome) -> [Effect] {
    guard let connection = connections[id], connection.standing?.diallingSince != nil else {
      return fault(id, "the outcome of a dial that nobody asked for")
    }
    connections[id]!.standing!.diallingSince = nil
    guard outcome == .reached, let source = connection.source else { return [] }
    let witnesses = reachability.witnesses
    if witnesses.count >= Self.witnessesMaximum, witnesses[connection.node] == nil,
      let oldest = witnesses.min(by: { ($0.value.at, $0.key) < ($1.value.at, $1.key) })
    {
      reachability.witnesses[oldest.key] = nil
    }
    reachability.witnesses[connection.node] = (clock, Self.network(of: source))
    return judgeReachability()
  }

  mutating func judgeReachability() -> [Effect] {
    reachability.witnesses = reachability.witnesses.filter { clock - $0.value.at < Self.witnessMaximum }
    let networks = Set(reachability.witnesses.values.map(\.network)).count
    let isReachable = reachability.port != nil && networks >= (reachability.isPublic ? 2 : 1)
    guard isReachable != reachability.isReachable else { return [] }
    reachability.isReachable = isReachable
    return [.reachabilityChanged(isReachable)]
  }

  /// The /16 of an IPv4 address, the /32 of an IPv6 one: about one operator.
  private static func network(of address: IPAddress) -> UInt32 {
    switch address {
    case .v4(let value): value >> 16
    case .v6(let high, _): UInt32(high >> 32)
    }
  }

  // MARK: For others

  /// Dials a peer where the connection shows it to be: nobody can point us at anybody else.
  mutating func dialBack(_ id: ConnectionID, _ port: UInt16) -> [Effect] {
    let node = connections[id]!.node
    reachability.served = reachability.served.filter { clock - $0.value < Self.servedMinimum }
    guard let source = connections[id]!.source, source.addressClass != .martian,
      // In everybody's network nobody has us knock at doors of our own site.
      !reachability.isPublic || source.addressClass == .global,
      port >= AddressRules.portMinimum || source.addressClass != .global, reachability.served[node] == nil,
      reachability.requests.allows(Self.servedRate, at: clock)
    else { return [.send(id, .dialled(.refused))] }
    reachability.served[node] = clock
    reachability.requests.take(Self.servedRate, at: clock)
    let target = Target(address: Endpoint(source, port: port).description, node: node)
    return dial(.back(id), target)
  }

  func tell(_ asker: ConnectionID, _ outcome: Message.DialBackOutcome) -> [Effect] {
    guard let connection = connections[asker], connection.stands else { return [] }
    return [.send(asker, .dialled(outcome))]
  }

  /// How long a witness counts, and after which time it is asked again.
  fileprivate static let witnessMaximum = Duration.seconds(3_600)
  private static let askInterval = Duration.seconds(1_500)
  /// As many as there are standing connections, and some that were.
  private static let witnessesMaximum = 64
  /// A peer is dialled for once a minute, and all of them ten times.
  private static let servedMinimum = Duration.seconds(60)
  private static let servedRate = Rate(10, per: .seconds(60))
}
