import DHT
import Identity
import Node
import Primitives
import Replication
import Simulator
import Testing

/// The DHT as part of the node: cores in the simulated world.
@Suite struct FindingTests {
  static let network = DHTSettings.privateNetwork(NetworkKey(AuthenticationCode(prefix64: 7)))

  /// Nodes of one network, each joined by way of the first.
  func world(_ count: Int, seed: UInt64 = 1, settings: DHTSettings = FindingTests.network) -> World {
    var world = World(seed: seed)
    for index in 0..<count {
      world.add(key: PublicKey(hashing: [UInt8(index)])) { ModelStore(seed: UInt64(index)) }
    }
    for index in 0..<count { world.startDHT(index, settings, routers: index == 0 ? [] : [0]) }
    world.run(for: .seconds(20))
    return world
  }

  func outcome(_ world: World, _ index: Int, _ request: NodeCore.DHTRequestID) -> DHTNode.Outcome? {
    world.nodes[index].reports[request]?.outcome
  }

  @Test("what one node stores, another finds; and who asked is told, nobody else")
  func storedAndFound() {
    var world = world(8)
    world.weather.lossRatio = 0.1
    let key = SigningKey()
    let item = MutableItem(signing: Array("5:hello".utf8), salt: [1], sequence: 1, with: key)
    let put = world.ask(1, .putMutable(item, signer: nil, compareAndSwap: nil, keeps: false))
    world.run(for: .seconds(15))
    guard case .stored(let storage)? = outcome(world, 1, put) else {
      Issue.record("\(world.nodes[1].reports)")
      return
    }
    #expect(storage.durability == .durable)
    let get = world.ask(6, .getMutable(key.publicKey, salt: [1], known: nil))
    let missing = world.ask(6, .getMutable(key.publicKey, salt: [2], known: nil))
    world.run(for: .seconds(15))
    guard case .mutable(item, _)? = outcome(world, 6, get) else {
      Issue.record("\(world.nodes[6].reports)")
      return
    }
    #expect(outcome(world, 6, missing) == .notFound)
    #expect(world.nodes[6].reports.count == 2)
    #expect((2...5).allSatisfy { world.nodes[$0].reports.isEmpty })
  }

  @Test("equal seeds give equal runs, datagrams included")
  func replayed() {
    #expect(world(5, seed: 3).traceHash == world(5, seed: 3).traceHash)
    #expect(world(5, seed: 3).traceHash != world(5, seed: 4).traceHash)
  }

  @Test("a node that starts again finds the network by what it saved")
  func savedContacts() {
    var world = world(4)
    world.tell(3, .stopDHT)
    let saved = world.nodes[3].contacts[.ipv4]
    #expect(saved?.contacts.count == 3)
    world.crash(3)
    world.startDHT(3, Self.network, routers: [])
    world.run(for: .seconds(20))
    #expect(world.nodes[3].core.dht(.ipv4)?.contactCount == 3)
    #expect(world.nodes[3].core.dht(.ipv4)?.id == saved?.id)
  }

  @Test("two networks with different keys never meet")
  func apart() {
    var world = world(3)
    for index in 3..<6 {
      world.add(key: PublicKey(hashing: [UInt8(index)])) { ModelStore(seed: UInt64(index)) }
      let other = DHTSettings.privateNetwork(NetworkKey(AuthenticationCode(prefix64: 8)))
      world.startDHT(index, other, routers: [0, 3])
    }
    world.run(for: .seconds(60))
    #expect((0..<6).map { world.nodes[$0].core.dht(.ipv4)?.contactCount } == [2, 2, 2, 2, 2, 2])
  }

  @Test("without a DHT a request ends at once, datagrams are nothing, and nothing waits")
  func withoutDHT() {
    var core = NodeCore()
    let request = NodeCore.DHTRequestID(1)
    let effects = core.handle(.dht(request, .findNode(NodeID(sha1: [1]))), at: .start)
    guard case .dhtFinished(request, let report)? = effects.first, effects.count == 1 else {
      Issue.record("\(effects)")
      return
    }
    #expect(report.outcome == .unreachable)
    #expect(core.handle(.datagram([1], from: World.endpoint(0)), at: .start).isEmpty)
    #expect(core.nextDeadline == nil)
  }

