import DHT
import Identity
import Primitives
import Simulator
import Testing

/// A hundred nodes, with delays of 5 to 60 ms each way.
@Suite struct NetworkTests {
  static let key = SigningKey(seed: [UInt8](repeating: 7, count: 32))!

  static func network(_ count: Int, seed: UInt64, loss: Double = 0) -> DHTNetwork {
    var options = DHTNetwork.Options()
    options.loss = loss
    var network = DHTNetwork(seed: seed, options: options)
    network.grow(to: count)
    return network
  }

  /// Grown and settled once; each test works on a copy.
  static let hundred: DHTNetwork = {
    var network = NetworkTests.network(100, seed: 1)
    network.run(for: .seconds(200))
    return network
  }()

  static func item(_ number: Int, salt: String = "", key: SigningKey = key) -> MutableItem {
    let text = Array("value \(number)".utf8)
    return MutableItem(
      signing: Array("\(text.count):".utf8) + text, salt: Array(salt.utf8), sequence: Int64(number), with: key)
  }

  static func outcome(_ report: DHTNode.Report?) -> DHTNode.Outcome? { report?.outcome }

  static func storage(_ report: DHTNode.Report?) -> DHTNode.Storage? {
    if case .stored(let storage)? = report?.outcome { storage } else { nil }
  }

  /// The nodes that really are nearest.
  static func nearest(_ network: DHTNetwork, _ target: NodeID, _ count: Int) -> [NodeID] {
    network.members.filter(\.isAlive).map(\.node.id).sorted { $0.distance(to: target) < $1.distance(to: target) }
      .prefix(count).map { $0 }
  }

  @Test("lookups find the nearest nodes in as few steps as the ideal")
  func lookups() throws {
    var network = Self.hundred
    let known = network.members.map(\.node.contactCount).reduce(0, +)
    var hops = 0
    var queries = 0
    var recalled = 0
    let count = 100
    for number in 0..<count {
      let target = NodeID(random: &network.random)
      let finished = network.perform(number % 100, .findNode(target))
      let report = try #require(finished)
      hops += report.hops
      queries += report.queries
      // A node does not find itself.
      let nearest = Self.nearest(network, target, 9).filter { $0 != network.members[number % 100].node.id }.prefix(8)
      recalled += Set(report.closest.map(\.id)).intersection(nearest).count
    }
    #expect(known >= 9_000 && hops <= 110)
    #expect(queries <= 900)
    #expect(recalled >= 8 * count * 98 / 100)
  }

  @Test("every item that was stored is found again, whoever looks")
  func items() throws {
    var network = Self.hundred
    for number in 1...50 {
      let item = Self.item(number, salt: "\(number)")
      let report = network.perform(number, .putMutable(item, signer: nil, compareAndSwap: nil, keeps: false))
      let storage = try #require(Self.storage(report))
      #expect(storage.durability == .durable && storage.nodes.count >= 7, "\(storage)")
      let found = network.perform(99 - number, .getMutable(item.key, salt: item.salt, known: nil))
      guard let report = found, case .mutable(item, let copies) = report.outcome else {
        Issue.record("\(number): \(String(describing: found))")
        continue
      }
      #expect(copies >= 7)
    }
  }

  @Test("with a third of the nodes gone and packets lost, what was stored is still found")
  func deadNodes() throws {
    var network = Self.hundred
    network.options.loss = 0.02
    for number in 1...100 {
      let item = Self.item(number, salt: "\(number)")
      network.command(number % 100, .putMutable(item, signer: nil, compareAndSwap: nil, keeps: false))
      network.run(for: .milliseconds(100))
    }
    network.run(for: .seconds(10))
    for dead in 0..<30 { network.kill(3 * dead + 1) }
    let alive = network.members.indices.filter { network.members[$0].isAlive }
    var found = 0
    for number in 1...100 {
      let item = Self.item(number, salt: "\(number)")
      let report = network.perform(alive[number % 70], .getMutable(item.key, salt: item.salt, known: nil))
      if let report, case .mutable(item, _) = report.outcome { found += 1 }
    }
    #expect(found >= 99)
  }

  @Test("equal seeds give equal traces, other seeds others")
  func seeds() {
    func trace(_ seed: UInt64) -> UInt64 {
      var network = Self.network(20, seed: seed, loss: 0.1)
      for number in 0..<5 {
        _ = network.perform(number, .putImmutable(ImmutableItem(value: Array("i\(number)e".utf8)), keeps: true))
        _ = network.perform(19 - number, .announce(NodeID(random: &network.random), port: nil))
      }
      network.run(for: .seconds(600))
      return network.trace
    }
    let first = trace(1)
    #expect(first == trace(1))
    #expect(first != trace(2))
  }

  @Test("peers are announced and found, and found no longer once they are withdrawn and have faded")
  func announces() throws {
    var network = Self.network(20, seed: 4)
    let hash = NodeID(random: &network.random)
    let storage = try #require(Self.storage(network.perform(3, .announce(hash, port: 4000))))
    #expect(storage.durability == .durable)
    #expect(Self.storage(network.perform(4, .announce(hash, port: nil))) != nil)
    let peers = [
      Endpoint(network.members[3].endpoint.address, port: 4000), network.members[4].endpoint,
    ]
    func found() -> Set<Endpoint> {
      var network = network
      guard let report = network.perform(19, .getPeers(hash)), case .peers(let peers) = report.outcome else {
        return []
      }
      return Set(peers)
    }
    #expect(found() == Set(peers))
    network.run(for: .seconds(70 * 60))
    #expect(found() == Set(peers))
    network.input(3, .withdraw(.announce(hash)))
    network.run(for: .seconds(3600))
    #expect(found() == [peers[1]])
    network.kill(4)
    network.run(for: .seconds(3600))
    #expect(found() == [])
  }

