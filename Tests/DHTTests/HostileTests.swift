import DHT
import Identity
import Primitives
import Simulator
import Testing

/// Sybils that acknowledge everything, store nothing and name each other (RELIABILITY E6).
@Suite struct HostileTests {
  /// Of `count` items: how many are found after they were stored.
  static func found(
    _ network: inout DHTNetwork, _ count: Int, honest: Range<Int>,
    sybilsAt: (inout DHTNetwork, NodeID) -> Void
  )
    -> Int
  {
    var found = 0
    for number in 1...count {
      let item = NetworkTests.item(number, salt: "hostile \(number)")
      sybilsAt(&network, item.target)
      let writer = honest.lowerBound + number % honest.count
      let reader = honest.lowerBound + (number * 7 + 3) % honest.count
      _ = network.perform(writer, .putMutable(item, signer: nil, compareAndSwap: nil, keeps: false))
      let report = network.perform(reader, .getMutable(item.key, salt: item.salt, known: nil))
      if let report, case .mutable(item, _) = report.outcome { found += 1 }
    }
    return found
  }

  @Test("with a fifth of Sybils what was stored is found")
  func fifth() {
    var network = NetworkTests.hundred
    for _ in 0..<25 { network.addSybil(id: NodeID(random: &network.random)) }
    network.run(for: .seconds(60))
    #expect(Self.found(&network, 50, honest: 0..<100) { _, _ in } == 50)
  }

  @Test("with twenty Sybils next to the target what was stored is found")
  func vertical() {
    var network = NetworkTests.hundred
    var crowd = 0
    let found = Self.found(&network, 10, honest: 0..<100) { network, target in
      // The crowd moves on to the next target.
      network.removeSybils()
      for _ in 0..<20 {
        network.addSybil(id: target.neighbour(sharing: 24 + crowd % 8, random: &network.random))
      }
      crowd += 1
      network.run(for: .seconds(20))
    }
    #expect(found == 10)
  }
}
