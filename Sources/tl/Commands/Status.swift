import DHT
import Identity
import Node
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let status = Command(
    "status", "show how things are: profile, node, store",
    examples: [
      .init("tl status", "show it"),
      .init("tl status --json", "the same for programs"),
    ]
  ) { invocation in
    let reading = try invocation.reading()
    let profile = reading.profile
    let statistics = try reading.store.statistics()
    let node = try runningNode(profile)
    let network = try NetworkConfiguration(in: profile.directory)
    let isUnlocked = try !profile.isSealed || profile.session(at: reading.now) != nil
    let label = try reading.timelines.label(profile.person, now: reading.now)
    let output = invocation.output
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "status")
      line.add("home", profile.directory.path)
      line.add("person", profile.person.hex)
      line.add("handle", label.handle)
      line.add("unlocked", isUnlocked)
      line.add("network", network.map { $0.id.map { Hex.encode($0) } ?? "mainline" })
      if let node { line.add("node", node.object) } else { line.addNull("node") }
      line.add("store", statistics.object)
      return try output.line(line)
    }
    try output.line("profile  \(profile.directory.path)")
    try output.line("person   \(label.handle, .bold)")
    try output.line("posting  \(isUnlocked ? "unlocked" : "locked; tl login unlocks it")")
    if let node {
      let places =
        node.addresses.isEmpty ? "serves commands only" : "listens on \(node.addresses.joined(separator: ", "))"
      try output.line("node     runs (process \(node.pid)), \(places), \(counted(node.sessions, "session"))")
    } else {
      try output.line("node     does not run; everything but live updates works")
    }
    try output.line("network  \(network?.words ?? "none; tl join enters one, tl invite begins one")")
    for line in statistics.words { try output.line("\(line)") }
  }
}

/// What a node that runs says of itself; nil without one.
private func runningNode(_ profile: Profile) throws -> LocalStatus? {
  guard try RemoteService.isAnswered(in: profile.directory) else { return nil }
  let remote = RemoteService(profile.directory)
  guard case .status(let status) = try waiting({ try await remote.perform(.status) }) else { return nil }
  return status
}

extension LocalStatus {
  fileprivate var object: JSONObject {
    var object = JSONObject()
    object.add("pid", pid)
    object.add("addresses", addresses)
    object.add("sessions", sessions)
    object.add("version", version)
    object.add("key", node?.hex)
    return object
  }
}

extension StoreStatistics {
  var object: JSONObject {
    var object = JSONObject()
    object.add("persons", persons)
    object.add("logs", logs)
    object.add("events", events)
    object.add("chunks", chunks)
    object.add("tailEvents", tailEvents)
    object.add("chunkBytes", chunkBytes)
    object.add("rawBytes", rawBytes)
    object.add("fileBytes", fileBytes)
    object.add("freeBytes", freeBytes)
    object.add("frozenLogs", frozenLogs)
    object.add("revokedLogs", revokedLogs)
    return object
  }

  /// A line for each group of figures.
  var words: [String] {
    var lines = [
      "holds    \(counted(events, "event")) in \(counted(logs, "log")) of \(counted(persons, "person"))",
      "chunks   \(chunks) with \(chunkBytes) bytes (\(rawBytes) before compression); \(tailEvents) events in tails",
      "file     \(fileBytes) bytes, \(freeBytes) of them free",
    ]
    if frozenLogs + revokedLogs > 0 {
      lines.append("ended    \(counted(frozenLogs, "log")) by a fork, \(revokedLogs) by a revocation")
    }
    return lines
  }
}