  @Test("a value that is kept outlives its lifetime and those that held it")
  func republishing() throws {
    var network = Self.network(25, seed: 5)
    let item = Self.item(1)
    let storage = try #require(
      Self.storage(network.perform(0, .putMutable(item, signer: nil, compareAndSwap: nil, keeps: true))))
    for contact in storage.nodes {
      network.kill(try #require(network.members.firstIndex { $0.endpoint == contact.endpoint }))
    }
    network.run(for: .seconds(9000))
    let reader = try #require((1..<25).first { network.members[$0].isAlive })
    let report = network.perform(reader, .getMutable(item.key, salt: [], known: nil))
    guard let report, case .mutable(item, let copies) = report.outcome else {
      Issue.record("\(String(describing: report))")
      return
    }
    #expect(copies >= 7)
  }

  @Test("the newest number wins; whoever is behind is told, or raises its own")
  func numbers() throws {
    var network = Self.network(30, seed: 6)
    func put(_ item: MutableItem, _ signer: SigningKey? = nil, expecting: Int64? = nil) -> DHTNode.Outcome? {
      network.perform(1, .putMutable(item, signer: signer, compareAndSwap: expecting, keeps: false))?.outcome
    }
    #expect(put(Self.item(5)) != nil)
    #expect(put(Self.item(4)) == .superseded(Self.item(5)))
    #expect(put(Self.item(6), expecting: 3) == .conflict(Self.item(5)))
    guard case .stored(let swapped) = put(Self.item(6), expecting: 5) else {
      Issue.record("not swapped")
      return
    }
    #expect(swapped.durability == .durable && swapped.refusals.isEmpty, "\(swapped)")
    guard case .stored(let raised) = put(Self.item(2), Self.key) else {
      Issue.record("not raised")
      return
    }
    #expect(raised.item?.sequence == 7 && raised.item?.value == Self.item(2).value)
    #expect(network.perform(20, .getMutable(Self.key.publicKey, salt: [], known: 7))?.outcome == .notFound)
    guard
      case .mutable(let newest, _) = network.perform(20, .getMutable(Self.key.publicKey, salt: [], known: 6))?.outcome
    else {
      Issue.record("not found")
      return
    }
    #expect(newest.sequence == 7)
  }

  @Test("immutable values are found by their hash")
  func immutable() {
    var network = Self.network(30, seed: 7)
    let item = ImmutableItem(value: Array("11:hello there".utf8))
    #expect(Self.storage(network.perform(1, .putImmutable(item, keeps: false)))?.durability == .durable)
    #expect(network.perform(2, .getImmutable(item.target))?.outcome == .immutable(item))
    #expect(network.perform(2, .getImmutable(NodeID(random: &network.random)))?.outcome == .notFound)
  }

  @Test("two networks with different keys do not see each other")
  func keys() {
    var network = DHTNetwork(seed: 8)
    let keys = [1, 2].map { NetworkKey(AuthenticationCode([UInt8](repeating: $0, count: 32))!) }
    for index in 0..<20 {
      network.add(settings: .privateNetwork(keys[index % 2]))
      network.command(index, .bootstrap(contacts: [], routers: network.members.prefix(2).map(\.endpoint)))
      network.run(for: .seconds(1))
    }
    network.run(for: .seconds(60))
    for index in 0..<20 {
      let known = network.members[index].node.contacts.map(\.endpoint)
      #expect(known.count == 9)
      #expect(known.allSatisfy { known in network.members.firstIndex { $0.endpoint == known }! % 2 == index % 2 })
    }
  }

  @Test("a node alone tries again until somebody answers, and begins with those it saved")
  func joining() throws {
    var network = Self.network(10, seed: 9)
    let nobody = Endpoint(IPAddress(99, 1, 1, 1), port: 1)
    let late = network.add()
    #expect(network.perform(late, .bootstrap(contacts: [], routers: [nobody]))?.outcome == .unreachable)
    let saved = network.members[3].node.savedContacts
    #expect(saved.contacts.count == 9)
    #expect(network.perform(late, .bootstrap(contacts: saved.contacts, routers: [nobody]))?.outcome == .nodes)
    #expect(network.members[late].node.contactCount >= 8)
    // All it knew are gone, long enough to be forgotten; one of those that were saved comes back.
    var outage = network
    for index in 0..<10 { outage.kill(index) }
    outage.run(for: .seconds(6 * 3600))
    #expect(outage.members[late].node.contactCount == 0)
    _ = outage.add(at: saved.contacts[0].endpoint)
    outage.run(for: .seconds(600))
    #expect(outage.members[late].node.contactCount == 1)
    // The router comes up later.
    let early = network.add()
    #expect(network.perform(early, .bootstrap(contacts: [], routers: [nobody]))?.outcome == .unreachable)
    _ = network.add(at: nobody)
    network.run(for: .seconds(20))
    #expect(network.members[early].node.contactCount > 0)
  }
}
