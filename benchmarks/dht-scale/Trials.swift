import DHT
import Identity
import Primitives
import Simulator

/// One network and what is tried in it.
struct Trials {
  var network: DHTNetwork
  let key = SigningKey(seed: [UInt8](repeating: 7, count: 32))!
  private var itemNumber = 0
  private let nodes: Int

  /// Above so many the network begins warm: joining one by one would take hours.
  static let joinedMaximum = 10_000
  /// Of half of the sessions (Wang and Kangasharju 2013, at second hand).
  static let sessionMedian = Duration.seconds(200 * 60)

  init(nodes: Int, seed: UInt64, isWarm: Bool) {
    var options = DHTNetwork.Options()
    options.keepsEvents = false
    network = DHTNetwork(seed: seed, options: options)
    self.nodes = nodes
    if isWarm {
      network.addWarm(nodes)
    } else {
      network.grow(to: nodes)
      network.run(for: .seconds(300))
    }
  }

  private var alive: [Int] { network.members.indices.filter { network.members[$0].isAlive } }

  /// So many different ones of those that are there, or all.
  private mutating func choice(_ count: Int) -> [Int] {
    var chosen = alive
    for index in 0..<min(count, chosen.count) {
      chosen.swapAt(index, Int.random(in: index..<chosen.count, using: &network.random))
    }
    return Array(chosen.prefix(count))
  }

  // MARK: Lookups

  /// Each from another node, all at one moment, so that no node has learnt from a lookup before.
  mutating func lookUp(_ count: Int, into figures: inout Figures) {
    let census = DHTCensus(network)
    var left = count
    while left > 0 {
      let members = choice(min(left, Self.atOnceMaximum))
      let targets = members.map { _ in NodeID(random: &network.random) }
      let reports = network.perform(zip(members, targets).map { ($0, .findNode($1)) })
      for (index, report) in reports.enumerated() {
        note(report, targets[index], members[index], census, &figures)
      }
      left -= members.count
    }
  }

  private static let atOnceMaximum = 2_000

  private func note(
    _ report: DHTNode.Report?, _ target: NodeID, _ member: Int, _ census: DHTCensus, _ figures: inout Figures
  ) {
    // A node does not find itself.
    let nearest = census.nearest(to: target, count: 8, except: network.members[member].node.id)
    figures.lookups += 1
    figures.recallable += nearest.count
    guard let report else { return }
    let found = Set(report.closest)
    if let first = nearest.first, found.contains(first) { figures.nearestFound += 1 }
    figures.recalled += nearest.count { found.contains($0) }
    figures.hops += report.hops
    figures.queries += report.queries
    figures.timeouts += report.timeouts
    figures.milliseconds.append(report.duration / .milliseconds(1))
  }

  // MARK: Items

  /// Stores items, some at a time.
  mutating func store(_ count: Int, into figures: inout Figures) -> [MutableItem] {
    var stored: [MutableItem] = []
    while stored.count < count {
      let writers = choice(min(count - stored.count, 100))
      let items = writers.map { _ in freshItem() }
      let reports = network.perform(
        zip(writers, items).map { ($0, .putMutable($1, signer: nil, compareAndSwap: nil, keeps: false)) })
      for report in reports { figures.putQueries += report?.queries ?? 0 }
      stored += items
    }
    return stored
  }

  /// Looks for each of them from somewhere.
  mutating func find(_ items: [MutableItem], into figures: inout Figures) {
    var rest = items[...]
    while !rest.isEmpty {
      let readers = choice(min(rest.count, 100))
      let wanted = rest.prefix(readers.count)
      rest = rest.dropFirst(readers.count)
      let reports = network.perform(
        zip(readers, wanted).map { ($0, .getMutable($1.key, salt: $1.salt, known: nil)) })
      for (item, report) in zip(wanted, reports) {
        figures.items += 1
        figures.getQueries += report?.queries ?? 0
        if let report, case .mutable(item, _) = report.outcome { figures.itemsFound += 1 }
      }
    }
  }

  mutating func freshItem() -> MutableItem {
    itemNumber += 1
    let text = Array("value \(itemNumber)".utf8)
    return MutableItem(
      signing: Array("\(text.count):".utf8) + text, salt: Array("\(itemNumber)".utf8), sequence: 1, with: key)
  }

  // MARK: Scenarios

  mutating func calm(lookups: Int, items: Int) -> Figures {
    var figures = Figures("calm", nodes)
    lookUp(lookups, into: &figures)
    let stored = store(items, into: &figures)
    find(stored, into: &figures)
    return figures
  }

  /// A part of all nodes goes at one moment, without a word; nobody has noticed yet.
  mutating func dead(share: Double, lookups: Int, items: Int) -> Figures {
    var figures = Figures("\(Int(share * 100))% dead", nodes)
    let stored = store(items, into: &figures)
    for member in choice(Int(Double(alive.count) * share)) { network.kill(member) }
    lookUp(min(lookups, alive.count), into: &figures)
    find(stored, into: &figures)
    return figures
  }

  /// Nodes leave and others come, as many, at random moments (a Poisson process), for so long before lookups begin and
  /// while they go on. Items are looked for after half of that time.
  mutating func churn(for duration: Duration, lookups: Int, items: Int) -> Figures {
    var figures = Figures("churn", nodes)
    leaveAndCome(for: duration)
    let stored = store(items, into: &figures)
    for _ in 0..<lookups {
      leaveAndCome(for: duration / (2 * lookups))
      lookUp(1, into: &figures)
    }
    find(stored, into: &figures)
    return figures
  }

  private mutating func leaveAndCome(for duration: Duration) {
    let end = network.now.instant + duration
    // Sessions end at the rate ln 2 / median.
    let meanPause = Self.sessionMedian / .seconds(1) / 0.693147 / Double(nodes)
    while true {
      let pause = Duration.seconds(-meanPause * logarithm(1 - Double.random(in: 0..<1, using: &network.random)))
      guard network.now.instant + pause < end else { break }
      network.run(for: pause)
      network.kill(choice(1)[0])
      let router = network.members[choice(1)[0]].endpoint
      let member = network.add()
      network.command(member, .bootstrap(contacts: [], routers: [router]))
    }
    if network.now.instant < end { network.run(for: end - network.now.instant) }
  }
}
