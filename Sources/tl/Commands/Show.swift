import Events
import Identity
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let show = Command(
    "show", "read what is here",
    subcommands: [.showTimeline, .showProfile, .showThread, .showFollowing, .showFollowers])

  static let showTimeline = Command(
    "timeline", "show the newest posts of everybody you follow, and your own",
    examples: [
      .init("tl show timeline", "the newest 20 posts"),
      .init("tl show timeline --author ann --limit 5", "the newest five by ann"),
      .init("tl show timeline --json --before 2026-11-20T00:00:00Z", "older posts, for programs"),
    ],
    options: [.limit, .before, .author]
  ) { invocation in
    let reading = try invocation.reading()
    reading.timelines.leavesOutDamage = true
    let author = try invocation.arguments.text(.author).map { try reading.person($0) }
    let items = try reading.timelines.timeline(
      of: reading.profile.person, before: try reading.position(before: invocation.arguments.text(.before)),
      limit: invocation.limit, author: author, now: reading.now)
    invocation.output.startPager()
    try EventPrinter(invocation, reading).print(items)
    try tellLeftOut(invocation, reading)
    if items.isEmpty {
      invocation.output.note("nothing here yet: tl post says something, tl sync fetches what others said")
    }
  }

  static let showProfile = Command(
    "profile", "show what a person says about themselves",
    examples: [
      .init("tl show profile", "your own"),
      .init("tl show profile ann --limit 5", "ann's, with her newest five posts"),
    ],
    positionals: [optionalWho], options: [.limit, .before]
  ) { invocation in
    let reading = try invocation.reading()
    reading.timelines.leavesOutDamage = true
    let person = try invocation.arguments.optional(optionalWho).map { try reading.person($0) } ?? reading.profile.person
    guard let known = try reading.timelines.profile(person, now: reading.now) else {
      throw CommandFailure(.notFound, "nothing of this person is here", hint: "follow and sync first")
    }
    let posts =
      invocation.arguments.has(.limit) || invocation.arguments.has(.before)
      ? try reading.timelines.posts(
        of: person, before: try reading.position(before: invocation.arguments.text(.before)),
        limit: invocation.limit, now: reading.now) : []
    invocation.output.startPager()
    try printProfile(known, invocation, reading)
    try EventPrinter(invocation, reading).print(posts)
    try tellLeftOut(invocation, reading)
  }

  static let showThread = Command(
    "thread", "show the conversation around a post",
    examples: [
      .init("tl show thread 271828182845904523", "what it replies to, itself, and the replies"),
      .init("tl show thread 271828182845904523 --json", "the same for programs"),
    ],
    positionals: [.eventID], options: [.limit]
  ) { invocation in
    let reading = try invocation.reading()
    reading.timelines.leavesOutDamage = true
    let reference = try reading.event(invocation.arguments.text(.eventID))
    let entries = try reading.timelines.thread(
      reference, limit: invocation.arguments.number(.limit) ?? 1000, now: reading.now)
    invocation.output.startPager()
    let printer = EventPrinter(invocation, reading)
    for entry in entries {
      if invocation.wantsJSON {
        try invocation.output.line(entry.line)
      } else if let item = entry.item {
        try printer.print(item, indent: 2 * min(entry.depth, 20))
      } else {
        let margin = String(repeating: " ", count: 2 * min(entry.depth, 20))
        try invocation.output.line("\(margin)[\(entry.placeholder?.rawValue ?? "", .dim)]")
      }
    }
    try tellLeftOut(invocation, reading)
  }

  static let showFollowing = Command(
    "following", "list whom a person follows",
    examples: [
      .init("tl show following", "whom you follow"),
      .init("tl show following ann --json", "whom ann follows, for programs"),
    ],
    positionals: [optionalWho], options: [.limit]
  ) { invocation in
    try listFollows(invocation) { try $0.timelines.following($1, now: $0.now) }
  }

  static let showFollowers = Command(
    "followers", "list who follows a person, as far as it is known here",
    discussion: "Only persons whose logs are here can be seen to follow somebody.",
    examples: [
      .init("tl show followers", "who follows you"),
      .init("tl show followers ann --json", "who follows ann, for programs"),
    ],
    positionals: [optionalWho], options: [.limit]
  ) { invocation in
    try listFollows(invocation) { try $0.timelines.followers($1, now: $0.now) }
  }
}

