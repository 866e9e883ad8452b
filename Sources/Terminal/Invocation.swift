/// What a command's handler gets: its arguments, and a way to speak.
public struct Invocation: Sendable {
  public let entry: CommandTable.Entry
  public let table: CommandTable
  public let arguments: Arguments
  public let output: Output

  public var surroundings: Surroundings { output.surroundings }
  /// `--json`
  public var wantsJSON: Bool { output.options.json }
  /// `--utc`
  public var usesUTC: Bool { arguments.has(.utc) }
  /// Whether a person can be asked something: they sit at a terminal and have not said `--no-input`.
  public var mayAsk: Bool {
    surroundings.inputIsTerminal && surroundings.errorIsTerminal && !arguments.has(.noInput)
  }

  /// The directory of the profile; it need not exist yet.
  public func profileDirectory() throws(CommandFailure) -> String {
    try ProfileDirectory.path(asked: arguments.text(.home), in: surroundings)
  }
}
