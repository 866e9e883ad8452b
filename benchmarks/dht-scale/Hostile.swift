import DHT
import Primitives
import Simulator

/// Sybils that acknowledge everything, store nothing and name each other.
enum Hostile {
  /// Of all nodes, the honest ones included.
  static let sybilShare = 0.2
  /// Placed next to a target.
  static let crowd = 20

  static func run(_ options: Options, _ checks: inout Checks) {
    let (nodes, count) = (options.numbers[0], options.numbers[1])
    let grown = Trials(nodes: nodes, seed: options.seed, isWarm: options.isWarm)
    let spread = spread(grown, nodes, count)
    show("a fifth of Sybils among \(nodes) honest nodes: \(spread) of \(count) found")
    checks.check(spread >= (count * 99 + 99) / 100, "with a fifth of Sybils \(spread) of \(count) found")
    let crowded = crowded(grown, nodes, count)
    show("\(crowd) Sybils next to each target: \(crowded) of \(count) found")
    checks.check(
      crowded >= (count * 95 + 99) / 100, "with \(crowd) Sybils next to the target \(crowded) of \(count) found")
  }

  private static func spread(_ grown: Trials, _ nodes: Int, _ count: Int) -> Int {
    var trials = grown
    for _ in 0..<Int((Double(nodes) * sybilShare / (1 - sybilShare)).rounded()) {
      trials.network.addSybil(id: NodeID(random: &trials.network.random))
    }
    trials.network.run(for: .seconds(120))
    return (0..<count).count { found(&trials, nodes, $0) { _, _ in } }
  }

  private static func crowded(_ grown: Trials, _ nodes: Int, _ count: Int) -> Int {
    (0..<count).count { number in
      // Each time in the network as it was.
      var trials = grown
      return found(&trials, nodes, number) { trials, target in
        for _ in 0..<crowd {
          trials.network.addSybil(id: target.neighbour(sharing: 24 + number % 8, random: &trials.network.random))
        }
        trials.network.run(for: .seconds(20))
      }
    }
  }

  /// Stores from one honest node and looks from another.
  private static func found(
    _ trials: inout Trials, _ nodes: Int, _ number: Int, _ prepare: (inout Trials, NodeID) -> Void
  ) -> Bool {
    // Copies of one network must not try the same item.
    let text = Array("hostile \(number)".utf8)
    let item = MutableItem(
      signing: Array("\(text.count):".utf8) + text, salt: text, sequence: 1, with: trials.key)
    prepare(&trials, item.target)
    let put = DHTNode.Command.putMutable(item, signer: nil, compareAndSwap: nil, keeps: false)
    _ = trials.network.perform(number % nodes, put)
    let report = trials.network.perform(
      (number * 7 + 3) % nodes, .getMutable(item.key, salt: item.salt, known: nil))
    if let report, case .mutable(item, _) = report.outcome { return true }
    return false
  }
}
