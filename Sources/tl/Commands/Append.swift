import Events
import Identity
import Node
import Terminal
import Timelines

extension Command {
  static let append = Command(
    "append", "add an event to your log",
    subcommands: [.appendPost, .appendFollow, .appendUnfollow, .appendDelete, .appendProfile])

  static let appendPost = Command(
    "post", "publish a post",
    discussion: """
      Signs a post and stores it on this disk; followers get it when they sync. A post expires after 30 days unless --ttl \
      or --keep says otherwise.
      """,
    shortForm: "post",
    examples: [
      .init("tl post \"hello\"", "say hello"),
      .init("echo hello | tl post - --ttl 12h", "post standard input, for half a day"),
      .init("tl post --keep --json \"a word that stays\"", "post for good and print the event"),
    ],
    positionals: [.words], options: [replyTo, .ttl, .keep]
  ) { invocation in
    try post(invocation, replyTo: invocation.arguments.text(replyTo))
  }

  static let reply = Command(
    "reply", "reply to a post",
    discussion: "The same as tl post --reply-to ID.",
    examples: [
      .init("tl reply 271828182845904523 \"well said\"", "reply to the post with this id"),
      .init("tl reply 271828182845904523@ann#k3jx7q2m -", "say whose post it is, and read standard input"),
    ],
    positionals: [.eventID, .words], options: [.ttl, .keep]
  ) { invocation in
    try post(invocation, replyTo: invocation.arguments.text(.eventID))
  }

  static let appendFollow = Command(
    "follow", "follow a person",
    discussion: """
      Their posts come with every sync, from any peer that holds them. Somebody who is not known here is looked for in the \
      network by name and fingerprint; what is kept is the full id. A fingerprint of fewer than 16 characters could be \
      imitated: you are asked then, or say --yes.
      """,
    shortForm: "follow",
    examples: [
      .init("tl follow tl://aeba…", "follow the person of a ticket"),
      .init("tl follow ann#k3jx7q2m5vdw4c6t --as ann", "follow by handle, and call her ann from now on"),
    ],
    positionals: [.who], options: [petname, .yes]
  ) { invocation in
    let reading = try invocation.reading()
    let words = invocation.arguments.text(.who)
    let (person, claimed) = try invocation.personToFollow(words, reading)
    guard person != reading.profile.person else {
      throw CommandFailure(.usage, "this is yourself; your own posts are always shown")
    }
    if reading.petnames.persons[words] == nil, let handle = try? Handle(words),
      handle.prefix.utf8.count < Handle.unattendedPrefixMinimum
    {
      let name = try claimed ?? reading.timelines.label(person, now: reading.now).name ?? ""
      let full = person.handle(name: name, showing: Handle.unattendedPrefixMinimum)
      try invocation.confirm("Follow \(full)?", yes: .yes)
    }
    if let name = invocation.arguments.text(petname) {
      var petnames = reading.petnames
      try petnames.give(name, to: person)
    }
    try invocation.append(.follow(person), in: reading.profile, otherwise: "you follow this person already")
  }

  static let appendUnfollow = Command(
    "unfollow", "no longer follow a person",
    shortForm: "unfollow",
    examples: [
      .init("tl unfollow ann", "by petname"),
      .init("tl unfollow ann#k3jx7q2m", "by handle"),
    ],
    positionals: [.who]
  ) { invocation in
    let reading = try invocation.reading()
    let person = try reading.person(invocation.arguments.text(.who))
    try invocation.append(.unfollow(person), in: reading.profile, otherwise: "you do not follow this person")
  }

  static let appendDelete = Command(
    "delete", "delete one of your posts",
    discussion: """
      The text is gone from this disk at once and from every honest replica when it syncs; that there was an event stays \
      visible. It cannot be undone, so "tl delete" asks, or wants --yes; the long form, for scripts, does not ask.
      """,
    shortForm: "delete",
    examples: [
      .init("tl delete 271828182845904523", "delete the post with this id"),
      .init("tl append delete 271828182845904523", "without a question"),
    ],
    positionals: [.eventID], options: [.yes, .dryRun]
  ) { invocation in
    let reading = try invocation.reading()
    let words = invocation.arguments.text(.eventID)
    let reference = try reading.event(words)
    guard let item = try reading.item(reference) else { throw CommandFailure(.notFound, "no event here is \(words)") }
    guard item.author.person == reading.profile.person else {
      throw CommandFailure(.failed, "event \(item.id) is by \(item.author.handle); only its author can delete it")
    }
    if invocation.arguments.has(.dryRun) {
      return try EventPrinter(invocation, reading).print(item, showingKind: true)
    }
    if invocation.entry.isShortForm {
      try invocation.confirm("Delete \(item.kind.name) \(item.id), \"\(item.summary.prefix(60))\"?", yes: .yes)
    }
    try invocation.append(.delete(reference), in: reading.profile, otherwise: "it is deleted already")
  }

  static let appendProfile = Command(
    "profile", "say who you are",
    discussion: "Fields that are not named stay as they are; an empty text takes one back.",
    examples: [
      .init("tl append profile --name ann --about \"likes boats\"", "set a name and a line about you"),
      .init("tl append profile --link \"\"", "take the link back"),
    ],
    options: [nameOption, aboutOption, linkOption]
  ) { invocation in
    let arguments = invocation.arguments
    let profile = EventContent.Profile(
      name: arguments.text(nameOption), about: arguments.text(aboutOption), link: arguments.text(linkOption))
    guard profile != EventContent.Profile() else {
      throw CommandFailure(.usage, "nothing to say", hint: "name a field: --name, --about or --link")
    }
    if let name = profile.name, !name.isEmpty { try Name.check(name, in: "name") }
    for (text, maximum) in [(profile.about, ContentLimits.aboutBytes), (profile.link, ContentLimits.linkBytes)] {
      if let text, text.utf8.count > maximum {
        throw CommandFailure(.usage, "the text has \(text.utf8.count) bytes; \(maximum) are allowed")
      }
    }
    try invocation.append(.profile(profile), in: try invocation.profile(), otherwise: "your profile says this already")
  }
}

extension Invocation {
  /// Who is meant: somebody known here, else whom the network knows by this handle, with the name that peers gave.
  fileprivate func personToFollow(_ words: String, _ reading: Reading) throws -> (PersonID, claimed: String?) {
    do {
      return (try reading.person(words), nil)
    } catch let failure as CommandFailure where failure.code == .notFound {
      guard let handle = try? Handle(words), let found = try personInNetwork(handle, reading) else { throw failure }
      return (found.person, found.name)
    }
  }
}

private func post(_ invocation: Invocation, replyTo words: String?) throws {
  let lifetime = try invocation.lifetime() ?? LocalDraft.postLifetime
  let profile = try invocation.profile()
  var target: Reference?
  if let words { target = try Reading(profile).event(words) }
  let text = try invocation.composedText(
    invocation.arguments.optional(.words), maximum: ContentLimits.textBytes)
  try invocation.append(
    .post(.init(text: text, replyTo: target, ttl: lifetime)), in: profile, otherwise: "it is posted already")
}

private let replyTo = Option("reply-to", .text("ID"), "make it a reply to this post")
private let petname = Option("as", .text("NAME"), "call the person NAME from now on")
private let nameOption = Option("name", .text("NAME"), "what you are called")
private let aboutOption = Option("about", .text("TEXT"), "a text about you")
private let linkOption = Option("link", .text("URL"), "where to find more")
