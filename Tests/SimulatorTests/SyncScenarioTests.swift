import Events
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing

/// A person with one device, made from a seed.
struct SimulatedAuthor {
  let key: SigningKey
  let record: PersonRecord
  let author: Author

  init(_ random: inout SeededRandom) throws {
    let root = SigningKey(seed: random.bytes(32))!
    key = SigningKey(seed: random.bytes(32))!
    var record = PersonRecord(creating: root, recovery: SigningKey(seed: random.bytes(32))!.publicKey)
    try record.certify(
      device: key.publicKey, number: UInt16(random.next() % 1024), label: "one", consent: key.consent(to: record.id),
      with: root)
    self.record = record
    author = Author(key: key, device: DeviceNumber(rawValue: 7)!, person: record.id)
  }
}

/// One node of the simulation: the real store on a disk that can lose power.
final class SimulatedPeer {
  let disk: MemoryDisk
  let interests: [PersonID]
  private(set) var store: EventStore!
  private let environment: StorageEnvironment
  private let random: SharedRandom

  private let wall: Timestamp

  init(seed: UInt64, interests: [PersonID], wall: Timestamp = SimulatedPeer.wall) {
    disk = MemoryDisk(seed: seed)
    self.interests = interests
    self.wall = wall
    let source = SharedRandom(seed)
    random = SharedRandom(seed &+ 1 << 32)
    environment = StorageEnvironment(disk: disk, random: { source.bytes($0) }, now: { wall })
  }

  static let wall = Timestamp(milliseconds: 1_800_000_000_000)

  /// Opens the store as after a power cut: what was not synced is gone.
  func open() -> any StoreAnswering {
    disk.crash()
    store = try! EventStore(writing: "tl.db", authority: .alone, environment: environment)
    return StoreBridge(
      store: store, interests: { [interests] in interests }, now: { [wall] in wall },
      random: { [random] in random.bytes($0) })
  }

  func post(_ count: Int, by author: SimulatedAuthor, ttl: UInt32 = 0, _ random: inout SeededRandom) throws {
    try store.merge(author.record)
    let drafts = (0..<count).map { index in
      Draft(
        .post(.init(text: "post \(index) of \(author.record.id.hex.prefix(6)) \(random.next())")), ttl: ttl,
        salt: random.bytes(8))
    }
    _ = try store.append(drafts, by: author.author)
  }

  /// Everything shown of the logs: ranges and head hashes.
  func digest() throws -> [LogID: [String]] {
    var digest: [LogID: [String]] = [:]
    for log in try store.logs() where log.eventCount > 0 {
      digest[log.identity.log] = log.ranges.map { "\($0)" } + [log.head!.hash.hex]
    }
    return digest
  }
}

/// Randomness that a `@Sendable` closure can draw from. The simulation runs on one thread.
final class SharedRandom: @unchecked Sendable {
  private var random: SeededRandom
  init(_ seed: UInt64) { random = SeededRandom(seed: seed) }
  func bytes(_ count: Int) -> [UInt8] { random.bytes(count) }
}

struct Scenario {
  var world: World
  let peers: [SimulatedPeer]

  /// `count` nodes that all follow each other; each has written some posts.
  init(seed: UInt64, count: Int, weather: World.Weather) throws {
    var random = SeededRandom(seed: seed)
    let authors = try (0..<count).map { _ in try SimulatedAuthor(&random) }
    peers = authors.indices.map { SimulatedPeer(seed: seed &+ UInt64($0), interests: authors.map(\.record.id)) }
    world = World(seed: seed)
    for peer in peers { world.add(key: SigningKey(seed: random.bytes(32))!.publicKey) { peer.open() } }
    for (peer, author) in zip(peers, authors) { try peer.post(Int(random.next() % 700) + 1, by: author, &random) }
    world.weather = weather
  }

  mutating func everybodySyncs() {
    for index in peers.indices { world.sync(index, with: peers.indices.filter { $0 != index }) }
    world.run()
  }
}

