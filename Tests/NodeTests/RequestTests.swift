import Identity
import Node
import Primitives
import Replication
import Simulator
import Testing
import Transport

/// Two nodes of the simulation that stand, of stores of plain sets.
private struct Pair {
  var world: World
  let stores: [ModelStore]
  static let (asker, other) = (0, 1)

  init(count: Int = 2) {
    world = World(seed: 3)
    stores = (0..<count).map { ModelStore(seed: UInt64($0)) }
    for store in stores { world.add(key: store.node, limits: .init(stands: true)) { store } }
    for index in 1..<count { world.tell(index, .stand(world.target(0))) }
    world.run(for: .seconds(5))
  }

  /// The word of node 0 on whether it is reached, as often as it changed.
  var reached: [Bool] {
    world.nodes[0].standings.compactMap { if case .reachabilityChanged(let isReached) = $0 { isReached } else { nil } }
  }
}

@Suite struct RequestTests {
  @Test("a peer names whoever is called so, and nobody else")
  func find() {
    var pair = Pair()
    let people = (0..<70).map { PersonID(hashing: [UInt8($0)]) }.sorted()
    for person in people { pair.stores[1].names[person] = "Zo\u{EB}" }
    pair.stores[1].names[people[3]] = "zoe"
    for (number, name) in ["ZO\u{CB}", "zoe", "bob"].enumerated() {
      pair.world.tell(0, .findName(.init(UInt64(number)), pair.world.target(1), name))
    }
    pair.world.tell(0, .findName(.init(9), .init(address: "nowhere"), "bob"))
    pair.world.run(for: .seconds(5))
    let found = pair.world.nodes[0].found
    #expect(found[.init(0)]??.map(\.person) == Array((people[..<3] + people[4...]).prefix(64)))
    #expect(found[.init(1)] == .some([FoundPerson(person: people[3], name: "zoe")]))
    #expect(found[.init(2)] == .some([]))
    #expect(found[.init(9)] == .some(nil))
    // The connections for it are gone, the one that stands is not.
    #expect(pair.world.nodes.allSatisfy { $0.core.sessionCount == 1 && $0.core.standingConnectionCount == 1 })
  }

  @Test("a node that peers can dial learns it, and that it is over when they cannot any more")
  func reachable() {
    var pair = Pair()
    // In the simulation every port leads to the node that has 7001.
    pair.world.tell(0, .listening(port: 7001, isPublic: false))
    #expect(!pair.world.nodes[0].core.isReachable)
    pair.world.run(for: .seconds(5))
    #expect(pair.world.nodes[0].core.isReachable && pair.reached == [true])
    // It is asked again before the word is an hour old.
    pair.world.run(for: .seconds(3 * 3600))
    #expect(pair.reached == [true])
    pair.world.tell(0, .listening(port: 7002, isPublic: false))
    pair.world.run(for: .seconds(3 * 3600))
    #expect(pair.reached == [true, false])
    #expect(pair.world.nodes.allSatisfy { $0.core.sessionCount == 1 })
  }

  @Test("in everybody's network peers of one network, or of a private one, are no witnesses enough")
  func publicly() {
    var pair = Pair(count: 4)
    pair.world.tell(0, .listening(port: 7001, isPublic: true))
    pair.world.run(for: .seconds(7200))
    #expect(pair.reached == [])
  }
}

/// A node of the core, and peers that ask for a dial by hand.
@Suite struct DialBackTests {
  private let own = PublicKey(hashing: [0])

  /// A node with standing peers at these addresses, by connection number from 1.
  private func stage(_ addresses: [IPAddress]) -> (core: NodeCore, store: ModelStore) {
    var core = NodeCore(limits: .init(stands: true), node: own, seed: 1)
    let store = ModelStore(seed: 1)
    for (index, address) in addresses.enumerated() {
      let id = NodeCore.ConnectionID(UInt64(index) + 1)
      func tell(_ input: NodeCore.Input) {
        var effects = core.handle(input, at: .start)
        while !effects.isEmpty {
          guard case .store(let ticket, let request) = effects.removeFirst() else { continue }
          effects += core.handle(.store(ticket, store.answer(request)), at: .start)
        }
      }
      tell(.connected(id, node: PublicKey(hashing: [1, UInt8(index)]), dialled: nil, from: address))
      for message in [hello, .interests([], more: false), .digest(PeerVectors.nothing), .done] as [Message] {
        tell(.received(id, type: message.type, body: message.body))
      }
    }
    #expect(core.standingConnectionCount == addresses.count)
    return (core, store)
  }

