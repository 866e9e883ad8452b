import DHT
import Events
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing

/// A person of the story: the real store, and whom they follow.
final class StoryPerson {
  let name: String
  let author: SimulatedAuthor
  var follows: [PersonID] = []
  private(set) var store: EventStore!
  private let disk: MemoryDisk
  private let environment: StorageEnvironment
  private let source: SharedRandom
  private var signatures: Int64 = 0

  init(_ name: String, seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    self.name = name
    author = try SimulatedAuthor(&random)
    disk = MemoryDisk(seed: seed)
    let source = SharedRandom(seed)
    self.source = source
    environment = StorageEnvironment(disk: disk, random: { source.bytes($0) }, now: { Self.wall })
  }

  /// The time of the stores, and that of the network: ids of events begin later than the network's clock here.
  static let wall = SimulatedPeer.wall
  static let signed = Timestamp(milliseconds: 1_700_000_000_000)
  var id: PersonID { author.record.id }
  var log: LogID { author.key.publicKey }

  func open() -> any StoreAnswering {
    disk.crash()
    store = try! EventStore(writing: "tl.db", authority: .alone, environment: environment)
    try! store.merge(author.record)
    return StoryStore(self)
  }

  func post(_ count: Int) throws {
    let drafts = (0..<count).map { Draft(.post(.init(text: "post \($0) of \(name)")), ttl: 0, salt: source.bytes(8)) }
    _ = try store.append(drafts, by: author.author)
  }

  func head(of log: LogID) throws -> UInt64 { try store.log(log)?.head?.sequence.rawValue ?? 0 }

  func survey() throws -> Survey {
    Survey(
      persons: [try store.survey(id, isOwn: true, name: name, device: log)]
        + (try follows.map { try store.survey($0, isOwn: false, name: nil, device: nil) }))
  }

  func sign(_ head: HeadItem, after last: Int64?) -> MutableItem {
    signatures += 1
    return head.signed(by: author.key, after: last, at: Self.signed.advanced(milliseconds: signatures))
  }

  private final class StoryStore: StoreAnswering, FindingStore {
    let person: StoryPerson
    let bridge: StoreBridge

    init(_ person: StoryPerson) {
      self.person = person
      bridge = StoreBridge(
        store: person.store, interests: { [person.id] + person.follows }, now: { StoryPerson.wall },
        random: { [source = person.source] in source.bytes($0) })
    }

    func answer(_ request: StoreRequest) -> StoreReply { bridge.answer(request) }
    func survey() throws -> Survey { try person.survey() }
    func sign(_ head: HeadItem, after last: Int64?) throws -> MutableItem? { person.sign(head, after: last) }
  }
}

/// Twelve nodes that know nothing but one bootstrap.
struct Story {
  var world: World
  let persons: [StoryPerson]
  static let names = [
    "bootstrap", "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory",
  ]
  static let (bootstrap, alice, bob, carol, dave, erin) = (0, 1, 2, 3, 4, 5)

  init(seed: UInt64) throws {
    persons = try Self.names.indices.map { try StoryPerson(Self.names[$0], seed: seed &* 100 &+ UInt64($0)) }
    world = World(seed: seed)
    var random = SeededRandom(seed: seed)
    for person in persons {
      world.add(key: SigningKey(seed: random.bytes(32))!.publicKey, limits: .init(stands: true)) { person.open() }
    }
    for index in persons.indices { start(index, by: [Self.bootstrap]) }
    world.run(for: .seconds(5))
  }

  mutating func start(_ index: Int, by routers: [Int]) {
    world.startDHT(index, routers: routers.filter { $0 != index })
    var settings = Finder.Settings()
    settings.addresses = [world.nodes[index].endpoint]
    settings.port = world.nodes[index].endpoint.port
    world.tell(index, .find(settings))
  }

  mutating func follow(_ index: Int, _ other: Int) {
    persons[index].follows.append(persons[other].id)
    world.tell(index, .storeChanged)
  }

  mutating func post(_ index: Int, _ count: Int) throws {
    try persons[index].post(count)
    world.tell(index, .storeChanged)
  }

  /// Lets time pass until a node holds another's log up to this event; how long that took.
  mutating func wait(for index: Int, toHold sequence: UInt64, of other: Int, atMost limit: Duration) throws -> Duration?
  {
    let began = world.now
    while world.now - began <= limit {
      if try persons[index].head(of: persons[other].log) >= sequence { return world.now - began }
      world.run(for: .milliseconds(20))
    }
    return nil
  }

  /// The whole story; what is expected on the way is checked by the caller's measures.
  mutating func tell() throws -> [String: Duration] {
    var took: [String: Duration] = [:]
    try post(Self.alice, 40)
    for reader in [Self.bob, Self.carol] { follow(reader, Self.alice) }
    took["bob"] = try wait(for: Self.bob, toHold: 40, of: Self.alice, atMost: .seconds(10))
    took["carol"] = try wait(for: Self.carol, toHold: 40, of: Self.alice, atMost: .seconds(10))
    // What they hold they announce.
    world.run(for: .seconds(5))

    world.tell(Self.alice, .farewell)
    world.run(for: .seconds(1))
    #expect(world.nodes[Self.alice].hasLeft)
    world.tell(Self.alice, .stopDHT)
    world.stop(Self.alice)

    follow(Self.dave, Self.alice)
    took["dave"] = try wait(for: Self.dave, toHold: 40, of: Self.alice, atMost: .seconds(10))
    world.run(for: .seconds(5))

    world.stop(Self.bootstrap)
    world.stop(Self.bob)
    follow(Self.erin, Self.alice)
    took["erin"] = try wait(for: Self.erin, toHold: 40, of: Self.alice, atMost: .seconds(10))

    world.start(Self.alice, at: Endpoint(IPAddress(10, 9, 9, 9), port: 7999))
    start(Self.alice, by: [Self.bootstrap])
    world.run(for: .seconds(10))
    try post(Self.alice, 1)
    took["new post"] = try wait(for: Self.dave, toHold: 41, of: Self.alice, atMost: .seconds(10))
    return took
  }
}

@Suite struct StoryTests {
  @Test("who knows only a bootstrap finds everything at replicas, without author and bootstrap too", arguments: 1...3)
  func story(seed: UInt64) throws {
    var story = try Story(seed: seed)
    let took = try story.tell()
    for (who, limit) in [("bob", 3), ("carol", 3), ("dave", 3), ("erin", 3), ("new post", 2)] {
      let span = try #require(took[who], "\(who) got nothing")
      #expect(span <= .seconds(limit), "\(who) took \(span)")
    }
  }

  @Test("the same seed tells the same story")
  func trace() throws {
    let traces = try (0..<2).map { _ in
      var story = try Story(seed: 7)
      _ = try story.tell()
      return story.world.traceHash
    }
    #expect(traces[0] == traces[1])
  }
}
