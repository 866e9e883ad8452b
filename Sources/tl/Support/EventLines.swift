import Events
import Identity
import Primitives
import Terminal
import Timelines

// How events and persons look: as JSON lines (DESIGN §12) and for people.

extension Reference {
  func object(id: EventID?) -> JSONObject {
    var object = JSONObject()
    object.add("id", id.map(\.description))
    object.add("log", log.hex)
    object.add("seq", sequence.description)
    object.add("hash", hash.hex)
    return object
  }
}

extension TimelineItem {
  /// An event line. Text is absent where the event is no post or its content is not here.
  var line: JSONObject {
    var line = JSONObject.line()
    line.add("id", id.description)
    line.add("kind", kind.name)
    line.add("time", time.rfc3339)
    line.add("person", author.person.hex)
    line.add("name", author.name ?? "")
    line.add("handle", author.handle)
    line.add("log", log.hex)
    line.add("seq", sequence.description)
    // Only where it had to be worked out: that costs hashing a chunk.
    line.add("hash", reference?.hash.hex)
    switch content {
    case .post(let post):
      line.add("text", post.text)
      line.add("replyTo", post.replyTo?.object(id: replyToID))
      if !post.mentions.isEmpty { line.add("mentions", post.mentions.map(\.hex)) }
      line.add("written", post.written?.rfc3339)
      if let source = post.source {
        var object = JSONObject()
        object.add("feed", source.feed)
        object.add("line", source.line.hex)
        line.add("source", object)
      }
    case .follow(let follow): line.add("target", follow.person.hex)
    case .unfollow(let unfollow): line.add("target", unfollow.person.hex)
    case .delete(let target): line.add("target", target.object(id: nil))
    case .profile(let profile):
      var object = JSONObject()
      object.add("name", profile.name)
      object.add("about", profile.about)
      object.add("link", profile.link)
      line.add("profile", object)
    case .carry(let carry): line.add("target", carry.header.reference.object(id: carry.header.id))
    case nil: line.add("absent", true)
    }
    line.add("expires", expiry?.rfc3339)
    return line
  }

  /// When it goes; nil for never.
  var expiry: Timestamp? { ttl == 0 ? nil : id.time.advanced(milliseconds: Int64(ttl) * 1000) }

  /// What it says, in words for people.
  var summary: String {
    switch content {
    case .post(let post): post.text
    case .follow(let follow): "follows #\(PersonLabel.fingerprint(follow.person))"
    case .unfollow(let unfollow): "no longer follows #\(PersonLabel.fingerprint(unfollow.person))"
    case .delete(let target): "deletes event \(target.sequence) of log \(target.log.hex.prefix(8))"
    case .profile(let profile):
      ["name": profile.name, "about": profile.about, "link": profile.link].compactMap { key, value in
        value.map { "\(key): \($0)" }
      }.sorted().joined(separator: "\n")
    case .carry(let carry): "carries event \(carry.header.sequence) of log \(carry.header.log.hex.prefix(8))"
    case nil: "(content not here)"
    }
  }
}

/// Prints events the way the command line asks for.
struct EventPrinter {
  let invocation: Invocation
  private let reading: Reading
  private var times: TimeText { TimeText(utc: invocation.usesUTC) }

  init(_ invocation: Invocation, _ reading: Reading) {
    self.invocation = invocation
    self.reading = reading
  }

  func print(_ items: [TimelineItem], showingKinds: Bool = false) throws {
    for item in items { try print(item, showingKind: showingKinds) }
  }

  func print(_ item: TimelineItem, showingKind: Bool = false, indent: Int = 0) throws {
    if invocation.wantsJSON { return try invocation.output.line(item.line) }
    let margin = String(repeating: " ", count: indent)
    var head: StyledText = "\(margin)\(item.id, .yellow)  \(name(item.author), .bold)  \(time(item.time), .dim)"
    if showingKind { head = head + "  \(item.kind.name, .cyan)" }
    if item.replyTo != nil { head = head + "  reply to \(item.replyToID.map(\.description) ?? "a post not held")" }
    try invocation.output.line(head)
    try invocation.output.paragraph(words(item), indent: margin + "    ")
  }

  /// What an event says, with names where the summary has none.
  private func words(_ item: TimelineItem) throws -> String {
    switch item.content {
    case .follow(let follow): "follows \(name(try reading.timelines.label(follow.person, now: reading.now)))"
    case .unfollow(let unfollow):
      "no longer follows \(name(try reading.timelines.label(unfollow.person, now: reading.now)))"
    case .post, .delete, .profile, .carry, nil: item.summary
    }
  }

  /// A petname, or the handle.
  func name(_ label: PersonLabel) -> String {
    reading.petnames.name(of: label.person).map { "\($0) (\(label.handle))" } ?? label.handle
  }

  func time(_ time: Timestamp) -> String {
    invocation.usesUTC ? times.absolute(time) : times.relative(time, now: reading.now)
  }
}
