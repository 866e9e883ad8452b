import DHT
import Node
import Primitives
import Terminal

extension Command {
  static let dht = Command(
    "dht", "store values in the DHT of your network, and look into it",
    subcommands: [.dhtPut, .dhtGet, .dhtLookup, .dhtPing, .dhtTable])

  static let dhtLookup = Command(
    "lookup", "find the nodes nearest to a key",
    discussion: """
      A key of 40 hexadecimal digits is a point of the DHT; of any other text the SHA-1 is looked up. Hops are the packets \
      one after the other that it took to reach the nearest node.
      """,
    examples: [
      .init("tl dht lookup 2c5a3f8c1f4f5c8e9f3b1f2c0d4e5f60718293a4", "the nodes nearest to this point"),
      .init("tl dht lookup hello --json", "the same for programs, of a word"),
    ],
    positionals: [dhtKey]
  ) { invocation in
    let words = invocation.arguments.text(dhtKey)
    let target = NodeID(hex: words) ?? NodeID(sha1: Array(words.utf8))
    let report = try invocation.report(.find(target))
    let output = invocation.output
    guard report.isReached else { throw CommandFailure.nobodyAnswers }
    for contact in report.closest {
      if invocation.wantsJSON {
        var line = JSONObject.line()
        line.add("kind", "contact")
        line.add("id", contact.id.hex)
        line.add("address", contact.endpoint.description)
        line.add("sharedBits", contact.id.sharedBits(with: target))
        try output.line(line)
      } else {
        try output.line(
          "\(contact.id.hex, .yellow)  \(contact.endpoint)  \(counted(contact.id.sharedBits(with: target), "shared bit"))"
        )
      }
    }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "lookup")
      line.add("target", target.hex)
      line.addCost(report)
      line.add("contacts", report.closest.count)
      return try output.line(line)
    }
    output.note(
      "\(target.hex): \(counted(report.closest.count, "node")), \(counted(report.hops, "hop")), \(report.cost)")
  }

  static let dhtPing = Command(
    "ping", "ask whether a node of the network answers",
    examples: [
      .init("tl dht ping example.org:7001", "show its id, and how long the answer took"),
      .init("tl dht ping 192.168.1.5:7001 --json", "the same for programs"),
    ],
    positionals: [dhtAddress]
  ) { invocation in
    let address = invocation.arguments.text(dhtAddress)
    let report = try invocation.report(.ping(address: address))
    guard report.isReached, let remote = report.remote else {
      throw CommandFailure(.incomplete, "\(address) does not answer")
    }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "ping")
      line.add("address", address)
      line.add("id", remote.hex)
      line.add("milliseconds", JSON.number(report.milliseconds))
      return try invocation.output.line(line)
    }
    try invocation.output.line("\(remote.hex, .yellow)  \(address)  \(report.milliseconds) ms")
  }

  static let dhtTable = Command(
    "table", "show whom the node knows, and what it has done",
    examples: [
      .init("tl dht table", "ids, addresses, buckets and packets"),
      .init("tl dht table --json", "the same for programs, with every contact"),
    ]
  ) { invocation in
    let profile = try invocation.profile()
    let tables = try invocation.withService(profile) { service in
      guard case .dhtTable(let tables) = try await service.perform(.dht(.table)) else { throw CommandFailure.oddReply }
      return tables
    }
    for table in tables {
      if invocation.wantsJSON { try invocation.output.line(table.object) } else { try table.show(invocation.output) }
    }
  }
}

extension Invocation {
  func report(_ request: LocalDHTRequest) throws -> LocalDHTReport {
    try withService(try profile()) { service in
      guard case .dhtReport(let report) = try await service.perform(.dht(request)) else {
        throw CommandFailure.oddReply
      }
      return report
    }
  }
}

extension CommandFailure {
  static var nobodyAnswers: CommandFailure {
    CommandFailure(.incomplete, "nobody in the network answers", hint: "tl dht table shows who is known")
  }
}

extension LocalDHTReport {
  /// With a thousandth's digit, as `1.5`.
  var milliseconds: String {
    let microseconds = Int(duration / .microseconds(1))
    return "\(microseconds / 1000).\(microseconds % 1000 / 100)"
  }

  var cost: String {
    "\(queries) \(queries == 1 ? "query" : "queries"), \(counted(timeouts, "timeout")), \(milliseconds) ms"
  }
}

extension JSONObject {
  mutating func addCost(_ report: LocalDHTReport) {
    add("hops", report.hops)
    add("queries", report.queries)
    add("timeouts", report.timeouts)
    add("milliseconds", JSON.number(report.milliseconds))
  }
}

extension DHTStatus {
  /// Contacts by the bits that their ids share with ours, the far half first.
  private var buckets: [(bits: Int, count: Int)] {
    let counts = Dictionary(grouping: contacts) { $0.id.sharedBits(with: id) }.mapValues(\.count)
    return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  private var stateWords: String {
    switch state {
    case .bootstrapping: "looks for the network"
    case .client: "asks, and answers nobody"
    case .server: "asks and answers"
    }
  }

  private var stateName: String {
    switch state {
    case .bootstrapping: "bootstrapping"
    case .client: "client"
    case .server: "server"
    }
  }

  private var packets: [(name: String, count: Int)] {
    [
      ("received", statistics.received), ("receivedBytes", statistics.receivedBytes), ("sent", statistics.sent),
      ("sentBytes", statistics.sentBytes), ("unheard", statistics.unheard), ("malformed", statistics.malformed),
      ("unmatched", statistics.unmatched), ("unanswered", statistics.unanswered), ("withheld", statistics.withheld),
      ("refused", statistics.refused),
    ]
  }

  fileprivate var object: JSONObject {
    var line = JSONObject.line()
    line.add("kind", "table")
    line.add("family", family == .ipv4 ? "ipv4" : "ipv6")
    line.add("id", id.hex)
    line.add("address", endpoint.description)
    line.add("state", stateName)
    line.add("external", externalAddress?.description)
    line.add("network", networkSize.map { Int($0.rounded()) })
    line.add("hashes", hashes)
    line.add("items", items)
    line.add(
      "buckets",
      buckets.map { bucket in
        var object = JSONObject()
        object.add("bits", bucket.bits)
        object.add("contacts", bucket.count)
        return object
      })
    line.add(
      "contacts",
      contacts.map { contact in
        var object = JSONObject()
        object.add("id", contact.id.hex)
        object.add("address", contact.endpoint.description)
        return object
      })
    var counts = JSONObject()
    for (name, count) in packets { counts.add(name, count) }
    line.add("packets", counts)
    return line
  }

  fileprivate func show(_ output: Output) throws {
    try output.line("id        \(id.hex, .yellow)")
    try output.line("address   \(endpoint.description), \(stateWords)")
    if let externalAddress { try output.line("seen at   \(externalAddress.description)") }
    let size = networkSize.map { ", of about \(counted(Int($0.rounded()), "node"))" } ?? ""
    try output.line("contacts  \(contacts.count)\(size)")
    for bucket in buckets { try output.line("  \(counted(bucket.bits, "shared bit")): \(bucket.count)") }
    try output.line("stored    \(counted(items, "item")), peers under \(counted(hashes, "key"))")
    try output.line("packets   \(packets.map { "\($0.name) \($0.count)" }.joined(separator: ", "))")
  }
}

let dhtKey = Positional("KEY", .one, "40 hexadecimal digits, or any text")
private let dhtAddress = Positional("ADDR", .one, "where to ask, as host:port")
