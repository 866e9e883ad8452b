import Glibc
import Terminal

/// A program with one of everything, and a command for each way to end.
enum Sample {
  static let limit = Option("limit", short: "n", .number("N", 1...100), "at most N")
  static let ttl = Option("ttl", .duration("SPAN"), "how long")
  static let budget = Option("max-bytes", .bytes("SIZE"), "how much")
  static let author = Option("author", .text("WHO"), repeats: true, "by whom; may be repeated")
  static let keep = Option("keep", short: "k", .flag, "for ever")
  static let yes = Option("yes", short: "y", .flag, "do not ask")
  static let text = Positional("TEXT", .optional, "the text, or - for standard input")
  static let who = Positional("WHO", .one, "a person")
  static let peers = Positional("PEER", .any, "host:port")
  static let file = Positional("FILE", .one, completion: .files, "a file")

  static func table(_ run: @escaping Command.Handler = { _ in }) -> CommandTable {
    CommandTable(
      program: "tl", version: "0.1.0", date: "2026-11-20", summary: "a sample",
      discussion: "What's this?\n.A line that begins with a dot, a back\\slash and \"quotes\".",
      examples: [.init("tl post hello", "say hello")],
      commands: [
        Command(
          "append", "write to the log",
          subcommands: [
            Command(
              "post", "publish a post", discussion: "It's kept for 30 days.", shortForm: "post",
              examples: [.init("tl post \"hello\"", "say hello"), .init("echo hi | tl post -", "from a pipe")],
              positionals: [text], options: [ttl, keep], run: run),
            Command(
              "follow", "follow somebody", shortForm: "follow",
              examples: [.init("tl follow ada", "by petname"), .init("tl follow ada#mzxw6", "by fingerprint")],
              positionals: [who], run: run),
          ]),
        Command(
          "show", "read",
          subcommands: [
            Command(
              "timeline", "the posts of everybody you follow",
              examples: [.init("tl show timeline -n 20", "twenty"), .init("tl show timeline --json", "as JSON Lines")],
              options: [limit, author], run: run)
          ]),
        Command(
          "sync", "make logs agree with peers",
          examples: [.init("tl sync", "with all"), .init("tl sync host:4711", "with one")], positionals: [peers],
          options: [budget, yes], run: run),
        Command(
          "import", "read a file",
          examples: [.init("tl import feed.txt", "a feed"), .init("tl import -", "from a pipe")], positionals: [file],
          run: run),
      ])
  }
}

/// What a run printed and how it ended.
struct Ending {
  var code: ExitCode
  var output: String
  var error: String
}

func run(
  _ words: [String], in surroundings: Surroundings = Surroundings(), table: CommandTable = Sample.table(),
  explain: @Sendable (any Error) -> CommandFailure? = { _ in nil }
) -> Ending {
  let output = Scratch()
  let error = Scratch()
  let code = table.run(
    words, in: surroundings, outputDescriptor: output.descriptor, errorDescriptor: error.descriptor, explain: explain)
  return Ending(code: code, output: output.text, error: error.text)
}

/// A file without a name that keeps what is written to it.
final class Scratch {
  let descriptor: Int32

  init() {
    var template = Array("/tmp/tl-test-XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    precondition(descriptor >= 0, "no temporary file")
    unlink(template)
  }

  deinit { close(descriptor) }

  var text: String {
    var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
    let count = bytes.count
    precondition(pread(descriptor, &bytes, count, 0) == count)
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Gives `body` the path of a file for as long as it runs.
func withFile<R>(_ bytes: some Sequence<UInt8>, _ body: (String) throws -> R) rethrows -> R {
  var template = Array("/tmp/tl-test-XXXXXX".utf8CString)
  let descriptor = mkstemp(&template)
  let path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  defer { unlink(path) }
  let bytes = Array(bytes)
  precondition(write(descriptor, bytes, bytes.count) == bytes.count, "no temporary file")
  close(descriptor)
  return try body(path)
}
