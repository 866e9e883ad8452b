import DHT
import Primitives
import Simulator

/// What is measured of a network in which nobody wants anything, and of how it began.
enum Quiet {
  /// Tables and lookups of a network that was joined node by node, and of one that began warm.
  static func compareStarts(_ options: Options, _ checks: inout Checks) {
    let nodes = options.numbers[0]
    show("start    contacts each   by bucket (0 to 9)")
    var figures: [Figures] = []
    var contacts: [Double] = []
    for isWarm in [false, true] {
      var trials = Trials(nodes: nodes, seed: options.seed, isWarm: isWarm)
      var byBucket = [Int](repeating: 0, count: 10)
      var all = 0
      for member in trials.network.members {
        for contact in member.node.contacts {
          all += 1
          byBucket[min(9, contact.id.sharedBits(with: member.node.id))] += 1
        }
      }
      contacts.append(Double(all) / Double(nodes))
      let means = byBucket.map { fixed(Double($0) / Double(nodes), 1) }.joined(separator: " ")
      show((isWarm ? "warm  " : "joined") + column(fixed(Double(all) / Double(nodes), 1), 16) + "   " + means)
      figures.append(trials.calm(lookups: options.lookups, items: options.lookups / 2))
    }
    show(Figures.header)
    for figures in figures { show(figures.row) }
    let (joined, warm) = (figures[0], figures[1])
    checks.check(abs(contacts[0] - contacts[1]) <= 0.05 * contacts[0], "contacts differ by over 5 %")
    checks.check(abs(joined.hopsEach - warm.hopsEach) <= 0.05 * joined.hopsEach, "hops differ by over 5 %")
    checks.check(abs(joined.queriesEach - warm.queriesEach) <= 0.05 * joined.queriesEach, "RPCs differ by over 5 %")
    checks.check(abs(joined.recall - warm.recall) <= 0.005, "recall differs by over 0.5 %")
  }

  static func trace(_ options: Options) {
    var options = options
    options.lookups = min(options.lookups, 50)
    var trials = Trials(nodes: options.numbers[0], seed: options.seed, isWarm: options.isWarm)
    _ = trials.calm(lookups: options.lookups, items: options.lookups)
    _ = trials.churn(for: .seconds(600), lookups: 10, items: 10)
    show("\(String(trials.network.trace, radix: 16)) after \(trials.network.delivered) datagrams")
  }

  static func idle(_ options: Options) {
    let nodes = options.numbers[0]
    var trials = Trials(nodes: nodes, seed: options.seed, isWarm: options.isWarm)
    // Until what the joins left behind has been looked at.
    trials.network.run(for: .seconds(3600))
    let before = trials.network
    let began = cpuSeconds()
    trials.network.run(for: .seconds(3600))
    func each(_ count: Int) -> String { "\(count / nodes)" }
    show(
      "an idle node among \(nodes), each hour: \(each(trials.network.delivered - before.delivered)) datagrams and "
        + "\(each(trials.network.deliveredBytes - before.deliveredBytes)) bytes received, as many sent; "
        + "\(each(trials.network.wakes - before.wakes)) timers; "
        + "\(fixed((cpuSeconds() - began) / Double(nodes) * 1000, 1)) ms of processor time")
  }
}
