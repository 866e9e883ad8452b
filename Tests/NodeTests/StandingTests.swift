import Identity
import Node
import Primitives
import Replication
import Simulator
import Testing
import Transport

/// A node that lets connections stand, and one peer that speaks by hand.
private struct Stage {
  var core: NodeCore
  let store: ModelStore
  var now = Moment.start
  let person = PersonID(hashing: [1])
  var peerKey = PublicKey(hashing: [9])

  init(limits: NodeCore.Limits = .init(stands: true), node: PublicKey = PublicKey(hashing: [0])) {
    core = NodeCore(limits: limits, node: node, seed: 1)
    store = ModelStore(seed: 1)
    store.author(person, events: 1..<4)
  }

  /// Everything that follows, with the store's answers.
  mutating func handle(_ input: NodeCore.Input) -> [NodeCore.Effect] {
    var effects = core.handle(input, at: now)
    var others: [NodeCore.Effect] = []
    while !effects.isEmpty {
      switch effects.removeFirst() {
      case .store(let ticket, let request): effects += core.handle(.store(ticket, store.answer(request)), at: now)
      case let effect: others.append(effect)
      }
    }
    return others
  }

  mutating func receive(_ id: NodeCore.ConnectionID, _ message: Message) -> [NodeCore.Effect] {
    handle(.received(id, type: message.type, body: message.body))
  }

  func hello(_ number: UInt64 = 0, stands: Bool = true, interests: [PersonID] = []) -> Message {
    .hello(
      .init(
        instance: 5, mark: ChangeMark(number: number, cookie: 0), interests: Exchange.hash(of: interests), cursor: nil,
        knownInterests: Exchange.hash(of: [PersonID]()), knownStatement: nil, stands: stands))
  }

  /// A peer without wishes dials and stays.
  mutating func admit(_ number: UInt64, key: PublicKey? = nil, stands: Bool = true) -> [NodeCore.Effect] {
    let id = NodeCore.ConnectionID(number)
    var effects = handle(.connected(id, node: key ?? peerKey, dialled: nil))
    effects += receive(id, hello(number, stands: stands))
    effects += receive(id, .interests([], more: false))
    let page = DigestPage(persons: [], logs: [], next: nil, mark: .init(number: number, cookie: 0))
    effects += receive(id, .digest(.init(tier: .list, page: page)))
    return effects + receive(id, .done)
  }
}

extension [NodeCore.Effect] {
  fileprivate func farewells() -> [Message.Farewell] {
    compactMap { if case .send(_, .bye(let reason)) = $0 { reason } else { nil } }
  }

  fileprivate var greetings: [Message.Hello] {
    compactMap { if case .send(_, .hello(let hello)) = $0 { hello } else { nil } }
  }
}

@Suite struct StandingTests {
  @Test("a node stands with whom asks for it, and answers others as before")
  func asks() {
    var stage = Stage()
    let effects = stage.admit(1)
    #expect(effects.greetings.map(\.stands) == [true])
    #expect(effects.last == .standingBegan(.init(1), node: stage.peerKey, nil))
    #expect(stage.core.standingConnectionCount == 1)
    let others = stage.admit(2, key: PublicKey(hashing: [8]), stands: false)
    #expect(others.greetings.map(\.stands) == [false])
    #expect(stage.core.standingConnectionCount == 1)
    // It waits for the farewell of the side that dialled.
    let ends = stage.receive(.init(2), .bye(.finished))
    guard case .sessionEnded(let end)? = ends.last else {
      Issue.record("\(ends)")
      return
    }
    #expect(end.failure == nil)
  }

  @Test("a program that does not stay does not stand, whoever asks")
  func command() {
    var stage = Stage(limits: .init())
    #expect(stage.admit(1).greetings.map(\.stands) == [false])
    #expect(stage.core.standingConnectionCount == 0)
  }

  @Test("what no peer is interested in is told to nobody, and changed interests are told to all")
  func interest() {
    var stage = Stage()
    _ = stage.admit(1)
    stage.store.author(PersonID(hashing: [2]), events: 1..<2)
    #expect(stage.handle(.storeChanged) == [])
    stage.now = stage.now + .seconds(1)
    _ = stage.handle(.deadlineReached)
    stage.store.follows = [PersonID(hashing: [3])]
    stage.now = stage.now + .seconds(1)
    #expect(stage.handle(.storeChanged).greetings.count == 1)
  }

