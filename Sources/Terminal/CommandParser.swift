/// What a command line asks for.
package enum Request: Sendable {
  case run(CommandTable.Entry, Arguments)
  /// Help on a command or group; the empty path is the program.
  case help(path: [String], Arguments)
  case version(Arguments)
  /// The program or a group without a command: its help, and exit code 2.
  case nothingAsked(path: [String])
}

extension CommandTable {
  /// Reads the words behind the program's name. Options may stand anywhere until `--`; nothing is guessed from an
  /// abbreviation. Every failure has exit code 2.
  package func parse(_ words: [String]) throws(CommandFailure) -> Request {
    var parser = CommandParser(table: self, words: words)
    return try parser.parse()
  }
}

private struct CommandParser {
  let table: CommandTable
  let words: [String]
  var index = 0
  var path: [String] = []
  var entry: CommandTable.Entry?
  var plain: [String] = []
  /// Options before the command's name is complete can only be those that every command has.
  var values: [Option: [String]] = [:]

  init(table: CommandTable, words: [String]) {
    self.table = table
    self.words = words
    entry = table.entry([])
  }

  private var isComplete: Bool { entry.map { !$0.isGroup } ?? false }
  private var options: [Option] { (isComplete ? entry!.command.options : []) + Option.everywhere }

  mutating func parse() throws(CommandFailure) -> Request {
    var optionsEnded = false
    while index < words.count {
      let word = words[index]
      index += 1
      if optionsEnded || word == "-" || !word.hasPrefix("-") {
        try takePlain(word)
      } else if word == "--" {
        optionsEnded = true
      } else if word.hasPrefix("--") {
        try takeLong(word)
      } else {
        try takeShort(word)
      }
    }
    return try request()
  }

  private func request() throws(CommandFailure) -> Request {
    var arguments = Arguments(known: Set(options))
    arguments.values = values
    if arguments.has(.help) { return .help(path: path, arguments) }
    if arguments.has(.version) { return .version(arguments) }
    guard let entry, !entry.isGroup else { return .nothingAsked(path: path) }
    var rest = plain[...]
    for positional in entry.command.positionals {
      if rest.count < positional.arity.minimum { throw usage("\(positional.name) is missing") }
      let taken = positional.arity.takesMany ? rest : rest.prefix(1)
      if !taken.isEmpty { arguments.positionals[positional] = Array(taken) }
      rest = rest.dropFirst(taken.count)
    }
    if let extra = rest.first {
      throw usage("unexpected argument \"\(extra)\"", more: ["put quotes around a text of several words"])
    }
    return .run(entry, arguments)
  }

  private mutating func takePlain(_ word: String) throws(CommandFailure) {
    if isComplete {
      plain.append(word)
      return
    }
    let children = table.children(of: path)
    guard let found = children.first(where: { $0.path.last == word }) else {
      let what = path.isEmpty ? "unknown command \"\(word)\"" : "unknown command \"\(word)\" for \(name)"
      throw usage(what, candidates: commandCandidates(word, children))
    }
    path.append(word)
    entry = found
  }

  /// Similar names here, and commands elsewhere that have just this name.
  private func commandCandidates(_ word: String, _ children: [CommandTable.Entry]) -> [String] {
    let here = closest(to: word, among: children.map { $0.path.last! }).map { (path + [$0]).joined(separator: " ") }
    let elsewhere = table.entries.filter { $0.path.last == word }.map(\.name)
    return here + elsewhere.filter { !here.contains($0) }
  }

  private mutating func takeLong(_ word: String) throws(CommandFailure) {
    let body = word.dropFirst(2)
    let equals = body.firstIndex(of: "=")
    let name = String(body[..<(equals ?? body.endIndex)])
    guard let option = options.first(where: { $0.name == name }) else {
      let place = isComplete ? " for \(self.name)" : ""
      let candidates = closest(to: name, among: options.map(\.name)).map { "--\($0)" }
      throw usage("unknown option --\(name)\(place)", candidates: candidates)
    }
    if let equals {
      guard option.form != .flag else { throw usage("--\(name) takes no value") }
      try set(option, String(body[body.index(after: equals)...]))
    } else {
      try setNext(option)
    }
  }

  // `-vv`, `-n20`, `-n 20`: flags in a row, the last one with a value.
  private mutating func takeShort(_ word: String) throws(CommandFailure) {
    var letters = word.dropFirst()
    while let letter = letters.popFirst() {
      guard let option = options.first(where: { $0.short == letter }) else {
        let place = isComplete ? " for \(name)" : ""
        throw usage("unknown option -\(letter)\(place)", more: ["-- ends the options, so that a text may begin with -"])
      }
      if option.form == .flag {
        try set(option, "")
      } else if letters.isEmpty {
        try setNext(option)
      } else {
        try set(option, String(letters))
        return
      }
    }
  }

  private mutating func setNext(_ option: Option) throws(CommandFailure) {
    if option.form == .flag { return try set(option, "") }
    guard index < words.count else { throw usage("--\(option.name) needs a value (\(option.placeholder!))") }
    index += 1
    try set(option, words[index - 1])
  }

  private mutating func set(_ option: Option, _ value: String) throws(CommandFailure) {
    func bad(_ expected: String, candidates: [String] = []) -> CommandFailure {
      usage("--\(option.name): \"\(value)\" is not \(expected)", candidates: candidates)
    }
    switch option.form {
    case .flag: break
    case .text: break
    case .file, .directory: if value.isEmpty { throw bad("a path") }
    case .number(_, let range):
      guard let number = Int(value), range.contains(number) else {
        throw bad("a number from \(range.lowerBound) to \(range.upperBound)")
      }
    case .duration:
      if Quantity.duration(value) == nil { throw bad("a time span such as 90s, 15m, 12h, 30d or 2w") }
    case .bytes: if Quantity.bytes(value) == nil { throw bad("a size such as 4096, 64K, 10M or 2G") }
    case .choice(let choices):
      guard choices.contains(value) else {
        throw bad("one of \(choices.joined(separator: ", "))", candidates: closest(to: value, among: choices))
      }
    }
    if option.repeats || option.form == .flag {
      values[option, default: []].append(value)
    } else {
      values[option] = [value]
    }
  }

  private var name: String { ([table.program] + path).joined(separator: " ") }

  private func usage(_ message: String, candidates: [String] = [], more: [String] = []) -> CommandFailure {
    var hints = more
    if !candidates.isEmpty {
      hints.append("Did you mean \(candidates.map { "\"\($0)\"" }.joined(separator: " or "))?")
    }
    hints.append("see \"\(name) --help\"")
    return CommandFailure(.usage, message, hints: hints)
  }
}

/// The words at most two edits away (insert, delete, replace, swap neighbours), the nearest first. A word of two letters
/// or fewer must be one edit away, or everything short would resemble everything.
package func closest(to word: String, among candidates: [String]) -> [String] {
  let limit = word.count <= 2 ? 1 : 2
  let ranked = candidates.map { (name: $0, distance: editDistance(word, $0)) }.filter { $0.distance <= limit }
  return ranked.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
}

package func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a.unicodeScalars.prefix(wordScalars))
  let b = Array(b.unicodeScalars.prefix(wordScalars))
  var beforePrevious: [Int] = []
  var previous = Array(0...b.count)
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var best = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforePrevious[j - 1] + 1) }
      row.append(best)
    }
    beforePrevious = previous
    previous = row
  }
  return previous[b.count]
}

/// No name is longer, so the rest of a longer word cannot make it similar.
private let wordScalars = 64
