import Terminal

extension Command {
  static let completions = Command(
    "completions", "print a completion script for a shell",
    examples: [
      .init("source <(tl completions bash)", "use it in this shell"),
      .init("tl completions fish > ~/.config/fish/completions/tl.fish", "keep it for fish"),
    ],
    positionals: [shellName]
  ) { invocation in
    let name = invocation.arguments.text(shellName)
    guard let shell = Shell(rawValue: name) else {
      throw CommandFailure(
        .usage, "no completions for \"\(name)\"", hint: "there are some for \(shells.joined(separator: ", "))")
    }
    try invocation.output.data(Array(invocation.table.completions(for: shell).utf8))
  }
}

private let shells = Shell.allCases.map(\.rawValue)
private let shellName = Positional("SHELL", .one, completion: .choice(shells), "bash, zsh or fish")