  @Test("between two exchanges only a greeting, a sign of life and a farewell are in turn")
  func outOfTurn() throws {
    for message in try PeerVectors().messages().map(\.message) {
      var stage = Stage()
      _ = stage.admit(1)
      let effects = stage.receive(.init(1), message)
      switch message {
      case .hello, .alive, .bye, .find, .dialBack: #expect(!effects.farewells().contains(.fault), "\(message)")
      default: #expect(effects.farewells() == [.fault], "\(message)")
      }
    }
    var stage = Stage()
    _ = stage.handle(.connected(.init(1), node: stage.peerKey, dialled: nil))
    #expect(stage.receive(.init(1), .alive).farewells() == [.fault])
  }

  @Test("a peer that greets without end is sent away, and signs of life cost nothing")
  func floods() {
    var stage = Stage()
    _ = stage.admit(1)
    for _ in 0..<10_000 { #expect(stage.receive(.init(1), .alive) == []) }
    var rounds = 0
    var said: [Message.Farewell] = []
    while said.isEmpty, rounds < 1_000 {
      rounds += 1
      said += stage.receive(.init(1), stage.hello(1)).farewells()
      _ = stage.receive(.init(1), .done)
    }
    #expect(said == [.busy] && rounds == 21)
    #expect(stage.core.standingConnectionCount == 0)
  }

  @Test("whoever asks for names without end is sent away, before a greeting and after it")
  func names() {
    var stage = Stage()
    _ = stage.handle(.connected(.init(1), node: stage.peerKey, dialled: nil))
    for _ in 0..<8 { #expect(stage.receive(.init(1), .find("ada")) == [.send(.init(1), .found([]))]) }
    #expect(stage.receive(.init(1), .find("ada")).farewells() == [.busy])
    _ = stage.admit(2)
    for _ in 0..<20 { #expect(stage.receive(.init(2), .find("ada")) == [.send(.init(2), .found([]))]) }
    #expect(stage.receive(.init(2), .find("ada")).farewells() == [.busy])
  }

  @Test("a name that the store cannot look for is our trouble, in an exchange too")
  func trouble() {
    var stage = Stage()
    _ = stage.admit(1)
    let question = stage.core.handle(
      .received(.init(1), type: Message.find("ada").type, body: Message.find("ada").body), at: stage.now)
    guard case .store(let ticket, .find)? = question.first else {
      Issue.record("\(question)")
      return
    }
    #expect(stage.receive(.init(1), stage.hello(1)).greetings.count == 1)
    #expect(stage.handle(.store(ticket, .failed("no disk"))).farewells() == [.trouble])
  }

  @Test("an old answer about news, after an exchange that told more, is not asked for again")
  func lateNews() {
    var stage = Stage()
    _ = stage.admit(1)
    stage.now = stage.now + .seconds(1)
    guard case .store(let ticket, let request)? = stage.core.handle(.storeChanged, at: stage.now).first,
      case .news(let page, let interests) = stage.store.answer(request)
    else {
      Issue.record("the store is not asked for news")
      return
    }
    stage.store.author(PersonID(hashing: [2]), events: 1..<2)
    _ = stage.receive(.init(1), stage.hello(1))
    _ = stage.receive(.init(1), .done)
    #expect(stage.handle(.store(ticket, .news(page, interests: interests))) == [])
    stage.now = stage.now + .seconds(1)
    guard case .store(_, .news(_, let since, _))? = stage.core.handle(.storeChanged, at: stage.now).first else {
      Issue.record("the store is not asked again")
      return
    }
    #expect(since > page.mark.number)
  }

  @Test("a connection whose next exchange begins still stands: who is met again is not kept twice")
  func metAgain() {
    var stage = Stage()
    _ = stage.admit(1)
    stage.store.follows = [PersonID(hashing: [3])]
    stage.now = stage.now + .seconds(1)
    #expect(stage.handle(.storeChanged).greetings.count == 1)
    let effects = stage.handle(.stand(.init(address: "a:1", node: stage.peerKey)))
    #expect(effects == [.standingBegan(.init(1), node: stage.peerKey, .init(address: "a:1", node: stage.peerKey))])
  }

  @Test("those that brought nothing give way after five minutes, the oldest first; whom we dialled stays")
  func room() {
    var limits = NodeCore.Limits(stands: true)
    limits.standingMaximum = 3
    var stage = Stage(limits: limits)
    _ = stage.handle(.stand(.init(address: "a:1")))
    _ = stage.handle(.connected(.init(1), node: PublicKey(hashing: [11]), dialled: .init(0)))
    _ = stage.receive(.init(1), stage.hello())
    _ = stage.receive(.init(1), .digest(PeerVectors.nothing))
    _ = stage.receive(.init(1), .done)
    _ = stage.admit(2, key: PublicKey(hashing: [12]))
    _ = stage.admit(3, key: PublicKey(hashing: [13]))
    #expect(stage.core.standingConnectionCount == 3)
    #expect(stage.admit(4, key: PublicKey(hashing: [14])).greetings.map(\.stands) == [false])
    stage.now = stage.now + .seconds(300)
    for id in 1...3 { _ = stage.receive(.init(UInt64(id)), .alive) }
    let effects = stage.admit(5, key: PublicKey(hashing: [15]))
    #expect(effects.greetings.map(\.stands) == [true])
    #expect(effects.contains(.send(.init(2), .bye(.busy))))
    #expect(stage.core.standingConnectionCount == 3)
    #expect(stage.admit(6, key: PublicKey(hashing: [16])).contains(.send(.init(3), .bye(.busy))))
    // Now one is ours and the others are new.
    #expect(stage.admit(7, key: PublicKey(hashing: [17])).greetings.map(\.stands) == [false])
  }

  @Test("of two connections that the peer dialled the later one stays")
  func later() {
    var stage = Stage()
    _ = stage.admit(1)
    let effects = stage.admit(2)
    #expect(effects.contains(.send(.init(1), .bye(.finished))))
    #expect(stage.core.standingConnectionCount == 1)
  }

  @Test("an address of our own, another key and a banned peer are no peers, and each is tried again later")
  func nobody() {
    let own = PublicKey(hashing: [0])
    var stage = Stage(node: own)
    for (address, expected, met) in [
      ("a:1", nil, own), ("b:1", PublicKey(hashing: [1]), PublicKey(hashing: [2])),
    ] as [(String, PublicKey?, PublicKey)] {
      guard case .dial(let dial, _)? = stage.handle(.stand(.init(address: address, node: expected))).first else {
        Issue.record("no dial")
        return
      }
      let effects = stage.handle(.connected(.init(dial.rawValue + 50), node: met, dialled: dial))
      guard case .standingEnded(let end)? = effects.last else {
        Issue.record("\(effects)")
        return
      }
      #expect(effects.first == .close(.init(dial.rawValue + 50)) && end.failure != nil)
    }
    #expect(stage.core.nextDeadline.map { $0 > stage.now.instant && $0 <= stage.now.instant + .seconds(2) } == true)
  }
}

/// Tells of what a store has taken in.
private final class WatchedStore: StoreAnswering {
  let inner: ModelStore
  private let onIngest: @Sendable (Int) -> Void

  init(_ inner: ModelStore, onIngest: @escaping @Sendable (Int) -> Void) {
    self.inner = inner
    self.onIngest = onIngest
  }

  func answer(_ request: StoreRequest) -> StoreReply {
    let reply = inner.answer(request)
    if case .ingested(let result) = reply, result.events > 0 { onIngest(result.events) }
    return reply
  }
}

@Suite struct StandingRuntimeTests {
  @Test("over real sockets a post is at a connected peer without being asked for", .timeLimit(.minutes(1)))
  func post() async throws {
    let person = PersonID(hashing: [1])
    let (arrivals, arrived) = AsyncStream.makeStream(of: Int.self)
    let (changes, changed) = AsyncStream.makeStream(of: StandingChange.self)
    func node(
      _ seed: UInt64, _ make: @escaping @Sendable (ModelStore) -> Void
    ) throws -> (NodeRuntime<WatchedStore>, StoreWorker<WatchedStore>, PublicKey) {
      let key = SigningKey()
      let worker = try StoreWorker {
        let store = ModelStore(seed: seed)
        make(store)
        return WatchedStore(store) { arrived.yield($0) }
      }
      let runtime = NodeRuntime(identity: try TLSIdentity(key), store: worker, limits: .init(stands: true))
      return (runtime, worker, key.publicKey)
    }
    let (author, store, key) = try node(1) { $0.author(person, events: 1..<4) }
    let (reader, _, _) = try node(2) { $0.follows = [person] }
    await reader.setStandingObserver { changed.yield($0) }
    let address = try await author.listen(on: PeerAddress("127.0.0.1:0", for: .listening)).description
    let target = NodeCore.Target(address: address, node: key)
    await reader.stand(target)
    var events = arrivals.makeAsyncIterator()
    var states = changes.makeAsyncIterator()
    #expect(await events.next() == 3)
    #expect(await states.next() == .began(node: key, target))
    for sequence in 4..<24 as Range<UInt64> {
      try await store.perform { $0.inner.author(person, events: sequence..<sequence + 1) }
      await author.storeChanged()
      #expect(await events.next() == 1)
    }
    await reader.unstand(target)
    guard case .ended(let end)? = await states.next() else {
      Issue.record("it did not end")
      return
    }
    #expect(end.node == key && end.target == target)
    await reader.stop()
    await author.stop()
  }
}
