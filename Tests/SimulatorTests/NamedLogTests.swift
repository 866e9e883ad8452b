import Events
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing

/// One author, a reader, the holder of everything, one who is behind, and a stranger who names a head that nobody has.
private struct NamedLog {
  var world: World
  let peers: [SimulatedPeer]
  let author: SimulatedAuthor
  let person: PersonID
  let log: LogID
  private var random: SeededRandom
  static let (reader, holder, late, stranger) = (0, 1, 2, 3)

  init(seed: UInt64) throws {
    random = SeededRandom(seed: seed)
    author = try SimulatedAuthor(&random)
    person = author.record.id
    log = author.key.publicKey
    let interests = [author.record.id]
    peers = (0..<4).map { SimulatedPeer(seed: seed &+ $0, interests: $0 == 3 ? [] : interests) }
    world = World(seed: seed)
    for peer in peers { world.add(key: SigningKey(seed: random.bytes(32))!.publicKey) { peer.open() } }
    try post(50)
    world.sync(Self.late, with: [Self.holder])
    world.run()
    try post(70)
    let store = peers[Self.stranger].store!
    try store.merge(author.record)
    _ = try store.reconcile([LogStanding(log: log, person: person, state: .head(try holderHead()))])
    let end = SequenceNumber.maximum.rawValue
    try store.database.execute(
      "UPDATE log SET first=\(end), head=\(end), head_hash=randomblob(32), previous=randomblob(32)")
  }

  mutating func post(_ count: Int) throws { try peers[Self.holder].post(count, by: author, &random) }

  func holderHead() throws -> LogHead { try peers[Self.holder].store.log(log)!.head! }

  mutating func sync(with peer: Int, newest: Int? = nil) -> ExchangeReport? {
    world.sync(Self.reader, with: [peer], options: .init(newest: newest))
    world.run()
    for node in world.nodes { for end in node.ends { #expect(end.failure == nil) } }
    return world.nodes[Self.reader].ends.last?.report
  }

  func read() throws -> LogSummary? { try peers[Self.reader].store.log(log) }
}

@Suite struct NamedLogTests {
  private typealias Nodes = NamedLog

  @Test("a head that a stranger names and nobody has is wanted no longer, and the newest events go on coming")
  func planted() throws {
    var nodes = try NamedLog(seed: 3)
    _ = nodes.sync(with: Nodes.holder, newest: 10)
    #expect(try nodes.read()?.ranges == [SequenceNumber(111)...SequenceNumber(120)])
    let report = nodes.sync(with: Nodes.stranger)
    #expect(report?.notDelivered == 1)
    #expect(try nodes.read()?.want == nil)
    try nodes.post(20)
    _ = nodes.sync(with: Nodes.holder, newest: 10)
    #expect(try nodes.read()?.ranges.last == SequenceNumber(131)...SequenceNumber(140))
    let last = nodes.sync(with: Nodes.holder)
    #expect(last?.complete == true)
    #expect(try nodes.peers[Nodes.reader].store.isComplete([nodes.person]))
  }

  @Test("while the stranger never says that it has nothing, the newest events come all the same")
  func neverEnded() throws {
    var nodes = try NamedLog(seed: 4)
    let reader = nodes.peers[Nodes.reader].store!
    try reader.merge(nodes.author.record)
    let planted = LogHead(sequence: .maximum, hash: EventHash(hashing: [1]))
    _ = try reader.reconcile([LogStanding(log: nodes.log, person: nodes.person, state: .head(planted))])
    _ = nodes.sync(with: Nodes.holder, newest: 10)
    #expect(try nodes.read()?.ranges == [SequenceNumber(111)...SequenceNumber(120)])
    let report = nodes.sync(with: Nodes.late)
    #expect(report?.notDelivered == 0 && report?.complete == true)
  }

  @Test("a head that another peer named stays wanted when one does not have it, or a stranger names a higher one")
  func survives() throws {
    var nodes = try NamedLog(seed: 5)
    let reader = nodes.peers[Nodes.reader].store!
    try reader.merge(nodes.author.record)
    // As after a session that was cut when the cursor had moved.
    var memory = StoredPeer(
      node: nodes.world.nodes[Nodes.holder].key, cursor: try nodes.peers[Nodes.holder].store.cursor(),
      interestsHash: Digest(), lastSeen: SimulatedPeer.wall)
    memory.ownInterests = Exchange.hash(of: [nodes.person])
    let head = try nodes.holderHead()
    _ = try reader.reconcile(
      [LogStanding(log: nodes.log, person: nodes.person, state: .head(head))], remembering: memory)
    _ = nodes.sync(with: Nodes.late)
    #expect(try nodes.read()?.ranges == [.first...SequenceNumber(50)])
    #expect(try nodes.read()?.want == head)
    _ = nodes.sync(with: Nodes.stranger)
    let report = nodes.sync(with: Nodes.holder)
    #expect(report?.complete == true)
    #expect(try nodes.read()?.ranges == [.first...SequenceNumber(120)])
  }

  @Test("where eight bytes mean two logs, all 32 are said: at both, and at the peer only", arguments: [true, false])
  func twins(atBoth: Bool) throws {
    var nodes = try NamedLog(seed: 6)
    let reader = nodes.peers[Nodes.reader].store!
    try reader.merge(nodes.author.record)
    _ = try reader.reconcile([LogStanding(log: nodes.log, person: nodes.person, state: .head(try nodes.holderHead()))])
    for store in [nodes.peers[Nodes.holder].store!] + (atBoth ? [reader] : []) {
      try store.database.execute(
        """
        INSERT INTO log(key, pid, first, head, head_hash, previous, lower, state, want_head, change) \
        SELECT x'\(nodes.log.hex.prefix(16))\(String(repeating: "0", count: 48))', pid, 0, 0, x'', x'', 0, 0, 0, 0 FROM log
        """)
    }
    let report = nodes.sync(with: Nodes.holder)
    #expect(report?.complete == true)
    #expect(try nodes.read()?.ranges == [.first...SequenceNumber(120)])
  }
}
