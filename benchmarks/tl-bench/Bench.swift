import Glibc

/// Every benchmark. A new one is a value in a list that is added here.
private let registry: [Benchmark] =
  Limits.all + [StoreAppend.append, StoreIngest.limit, StoreIngest.ingest] + StoreSize.all + TimelinePages.all
  + SyncSessions.all + ChatStore.all

private let usage = """
  Usage: tl-bench [--list] [--runs N] [--quick] [--json FILE] [--scratch DIR] [--data DIR] [NAME]...

  Measures the named benchmarks, or those of an area ("limit"), or all. A benchmark and its limit run in turn, N rounds
  (default 7); the table has medians, their spread, and the median of the ratios of the rounds.

    --list         say which there are
    --runs N       rounds
    --quick        a hundredth of the sizes, to see that all of it works
    --json FILE    also one JSON line a benchmark (- is standard output, and leaves the table out)
    --scratch DIR  where files are written; has to be on the disk that counts (default .build-bench)
    --data DIR     real input (default ../shared/data, or TL_DATA); without it texts are generated

  """

@main enum Bench {
  nonisolated static func main() {
    do {
      let arguments = Array(CommandLine.arguments.dropFirst())
      if arguments.first == "--child" { return try Child.run(Array(arguments.dropFirst())) }
      let missed = try run(arguments)
      exit(missed ? 1 : 0)
    } catch {
      print("tl-bench: \(error)", to: STDERR_FILENO)
      exit(error is UsageError ? 2 : 1)
    }
  }

  /// - Returns: whether a goal was missed. A quick run misses none.
  private nonisolated static func run(_ arguments: [String]) throws -> Bool {
    let options = try Options(arguments)
    if options.help {
      print(usage, to: STDOUT_FILENO)
      return false
    }
    let chosen = try options.chosen(from: registry)
    if options.list {
      for benchmark in chosen {
        print("\(benchmark.name): \(benchmark.about) (\(benchmark.unit))\n", to: STDOUT_FILENO)
      }
      return false
    }
    guard mkdir(options.scratch, 0o700) == 0 || errno == EEXIST else {
      throw BenchmarkError(systemCall: options.scratch)
    }
    let context = Context(scratch: options.scratch, data: options.data, quick: options.quick)
    var findings: [Finding] = []
    for group in groups(chosen) {
      print(group.map(\.name).joined(separator: ", ") + "\n", to: STDERR_FILENO)
      findings += try measure(group, rounds: options.runs, context)
    }
    if let path = options.json {
      let lines = findings.map { $0.json + "\n" }.joined()
      let file = path == "-" ? STDOUT_FILENO : open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o644)
      guard file >= 0 else { throw BenchmarkError(systemCall: path) }
      print(lines, to: file)
      if file != STDOUT_FILENO { close(file) }
    }
    if options.json != "-" { print(Finding.table(findings.map(\.row)), to: STDOUT_FILENO) }
    return !options.quick && findings.contains { $0.isMet == false }
  }

  /// Each chosen benchmark with the chain of its limits, so that they run in turn; a benchmark is measured once.
  private nonisolated static func groups(_ chosen: [Benchmark]) -> [[Benchmark]] {
    let byName = Dictionary(uniqueKeysWithValues: registry.map { ($0.name, $0) })
    var groups: [[Benchmark]] = []
    for benchmark in chosen {
      var chain = [benchmark]
      while let limit = chain.last?.limit.flatMap({ byName[$0] }) { chain.append(limit) }
      let names = Set(chain.map(\.name))
      let related = groups.filter { $0.contains { names.contains($0.name) } }
      groups.removeAll { $0.contains { names.contains($0.name) } }
      var seen = Set<String>()
      groups.append((related.flatMap { $0 } + chain).filter { seen.insert($0.name).inserted })
    }
    return groups
  }

  private nonisolated static func measure(_ group: [Benchmark], rounds: Int, _ context: Context) throws -> [Finding] {
    let runs = try group.map { try $0.prepare(context) }
    var samples: [[Benchmark.Sample]] = group.map { _ in [] }
    for _ in 0..<rounds {
      for (index, run) in runs.enumerated() { samples[index].append(try run()) }
    }
    return group.indices.map { index in
      let limit = group[index].limit.flatMap { name in group.firstIndex { $0.name == name } }
      return Finding(benchmark: group[index], samples: samples[index], limit: limit.map { samples[$0] })
    }
  }
}

struct UsageError: Error, CustomStringConvertible {
  let description: String
}

private struct Options {
  var names: [String] = []
  var runs = 7
  var json: String?
  var scratch = ".build-bench"
  var data: String?
  var quick = false
  var list = false
  var help = false

  init(_ arguments: [String]) throws {
    data = getenv("TL_DATA").map { String(cString: $0) } ?? "../shared/data"
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      func value() throws -> String {
        guard let value = rest.popFirst() else { throw UsageError(description: "\(argument) needs a value\n" + usage) }
        return value
      }
      switch argument {
      case "--list": list = true
      case "--quick": quick = true
      case "-h", "--help": help = true
      case "--json": json = try value()
      case "--scratch": scratch = try value()
      case "--data": data = try value()
      case "--runs":
        guard let count = Int(try value()), count > 0 else {
          throw UsageError(description: "--runs needs a number above 0\n")
        }
        runs = count
      default:
        guard !argument.hasPrefix("-") else { throw UsageError(description: "unknown option \(argument)\n" + usage) }
        names.append(argument)
      }
    }
  }

  func chosen(from registry: [Benchmark]) throws -> [Benchmark] {
    for name in names where !registry.contains(where: { $0.name == name || $0.name.hasPrefix(name + ".") }) {
      throw UsageError(description: "no benchmark \(name); --list shows them\n")
    }
    if names.isEmpty { return registry }
    return registry.filter { benchmark in
      names.contains { benchmark.name == $0 || benchmark.name.hasPrefix($0 + ".") }
    }
  }
}

private nonisolated func print(_ text: String, to file: Int32) {
  var bytes = Array(text.utf8)[...]
  while !bytes.isEmpty {
    let written = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    if written < 0 { return }
    bytes = bytes.dropFirst(written)
  }
}
