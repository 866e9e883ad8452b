import Dispatch
import Identity
import Node
import Primitives
import Replication
import Store
import Synchronization
import Terminal
import Transport

extension Command {
  static let sync = Command(
    "sync", "fetch from peers what is new, and give them what they lack",
    discussion: """
      Works both ways: afterwards you and the peer hold the same of everybody whom both of you follow. What you follow can \
      come from any peer that holds it. With a limit the rest comes another time. Without a PEER the network is asked who \
      has what you follow: authors are tried first, then every other replica in turn, until every log is at the newest \
      event known.
      """,
    examples: [
      .init("tl sync", "fetch everything from whoever has it"),
      .init("tl sync example.org:7001", "sync with the node there"),
      .init("tl sync tl://aeba… --newest 50", "only the newest 50 events of each log"),
      .init("tl sync 192.168.1.5:7001 --explain", "and say what it cost, and why"),
    ],
    positionals: [peers], options: [bytesMaximum, newest, explainOption]
  ) { invocation in
    let profile = try invocation.profile()
    var options = Exchange.Options()
    options.bytesMaximum = invocation.arguments.bytes(bytesMaximum)
    options.newest = invocation.arguments.number(newest)
    let chosen = options
    if invocation.arguments.all(peers).isEmpty { return try syncWithEverybody(invocation, profile, chosen) }
    let targets = try invocation.arguments.all(peers).map { try alternatives($0) }
    let bar = Mutex(ProgressBar("syncing", on: invocation.output))
    let outcomes = try invocation.withService(profile) { service in
      var outcomes: [SyncOutcome] = []
      for alternatives in targets {
        // A ticket may name several addresses of one node: the first that answers will do.
        var last: SyncOutcome?
        for target in alternatives {
          let reply = try await service.perform(.sync([target], chosen)) { progress in
            guard case .syncing(let progress) = progress else { return }
            bar.withLock { $0.update(progress.events, at: .ofSystem()) }
          }
          guard case .synced(let ends) = reply, let end = ends.first else {
            throw CommandFailure(.bug, "a sync without an outcome")
          }
          last = end
          if end.end.report != nil { break }
        }
        if let last { outcomes.append(last) }
      }
      return outcomes
    }
    bar.withLock { $0.finish() }
    for outcome in outcomes { try report(outcome, invocation) }
    try summarize(outcomes, invocation)
  }
}

extension Instant {
  static func ofSystem() -> Instant { Instant(nanoseconds: Int64(DispatchTime.now().uptimeNanoseconds)) }
}

/// The addresses at which a PEER may be found.
func alternatives(_ words: String) throws -> [NodeCore.Target] {
  if words.lowercased().hasPrefix(Ticket.scheme) {
    guard case .person(let ticket) = try Ticket(words) else {
      throw CommandFailure(.usage, "this ticket invites a device; tl init --join uses it")
    }
    guard !ticket.addresses.isEmpty else { throw CommandFailure(.usage, "this ticket names no address") }
    return ticket.addresses.map { NodeCore.Target(address: $0, node: ticket.node) }
  }
  return [NodeCore.Target(address: try PeerAddress(words).description)]
}

/// What one session was like: its trouble always, its costs with `--explain`.
func report(_ outcome: SyncOutcome, _ invocation: Invocation) throws {
  let peer = outcome.end.target?.address ?? "peer"
  // Of a single peer the error says it.
  if let failure = outcome.end.failure, invocation.arguments.all(peers).count != 1 {
    invocation.output.warn("\(reason(failure, naming: peer))")
  }
  if let report = outcome.end.report, report.notDelivered > 0 {
    invocation.output.warn("\(peer): \(report.notDelivered) ranges that were offered did not arrive whole")
  }
  if let report = outcome.end.report, report.lacksPayloads {
    invocation.output.warn("\(peer): content of events is still missing; the next sync asks for it again")
  }
  guard invocation.arguments.has(explainOption) else { return }
  let report = outcome.end.report
  if invocation.wantsJSON {
    var line = JSONObject.line()
    line.add("kind", "session")
    line.add("peer", peer)
    line.add("node", outcome.end.node?.hex)
    line.add("person", report?.person?.hex)
    line.add("tier", report?.tier?.rawValue)
    line.add("why", report?.tier?.reason)
    line.add("events", report?.events)
    line.add("logs", report?.logs)
    line.add("roundTrips", report?.roundTrips)
    line.add("sent", bytes(outcome.traffic.sent))
    line.add("received", bytes(outcome.traffic.received))
    line.add("complete", report?.complete)
    line.add("limited", report?.limited)
    line.add("failure", outcome.end.failure)
    return try invocation.output.line(line)
  }
  let output = invocation.output
  try output.line("\(peer, .bold)")
  if let node = outcome.end.node { try output.line("  node      \(node.hex)") }
  guard let report else { return }
  if let tier = report.tier { try output.line("  tier      \(tier.rawValue): \(tier.reason)") }
  try output.line("  trips     \(report.roundTrips)")
  try output.line("  events    \(report.events) new, \(counted(report.logs, "log")) named")
  for (name, traffic) in [("sent      ", outcome.traffic.sent), ("received  ", outcome.traffic.received)] {
    let phases = traffic.sorted { $0.key < $1.key }.map { "\(Message.name(ofType: $0.key)) \($0.value)" }
    let total = traffic.values.reduce(0, +)
    try output.paragraph("\(name)\(total) bytes: \(phases.joined(separator: ", "))", indent: "  ")
  }
}

