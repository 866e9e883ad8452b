/// The manual page in man(7) macros, made from the table, so that it has every command, option and exit code.
extension CommandTable {
  public var manualPage: String {
    var page = Roff()
    page.title(program.uppercased(), date: date, source: "\(program) \(version)")
    page.section("NAME")
    page.text("\(program) - \(summary)")
    page.section("SYNOPSIS")
    page.boldAndText(
      program, entry([]).map { String(usage(of: $0).dropFirst(program.count)) } ?? " COMMAND [OPTIONS] [ARGUMENTS]")
    if !discussion.isEmpty {
      page.section("DESCRIPTION")
      for paragraph in discussion.split(separator: "\n") { page.paragraph(String(paragraph)) }
    }
    if !examples.isEmpty {
      page.section("EXAMPLES")
      for example in examples { page.example(example) }
    }
    page.section(entry([]) == nil ? "COMMANDS" : "USAGE")
    for entry in entries where !entry.isGroup && !entry.isShortForm { describe(entry, on: &page) }
    page.section("OPTIONS OF EVERY COMMAND")
    for option in Option.everywhere { page.item(option.spelling, option.summary) }
    page.section("EXIT STATUS")
    for code in ExitCode.allCases { page.item(String(code.rawValue), code.meaning) }
    page.section("ENVIRONMENT")
    for (name, meaning) in environmentVariables { page.item(name, meaning) }
    return page.source
  }

  private func describe(_ entry: Entry, on page: inout Roff) {
    if !entry.path.isEmpty { page.subsection(entry.name) }
    page.boldAndText("", usage(of: entry))
    page.paragraph("\(entry.command.summary.prefix(1).uppercased())\(entry.command.summary.dropFirst()).")
    if let short = entry.command.shortForm { page.paragraph("Short form: \(program) \(short).") }
    if !entry.command.discussion.isEmpty { page.paragraph(entry.command.discussion) }
    for positional in entry.command.positionals { page.item(positional.usage, positional.summary) }
    for option in entry.command.options { page.item(option.spelling, option.summary) }
    for example in entry.command.examples { page.example(example) }
  }
}

extension Option {
  fileprivate var spelling: String { String(heading.drop { $0 == " " }) }
}

private struct Roff {
  private(set) var source = ""

  /// Whether a paragraph would be the first of its section, where the macro has no effect.
  private var beginsSection = false

  mutating func title(_ name: String, date: String, source release: String) {
    source += ".TH \(name) 1 \(date) \"\(release)\" \"User Commands\"\n"
  }

  mutating func macro(_ name: String, _ arguments: [String] = []) {
    let quoted = arguments.map { " \"" + escaped($0).split(separator: "\"").joined(separator: "\\(dq") + "\"" }
    if name == "PP", beginsSection { return }
    beginsSection = name == "SH" || name == "SS"
    source += ".\(name)\(quoted.joined())\n"
  }

  mutating func section(_ title: String) { macro("SH", [title]) }
  mutating func subsection(_ title: String) { macro("SS", [title]) }

  mutating func text(_ body: String) {
    let line = lines(body)
    source += line
  }

  mutating func paragraph(_ body: String) {
    macro("PP")
    text(body)
  }

  mutating func boldAndText(_ bold: String, _ rest: String) {
    let line = bold.isEmpty ? lines(rest) : "\\fB\(escaped(bold))\\fR\(escaped(rest))\n"
    beginsSection = false
    source += line
  }

  mutating func item(_ name: String, _ body: String) {
    macro("TP")
    source += "\\fB\(escaped(name))\\fR\n"
    text("\(body.prefix(1).uppercased())\(body.dropFirst()).")
  }

  mutating func example(_ example: Command.Example) {
    macro("PP")
    text("\(example.meaning.prefix(1).uppercased())\(example.meaning.dropFirst()):")
    macro("RS", ["4"])
    macro("EX")
    text(example.line)
    macro("EE")
    macro("RE")
  }

  /// A line that begins with a dot or an apostrophe would be a macro.
  private mutating func lines(_ body: String) -> String {
    beginsSection = false
    let line = escaped(body)
    return (line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" : "") + line + "\n"
  }

  private func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\e"
      case "-": result += "\\-"
      case "'": result += "\\(aq"
      case "`": result += "\\(ga"
      case "^": result += "\\(ha"
      case "~": result += "\\(ti"
      case "…": result += "..."
      case "\n": result += " "
      default:
        if scalar.isASCII {
          result.unicodeScalars.append(scalar)
        } else {
          let digits = String(scalar.value, radix: 16, uppercase: true)
          result += "\\[u\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)]"
        }
      }
    }
    return result
  }
}

private let environmentVariables = [
  ("TL_HOME", "the directory of the profile, unless --home names one"),
  ("XDG_DATA_HOME, XDG_RUNTIME_DIR", "where the profile and its sockets go otherwise (XDG base directories)"),
  ("NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE", "switch colours off or on, unless --color does"),
  ("TL_PAGER, PAGER, LESS", "the pager for long listings on a terminal"),
  ("VISUAL, EDITOR", "the editor for a text that the command line does not give"),
  ("COLUMNS", "the width of the terminal"),
  ("TZ", "the time zone of times for people"),
]
