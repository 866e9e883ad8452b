import Events
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing

/// Nodes that keep connections to each other, all following one author, who posts at the first.
private struct Neighbours {
  var world: World
  let peers: [SimulatedPeer]
  let author: SimulatedAuthor
  private var random: SeededRandom

  init(seed: UInt64, count: Int, limits: NodeCore.Limits = .init(stands: true)) throws {
    random = SeededRandom(seed: seed)
    let author = try SimulatedAuthor(&random)
    self.author = author
    peers = (0..<count).map { SimulatedPeer(seed: seed &+ UInt64($0), interests: [author.record.id]) }
    world = World(seed: seed)
    for peer in peers {
      world.add(key: SigningKey(seed: random.bytes(32))!.publicKey, limits: limits) { peer.open() }
    }
    try peers[0].post(3, by: author, &random)
  }

  mutating func stand(_ from: Int, _ to: Int) { world.tell(from, .stand(world.target(to))) }

  mutating func post(_ count: Int = 1) throws {
    try peers[0].post(count, by: author, &random)
    world.tell(0, .storeChanged)
  }

  func held(_ index: Int) throws -> Int {
    try peers[index].store.events(author.key.publicKey, .first ... .maximum).count
  }

  /// Lets time pass until node `index` holds so many events, at most 10 minutes; how long it took.
  mutating func wait(
    for index: Int, toHold count: Int, step: Duration = .milliseconds(10)
  ) throws -> Duration {
    let start = world.now
    while try held(index) < count, world.now - start < .seconds(600) { world.run(for: step) }
    return world.now - start
  }

  /// How many connections of a node stand.
  func standing(_ index: Int) -> Int { world.nodes[index].core.standingConnectionCount }
}

@Suite struct StandingScenarioTests {
  @Test("in a line of three a post is at the other end within half a second", arguments: (1 as UInt64)...5)
  func line(seed: UInt64) throws {
    var line = try Neighbours(seed: seed, count: 3)
    line.stand(0, 1)
    line.stand(2, 1)
    line.world.run(for: .seconds(5))
    #expect(try line.held(2) == 3)
    #expect((0..<3).map(line.standing) == [1, 2, 1])
    let frames = line.world.framesDelivered
    try line.post()
    // Five frames and a half one after the other on each way, of at most 40 ms each.
    #expect(try line.wait(for: 2, toHold: 4) < .milliseconds(500))
    line.world.run(for: .seconds(5))
    // HELLO, HELLO, DIGEST, DONE, WANT, RUN, END, DONE: none of it goes back.
    #expect(line.world.framesDelivered - frames == 16)
    #expect(line.world.nodes.allSatisfy { $0.ends.isEmpty })
  }

  @Test("what comes in while an exchange runs is told in the next, and a burst in few")
  func burst() throws {
    var line = try Neighbours(seed: 4, count: 3)
    line.stand(0, 1)
    line.stand(1, 2)
    line.world.run(for: .seconds(5))
    let frames = line.world.framesDelivered
    for _ in 0..<100 {
      try line.post()
      line.world.run(for: .milliseconds(10))
    }
    #expect(try line.wait(for: 2, toHold: 103) < .seconds(1))
    line.world.run(for: .seconds(5))
    // A second of posts, told every 200 ms, in exchanges of eight frames on two connections.
    #expect(line.world.framesDelivered - frames <= 2 * 7 * 8)
  }

  @Test("an idle connection costs a frame a minute and side, and stands for hours")
  func idle() throws {
    var pair = try Neighbours(seed: 5, count: 2)
    pair.stand(0, 1)
    pair.world.run(for: .seconds(30))
    let frames = pair.world.framesDelivered
    pair.world.run(for: .seconds(3 * 3600))
    #expect(pair.world.framesDelivered - frames <= 2 * 180)
    #expect(pair.standing(0) == 1 && pair.standing(1) == 1)
    #expect(pair.world.nodes[0].standings.count == 1)
  }

  @Test("both begin at the same moment: their greetings answer each other", arguments: (1 as UInt64)...10)
  func glare(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let authors = try (0..<2).map { _ in try SimulatedAuthor(&random) }
    let people = authors.map(\.record.id)
    let peers = (0..<2).map { SimulatedPeer(seed: seed &+ UInt64($0), interests: people) }
    var world = World(seed: seed)
    for peer in peers {
      world.add(key: SigningKey(seed: random.bytes(32))!.publicKey, limits: .init(stands: true)) { peer.open() }
    }
    for (peer, author) in zip(peers, authors) { try peer.post(1, by: author, &random) }
    world.tell(0, .stand(world.target(1)))
    world.run(for: .seconds(5))
    let frames = world.framesDelivered
    for index in 0..<2 {
      try peers[index].post(1, by: authors[index], &random)
      world.tell(index, .storeChanged)
    }
    world.run(for: .seconds(5))
    let digests = try peers.map { try $0.digest() }
    #expect(digests[0] == digests[1] && digests[0].count == 2)
    #expect(try peers.allSatisfy { try $0.store.events(authors[0].key.publicKey, .first ... .maximum).count == 2 })
    // Of each side HELLO, DIGEST, WANT, RUN, END and DONE: one exchange.
    #expect(world.framesDelivered - frames == 12)
    #expect(world.nodes.allSatisfy { $0.core.standingConnectionCount == 1 && $0.ends.isEmpty })
  }

