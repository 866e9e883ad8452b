/// A command as its author describes it. Parser, help, completions and the manual all come from this one description, so
/// they cannot disagree.
public struct Command: Sendable {
  public typealias Handler = @Sendable (Invocation) throws -> Void

  public struct Example: Sendable {
    /// A whole shell line; its last part begins with the program's name.
    public let line: String
    public let meaning: String

    public init(_ line: String, _ meaning: String) {
      self.line = line
      self.meaning = meaning
    }
  }

  public let name: String
  /// What it does, in lower case and without a full stop.
  public let summary: String
  public let discussion: String
  /// The same command by a shorter path, as `post` for `append post`.
  public let shortForm: String?
  public let examples: [Example]
  public let positionals: [Positional]
  public let options: [Option]
  public let subcommands: [Command]
  let handler: Handler?

  /// A command that does something.
  public init(
    _ name: String, _ summary: String, discussion: String = "", shortForm: String? = nil, examples: [Example],
    positionals: [Positional] = [], options: [Option] = [], run: @escaping Handler
  ) {
    self.name = name
    self.summary = summary
    self.discussion = discussion
    self.shortForm = shortForm
    self.examples = examples
    self.positionals = positionals
    self.options = options
    subcommands = []
    handler = run
  }

  /// A command that only groups others.
  public init(_ name: String, _ summary: String, subcommands: [Command]) {
    self.name = name
    self.summary = summary
    discussion = ""
    shortForm = nil
    examples = []
    positionals = []
    options = []
    self.subcommands = subcommands
    handler = nil
  }
}

/// A named argument: `--limit N`. One constant describes it, and the same constant reads its value from `Arguments`.
public struct Option: Hashable, Sendable {
  public enum Form: Hashable, Sendable {
    /// Present or not; may be repeated and counted.
    case flag
    case text(String)
    case number(String, ClosedRange<Int>)
    /// Seconds, or a number with s, m, h, d or w behind it.
    case duration(String)
    /// Bytes, or a number with K, M or G (powers of 1,024) behind it.
    case bytes(String)
    case choice([String])
    case file(String)
    case directory(String)
  }

  /// Without the leading `--`.
  public let name: String
  public let short: Character?
  public let form: Form
  public let repeats: Bool
  /// What it does, in lower case and without a full stop.
  public let summary: String

  public init(_ name: String, short: Character? = nil, _ form: Form, repeats: Bool = false, _ summary: String) {
    self.name = name
    self.short = short
    self.form = form
    self.repeats = repeats
    self.summary = summary
  }

  /// What stands for the value in a help text; nil for a flag.
  var placeholder: String? {
    switch form {
    case .flag: nil
    case .text(let name), .number(let name, _), .duration(let name), .bytes(let name), .file(let name),
      .directory(let name):
      name
    case .choice(let values): values.joined(separator: "|")
    }
  }

  /// `-n, --limit N`
  var heading: String {
    let value = placeholder.map { " \($0)" } ?? ""
    return (short.map { "-\($0), " } ?? "    ") + "--\(name)\(value)"
  }
}

/// An argument without a name.
public struct Positional: Hashable, Sendable {
  public enum Arity: Hashable, Sendable {
    case one, optional, oneOrMore, any

    var minimum: Int {
      switch self {
      case .one, .oneOrMore: 1
      case .optional, .any: 0
      }
    }

    var takesMany: Bool {
      switch self {
      case .oneOrMore, .any: true
      case .one, .optional: false
      }
    }
  }

  public enum Completion: Hashable, Sendable {
    case nothing, files
    case choice([String])
  }

  /// In capitals.
  public let name: String
  public let arity: Arity
  public let completion: Completion
  public let summary: String

  public init(_ name: String, _ arity: Arity, completion: Completion = .nothing, _ summary: String) {
    self.name = name
    self.arity = arity
    self.completion = completion
    self.summary = summary
  }

  /// `FILE`, `[FILE]`, `FILE…`, `[FILE…]`
  var usage: String {
    let many = arity.takesMany ? "\(name)…" : name
    return arity.minimum == 0 ? "[\(many)]" : many
  }
}

extension Option {
  public static let home = Option("home", .directory("DIR"), "use the profile in this directory (TL_HOME)")
  public static let json = Option("json", .flag, "print JSON Lines")
  public static let noInput = Option("no-input", .flag, "never ask anything")
  public static let color = Option("color", .choice(ColourChoice.allCases.map(\.rawValue)), "when to use colours")
  public static let noPager = Option("no-pager", .flag, "print straight to the terminal")
  public static let quiet = Option("quiet", short: "q", .flag, "say nothing but data and errors")
  public static let verbose = Option("verbose", short: "v", .flag, repeats: true, "say more; twice for still more")
  public static let utc = Option("utc", .flag, "show times in UTC")
  public static let help = Option("help", short: "h", .flag, "show help")
  public static let version = Option("version", .flag, "show the version")

  /// What every command understands.
  public static let everywhere = [
    home, json, noInput, color, noPager, quiet, verbose, utc, help, version,
  ]
}
