import Glibc
import Primitives

private let usage = """
  Usage: dht-scale [lookups] [OPTION]... NODES...     what lookups cost and find: calm, with 30 % dead, under churn
         dht-scale hostile [OPTION]... NODES TRIALS   gets after puts among Sybils
         dht-scale warm [OPTION]... NODES             a joined network beside one that began warm
         dht-scale trace [OPTION]... NODES            the hash of all datagrams of a run
         dht-scale idle [OPTION]... NODES             bytes and timers of a node that nobody uses

  Whole nodes on virtual time, from one seed. The last line counts the bounds that were held.

    --seed N          default 1
    --lookups N       in each scenario (default 2000); half as many items are stored and looked for
    --churn MINUTES   of leaving and coming before and while lookups are made; 0 leaves it out (default 60)
    --warm            begin warm; networks of over 10,000 always do
    --plot FILE       the cost by size, as SVG
    --json FILE       every figure, a line each

  """

@main enum DHTScale {
  static func main() {
    do {
      let options = try Options(Array(CommandLine.arguments.dropFirst()))
      var checks = Checks()
      switch options.verb {
      case "hostile": Hostile.run(options, &checks)
      case "warm": Quiet.compareStarts(options, &checks)
      case "trace": Quiet.trace(options)
      case "idle": Quiet.idle(options)
      default: try lookups(options, &checks)
      }
      if options.verb != "trace" { show("\(checks.passed) passed, \(checks.failed) failed") }
      exit(checks.failed == 0 ? 0 : 1)
    } catch {
      write(Array("dht-scale: \(error)\n".utf8), to: STDERR_FILENO)
      exit(2)
    }
  }

  private static func lookups(_ options: Options, _ checks: inout Checks) throws(UsageError) {
    var all: [Figures] = []
    show(Figures.header)
    for nodes in options.numbers {
      let isWarm = options.isWarm || nodes > Trials.joinedMaximum
      let grown = Trials(nodes: nodes, seed: options.seed, isWarm: isWarm)
      let kilobytes = residentKilobytes()
      var calm = grown
      add(calm.calm(lookups: options.lookups, items: options.lookups / 2), nearest: 0.999, recall: 0.98)
      // Each scenario begins with the same network; what a copy does not touch is not copied.
      var dead = grown
      add(dead.dead(share: 0.3, lookups: options.lookups, items: options.lookups / 2), nearest: 0.99, recall: 0.9)
      if options.churnMinutes > 0 {
        var churn = grown
        let figures = churn.churn(
          for: .seconds(60 * options.churnMinutes), lookups: options.lookups / 4, items: options.lookups / 4)
        add(figures, nearest: 0.99, recall: 0.9)
      }
      show(
        "\(nodes) nodes \(isWarm ? "began warm" : "joined"): \(kilobytes / nodes) KB each,"
          + " \(fixed(cpuSeconds(), 0)) s of processor time so far")
    }
    if let path = options.plot { try save(Array(Plot.costBySize(all).utf8), path) }
    if let path = options.json { try save(Array(all.map { $0.json + [0x0A] }.joined()), path) }

    func add(_ figures: Figures, nearest: Double, recall: Double) {
      show(figures.row)
      let name = "\(figures.nodes) nodes, \(figures.scenario)"
      checks.check(figures.success >= nearest, "\(name): the nearest found in \(percent(figures.success)) %")
      checks.check(figures.itemSuccess >= nearest, "\(name): items found in \(percent(figures.itemSuccess)) %")
      checks.check(figures.recall >= recall, "\(name): recall \(percent(figures.recall)) %")
      all.append(figures)
    }
  }
}

/// Bounds that were held, or not.
struct Checks {
  private(set) var passed = 0
  private(set) var failed = 0

  mutating func check(_ holds: Bool, _ what: String) {
    if holds {
      passed += 1
    } else {
      failed += 1
      show("FAILED: \(what)")
    }
  }
}

struct UsageError: Error, CustomStringConvertible {
  let description: String
}

struct Options {
  var verb = "lookups"
  var numbers: [Int] = []
  var seed: UInt64 = 1
  var lookups = 2_000
  var churnMinutes = 60
  var isWarm = false
  var plot: String?
  var json: String?

  init(_ arguments: [String]) throws(UsageError) {
    var rest = arguments[...]
    if let first = rest.first, ["lookups", "hostile", "warm", "trace", "idle"].contains(first) {
      verb = first
      rest.removeFirst()
    }
    while let argument = rest.popFirst() {
      func value() throws(UsageError) -> String {
        guard let value = rest.popFirst() else {
          throw UsageError(description: "\(argument) needs a value\n\n" + usage)
        }
        return value
      }
      func number(_ text: String) throws(UsageError) -> Int {
        guard let number = Int(text), number >= 0 else {
          throw UsageError(description: "\(text) is no number\n\n" + usage)
        }
        return number
      }
      switch argument {
      case "--seed": seed = UInt64(try number(value()))
      case "--lookups": lookups = try number(value())
      case "--churn": churnMinutes = try number(value())
      case "--warm": isWarm = true
      case "--plot": plot = try value()
      case "--json": json = try value()
      default: numbers.append(try number(argument))
      }
    }
    let wanted = verb == "lookups" ? max(1, numbers.count) : verb == "hostile" ? 2 : 1
    guard numbers.count == wanted, numbers.allSatisfy({ $0 > 0 }) else { throw UsageError(description: usage) }
  }
}

func show(_ line: String) { write(Array((line + "\n").utf8), to: STDOUT_FILENO) }

private func write(_ bytes: [UInt8], to descriptor: Int32) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    if written < 0 { exit(3) }
    rest = rest.dropFirst(written)
  }
}

private func save(_ bytes: [UInt8], _ path: String) throws(UsageError) {
  let file = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o644)
  guard file >= 0 else { throw UsageError(description: path + ": " + String(cString: strerror(errno))) }
  write(bytes, to: file)
  close(file)
}

private func resources() -> rusage {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return usage
}

/// The most that was resident so far.
func residentKilobytes() -> Int { resources().ru_maxrss }

func cpuSeconds() -> Double {
  let usage = resources()
  return Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6
}

func logarithm(_ value: Double) -> Double { log(value) }