private func bytes(_ traffic: [UInt8: Int]) -> JSONObject {
  var object = JSONObject()
  for (type, count) in traffic.sorted(by: { $0.key < $1.key }) { object.add(Message.name(ofType: type), count) }
  return object
}

/// The last line, and the exit code: 6 when a peer was not reached or did not give what it offered. A limit that the user
/// set is no failure, nor is content that the peer does not have itself: the sync is then not complete, and exits 0.
private func summarize(_ outcomes: [SyncOutcome], _ invocation: Invocation) throws {
  let isComplete = outcomes.allSatisfy { $0.end.failure == nil && $0.end.report?.complete == true }
  try summaryLine(outcomes, isComplete: isComplete, invocation)
  let failed = outcomes.filter { outcome in
    guard outcome.end.failure == nil, let report = outcome.end.report else { return true }
    let isExplained = report.limited || report.lacksPayloads || invocation.arguments.has(newest)
    return report.notDelivered > 0 || !report.complete && !isExplained
  }
  guard let first = failed.first else { return }
  let peer = first.end.target?.address ?? "the peer"
  let words = first.end.failure ?? "not everything that it offered arrived"
  throw CommandFailure(
    .incomplete,
    failed.count == 1
      ? reason(words, naming: peer) : "\(failed.count) peers were not reached or gave less than they offered",
    hint: "what arrived is kept; sync again, or with another peer")
}

/// What all sessions cost together.
func summaryLine(_ outcomes: [SyncOutcome], isComplete: Bool, _ invocation: Invocation) throws {
  let reports = outcomes.map(\.end.report)
  func sum(_ field: (ExchangeReport) -> Int) -> Int { reports.reduce(0) { $0 + ($1.map(field) ?? 0) } }
  let events = sum(\.events)
  let logs = sum(\.logs)
  let sent = outcomes.reduce(0) { $0 + $1.traffic.bytesSent }
  let received = outcomes.reduce(0) { $0 + $1.traffic.bytesReceived }
  if invocation.wantsJSON {
    var line = JSONObject.line()
    line.add("kind", "summary")
    line.add("events", events)
    line.add("bytesSent", sent)
    line.add("bytesReceived", received)
    line.add("roundTrips", sum(\.roundTrips))
    line.add("logs", logs)
    line.add("complete", isComplete)
    try invocation.output.line(line)
  } else {
    let state = isComplete ? "complete" : "not complete"
    try invocation.output.line(
      "\(counted(events, "new event")), \(counted(logs, "log")) named; \(received) bytes received, \(sent) sent; \(state, isComplete ? .green : .yellow)"
    )
  }
}

/// A reason that says whom it is about.
func reason(_ words: String, naming peer: String) -> String {
  words.contains(peer) ? words : "\(peer): \(words)"
}

extension ExchangeReport.Tier {
  /// Why a session went this way.
  fileprivate var reason: String {
    switch self {
    case .unchanged: "we know each other, and the peer has nothing that it has not named before"
    case .changes: "we know each other, so the peer named only what has changed since"
    case .list: "we share no memory of each other, so the peer named all that it has"
    }
  }
}

private let peers = Positional("PEER", .any, "host:port, or the tl:// ticket of a person")
private let bytesMaximum = Option("max-bytes", .bytes("SIZE"), "stop after receiving about so much, as 10M")
private let newest = Option(
  "newest", .number("N", 1...Int(Int32.max)), "fetch only the newest N events of each log")
let explainOption = Option("explain", .flag, "say which way was taken, why, and what it cost")