/// Says which events a listing left out because they are damaged, and ends the command with exit code 5.
func tellLeftOut(_ invocation: Invocation, _ reading: Reading) throws {
  let leftOut = reading.timelines.takeLeftOut()
  guard !leftOut.isEmpty else { return }
  // What is shown comes before what is not.
  try invocation.output.flush()
  var count = 0
  for damage in leftOut {
    guard let log = damage.log, let range = damage.range else { continue }
    let number = range.upperBound - range.lowerBound + 1
    count += number
    let events = number == 1 ? "event \(range.lowerBound)" : "events \(range.lowerBound)–\(range.upperBound)"
    invocation.output.warn("\(events) of log \(log.hex) cannot be shown: damaged")
  }
  throw CommandFailure(
    .verificationFailed, "\(counted(count, "event")) left out, damaged in the store here; the rest is shown",
    hint: "tl log repair takes out what is damaged, and tl sync fetches it again")
}

private func listFollows(_ invocation: Invocation, _ list: (Reading, PersonID) throws -> [FollowEntry]) throws {
  let reading = try invocation.reading()
  let person = try invocation.arguments.optional(optionalWho).map { try reading.person($0) } ?? reading.profile.person
  var entries = try list(reading, person).sorted { $0.id > $1.id }
  if let limit = invocation.arguments.number(.limit) { entries = Array(entries.prefix(limit)) }
  invocation.output.startPager()
  for entry in entries {
    let petname = reading.petnames.name(of: entry.label.person)
    if invocation.wantsJSON {
      var line = entry.label.line(kind: "person")
      line.add("petname", petname)
      line.add("id", entry.id.description)
      line.add("held", entry.isHeld)
      try invocation.output.line(line)
    } else {
      let name = EventPrinter(invocation, reading).name(entry.label)
      let note = entry.isHeld ? "" : "  nothing of theirs is here yet"
      try invocation.output.line("\(name, .bold)  \(entry.label.person.hex, .dim)\(note)")
    }
  }
}

private func printProfile(_ profile: PersonProfile, _ invocation: Invocation, _ reading: Reading) throws {
  let output = invocation.output
  if invocation.wantsJSON {
    var line = profile.label.line(kind: "person")
    line.add("petname", reading.petnames.name(of: profile.label.person))
    line.add("about", profile.about)
    line.add("link", profile.link)
    line.add("posts", profile.posts)
    line.add("following", profile.following)
    line.add("followers", profile.followers)
    line.add(
      "logs",
      profile.logs.map { log in
        var object = JSONObject()
        object.add("log", log.log.hex)
        object.add("head", log.head.description)
        return object
      })
    return try output.line(line)
  }
  try output.line("\(EventPrinter(invocation, reading).name(profile.label), .bold)")
  if let about = profile.about { try output.paragraph(about, indent: "    ") }
  if let link = profile.link { try output.line("link       \(link)") }
  try output.line("person     \(profile.label.person.hex)")
  try output.line("posts      \(profile.posts)")
  try output.line("following  \(profile.following)")
  try output.line("followers  \(profile.followers) known here")
  for log in profile.logs {
    try output.line("log        \(log.log.hex.prefix(16)), \(counted(Int(log.head.rawValue), "event"))")
  }
}

extension PersonLabel {
  func line(kind: String) -> JSONObject {
    var line = JSONObject.line()
    line.add("kind", kind)
    line.add("person", person.hex)
    line.add("name", name ?? "")
    line.add("handle", handle)
    return line
  }
}

extension ThreadEntry {
  fileprivate var line: JSONObject {
    var line: JSONObject
    if let item {
      line = item.line
    } else {
      line = JSONObject.line()
      line.add("kind", "placeholder")
      line.add("log", reference.log.hex)
      line.add("seq", reference.sequence.description)
      line.add("hash", reference.hash.hex)
      line.add("reason", placeholder?.rawValue)
    }
    line.add("depth", depth)
    line.add("subject", isSubject)
    return line
  }
}

let optionalWho = Positional("WHO", .optional, "a person (you)")
