public import DHT
public import Identity
public import Primitives

// The node's place in the DHT: one `DHTNode` for each address family, and who waits for what they find.
extension NodeCore {
  /// One request to the DHT by whoever uses the node; the caller chooses it, and effects carry it back.
  public struct DHTRequestID: Hashable, Sendable {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  }

  /// IPv4 and IPv6 are two networks (BEP 32).
  public enum DHTFamily: Int, Hashable, Sendable, CaseIterable {
    case ipv4, ipv6
  }

  /// What a node of the DHT begins with.
  public struct DHTStart: Sendable {
    /// Their family says which network it is.
    public var settings: DHTSettings
    /// Of the last run.
    public var saved: SavedContacts?
    /// Endpoints that are always there; at most 16 of the family count.
    public var routers: [Endpoint]
    /// See `DHTNode.init`.
    public var secret: AuthenticationCode
    public var random: SeededRandom

    public init(
      settings: DHTSettings, saved: SavedContacts?, routers: [Endpoint], secret: AuthenticationCode,
      random: SeededRandom
    ) {
      self.settings = settings
      self.saved = saved
      self.routers = routers
      self.secret = secret
      self.random = random
    }
  }

  /// Who waits for an answer of the DHT. Operations are numbered here, so that no two can take one number.
  enum Asker: Hashable, Sendable {
    case user(DHTRequestID)
    /// The node itself, which joins the network.
    case joining(DHTFamily)
    case finder(Finder.Errand)
  }

  /// What the DHT says to who asked.
  enum Found: Sendable {
    case peers([Endpoint])
    case item(MutableItem)
    /// The last word; of both families, when there are two.
    case finished(DHTNode.Report)
  }

  struct Finding: Sendable {
    /// A request that one family or both are still at.
    struct Operation: Sendable {
      var asker: Asker
      var running: Set<DHTFamily>
      /// Of the family that came to its end first.
      var report: DHTNode.Report?
    }

    /// By the numbers of their families.
    var nodes: [DHTNode?] = DHTFamily.allCases.map { _ in nil }
    var operations: [DHTNode.OperationID: Operation] = [:]
    var operationNumber: UInt64 = 0
    /// Where others see us, by family.
    var externalAddresses: [DHTFamily: IPAddress] = [:]
    /// When values end that are kept for a time, and the first of these ends.
    var ends: [DHTNode.PublicationKey: Instant] = [:]
    var firstEnd: Instant?

    var nextDeadline: Instant? { (nodes.map { $0?.nextDeadline } + [firstEnd]).compactMap { $0 }.min() }
  }

  /// The node of the DHT in that family, to be looked at; nil where there is none.
  public func dht(_ family: DHTFamily) -> DHTNode? { finding.nodes[family.rawValue] }

  /// Where others see us in that family, once enough have said so (BEP 42).
  public func externalAddress(_ family: DHTFamily) -> IPAddress? { finding.externalAddresses[family] }

  // MARK: Inputs

  mutating func startDHT(_ start: DHTStart, _ moment: Moment) -> [Effect] {
    let family = DHTFamily(start.settings)
    let effects = leave(family, moment)
    finding.nodes[family.rawValue] = DHTNode(
      settings: start.settings, id: start.saved?.id, secret: start.secret, random: start.random, at: moment)
    let join = DHTNode.Command.bootstrap(contacts: start.saved?.contacts ?? [], routers: start.routers)
    // What peers have found out before is true of a network entered later, too.
    return effects + drive(family, .dialBack(isReachable: isReachable), moment)
      + ask(join, for: .joining(family), among: [family], moment)
  }

  mutating func stopDHT(_ moment: Moment) -> [Effect] { DHTFamily.allCases.flatMap { leave($0, moment) } }

  mutating func datagram(_ bytes: [UInt8], _ source: Endpoint, _ moment: Moment) -> [Effect] {
    drive(DHTFamily(source), .received(bytes, from: source), moment)
  }

  mutating func withdraw(_ key: DHTNode.PublicationKey, _ moment: Moment) -> [Effect] {
    if finding.ends.removeValue(forKey: key) != nil { finding.firstEnd = finding.ends.values.min() }
    return DHTFamily.allCases.flatMap { drive($0, .withdraw(key), moment) }
  }

  mutating func keep(_ key: DHTNode.PublicationKey, until end: Instant, _ isShared: Bool) -> [Effect] {
    finding.ends[key] = isShared ? max(finding.ends[key] ?? end, end) : end
    finding.firstEnd = finding.ends.values.min()
    return []
  }

  mutating func findingDeadlineReached(_ moment: Moment) -> [Effect] {
    var effects: [Effect] = []
    if let first = finding.firstEnd, first <= moment.instant {
      let over = finding.ends.filter { $0.value <= moment.instant }.keys
      for key in over.sorted(by: DHTNode.PublicationKey.precedes) { effects += withdraw(key, moment) }
    }
    return effects + driveDue(moment)
  }

  /// Whether a value is kept for a time.
  func keeps(_ key: DHTNode.PublicationKey) -> Bool { finding.ends[key] != nil }

  /// Values that users keep: the longest one with all its parts, and some. The rest of `DHTNode.publicationsMaximum` is for
  /// what makes people be found.
  static let userValuesMaximum = 1_280