  private var hello: Message {
    .hello(
      .init(
        instance: 5, mark: ChangeMark(number: 0, cookie: 0), interests: Exchange.hash(of: [PersonID]()), cursor: nil,
        knownInterests: Exchange.hash(of: [PersonID]()), knownStatement: nil, stands: true))
  }

  private func ask(
    _ core: inout NodeCore, _ id: UInt64, port: UInt16, at moment: Moment = .start
  ) -> [NodeCore.Effect] {
    let message = Message.dialBack(port: port)
    return core.handle(.received(.init(id), type: message.type, body: message.body), at: moment)
  }

  @Test("the address that is dialled is the one the peer comes from, and its key is expected there")
  func source() {
    var (core, _) = stage([IPAddress(93, 184, 216, 34)])
    let effects = ask(&core, 1, port: 7001)
    guard case .dial(let dial, let target)? = effects.first else {
      Issue.record("\(effects)")
      return
    }
    #expect(target == .init(address: "93.184.216.34:7001", node: PublicKey(hashing: [1, 0])))
    let met = core.handle(.connected(.init(50), node: target.node!, dialled: dial), at: .start)
    #expect(met == [.close(.init(50)), .send(.init(1), .dialled(.reached))])
    // Once a minute.
    #expect(ask(&core, 1, port: 7001) == [.send(.init(1), .dialled(.refused))])
    let later = ask(&core, 1, port: 7002, at: .start + .seconds(60))
    guard case .dial(let second, _)? = later.first else {
      Issue.record("\(later)")
      return
    }
    #expect(core.handle(.dialFailed(second, "no"), at: .start) == [.send(.init(1), .dialled(.notReached))])
  }

  @Test("no port of a system service out in the world, and nobody whose address is unknown or none")
  func refused() {
    var (core, _) = stage([IPAddress(93, 184, 216, 34), IPAddress(224, 0, 0, 1), IPAddress(127, 0, 0, 1)])
    #expect(ask(&core, 1, port: 22) == [.send(.init(1), .dialled(.refused))])
    #expect(ask(&core, 2, port: 7001) == [.send(.init(2), .dialled(.refused))])
    guard case .dial? = ask(&core, 3, port: 80).first else {
      Issue.record("a port of our own machine is refused")
      return
    }
  }

  @Test("in everybody's network nobody is dialled at an address of one's own site")
  func publicly() {
    var (core, _) = stage([IPAddress(93, 184, 216, 34), IPAddress(192, 168, 0, 2), IPAddress(127, 0, 0, 1)])
    _ = core.handle(.listening(port: 7001, isPublic: true), at: .start)
    for id in 2...3 as ClosedRange<UInt64> {
      #expect(ask(&core, id, port: 7001) == [.send(.init(id), .dialled(.refused))])
    }
    guard case .dial? = ask(&core, 1, port: 7001).first else {
      Issue.record("an address out in the world is refused")
      return
    }
  }

  @Test("the outcome is told while the next exchange begins")
  func meanwhile() {
    var (core, store) = stage([IPAddress(93, 184, 216, 34)])
    guard case .dial(let dial, _)? = ask(&core, 1, port: 7001).first else {
      Issue.record("no dial")
      return
    }
    store.follows = [PersonID(hashing: [3])]
    var effects = core.handle(.storeChanged, at: .start + .seconds(1))
    var greetings = 0
    while !effects.isEmpty {
      switch effects.removeFirst() {
      case .store(let ticket, let request):
        effects += core.handle(.store(ticket, store.answer(request)), at: .start + .seconds(1))
      case .send(_, .hello): greetings += 1
      default: break
      }
    }
    #expect(greetings == 1)
    #expect(core.handle(.dialFailed(dial, "no"), at: .start + .seconds(1)) == [.send(.init(1), .dialled(.notReached))])
  }

