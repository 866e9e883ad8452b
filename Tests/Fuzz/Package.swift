// swift-tools-version: 6.2
import PackageDescription

// A package of its own, because its unsafe flags would keep others from depending on the main one.

/// One folder in Sources each. README.md says how to add one.
let decoders = [
  "FuzzBytes", "FuzzCBOR", "FuzzCertificate", "FuzzContent", "FuzzControl", "FuzzDHT", "FuzzEnvelope", "FuzzEvidence",
  "FuzzFeed",
  "FuzzFrame", "FuzzHeader", "FuzzImport", "FuzzInspection", "FuzzJSON", "FuzzKRPC", "FuzzKeyFile", "FuzzMessage",
  "FuzzPerson", "FuzzRecords",
  "FuzzRun", "FuzzSession", "FuzzStretch", "FuzzText", "FuzzTicket", "FuzzVoidphone",
]

let package = Package(
  name: "fuzz",
  dependencies: [.package(name: "tl", path: "../..")],
  targets: decoders.map { name in
    .executableTarget(
      name: name,
      dependencies: [
        .product(name: "TimelineLog", package: "tl"), .product(name: "TimelineModels", package: "tl"),
        .product(name: "TimelineSync", package: "tl"),
      ],
      swiftSettings: [
        .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .unsafeFlags(["-parse-as-library"]),
      ])
  })