  private mutating func driveDue(_ moment: Moment) -> [Effect] {
    DHTFamily.allCases.flatMap { family -> [Effect] in
      guard let due = dht(family)?.nextDeadline, due <= moment.instant else { return [] }
      return drive(family, .deadlineReached, moment)
    }
  }

  /// Asks the DHT in every family that there is, or in the one that the command speaks of.
  mutating func ask(_ command: DHTNode.Command, for asker: Asker, _ moment: Moment) -> [Effect] {
    if case .user = asker, let key = command.kept, finding.ends[key] == nil,
      finding.ends.count >= Self.userValuesMaximum
    {
      return tell(asker, .finished(DHTNode.Report(id: DHTNode.OperationID(0), outcome: .busy)), moment)
    }
    let families: [DHTFamily] =
      switch command {
      case .ping(let endpoint): [DHTFamily(endpoint)]
      case .bootstrap, .findNode, .getPeers, .announce, .getImmutable, .getMutable, .putImmutable, .putMutable:
        DHTFamily.allCases
      }
    return ask(command, for: asker, among: families, moment)
  }

  private mutating func ask(
    _ command: DHTNode.Command, for asker: Asker, among families: [DHTFamily], _ moment: Moment
  ) -> [Effect] {
    finding.operationNumber += 1
    let id = DHTNode.OperationID(finding.operationNumber)
    let families = families.filter { finding.nodes[$0.rawValue] != nil }
    guard !families.isEmpty else {
      return tell(asker, .finished(DHTNode.Report(id: id, outcome: .unreachable)), moment)
    }
    finding.operations[id] = Finding.Operation(asker: asker, running: Set(families))
    return families.flatMap { drive($0, .command(id, command), moment) }
  }

  // MARK: Effects

  mutating func drive(_ family: DHTFamily, _ input: DHTNode.Input, _ moment: Moment) -> [Effect] {
    guard let wanted = finding.nodes[family.rawValue]?.handle(input, at: moment) else { return [] }
    return wanted.flatMap { effect -> [Effect] in
      switch effect {
      case .send(let bytes, let endpoint): return [.sendDatagram(bytes, to: endpoint)]
      case .foundPeers(let id, let peers):
        return finding.operations[id].map { tell($0.asker, .peers(peers), moment) } ?? []
      case .foundItem(let id, let item):
        return finding.operations[id].map { tell($0.asker, .item(item), moment) } ?? []
      case .finished(let report): return finished(report, in: family, moment)
      case .externalAddress(let address):
        finding.externalAddresses[family] = address
        return []
      case .saveContacts(let contacts): return [.saveContacts(family, contacts)]
      case .republished, .stateChanged: return []
      }
    }
  }

  private mutating func finished(_ report: DHTNode.Report, in family: DHTFamily, _ moment: Moment) -> [Effect] {
    guard var operation = finding.operations[report.id] else { return [] }
    let report = operation.report.map { $0.joined(with: report) } ?? report
    operation.running.remove(family)
    operation.report = report
    guard operation.running.isEmpty else {
      finding.operations[report.id] = operation
      return []
    }
    finding.operations[report.id] = nil
    return tell(operation.asker, .finished(report), moment)
  }

  private mutating func tell(_ asker: Asker, _ found: Found, _ moment: Moment) -> [Effect] {
    switch (asker, found) {
    case (.user(let request), .peers(let peers)): [.dhtFoundPeers(request, peers)]
    case (.user(let request), .item(let item)): [.dhtFoundItem(request, item)]
    case (.user(let request), .finished(let report)): [.dhtFinished(request, report)]
    case (.joining(let family), .finished(let report)): [.dhtJoined(family, report)] + joinedIfAll(moment)
    case (.joining, .peers), (.joining, .item): []
    case (.finder(let errand), let found): tellFinder(errand, found, moment)
    }
  }

  private mutating func leave(_ family: DHTFamily, _ moment: Moment) -> [Effect] {
    guard let node = finding.nodes[family.rawValue] else { return [] }
    finding.nodes[family.rawValue] = nil
    finding.externalAddresses[family] = nil
    var effects: [Effect] = node.contactCount > 0 ? [.saveContacts(family, node.savedContacts)] : []
    effects += tellFinder(.networkLeft, moment)
    let open = finding.operations.filter { $0.value.running.contains(family) }.keys
    for id in open.sorted(by: { $0.rawValue < $1.rawValue }) {
      effects += finished(DHTNode.Report(id: id, outcome: .unreachable), in: family, moment)
    }
    return effects
  }
}

extension DHTNode.PublicationKey {
  /// By target; announcements before items.
  static func precedes(_ a: Self, _ b: Self) -> Bool {
    switch (a, b) {
    case (.announce(let a), .announce(let b)), (.item(let a), .item(let b)): a < b
    case (.announce, .item): true
    case (.item, .announce): false
    }
  }
}

extension DHTNode.Command {
  /// What is to be stored again and again, if that is asked for.
  fileprivate var kept: DHTNode.PublicationKey? {
    switch self {
    case .putImmutable(let item, true, _): .item(item.target)
    case .putMutable(let item, _, _, true, _): .item(item.target)
    default: nil
    }
  }
}

extension NodeCore.DHTFamily {
  init(_ endpoint: Endpoint) { self = endpoint.address.isIPv4 ? .ipv4 : .ipv6 }
  init(_ settings: DHTSettings) { self = settings.family == .ipv4 ? .ipv4 : .ipv6 }
}
