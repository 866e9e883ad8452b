import Glibc

extension CommandTable {
  /// Runs the process's command line and ends the process. `explain` turns the errors of other modules into failures with
  /// a code, a message and hints; what it does not know is a bug.
  public func main(explain: @Sendable (any Error) -> CommandFailure?) -> Never {
    prepareSignals()
    let surroundings = Surroundings.ofProcess()
    do {
      exit(run(try processArguments(), in: surroundings, explain: explain).rawValue)
    } catch {
      Output(surroundings: surroundings).report(error)
      exit(error.code.rawValue)
    }
  }

  /// Runs a command line and says what to exit with.
  public func run(
    _ words: [String], in surroundings: Surroundings, outputDescriptor: Int32 = 1, errorDescriptor: Int32 = 2,
    explain: @Sendable (any Error) -> CommandFailure? = { _ in nil }
  ) -> ExitCode {
    func output(_ options: Output.Options) -> Output {
      Output(
        surroundings: surroundings, options: options, outputDescriptor: outputDescriptor,
        errorDescriptor: errorDescriptor)
    }
    let request: Request
    do {
      request = try parse(words)
    } catch {
      // The line could not be read, but what it says about colours is honoured.
      var options = Output.Options()
      let choices = words.filter { $0.hasPrefix("--color=") }.compactMap {
        ColourChoice(rawValue: String($0.dropFirst(8)))
      }
      if let choice = choices.last { options.colour = choice }
      output(options).report(error)
      return error.code
    }
    switch request {
    case .nothingAsked(let path):
      output(.init()).tell(shortHelp(path))
      return .usage
    case .help(let path, let arguments):
      return finish(output(Self.options(arguments)), explain) { output in
        output.startPager()
        try output.data(Array(help(path).utf8))
      }
    case .version(let arguments):
      return finish(output(Self.options(arguments)), explain) { output in
        try output.line("\(program) \(version)")
      }
    case .run(let entry, let arguments):
      return finish(output(Self.options(arguments)), explain) { output in
        try entry.command.handler!(Invocation(entry: entry, table: self, arguments: arguments, output: output))
      }
    }
  }

  private func finish(
    _ output: Output, _ explain: (any Error) -> CommandFailure?, _ work: (Output) throws -> Void
  ) -> ExitCode {
    var code = ExitCode.ok
    do {
      try work(output)
    } catch {
      code = fail(output, error, explain)
    }
    do {
      try output.finish()
    } catch {
      // A broken pipe after a failure that was reported does not change what happened.
      if code == .ok { code = fail(output, error, explain) }
    }
    return code
  }

  private func fail(_ output: Output, _ error: any Error, _ explain: (any Error) -> CommandFailure?) -> ExitCode {
    let failure =
      error as? CommandFailure ?? explain(error)
      ?? CommandFailure(
        .bug, "internal error: \(error)", hint: "this is a bug in \(program) \(version); please report it")
    // What was printed so far comes before the reason why there is no more.
    do {
      if failure.code != .brokenPipe { try output.flush() }
    } catch {
      // Two reasons to stop: the first is the one to tell.
    }
    output.report(failure)
    return failure.code
  }

  private static func options(_ arguments: Arguments) -> Output.Options {
    var options = Output.Options()
    options.json = arguments.has(.json)
    options.quiet = arguments.has(.quiet)
    options.verbosity = arguments.count(.verbose)
    options.pager = !arguments.has(.noPager)
    if let choice = arguments.text(.color) { options.colour = ColourChoice(rawValue: choice)! }
    return options
  }
}

// The words behind the program's name. `CommandLine.arguments` would repair what is not UTF-8 without a word.
private func processArguments() throws(CommandFailure) -> [String] {
  var words: [String] = []
  for index in 1..<max(1, Int(CommandLine.argc)) {
    guard let pointer = CommandLine.unsafeArgv[index] else { break }
    let bytes = Array(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer)))
    words.append(try Input.text(bytes, name: "argument \(index)", keepsLineFeeds: true))
  }
  return words
}

/// A broken pipe is an error of `write`, not the end of the process; Ctrl-C ends it at once with exit code 130. A command
/// that must end in order (the node) installs handlers of its own.
private func prepareSignals() {
  _ = signal(SIGPIPE, SIG_IGN)
  // Whoever starts us in the background with interrupts ignored wants that to stay.
  let previous = signal(SIGINT, interrupted)
  if unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { _ = signal(SIGINT, SIG_IGN) }
}

// Only what POSIX allows in a signal handler.
private func interrupted(_ signal: Int32) {
  let words: StaticString = "\ninterrupted\n"
  _ = write(2, words.utf8Start, words.utf8CodeUnitCount)
  _exit(ExitCode.interrupted.rawValue)
}