  @Test("nodes that dial each other at the same moment keep one connection, the same", arguments: (1 as UInt64)...20)
  func twice(seed: UInt64) throws {
    var pair = try Neighbours(seed: seed, count: 2)
    pair.stand(0, 1)
    pair.stand(1, 0)
    pair.world.run(for: .seconds(60))
    #expect(pair.standing(0) == 1 && pair.standing(1) == 1)
    #expect(pair.world.nodes.allSatisfy { $0.core.sessionCount == 1 })
    try pair.post()
    #expect(try pair.wait(for: 1, toHold: 4) < .milliseconds(300))
    // Whoever lost its own connection still wants one: when the other goes, it dials.
    pair.world.cut(0, 1)
    pair.world.run(for: .seconds(60))
    #expect(pair.standing(0) == 1 && pair.standing(1) == 1)
  }

  @Test("a connection that was cut is dialled again, soon at first and then ever more rarely")
  func redial() throws {
    var pair = try Neighbours(seed: 6, count: 2)
    pair.stand(1, 0)
    pair.world.run(for: .seconds(60))
    pair.world.cut(0, 1)
    try pair.post()
    #expect(try pair.wait(for: 1, toHold: 4) < .seconds(3))
    // Nobody answers for two hours.
    pair.world.weather.dialFailureRatio = 1
    pair.world.cut(0, 1)
    let before = pair.world.nodes[1].standings.count
    pair.world.run(for: .seconds(7200))
    let attempts = pair.world.nodes[1].standings.count - before
    #expect((25...80).contains(attempts), "\(attempts)")
    pair.world.weather.dialFailureRatio = 0
    try pair.post()
    #expect(try pair.wait(for: 1, toHold: 5, step: .seconds(1)) < .seconds(301))
    pair.world.tell(1, .unstand(pair.world.target(0)))
    let isAtRest = pair.world.run()
    #expect(isAtRest && pair.standing(0) == 0 && pair.standing(1) == 0)
  }

  @Test("a peer that is gone without a word is noticed within 25 seconds of something to tell, or 85 without")
  func silence() throws {
    var pair = try Neighbours(seed: 7, count: 2)
    pair.stand(1, 0)
    pair.world.run(for: .seconds(60))
    pair.world.cut(0, 1, silently: true)
    try pair.post()
    pair.world.run(for: .seconds(26))
    #expect(pair.standing(0) == 0)
    // The other side has nothing to tell. It dialled, so it dials again when it notices.
    #expect(try pair.wait(for: 1, toHold: 4) < .seconds(65))
    #expect(pair.world.nodes[1].ends.map(\.failure) == ["the peer is silent"])
  }

  @Test("the middle of a line crashes: its neighbours dial it again, and what was posted meanwhile arrives")
  func crash() throws {
    var line = try Neighbours(seed: 8, count: 3)
    line.stand(0, 1)
    line.stand(2, 1)
    line.world.run(for: .seconds(5))
    line.world.crash(1)
    try line.post()
    #expect(try line.wait(for: 2, toHold: 4) < .seconds(6))
  }

  @Test("with 64 that would stand a newcomer finds room, and half of the sessions stand")
  func crowd() throws {
    var crowd = try Neighbours(seed: 9, count: 66)
    for index in 1...64 { crowd.stand(index, 0) }
    crowd.world.run(for: .seconds(30))
    #expect(crowd.standing(0) == 32)
    let sync = crowd.world.sync(65, with: [0])
    crowd.world.run(for: .seconds(5))
    #expect(crowd.world.nodes[65].syncs[sync]?.map(\.failure) == [nil])
    #expect(try crowd.held(65) == 3)
    // Those that find no room come back now and then; nobody is left without the post, and who waits gets a turn.
    try crowd.post()
    crowd.world.run(for: .seconds(900))
    #expect(try (1...64).allSatisfy { try crowd.held($0) == 4 })
    #expect(crowd.standing(0) == 32)
    let stood = (1...64).count { index in
      crowd.world.nodes[index].standings.contains { if case .standingBegan = $0 { true } else { false } }
    }
    #expect(stood > 32)
  }

  @Test("storms of cuts and crashes lose nothing, and afterwards everybody is told", arguments: (1 as UInt64)...6)
  func storm(seed: UInt64) throws {
    var ring = try Neighbours(seed: seed, count: 4)
    func standAll() { for index in 0..<4 { ring.stand(index, (index + 1) % 4) } }
    standAll()
    ring.world.run(for: .seconds(10))
    ring.world.weather.cutRatio = 0.05
    ring.world.weather.crashRatio = 0.01
    for _ in 0..<20 {
      try ring.post()
      standAll()
      ring.world.run(for: .seconds(2))
    }
    ring.world.weather = .init()
    standAll()
    ring.world.run(for: .seconds(400))
    #expect(try (0..<4).map { try ring.held($0) } == [23, 23, 23, 23])
    try ring.post()
    #expect(try ring.wait(for: 2, toHold: 24) < .seconds(1))
  }

  @Test("equal seeds give equal traces")
  func deterministic() throws {
    func trace(_ seed: UInt64) throws -> UInt64 {
      var ring = try Neighbours(seed: seed, count: 4)
      ring.world.weather.cutRatio = 0.02
      for index in 0..<4 { ring.stand(index, (index + 1) % 4) }
      for _ in 0..<10 {
        try ring.post()
        ring.world.run(for: .seconds(3))
      }
      return ring.world.traceHash
    }
    #expect(try Set((0..<4).map { _ in try trace(11) }).count == 1)
    #expect(try trace(11) != trace(12))
  }
}
