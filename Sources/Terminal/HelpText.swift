/// Help texts: examples first, at most 80 columns, whatever the terminal's width.
extension CommandTable {
  /// The help for a path: the program (empty), a group or a command.
  package func help(_ path: [String] = []) -> String {
    guard let entry = entry(path) else { return programHelp() }
    return entry.isGroup ? groupHelp(entry) : commandHelp(entry)
  }

  /// What a person sees who gave no command: the whole help of a group, but only the beginning of the program's.
  package func shortHelp(_ path: [String]) -> String {
    if !path.isEmpty { return help(path) }
    var page = HelpPage()
    page.paragraph("\(program) - \(summary)")
    page.examples(examples)
    page.section("Usage", ["\(program) COMMAND [OPTIONS] [ARGUMENTS]"])
    page.paragraph("\"\(program) --help\" lists the commands.")
    return page.text
  }

  /// The help that `tl help PATH…` prints. A path that names nothing has exit code 2, as the command itself would have.
  public func help(for path: [String]) throws(CommandFailure) -> String {
    guard case .help(let known, _) = try parse(path + ["--help"]), known == path else {
      throw CommandFailure(.usage, "no command \"\(path.joined(separator: " "))\"")
    }
    return help(known)
  }

  private func programHelp() -> String {
    var page = HelpPage()
    page.paragraph("\(program) - \(summary)")
    page.examples(examples)
    page.section("Usage", ["\(program) COMMAND [OPTIONS] [ARGUMENTS]"])
    let listed = entries.filter { !$0.isGroup && !$0.isShortForm }
    page.list("Commands", listed.map { ($0.name, summary(of: $0)) })
    page.list("Options of every command", Option.everywhere.map { ($0.heading, $0.summary) })
    page.paragraph("\"\(program) COMMAND --help\" says more about a command.")
    return page.text
  }

  private func groupHelp(_ entry: Entry) -> String {
    var page = HelpPage()
    page.paragraph("\(program) \(entry.name) - \(entry.command.summary)")
    let children = children(of: entry.path)
    page.examples(children.compactMap { $0.command.examples.first })
    page.section("Usage", ["\(program) \(entry.name) COMMAND [OPTIONS] [ARGUMENTS]"])
    page.list("Commands", children.map { ($0.path.last!, summary(of: $0)) })
    page.paragraph("\"\(program) \(entry.name) COMMAND --help\" says more about a command.")
    return page.text
  }

  private func commandHelp(_ entry: Entry) -> String {
    let command = entry.command
    var page = HelpPage()
    page.paragraph("\(name(of: entry)) - \(command.summary)")
    page.examples(command.examples)
    var usage = [usage(of: entry)]
    if entry.isShortForm {
      usage.append("\(program) \(entry.fullPath.joined(separator: " ")) …")
    } else if let short = command.shortForm {
      usage.append("\(program) \(short) …")
    }
    page.section("Usage", usage)
    page.list("Arguments", command.positionals.map { ($0.usage, $0.summary) })
    page.list("Options", command.options.map { ($0.heading, $0.summary) })
    page.list("Options of every command", Option.everywhere.map { ($0.heading, $0.summary) })
    if !command.discussion.isEmpty { page.paragraph(command.discussion) }
    return page.text
  }

  private func name(of entry: Entry) -> String { ([program] + entry.path).joined(separator: " ") }

  func usage(of entry: Entry) -> String {
    let command = entry.command
    let options = command.options.isEmpty ? [] : ["[OPTIONS]"]
    return ([program] + entry.path + options + command.positionals.map(\.usage)).joined(separator: " ")
  }

  private func summary(of entry: Entry) -> String {
    guard let short = entry.command.shortForm, !entry.isShortForm else { return entry.command.summary }
    return "\(entry.command.summary) (short: \(program) \(short))"
  }
}

private struct HelpPage {
  private(set) var text = ""

  mutating func paragraph(_ body: String) {
    separate()
    add(TextLayout.wrapped(body, cells: helpCells))
  }

  mutating func section(_ title: String, _ lines: [String]) {
    separate()
    text += "\(title):\n"
    for line in lines { add(TextLayout.wrapped("  \(line)", cells: helpCells, indent: "      ")) }
  }

  mutating func examples(_ examples: [Command.Example]) {
    if examples.isEmpty { return }
    separate()
    text += "Examples:\n"
    for example in examples {
      add(TextLayout.wrapped("  # \(example.meaning)", cells: helpCells, indent: "  # "))
      text += "  \(example.line)\n"
    }
  }

  mutating func list(_ title: String, _ items: [(name: String, summary: String)]) {
    if items.isEmpty { return }
    separate()
    text += "\(title):\n"
    let column = min(items.map { DisplayWidth.cells($0.name) }.max()! + 4, summaryColumnMaximum)
    let indent = String(repeating: " ", count: column)
    for item in items {
      let lead = "  \(item.name)"
      if DisplayWidth.cells(lead) + 2 <= column {
        // The name is one word for the layout, so that its alignment survives.
        let lines = TextLayout.wrapped(indent + item.summary, cells: helpCells, indent: indent)
        add([TextLayout.padded(lead, cells: column) + lines[0].dropFirst(column)] + lines.dropFirst())
      } else {
        add([lead])
        add(TextLayout.wrapped(indent + item.summary, cells: helpCells, indent: indent))
      }
    }
  }

  private mutating func separate() {
    if !text.isEmpty { text += "\n" }
  }

  private mutating func add(_ lines: [String]) {
    for line in lines { text += line + "\n" }
  }
}

private let helpCells = 80
/// Names longer than this get a line of their own.
private let summaryColumnMaximum = 30
