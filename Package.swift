// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InferIsolatedConformances"),
  .enableUpcomingFeature("ImmutableWeakCaptures"),
]

/// The module map. An arrow that is not here does not exist: `Tests/ArchitectureTests` holds the
/// sources to it, and says which system modules each target may import.
let modules: [(name: String, uses: [String])] = [
  ("Primitives", []),
  ("Terminal", ["Primitives"]),
  ("Identity", ["Primitives", "CSodium"]),
  ("Events", ["Primitives", "Identity"]),
  ("DHT", ["Primitives", "Identity", "COpenSSL"]),
  ("Replication", ["Primitives", "Identity", "Events"]),
  ("Store", ["Primitives", "Identity", "Events", "CSQLite", "CLZ4", "CLinux"]),
  ("Timelines", ["Primitives", "Identity", "Events", "Store"]),
  ("Transport", ["Primitives", "Identity", "COpenSSL", "CLinux"]),
  ("Node", ["Primitives", "Identity", "Events", "DHT", "Replication", "Store", "Timelines", "Transport"]),
  ("Simulator", ["Primitives", "Identity", "Events", "DHT", "Replication", "Store", "Timelines", "Node"]),
]

let libraries = modules.map { module in
  Target.target(
    name: module.name, dependencies: module.uses.map { .init(stringLiteral: $0) }, swiftSettings: strict)
}

let tests = (modules.map(\.name) + ["Architecture"]).map { name in
  Target.testTarget(
    name: name + "Tests",
    dependencies: ((modules.first { $0.name == name }.map { [$0.name] + $0.uses } ?? [])
      + (["DHT", "Replication", "Node"].contains(name) ? ["Simulator"] : [])).map { .init(stringLiteral: $0) },
    exclude: name == "Store" ? ["Fixtures"] : [], swiftSettings: strict)
}

let package = Package(
  name: "tl",
  products: [
    .executable(name: "tl", targets: ["tl"]),
    .executable(name: "tl-log", targets: ["tl-log"]),
    .library(name: "TimelineLog", targets: ["Primitives", "Identity", "Events", "Store"]),
    .library(name: "TimelineModels", targets: ["Timelines"]),
    .library(name: "TimelineSync", targets: ["DHT", "Replication", "Transport", "Node"]),
  ],
  targets: [
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CLinux"),
    .executableTarget(
      name: "tl",
      dependencies: [
        "Primitives", "Terminal", "Identity", "Events", "DHT", "Replication", "Store", "Timelines", "Transport", "Node",
        "Simulator",
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "tl-log", dependencies: ["Primitives", "Terminal", "Identity", "Events", "Store"], path: "tools/tl-log",
      swiftSettings: strict),
    .executableTarget(
      name: "tl-dht", dependencies: ["Primitives", "Identity", "DHT", "Transport"], path: "tools/tl-dht",
      swiftSettings: strict),
    .executableTarget(
      name: "dht-scale", dependencies: ["Primitives", "Identity", "DHT", "Simulator"], path: "benchmarks/dht-scale",
      swiftSettings: strict),
    .executableTarget(
      name: "dht-load", dependencies: ["Primitives", "Identity", "DHT"], path: "benchmarks/dht-load",
      swiftSettings: strict),
    .executableTarget(
      name: "tl-bench",
      dependencies: [
        "Primitives", "Identity", "Events", "Replication", "Store", "Timelines", "Transport", "Node",
        "CSQLite", "CLZ4", "CSodium",
      ], path: "benchmarks/tl-bench", swiftSettings: strict),
  ] + libraries + tests
)
