/// Which module may import what, system modules included. `Package.swift` says what is linked; this says what is meant,
/// because the compiler also lets a target import what it only reaches through another one.
enum ModuleMap {
  /// A folder whose Swift files obey one rule. Of two rules that fit a file, the one with the longer folder holds.
  struct Rule: Sendable {
    let folder: String
    let mayImport: Set<String>

    init(_ folder: String, _ mayImport: [String]) {
      self.folder = folder
      self.mayImport = Set(mayImport)
    }
  }

  /// What a shell may use of the system. Foundation is not among it: it costs start-up time and brings a second way to
  /// do everything. The tests may use it.
  static let shell = ["Glibc", "Synchronization"]

  static let pure = ["Primitives", "Identity", "Events", "DHT", "Replication"]

  static let rules: [Rule] = [
    Rule("Sources/Primitives", []),
    Rule("Sources/Terminal", ["Primitives"] + shell),
    Rule("Sources/Identity", ["Primitives", "CSodium"]),
    Rule("Sources/Events", ["Primitives", "Identity"]),
    Rule("Sources/DHT", ["Primitives", "Identity", "COpenSSL"]),
    Rule("Sources/Replication", ["Primitives", "Identity", "Events"]),
    Rule("Sources/Store", ["Primitives", "Identity", "Events", "CSQLite", "CLZ4", "CLinux", "Dispatch"] + shell),
    Rule("Sources/Timelines", ["Primitives", "Identity", "Events", "Store"]),
    Rule("Sources/Transport", ["Primitives", "Identity", "COpenSSL", "CLinux", "Dispatch"] + shell),
    Rule("Sources/Node", pure + ["Store", "Timelines", "Transport", "Dispatch"] + shell),
    Rule("Sources/Node/Core", pure),
    Rule("Sources/Simulator", pure + ["Store", "Timelines", "Node"]),
    Rule(
      "Sources/tl", pure + ["Terminal", "Store", "Timelines", "Transport", "Node", "Simulator", "Dispatch"] + shell),
    Rule("tools/tl-log", ["Primitives", "Terminal", "Identity", "Events", "Store"] + shell),
    Rule("tools/tl-dht", ["Primitives", "Identity", "DHT", "Transport", "Dispatch"] + shell),
    Rule("benchmarks/dht-load", ["Primitives", "Identity", "DHT"] + shell),
    Rule("benchmarks/dht-scale", ["Primitives", "Identity", "DHT", "Simulator"] + shell),
    Rule(
      "benchmarks/tl-bench",
      pure + ["Store", "Timelines", "Transport", "Node", "CSQLite", "CLZ4", "CSodium", "Dispatch"] + shell),
  ]

  /// System library targets: a module map and a header, no Swift.
  static let foreign: Set<String> = ["CLZ4", "CLinux", "COpenSSL", "CSQLite", "CSodium"]

  static func rule(for path: String) -> Rule? {
    rules.filter { path.hasPrefix($0.folder + "/") }.max { $0.folder.count < $1.folder.count }
  }
}
