import Identity
import Primitives
import Store
import Terminal

/// Says what a store holds and what is gone, without changing it and without SQLite: it reads a private copy page by page
/// (Sources/Store/Inspection), so a damaged page hides nothing but itself.
@main enum TLLog {
  static let path = Positional("PATH", .one, completion: .files, "a profile directory, or a store's file")
  static let logs = Positional(
    "LOG", .any, "only these logs: the first digits of the log's key or of its person's id, in hexadecimal")
  static let events = Option("events", .flag, "list every event")
  static let chunks = Option("chunks", .flag, "list every chunk and stretch of the tail")
}

extension TLLog {
  static func main() { table.main(explain: explain) }

  static let table = CommandTable(
    program: "tl-log", version: "0.1.0", date: "2026-11-20",
    discussion: """
      It works on a private copy of the file and its write-ahead log, also while a node is running, and never changes \
      what it looks at. Damaged and truncated files are read as far as they go. The last lines say what is lost, log by \
      log. Exit code 5 says that something is damaged, 4 that there is no store.
      """,
    command: Command(
      "tl-log", "show what a store holds, and what is damaged",
      examples: [
        .init("tl-log ~/.local/share/tl", "what is in my store, and is it sound"),
        .init("tl-log --events copy/tl.db 5f3a", "every event of one log in a copied file"),
        .init("tl-log --json --chunks --events ~/.local/share/tl", "everything, for a program"),
      ],
      positionals: [path, logs], options: [chunks, events], run: run))

  @Sendable static func run(_ invocation: Invocation) throws {
    let wanted = invocation.arguments.all(logs).map { $0.lowercased() }
    for word in wanted where word.isEmpty || Hex.decode(word.count % 2 == 0 ? word : word + "0") == nil {
      throw CommandFailure(.usage, "\(word) is not the beginning of a key: it takes hexadecimal digits")
    }
    let inspection = Inspection(try StoreImage(copying: invocation.arguments.text(path)))
    let chosen = inspection.logs.filter { log in
      wanted.isEmpty
        || wanted.contains { (log.key?.hex.hasPrefix($0) ?? false) || (log.person?.hex.hasPrefix($0) ?? false) }
    }
    if !wanted.isEmpty, chosen.isEmpty { throw CommandFailure(.notFound, "no such log in this store") }
    let report = Report(
      inspection: inspection, logs: chosen, isFiltered: !wanted.isEmpty, listsChunks: invocation.arguments.has(chunks),
      listsEvents: invocation.arguments.has(events), output: invocation.output)
    if invocation.wantsJSON {
      try report.printJSON()
    } else {
      invocation.output.startPager()
      try report.printText()
    }
    // Everything was said above.
    if !inspection.isSound { throw CommandFailure(.verificationFailed, "") }
  }

  @Sendable static func explain(_ error: any Error) -> CommandFailure? {
    guard let error = error as? StoreError else { return nil }
    let text = error.path.map { "\(error.message): \($0)" } ?? error.message
    switch error.code {
    case .notFound: return CommandFailure(.notFound, text)
    case .noSpace: return CommandFailure(.noSpace, text, hint: "TMPDIR names the folder for the private copy")
    case .io, .locked, .permissions, .damaged, .verification, .unsupported, .misuse:
      return CommandFailure(.failed, text)
    }
  }
}

/// What is printed, in which form.
struct Report {
  let inspection: Inspection
  let logs: [InspectedLog]
  /// Some logs were asked for, so the rest of the store is left out.
  let isFiltered: Bool
  let listsChunks: Bool
  let listsEvents: Bool
  let output: Output

  var persons: [Inspection.PersonFacts] {
    guard isFiltered else { return inspection.persons }
    return inspection.persons.filter { person in logs.contains { $0.person == person.id } }
  }
}