  @Test("who got no answer asks again after 25 minutes")
  func unanswered() {
    var (core, _) = stage([IPAddress(93, 184, 216, 34)])
    let asked = NodeCore.Effect.send(.init(1), .dialBack(port: 7001))
    #expect(core.handle(.listening(port: 7001, isPublic: true), at: .start) == [asked])
    #expect(core.handle(.listening(port: 7001, isPublic: true), at: .start) == [])
    for minute in 1...25 {
      let moment = Moment.start + .seconds(minute * 60)
      _ = core.handle(.received(.init(1), type: Message.alive.type, body: Message.alive.body), at: moment)
      #expect(core.handle(.deadlineReached, at: moment).contains(asked) == (minute == 25))
    }
  }

  @Test("all peers together get ten dials a minute")
  func flood() {
    var (core, _) = stage((0..<20).map { IPAddress(93, 184, 216, $0) })
    let dials = (1...20).count { id in
      if case .dial? = ask(&core, UInt64(id), port: 7001).first { true } else { false }
    }
    #expect(dials == 10)
  }

  @Test("two peers of different networks make a node reachable in public, and an outcome nobody asked for is a fault")
  func witnesses() {
    var (core, _) = stage([IPAddress(93, 184, 1, 1), IPAddress(93, 184, 2, 2), IPAddress(8, 8, 8, 8)])
    let asked = core.handle(.listening(port: 7001, isPublic: true), at: .start)
    #expect(asked == (1...3).map { .send(.init($0), .dialBack(port: 7001)) })
    func tell(_ id: UInt64, _ outcome: Message.DialBackOutcome) -> [NodeCore.Effect] {
      let message = Message.dialled(outcome)
      return core.handle(.received(.init(id), type: message.type, body: message.body), at: .start)
    }
    #expect(tell(1, .reached) == [] && tell(2, .reached) == [] && !core.isReachable)
    #expect(tell(3, .reached) == [.reachabilityChanged(true)] && core.isReachable)
    #expect(tell(3, .reached).first == .send(.init(3), .bye(.fault)))
    // The word of an hour ago counts no longer.
    #expect(core.nextDeadline.map { $0 <= Moment.start.instant + .seconds(3600) } == true)
    let effects = core.handle(.deadlineReached, at: .start + .seconds(3600))
    #expect(effects.contains(.reachabilityChanged(false)) && !core.isReachable)
  }
}

@Suite struct RequestRuntimeTests {
  @Test("over real sockets: a name is asked for, and a peer dials back", .timeLimit(.minutes(1)))
  func loopback() async throws {
    let person = PersonID(hashing: [1])
    func node(_ seed: UInt64) throws -> (NodeRuntime<ModelStore>, PublicKey) {
      let key = SigningKey()
      let worker = try StoreWorker {
        let store = ModelStore(seed: seed)
        store.names[person] = "Ada"
        return store
      }
      return (NodeRuntime(identity: try TLSIdentity(key), store: worker, limits: .init(stands: true)), key.publicKey)
    }
    let (server, key) = try node(1)
    let (client, _) = try node(2)
    let address = try await server.listen(on: PeerAddress("127.0.0.1:0", for: .listening)).description
    let target = NodeCore.Target(address: address, node: key)
    #expect(
      try await client.find("ADA", at: target)
        == FoundPersons(node: key, persons: [FoundPerson(person: person, name: "Ada")]))
    await #expect(throws: NodeError.self) { try await client.find("", at: target) }
    await #expect(throws: NodeError.self) { try await client.find("ada", at: .init(address: "127.0.0.1:1")) }
    let (changes, changed) = AsyncStream.makeStream(of: Bool.self)
    await server.setReachabilityObserver { changed.yield($0) }
    await client.stand(target)
    var words = changes.makeAsyncIterator()
    #expect(await words.next() == true)
    #expect(await server.isReachable)
    await client.stop()
    await server.stop()
  }
}
