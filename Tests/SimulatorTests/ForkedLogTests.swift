import Events
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing

/// Three honest replicas, each with another branch of one log that its author forked.
private struct ForkedLog {
  var world: World
  let peers: [SimulatedPeer]
  let log: LogID
  let person: PersonID
  /// What every replica has to come to.
  var frozen: LogStanding.State
  private var random: SeededRandom

  /// - Parameter isStaggered: the third branch leaves the first above the place where the second leaves both.
  init(seed: UInt64, isStaggered: Bool) throws {
    random = SeededRandom(seed: seed)
    let author = try SimulatedAuthor(&random)
    log = author.key.publicKey
    person = author.record.id
    peers = (0..<3).map { SimulatedPeer(seed: seed &* 3 &+ $0, interests: [author.record.id]) }
    world = World(seed: seed)
    for peer in peers { world.add(key: SigningKey(seed: random.bytes(32))!.publicKey) { peer.open() } }
    try peers[0].post(1 + Int(random.next() % 150), by: author, &random)
    frozen = .head(LogHead(sequence: .first, hash: EventHash()))
    sync(1, 0)
    if isStaggered {
      let head = try peers[0].store.log(log)!.head!
      frozen = .cut(head.sequence + 1, previous: head.hash)
      try peers[1].post(1 + Int(random.next() % 400), by: author, &random)
      try peers[0].post(1 + Int(random.next() % 400), by: author, &random)
    }
    sync(2, 0)
    if !isStaggered {
      let head = try peers[0].store.log(log)!.head!
      frozen = .cut(head.sequence + 1, previous: head.hash)
    }
    for (index, peer) in peers.enumerated() where !isStaggered || index != 1 {
      try peer.post(1 + Int(random.next() % 400), by: author, &random)
    }
  }

  mutating func sync(_ from: Int, _ to: Int, newest: Int? = nil) {
    world.sync(from, with: [to], options: .init(newest: newest))
    world.run()
  }

  func states() throws -> [LogStanding.State?] {
    try peers.map { try $0.store.digest(of: [person]).logs.first?.state }
  }
}

@Suite struct ForkedLogTests {
  /// Every order of the three pairs, and in each pair either may be the one that dials.
  static let orders: [[(Int, Int)]] = {
    let pairs = [(0, 1), (0, 2), (1, 2)]
    let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    return permutations.flatMap { order in
      (0..<8).map { turned in
        order.map { turned >> $0 & 1 == 0 ? pairs[$0] : (pairs[$0].1, pairs[$0].0) }
      }
    }
  }()

  /// Six kinds of logs in 48 orders are 288 worlds: a normal run sees each order with a log of either shape, one under a
  /// sanitizer each order once.
  private static func isChosen(_ order: Int, _ seed: UInt64) -> Bool {
    if TestSize.isLong { return true }
    return TestSize.isSmall ? (order + Int(seed)) % 6 == 0 : (order + Int(seed) / 2) % 3 == 0
  }

  @Test(
    "honest holders of three branches of one log ban nobody and freeze it at the same place, in whatever order they meet",
    arguments: 0..<6)
  func threeBranches(seed: UInt64) throws {
    for (number, order) in Self.orders.enumerated() where Self.isChosen(number, seed) {
      var forked = try ForkedLog(seed: seed, isStaggered: seed % 2 == 1)
      for round in 0..<4 {
        for (from, to) in order {
          forked.sync(from, to, newest: round == 0 && seed % 3 == 2 ? 40 : nil)
          for peer in forked.peers {
            // As the protocol demands: newest first, and apart.
            let ranges = try peer.store.openWants(of: [forked.person], limit: 100).map(\.range)
            #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.lowerBound > $1.upperBound })
          }
        }
      }
      for node in forked.world.nodes {
        for end in node.ends {
          #expect(end.failure == nil, "seed \(seed), order \(number)")
        }
      }
      for state in try forked.states() { #expect(state == forked.frozen, "seed \(seed), order \(number)") }
      let digests = try forked.peers.map { try $0.digest() }
      #expect(digests.allSatisfy { $0 == digests[0] }, "seed \(seed), order \(number)")
      for peer in forked.peers { #expect(try peer.store.verify(full: true).isEmpty) }
    }
  }
}
