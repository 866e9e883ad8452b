/// All commands of a program.
public struct CommandTable: Sendable {
  public let program: String
  /// `0.1.0`
  public let version: String
  /// The day of the release for the manual, `2026-11-20`.
  public let date: String
  public let summary: String
  public let discussion: String
  /// Lines for the top of the help text.
  public let examples: [Command.Example]
  public let commands: [Command]

  /// - Precondition: names are unique, every command has two examples or more, and only the last positional takes many.
  public init(
    program: String, version: String, date: String, summary: String, discussion: String = "",
    examples: [Command.Example], commands: [Command]
  ) {
    self.program = program
    self.version = version
    self.date = date
    self.summary = summary
    self.discussion = discussion
    self.examples = examples
    self.commands = commands
    entries = Self.entries(commands)
    check()
  }

  /// A program that is one command: its options follow its name directly.
  public init(program: String, version: String, date: String, discussion: String = "", command: Command) {
    self.program = program
    self.version = version
    self.date = date
    summary = command.summary
    self.discussion = discussion
    examples = []
    commands = [command]
    entries = [Entry(path: [], command: command, fullPath: [])]
    check()
  }

  /// A command with the path that leads to it. A short form is a second entry with a path of its own.
  public struct Entry: Sendable {
    public let path: [String]
    public let command: Command
    /// The path in full, when `path` is a short form.
    public let fullPath: [String]

    public var isShortForm: Bool { path != fullPath }
    public var isGroup: Bool { command.handler == nil }
    /// `append post`
    public var name: String { path.joined(separator: " ") }
  }

  /// Every command and group, in the order of the table; short forms behind the command they stand for.
  public let entries: [Entry]

  private static func entries(_ commands: [Command]) -> [Entry] {
    var entries: [Entry] = []
    func visit(_ command: Command, under parents: [String]) {
      let path = parents + [command.name]
      entries.append(Entry(path: path, command: command, fullPath: path))
      if let short = command.shortForm { entries.append(Entry(path: [short], command: command, fullPath: path)) }
      for child in command.subcommands { visit(child, under: path) }
    }
    for command in commands { visit(command, under: []) }
    return entries
  }

  /// What can follow a path: commands and groups one word longer.
  func children(of path: [String]) -> [Entry] {
    entries.filter { $0.path.count == path.count + 1 && $0.path.starts(with: path) }
  }

  func entry(_ path: [String]) -> Entry? { entries.first { $0.path == path } }

  private func check() {
    precondition(Set(entries.map(\.path)).count == entries.count, "two commands of one name")
    for entry in entries where !entry.isGroup {
      let command = entry.command
      precondition(command.examples.count >= 2, "\(entry.name) has fewer than two examples")
      let options = command.options + Option.everywhere
      precondition(Set(options.map(\.name)).count == options.count, "\(entry.name) has two options of one name")
      let shorts = options.compactMap(\.short)
      precondition(Set(shorts).count == shorts.count, "\(entry.name) has two options of one letter")
      for (index, positional) in command.positionals.enumerated() {
        let isLast = index == command.positionals.count - 1
        precondition(
          isLast || positional.arity == .one, "\(entry.name): only the last argument may be optional or many")
      }
    }
  }
}
