import Identity
import Node
import Primitives
import Replication
import Synchronization
import Terminal
import Timelines

/// `tl sync` without a peer: whoever has what is wanted is looked for in the network.
func syncWithEverybody(_ invocation: Invocation, _ profile: Profile, _ options: Exchange.Options) throws {
  let bar = Mutex(ProgressBar("syncing", on: invocation.output))
  let (search, outcomes) = try invocation.withService(profile) { service in
    let reply = try await service.perform(.search(options)) { progress in
      guard case .syncing(let progress) = progress else { return }
      bar.withLock { $0.update(progress.events, at: .ofSystem()) }
    }
    guard case .searched(let search, let outcomes) = reply else { throw CommandFailure.oddReply }
    return (search, outcomes)
  }
  bar.withLock { $0.finish() }
  let reading = try Reading(profile)
  for (index, outcome) in outcomes.enumerated() {
    if invocation.arguments.has(explainOption), search.attempts.indices.contains(index) {
      try explain(search.attempts[index], reading, invocation)
    }
    try report(outcome, invocation)
  }
  for log in search.logs { try report(log, reading, invocation) }
  let missing = search.logs.filter { $0.state != .upToDate }
  try summaryLine(outcomes, isComplete: missing.isEmpty, invocation)
  guard let first = missing.first else { return }
  let partial = missing.count { $0.state == .partial }
  let words =
    if !search.isNetworkThere {
      "nobody in the network answered"
    } else if partial == 0 {
      missing.count == 1
        ? "nobody was found who has \(try handle(first.person, reading))" : "nobody was found for \(missing.count) logs"
    } else {
      "\(counted(partial, "log")) did not arrive whole"
    }
  throw CommandFailure(.incomplete, words, hint: "what arrived is kept; replicas may be there at another time")
}

private func handle(_ person: PersonID, _ reading: Reading) throws -> String {
  try reading.petnames.name(of: person) ?? reading.timelines.label(person, now: reading.now).handle
}

/// Why an address was tried.
private func explain(_ attempt: SearchReport.Attempt, _ reading: Reading, _ invocation: Invocation) throws {
  if invocation.wantsJSON {
    var line = JSONObject.line()
    line.add("kind", "attempt")
    line.add("peer", attempt.endpoint.description)
    line.add("person", attempt.person.hex)
    line.add("source", attempt.source.name)
    return try invocation.output.line(line)
  }
  let who = try handle(attempt.person, reading)
  try invocation.output.line("tried \(attempt.endpoint.description) for \(who): \(attempt.source.words)")
}

private func report(_ log: SearchReport.Log, _ reading: Reading, _ invocation: Invocation) throws {
  if invocation.wantsJSON {
    var line = JSONObject.line()
    line.add("kind", "log")
    line.add("person", log.person.hex)
    line.add("handle", try handle(log.person, reading))
    line.add("log", log.log?.hex)
    line.add("state", log.state.name)
    line.add("held", log.held.description)
    line.add("newest", log.newest?.description)
    return try invocation.output.line(line)
  }
  let who = try handle(log.person, reading)
  switch log.state {
  case .upToDate: try invocation.output.line("\(who, .bold)  \("up to date", .green), \(log.held.description) events")
  case .partial:
    try invocation.output.line(
      "\(who, .bold)  \("partial", .yellow), \(log.held.description) of \(log.newest?.description ?? "?") events")
  case .nobodyFound:
    try invocation.output.line("\(who, .bold)  \("nobody found", .yellow), \(log.held.description) events here")
  }
}

extension SearchReport.Log.State {
  fileprivate var name: String {
    switch self {
    case .upToDate: "upToDate"
    case .partial: "partial"
    case .nobodyFound: "nobodyFound"
    }
  }
}

extension Finder.Source {
  fileprivate var name: String {
    switch self {
    case .author: "author"
    case .preferred: "preferred"
    case .learnt: "learnt"
    case .announced: "announced"
    case .nearby: "nearby"
    }
  }

  fileprivate var words: String {
    switch self {
    case .author: "the author's own address"
    case .preferred: "a replica that the author prefers"
    case .learnt: "peers say that it has a replica"
    case .announced: "it announced itself in the DHT"
    case .nearby: "it is in the network"
    }
  }
}
