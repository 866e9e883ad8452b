import Terminal
import Testing

@Suite struct CommandParserTests {
  private func arguments(_ line: String) throws -> (path: [String], arguments: Arguments) {
    let words = line.split(separator: " ").map(String.init)
    guard case .run(let entry, let arguments) = try Sample.table().parse(words) else {
      throw CommandFailure(.bug, "not a command")
    }
    return (entry.fullPath, arguments)
  }

  @Test("options stand anywhere, before the command too")
  func anywhere() throws {
    let (path, found) = try arguments("--home /x append post --ttl=30d hello -v --json -vk")
    #expect(path == ["append", "post"])
    #expect(found.text(.home) == "/x")
    #expect(found.duration(Sample.ttl) == .seconds(30 * 86_400))
    #expect(found.optional(Sample.text) == "hello")
    #expect(found.count(.verbose) == 2)
    #expect(found.has(.json) && found.has(Sample.keep) && !found.has(.quiet))
  }

  @Test("a short form is the same command")
  func shortForm() throws {
    let (path, found) = try arguments("post hello")
    #expect(path == ["append", "post"])
    #expect(found.optional(Sample.text) == "hello")
  }

  @Test("values: behind a letter, next to it, repeated, the last one counts")
  func values() throws {
    #expect(try arguments("show timeline -n20").arguments.number(Sample.limit) == 20)
    #expect(try arguments("show timeline -n 20").arguments.number(Sample.limit) == 20)
    #expect(try arguments("show timeline --limit 3 -n4").arguments.number(Sample.limit) == 4)
    let authors = try arguments("show timeline --author a --author=b").arguments
    #expect(authors.texts(Sample.author) == ["a", "b"])
    #expect(try arguments("sync --max-bytes 10M").arguments.bytes(Sample.budget) == 10 << 20)
    #expect(try arguments("sync a:1 b:2 c:3").arguments.all(Sample.peers) == ["a:1", "b:2", "c:3"])
    #expect(try arguments("sync").arguments.all(Sample.peers) == [])
  }

  @Test("a lone dash is an argument, and two end the options")
  func dashes() throws {
    #expect(try arguments("post -").arguments.optional(Sample.text) == "-")
    #expect(try arguments("post -- --help").arguments.optional(Sample.text) == "--help")
    #expect(try arguments("post --keep -- -").arguments.optional(Sample.text) == "-")
  }

  @Test(
    "mistakes have exit code 2, say what is wrong and what to do",
    arguments: [
      ("sycn", "unknown command \"sycn\"", "Did you mean \"sync\"?"),
      ("app x", "unknown command \"app\"", "see \"tl --help\""),
      ("append pots", "unknown command \"pots\" for tl append", "Did you mean \"append post\"?"),
      ("timeline", "unknown command \"timeline\"", "Did you mean \"show timeline\"?"),
      ("show timeline --limt 3", "unknown option --limt for tl show timeline", "Did you mean \"--limit\"?"),
      ("show timeline --lim 3", "unknown option --lim for tl show timeline", "Did you mean \"--limit\"?"),
      ("post -x", "unknown option -x for tl post", "-- ends the options, so that a text may begin with -"),
      ("show timeline -n", "--limit needs a value (N)", "see \"tl show timeline --help\""),
      ("show timeline -n 0", "--limit: \"0\" is not a number from 1 to 100", "see \"tl show timeline --help\""),
      ("show timeline -n 1x", "--limit: \"1x\" is not a number from 1 to 100", "see \"tl show timeline --help\""),
      (
        "post --ttl soon x", "--ttl: \"soon\" is not a time span such as 90s, 15m, 12h, 30d or 2w",
        "see \"tl post --help\""
      ),
      (
        "sync --max-bytes 1T", "--max-bytes: \"1T\" is not a size such as 4096, 64K, 10M or 2G",
        "see \"tl sync --help\""
      ),
      ("post --keep=yes x", "--keep takes no value", "see \"tl post --help\""),
      ("--color=allways sync", "--color: \"allways\" is not one of auto, always, never", "Did you mean \"always\"?"),
      ("follow", "WHO is missing", "see \"tl follow --help\""),
      ("post a b", "unexpected argument \"b\"", "put quotes around a text of several words"),
      ("--limit 3 show timeline", "unknown option --limit", "see \"tl --help\""),
    ])
  func mistakes(line: String, message: String, hint: String) throws {
    let ending = run(line.split(separator: " ").map(String.init))
    #expect(ending.code == .usage)
    #expect(ending.output.isEmpty)
    let lines = ending.error.split(separator: "\n").map(String.init)
    #expect(lines.first == "error: \(message)")
    #expect(lines.dropFirst().contains("hint: \(hint)"))
  }

  @Test(
    "time spans and sizes",
    arguments: [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("1d", 86_400), ("1w", 604_800)])
  func spans(text: String, seconds: Int) { #expect(Quantity.duration(text) == seconds) }

  @Test(
    "what is no time span or size",
    arguments: ["", "s", "-1s", "1.5h", "99999999999999999999", "9999w9", "200y", "９s", "5000000000"])
  func noSpans(text: String) {
    #expect(Quantity.duration(text) == nil)
    #expect(Quantity.bytes("99999999999G") == nil)
  }

  @Test(
    "edit distance counts a swap of neighbours as one",
    arguments: [("sycn", "sync", 1), ("", "abc", 3), ("post", "pots", 1), ("a", "a", 0), ("kitten", "sitting", 3)])
  func distance(a: String, b: String, edits: Int) { #expect(editDistance(a, b) == edits) }

  @Test("hostile words in a command line do not reach the terminal")
  func hostile() {
    for text in hostileStrings() where !text.utf8.contains(0) {
      for words in [
        [text], ["--\(text)"], ["post", "--ttl", text], ["show", text], ["-\(text)"], ["post", "a", text],
      ] {
        #expect(!containsHazard(run(words).error))
      }
    }
  }
}
