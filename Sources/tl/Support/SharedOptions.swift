import Terminal

// Options and arguments that several commands share.

extension Option {
  static let limit = Option("limit", short: "n", .number("N", 1...1_000_000), "show at most N (20)")
  static let before = Option("before", .text("ID|TIME"), "show what is older than this event or time")
  static let author = Option("author", .text("WHO"), "show only posts of this person")
  static let yes = Option("yes", short: "y", .flag, "do not ask whether this is meant")
  static let dryRun = Option("dry-run", .flag, "only say what would happen")
  static let ttl = Option("ttl", .duration("SPAN"), "let it expire after this time, as 12h or 30d")
  static let keep = Option("keep", .flag, "do not let it expire")
  static let label = Option("label", .text("TEXT"), "what to call this device (the machine's name)")
}

extension Positional {
  static let who = Positional("WHO", .one, "a person: id, name#fingerprint, petname or tl:// ticket")
  static let eventID = Positional("ID", .one, "an event: id, id@WHO or id@log:HEX")
  static let words = Positional("TEXT", .optional, "the text; - reads standard input, nothing opens an editor")
}

/// `1 event`, `2 events`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

extension Invocation {
  /// `--limit`, by default 20.
  var limit: Int { arguments.number(.limit) ?? 20 }

  /// Seconds of `--ttl` or `--keep` (0); nil when neither was said.
  func lifetime() throws(CommandFailure) -> UInt32? {
    if arguments.has(.keep) {
      guard !arguments.has(.ttl) else { throw CommandFailure(.usage, "--keep and --ttl exclude each other") }
      return 0
    }
    guard let span = arguments.duration(.ttl) else { return nil }
    guard let seconds = UInt32(exactly: span.components.seconds), seconds > 0 else {
      throw CommandFailure(.usage, "--ttl takes a second or more", hint: "--keep lets it stay for ever")
    }
    return seconds
  }
}