  @Test("with both families a request ends once, when both have answered; a stopped DHT ends what is open")
  func families() {
    var core = NodeCore()
    for family in [Families.ipv4, .ipv6] {
      var settings = Self.network
      settings.family = family
      let start = NodeCore.DHTStart(
        settings: settings, saved: nil, routers: [World.endpoint(1)], secret: AuthenticationCode(prefix64: 1),
        random: SeededRandom(seed: 1))
      _ = core.handle(.startDHT(start), at: .start)
    }
    let request = NodeCore.DHTRequestID(1)
    let asked = core.handle(.dht(request, .findNode(NodeID(sha1: [1]))), at: .start)
    guard case .sendDatagram(_, World.endpoint(1))? = asked.first, asked.count == 1 else {
      Issue.record("\(asked)")
      return
    }
    let stopped = core.handle(.stopDHT, at: .start + .seconds(1))
    let ends = stopped.compactMap { if case .dhtFinished(request, let report) = $0 { report } else { nil } }
    #expect(ends.map(\.outcome) == [.unreachable])
    // IPv6 had nobody to ask, and was told so before.
    let joins = stopped.compactMap { if case .dhtJoined(let family, _) = $0 { family } else { nil } }
    #expect(joins == [.ipv4] && stopped.count == 2)
    #expect(core.nextDeadline == nil)
  }

  @Test("a value that is kept for a time is stored again until then, and no longer")
  func kept() {
    var world = world(3)
    let item = ImmutableItem(value: Array("5:hello".utf8))
    world.ask(1, .putImmutable(item, keeps: true))
    world.tell(1, .keep(.item(item.target), for: .seconds(3 * 3600)))
    world.run(for: .seconds(10))
    // Without the one who stores it again it would have faded after two hours.
    world.run(for: .seconds(3 * 3600))
    #expect(world.nodes[0].core.dht(.ipv4)?.storedCounts.items == 1)
    world.run(for: .seconds(3 * 3600))
    #expect(world.nodes[0].core.dht(.ipv4)?.storedCounts.items == 0)
  }

  @Test("a part of two values is kept for the longer of them, another value for as long as was said last")
  func shared() {
    for isShared in [true, false] {
      var core = NodeCore()
      let key = DHTNode.PublicationKey.item(NodeID(sha1: [1]))
      _ = core.handle(.keep(key, for: .seconds(100), isShared: isShared), at: .start)
      _ = core.handle(.keep(key, for: .seconds(10), isShared: isShared), at: .start)
      #expect(core.nextDeadline == Moment.start.instant + .seconds(isShared ? 100 : 10))
      _ = core.handle(.keep(key, for: .seconds(200), isShared: isShared), at: .start)
      #expect(core.nextDeadline == Moment.start.instant + .seconds(200))
    }
  }

  @Test("users keep only so many values, and one that is kept may be stored anew")
  func room() {
    var core = NodeCore()
    var settings = Self.network
    settings.family = .ipv4
    let start = NodeCore.DHTStart(
      settings: settings, saved: nil, routers: [], secret: AuthenticationCode(prefix64: 1),
      random: SeededRandom(seed: 1))
    _ = core.handle(.startDHT(start), at: .start)
    let items = (0...1_280).map { ImmutableItem(value: Array("i\($0)e".utf8)) }
    for item in items.dropLast() { _ = core.handle(.keep(.item(item.target), for: .seconds(9_000)), at: .start) }
    func isBusy(_ item: ImmutableItem, keeps: Bool) -> Bool {
      core.handle(.dht(.init(1), .putImmutable(item, keeps: keeps)), at: .start).contains { effect in
        if case .dhtFinished(_, let report) = effect { report.outcome == .busy } else { false }
      }
    }
    #expect(isBusy(items.last!, keeps: true))
    #expect(!isBusy(items.last!, keeps: false) && !isBusy(items[0], keeps: true))
  }

  @Test("a search that is given up before anybody is dialled ends at once")
  func givenUp() {
    var core = NodeCore()
    _ = core.handle(.find(Finder.Settings()), at: .start)
    #expect(!core.handle(.search(.init(1), .init()), at: .start).contains(.syncEnded(.init(1), [])))
    #expect(core.handle(.cancelSync(.init(1)), at: .start).contains(.syncEnded(.init(1), [])))
    #expect(core.handle(.cancelSync(.init(1)), at: .start) == [])
  }

  @Test("a value is stored at as many nodes as were asked for", arguments: [1, 3, 12])
  func copies(count: Int) {
    var world = world(16)
    let item = ImmutableItem(value: Array("5:hello".utf8))
    let put = world.ask(1, .putImmutable(item, keeps: false, copies: count))
    world.run(for: .seconds(15))
    guard case .stored(let storage)? = outcome(world, 1, put) else {
      Issue.record("\(world.nodes[1].reports)")
      return
    }
    #expect(storage.nodes.count == count)
  }
}