@Suite struct SyncScenarioTests {
  /// Seeds.
  static let storms: ClosedRange<UInt64> = 1...(TestSize.isSmall ? 8 : 40)

  @Test("two and three nodes agree after one round in calm weather", arguments: [2, 3])
  func calm(count: Int) throws {
    var scenario = try Scenario(seed: UInt64(count), count: count, weather: .init())
    scenario.everybodySyncs()
    let digests = try scenario.peers.map { try $0.digest() }
    #expect(digests[0].count == count)
    #expect(digests.allSatisfy { $0 == digests[0] })
    #expect(scenario.world.nodes.allSatisfy { $0.ends.allSatisfy { $0.failure == nil } })
  }

  @Test("cuts, failed dials and crashes lose nothing: in calm weather afterwards everybody agrees", arguments: storms)
  func storm(seed: UInt64) throws {
    var weather = World.Weather()
    weather.cutRatio = 0.04
    weather.crashRatio = 0.02
    weather.dialFailureRatio = 0.1
    var scenario = try Scenario(seed: seed, count: 3, weather: weather)
    let own = try scenario.peers.map { try $0.digest() }
    for _ in 0..<3 { scenario.everybodySyncs() }
    for (peer, before) in zip(scenario.peers, own) {
      // What was acknowledged before the storm is there, to the hash.
      let now = try peer.digest()
      for (log, head) in before { #expect(now[log] == head) }
    }
    scenario.world.weather = .init()
    scenario.everybodySyncs()
    let digests = try scenario.peers.map { try $0.digest() }
    #expect(digests[0].count == 3)
    #expect(digests.allSatisfy { $0 == digests[0] }, "seed \(seed)")
  }

  @Test("syncs that are given up at any time come to rest and lose nothing", arguments: (1 as UInt64)...5)
  func givenUp(seed: UInt64) throws {
    var scenario = try Scenario(seed: seed, count: 3, weather: .init())
    var random = SeededRandom(seed: seed)
    var given: [(Int, NodeCore.SyncID)] = []
    for _ in 0..<12 {
      let index = Int(random.next() % 3)
      let sync = scenario.world.sync(index, with: scenario.peers.indices.filter { $0 != index })
      scenario.world.run(stepsMaximum: Int(random.next() % 80))
      scenario.world.cancel(sync, of: index)
      given.append((index, sync))
    }
    let isAtRest = scenario.world.run()
    #expect(isAtRest)
    #expect(scenario.world.nodes.allSatisfy { $0.core.sessionCount == 0 })
    for (index, sync) in given { #expect(scenario.world.nodes[index].syncs[sync] != nil) }
    scenario.everybodySyncs()
    let digests = try scenario.peers.map { try $0.digest() }
    #expect(digests[0].count == 3)
    #expect(digests.allSatisfy { $0 == digests[0] }, "seed \(seed)")
  }

  @Test("a dial that is given up reaches nobody, and the sync ends with it")
  func abandonedDial() throws {
    var scenario = try Scenario(seed: 3, count: 3, weather: .init())
    let sync = scenario.world.sync(0, with: [1, 2])
    scenario.world.cancel(sync, of: 0)
    let isAtRest = scenario.world.run()
    #expect(isAtRest && scenario.world.framesDelivered == 0)
    #expect(scenario.world.nodes[0].syncs[sync]?.map(\.failure) == ["the dial was given up"])
    // Nobody was called.
    #expect(scenario.world.now < Instant(nanoseconds: 1_000_000_000) + scenario.world.weather.delayMaximum)
  }

  @Test("equal seeds give equal traces, other seeds others")
  func deterministic() throws {
    func trace(_ seed: UInt64) throws -> UInt64 {
      var weather = World.Weather()
      weather.cutRatio = 0.05
      weather.crashRatio = 0.02
      var scenario = try Scenario(seed: seed, count: 3, weather: weather)
      scenario.everybodySyncs()
      return scenario.world.traceHash
    }
    #expect(try Set((0..<5).map { _ in try trace(11) }).count == 1)
    #expect(try trace(11) != trace(12))
  }
}

/// Three nodes and one author: A has every post, B all of them but some payloads, C nothing yet. Both serve one log.
private struct MissingPayloads {
  var world: World
  let peers: [SimulatedPeer]
  let log: LogID
  /// Whose payloads B does not have: in closed chunks and in the tail.
  static let lost = [3, 4, 200, 301].map { SequenceNumber($0) }
  static let (a, b, c) = (0, 1, 2)

  init(
    seed: UInt64, posts: Int = 302, ttl: UInt32 = 0, wallOfC: Timestamp = SimulatedPeer.wall
  ) throws {
    var random = SeededRandom(seed: seed)
    let author = try SimulatedAuthor(&random)
    log = author.key.publicKey
    peers = [SimulatedPeer.wall, SimulatedPeer.wall, wallOfC].enumerated().map {
      SimulatedPeer(seed: seed &+ UInt64($0), interests: [author.record.id], wall: $1)
    }
    world = World(seed: seed)
    for peer in peers { world.add(key: SigningKey(seed: random.bytes(32))!.publicKey) { peer.open() } }
    try peers[Self.a].post(posts, by: author, ttl: ttl, &random)
    world.sync(Self.b, with: [Self.a])
    world.run()
    for sequence in Self.lost { #expect(try peers[Self.b].store.erase(log, sequence)) }
    try peers[Self.c].store.merge(author.record)
  }

  /// What C's last session with the peer did; nil when there never was one.
  mutating func sync(with peer: Int) -> ExchangeReport? {
    world.sync(Self.c, with: [peer])
    world.run()
    return world.nodes[Self.c].ends.last?.report
  }

  func lacking(at peer: Int) throws -> [SequenceNumber] {
    try peers[peer].store.events(log, .first...(.maximum)).filter { $0.payload.bytes == nil }.map(\.header.sequence)
  }
}

@Suite struct MissingPayloadScenarioTests {
  private typealias Nodes = MissingPayloads

  @Test("what the first peer has no payload of comes from the second")
  func fromTheNext() throws {
    var nodes = try MissingPayloads(seed: 5)
    for session in 0..<2 {
      let last = nodes.sync(with: Nodes.b)
      let report = try #require(last)
      #expect(report.events == (session == 0 ? 302 : 0))
      #expect(report.lacksPayloads && !report.complete && report.notDelivered == 0)
      #expect(report.roundTrips <= 4)
      #expect(try nodes.lacking(at: Nodes.c) == Nodes.lost)
    }
    let last = nodes.sync(with: Nodes.a)
    #expect(last?.events == 4)
    #expect(last?.complete == true)
    #expect(try nodes.lacking(at: Nodes.c).isEmpty)
    #expect(try nodes.peers[Nodes.c].store.verify(full: true).isEmpty)
    let again = nodes.sync(with: Nodes.b)
    #expect(again?.complete == true)
  }

  @Test("the other way round nothing is missing, and nothing is lost to the peer that lacks it")
  func fromTheFirst() throws {
    var nodes = try MissingPayloads(seed: 6)
    for peer in [Nodes.a, Nodes.b] {
      let report = nodes.sync(with: peer)
      #expect(report?.complete == true)
    }
    #expect(try nodes.lacking(at: Nodes.c).isEmpty)
  }

  @Test("cuts, failed dials and crashes leave no want behind", arguments: SyncScenarioTests.storms)
  func storm(seed: UInt64) throws {
    var nodes = try MissingPayloads(seed: seed)
    nodes.world.weather.cutRatio = 0.1
    nodes.world.weather.crashRatio = 0.05
    nodes.world.weather.dialFailureRatio = 0.1
    for peer in [Nodes.b, Nodes.b, Nodes.a, Nodes.b, Nodes.a] { _ = nodes.sync(with: peer) }
    nodes.world.weather = .init()
    for peer in [Nodes.b, Nodes.a] { _ = nodes.sync(with: peer) }
    #expect(try nodes.lacking(at: Nodes.c).isEmpty, "seed \(seed)")
    #expect(try nodes.peers[Nodes.c].store.events(nodes.log, .first...(.maximum)).count == 302)
  }

  @Test("of more ranges than may be asked for each comes in turn, and nothing is said to be all")
  func turns() throws {
    var nodes = try MissingPayloads(seed: 8, posts: 1_200)
    for sequence in [600, 900, 1_190] as [UInt64] {
      #expect(try nodes.peers[Nodes.b].store.erase(nodes.log, SequenceNumber(sequence)))
    }
    _ = nodes.sync(with: Nodes.b)
    let bridge = nodes.world.nodes[Nodes.c].store
    func ask(_ maximum: Int, payloads: Bool = true, answered: LogRanges = .init()) -> ([WantItem], lacks: Bool) {
      let reply = bridge.answer(
        .openWants(
          newest: nil, named: .init(), excluding: [], payloads: payloads, answered: answered, itemsMaximum: maximum))
      guard case .wants(let items, let lacks) = reply else { return ([], false) }
      return (items, lacks)
    }
    let (all, lacks) = ask(10)
    #expect(all.count >= 5 && !lacks && all.allSatisfy(\.isHeld))
    #expect(ask(all.count).0 == all && !ask(all.count).lacks)
    var met: Set<WantItem> = []
    for _ in 0..<100 {
      let (items, lacks) = ask(3)
      #expect(items.count == 3 && lacks)
      #expect(items == all.filter(items.contains), "not newest first")
      met.formUnion(items)
    }
    #expect(met == Set(all))
    #expect(ask(10, payloads: false).0.isEmpty && !ask(10, payloads: false).lacks)
    var answered = LogRanges()
    answered.insert(all[0].from...all[0].from, of: all[0].log)
    #expect(ask(10, answered: answered) == (Array(all.dropFirst()), lacks: true))
    #expect(ask(10, payloads: false, answered: answered) == ([], lacks: true))
  }

  @Test("a peer that holds a part of a row, without the payload, does not make a session complete")
  func partOfRow() throws {
    var nodes = try MissingPayloads(seed: 9)
    let poor = SimulatedPeer(seed: 10, interests: nodes.peers[Nodes.a].interests)
    let key = SigningKey(seed: [UInt8](repeating: 9, count: 32))!.publicKey
    let index = nodes.world.add(key: key) { poor.open() }
    nodes.world.sync(index, with: [Nodes.a], options: .init(newest: 150))
    nodes.world.run()
    #expect(try poor.store.event(nodes.log, SequenceNumber(100)) == nil)
    #expect(try poor.store.erase(nodes.log, SequenceNumber(200)))
    _ = nodes.sync(with: Nodes.b)
    let last = nodes.sync(with: index)
    let report = try #require(last)
    #expect(report.events == 1)
    #expect(report.lacksPayloads && !report.complete && report.notDelivered == 0)
    #expect(try nodes.lacking(at: Nodes.c) == [3, 4, 200].map { SequenceNumber($0) })
  }

  @Test("what has expired by the own clock is not asked for again")
  func expired() throws {
    var nodes = try MissingPayloads(
      seed: 7, ttl: 3600, wallOfC: SimulatedPeer.wall.advanced(milliseconds: 2 * 3_600_000))
    let first = nodes.sync(with: Nodes.b)
    #expect(first?.complete == true)
    let second = nodes.sync(with: Nodes.a)
    #expect(second?.complete == true && second?.events == 0 && second?.runBytes == 0)
    #expect(try nodes.lacking(at: Nodes.c) == Nodes.lost)
  }
}
