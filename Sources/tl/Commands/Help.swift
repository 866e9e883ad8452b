import Terminal

extension Command {
  static let help = Command(
    "help", "show help on a command",
    examples: [
      .init("tl help completions", "read about a command"),
      .init("tl help --manual | man -l -", "read the whole manual"),
    ],
    positionals: [commandPath], options: [manual]
  ) { invocation in
    let path = invocation.arguments.all(commandPath)
    if invocation.arguments.has(manual) {
      try invocation.output.data(Array(invocation.table.manualPage.utf8))
    } else {
      invocation.output.startPager()
      try invocation.output.data(Array(try invocation.table.help(for: path).utf8))
    }
  }
}

private let commandPath = Positional("COMMAND", .any, "the command, in one or two words")
private let manual = Option("manual", .flag, "print tl(1) for man")
