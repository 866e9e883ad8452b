import Events
import Identity
import Node
import Primitives
import Store
import Synchronization
import Terminal
import Timelines

extension Command {
  static let log = Command(
    "log", "look into the logs",
    subcommands: [.logList, .logShow, .logVerify, .logStats, .logRebuild, .logRepair, .logWhy])

  static let logList = Command(
    "ls", "list the logs that are here",
    examples: [
      .init("tl log ls", "all of them"),
      .init("tl log ls ann --json", "ann's, for programs"),
    ],
    positionals: [someWho]
  ) { invocation in
    let reading = try invocation.reading()
    let logs =
      try invocation.arguments.optional(someWho).map { try reading.store.logs(of: try reading.person($0)) }
      ?? reading.store.logs()
    invocation.output.startPager()
    for log in logs { try print(log, invocation, reading) }
  }

  static let logShow = Command(
    "show", "show events of all kinds",
    discussion: "Without an argument the events of your own logs; of one event everything that is known.",
    examples: [
      .init("tl log show", "your own newest 20 events"),
      .init("tl log show ann --limit 5", "ann's newest five"),
      .init("tl log show 271828182845904523 --json", "one event, with hashes and signature"),
    ],
    positionals: [subject], options: [.limit, .before]
  ) { invocation in
    let reading = try invocation.reading()
    let words = invocation.arguments.optional(subject)
    if let words, Reading.isEventID(words) {
      return try printEvent(try reading.event(words), invocation, reading)
    }
    let person = try words.map { try reading.person($0) } ?? reading.profile.person
    reading.timelines.leavesOutDamage = true
    let items = try reading.timelines.history(
      of: person, before: try reading.place(before: invocation.arguments.text(.before)), limit: invocation.limit,
      now: reading.now)
    invocation.output.startPager()
    try EventPrinter(invocation, reading).print(items, showingKinds: true)
    try tellLeftOut(invocation, reading)
  }

  static let logVerify = Command(
    "verify", "check every hash, signature and checksum",
    discussion: "Exit code 5 when anything does not hold. \"tl log repair\" takes out what is damaged.",
    examples: [
      .init("tl log verify", "check everything"),
      .init("tl log verify --quick", "leave out signatures and the structure of the file"),
    ],
    options: [quick]
  ) { invocation in
    let reading = try invocation.reading()
    var bar = ProgressBar("verifying", on: invocation.output)
    var events = 0
    var damage = try reading.store.verify(full: !invocation.arguments.has(quick)) { done in
      events = max(events, done)
      bar.update(done, at: .ofSystem())
    }
    if damage.isEmpty, !invocation.arguments.has(quick) {
      damage += try reading.store.verifyReadModels([TimelineModel()])
    }
    bar.finish()
    let output = invocation.output
    for item in damage {
      if invocation.wantsJSON {
        var line = JSONObject.line()
        line.add("kind", "damage")
        line.add("log", item.log?.hex)
        line.add("first", item.range?.lowerBound.description)
        line.add("last", item.range?.upperBound.description)
        line.add("message", item.message)
        try output.line(line)
      } else {
        let place = item.log.map { "log \($0.hex.prefix(16)) " } ?? ""
        let range = item.range.map { "events \($0.lowerBound)–\($0.upperBound): " } ?? ""
        try output.line("\("damaged", .red)  \(place)\(range)\(item.message)")
      }
    }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "summary")
      line.add("events", events)
      line.add("damaged", damage.count)
      line.add("ok", damage.isEmpty)
      try output.line(line)
    } else if damage.isEmpty {
      try output.line("\("sound", .green)  \(counted(events, "event"))")
    }
    if !damage.isEmpty {
      throw CommandFailure(
        .verificationFailed,
        damage.count == 1 ? "a place in the store is damaged" : "\(damage.count) places in the store are damaged",
        hint: "tl log repair takes it out, and tl sync fetches it again from any replica")
    }
  }

  static let logStats = Command(
    "stats", "count what the store holds, in events and bytes",
    examples: [
      .init("tl log stats", "show the figures"),
      .init("tl log stats --json", "the same for programs"),
    ]
  ) { invocation in
    let statistics = try invocation.reading().store.statistics()
    guard invocation.wantsJSON else {
      for line in statistics.words { try invocation.output.line("\(line)") }
      return
    }
    var line = JSONObject.line()
    line.add("kind", "stats")
    line.add("store", statistics.object)
    try invocation.output.line(line)
  }

  static let logRebuild = Command(
    "rebuild", "make the read models again from the logs",
    examples: [
      .init("tl log rebuild", "make them again, and say whether they were sound"),
      .init("tl log rebuild --json", "the same for programs"),
    ]
  ) { invocation in
    let profile = try invocation.profile()
    let bar = Mutex(ProgressBar("rebuilding", on: invocation.output))
    let reply = try invocation.withService(profile) { service in
      try await service.perform(.rebuild) { progress in
        if case .rebuilding(let events) = progress { bar.withLock { $0.update(events, at: .ofSystem()) } }
      }
    }
    bar.withLock { $0.finish() }
    guard case .rebuilt(let events, let before, let after) = reply else {
      throw CommandFailure(.bug, "a rebuild without a result")
    }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "rebuilt")
      line.add("events", events)
      line.add("before", before.hex)
      line.add("digest", after.hex)
      line.add("same", before == after)
      return try invocation.output.line(line)
    }
    try invocation.output.line("\(counted(events, "event")); digest \(after.hex)")
    if before != after { invocation.output.warn("the read models had differed from the logs; now they agree") }
  }
}

extension Command {
  static let logRepair = Command(
    "repair", "take out what is damaged, to fetch it again",
    discussion: """
      What "tl log verify" finds damaged in the logs is taken out of the store; it is wanted then, and comes with the next \
      sync from any peer that holds it. A device whose own newest events were lost posts nothing until they are back.
      """,
    examples: [
      .init("tl log repair", "take out what is damaged"),
      .init("tl log repair --json", "the same for programs"),
    ]
  ) { invocation in
    let reply = try invocation.withService(try invocation.profile()) { try await $0.perform(.repair) { _ in } }
    guard case .repaired(let places) = reply else { throw CommandFailure(.bug, "a repair without a result") }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "repaired")
      line.add("places", places)
      return try invocation.output.line(line)
    }
    guard places > 0 else { return try invocation.output.line("nothing is damaged") }
    try invocation.output.line("\(counted(places, "damaged place")) taken out")
    invocation.output.note("tl sync fetches what was there from any replica")
  }
}

private func print(_ log: Store.LogSummary, _ invocation: Invocation, _ reading: Reading) throws {
  let label = try reading.timelines.label(log.identity.person, now: reading.now)
  let key = log.identity.log
  let state: String
  switch log.end {
  case nil: state = log.isAuthorized ? "open" : "not certified"
  case .frozen: state = "frozen"
  case .revoked: state = "revoked"
  }
  if invocation.wantsJSON {
    var line = label.line(kind: "log")
    line.add("log", key.hex)
    line.add("head", log.head?.sequence.description)
    line.add("hash", log.head?.hash.hex)
    line.add("events", log.eventCount)
    line.add(
      "held",
      log.ranges.map { range in
        var object = JSONObject()
        object.add("first", range.lowerBound.description)
        object.add("last", range.upperBound.description)
        return object
      })
    line.add("state", state)
    switch log.end {
    case nil: break
    case .frozen(let cut, _): line.add("cut", cut.description)
    case .revoked(let revocation): line.add("lastGood", revocation.sequence.description)
    }
    line.add("want", log.want?.sequence.description)
    line.add("own", key == reading.profile.device)
    return try invocation.output.line(line)
  }
  let ranges = log.ranges.map { "\($0.lowerBound)–\($0.upperBound)" }.joined(separator: ", ")
  var notes = state == "open" ? "" : "  \(state)"
  if key == reading.profile.device { notes += "  this device" }
  if let want = log.want { notes += "  wanted up to \(want.sequence)" }
  let name = EventPrinter(invocation, reading).name(label)
  try invocation.output.line(
    "\(key.hex.prefix(16), .yellow)  \(name, .bold)  \(ranges.isEmpty ? "no events" : ranges)\(notes, .cyan)")
}

/// One event with everything that is known of it.
private func printEvent(_ reference: Reference, _ invocation: Invocation, _ reading: Reading) throws {
  guard let item = try reading.item(reference), let header = item.header else {
    throw CommandFailure(.notFound, "event \(reference.sequence) of log \(reference.log.hex.prefix(16)) is not here")
  }
  var signature: Signature?
  var payload = Payload.absent(.notHad)
  try reading.store.forEachEvent(reference.log, reference.sequence...reference.sequence) { event, _, found in
    signature = found
    payload = event.payload
  }
  let absence: String? = if case .absent(let reason) = payload { "\(reason)" } else { nil }
  let output = invocation.output
  if invocation.wantsJSON {
    var line = item.line
    line.add("previous", header.previous.hex)
    line.add("place", header.place)
    line.add("flags", header.flags)
    line.add("ttl", header.ttl)
    line.add("floor", header.floor.description)
    line.add("payloadBytes", header.payloadBytes)
    line.add("payloadHash", header.payloadHash.hex)
    line.add("signature", signature.map { Hex.encode($0.bytes) })
    line.add("absence", absence)
    return try output.line(line)
  }
  try EventPrinter(invocation, reading).print(item, showingKind: true)
  try output.line("log        \(header.log.hex)")
  try output.line("sequence   \(header.sequence), place \(header.place) of its chunk, floor \(header.floor)")
  try output.line("hash       \(reference.hash.hex)")
  try output.line("previous   \(header.previous.hex)")
  try output.line("payload    \(header.payloadBytes) bytes, hash \(header.payloadHash.hex)")
  if let absence { try output.line("content    not here: \(absence)") }
  try output.line("expires    \(item.expiry.map { TimeText(utc: invocation.usesUTC).absolute($0) } ?? "never")")
  try output.line("signature  \(signature.map { Hex.encode($0.bytes) } ?? "by the end of its chunk")")
}

private let someWho = Positional("WHO", .optional, "a person (everybody)")
private let subject = Positional("ID|WHO", .optional, "an event or a person (you)")
private let quick = Option("quick", .flag, "check checksums and chains only")
