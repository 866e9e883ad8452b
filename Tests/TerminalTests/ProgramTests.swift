import Glibc
import Primitives
import Terminal
import Testing

@Suite struct ProgramTests {
  @Test("each way to end has its code, its words and its hint", arguments: ExitCode.allCases)
  func codes(code: ExitCode) {
    let table = Sample.table { _ in
      if code != .ok { throw CommandFailure(code, "no \u{1B}luck", hint: "try \u{202E}again") }
    }
    let ending = run(["sync"], table: table)
    #expect(ending.code == code)
    #expect(ending.output.isEmpty)
    #expect(ending.error == (code == .ok ? "" : "error: no ␛luck\nhint: try <U+202E>again\n"))
  }

  @Test("the numbers of the exit codes are fixed")
  func numbers() {
    #expect(ExitCode.allCases.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130])
  }

  @Test("errors of other modules are explained, and what nobody knows is a bug")
  func explanation() {
    let table = Sample.table { _ in throw ByteError(at: 7, "truncated") }
    let known = run(["sync"], table: table) { $0 is ByteError ? CommandFailure(.verificationFailed, "damaged") : nil }
    #expect(known.code == .verificationFailed)
    let unknown = run(["sync"], table: table)
    #expect(unknown.code == .bug)
    #expect(unknown.error.hasPrefix("error: internal error: truncated at byte 7\nhint: "))
  }

  @Test("data goes to standard output and talk to standard error; -q silences talk, -v adds to it")
  func streams() {
    let table = Sample.table { invocation in
      try invocation.output.line("data")
      invocation.output.note("note")
      invocation.output.detail("detail")
      invocation.output.detail("more", level: 2)
    }
    #expect(run(["sync"], table: table).output == "data\n")
    #expect(run(["sync"], table: table).error == "note\n")
    #expect(run(["sync", "-q"], table: table).error == "")
    #expect(run(["sync", "-vv"], table: table).error == "note\ndetail\nmore\n")
  }

  @Test("help, version, and what nobody asked for")
  func help() {
    #expect(run(["--version"]).output == "tl 0.1.0\n")
    #expect(run(["append", "--help"]).output.hasPrefix("tl append - write to the log\n\nExamples:\n"))
    #expect(run(["post", "-h"]).output.hasPrefix("tl post - publish a post\n\nExamples:\n"))
    #expect(run(["follow", "--help"]).code == .ok)
    #expect(run([]).code == .usage)
    #expect(run([]).output.isEmpty)
    #expect(run([]).error.hasPrefix("tl - a sample\n"))
    #expect(run(["append"]).code == .usage)
    #expect(run(["append"]).error.contains("publish a post"))
  }

  @Test("a pager gets the help of a person at a terminal, unless they want none")
  func pager() {
    _ = signal(SIGPIPE, SIG_IGN)
    func help(_ words: [String], pager: String) -> String {
      let variables = ["PAGER": pager, "PATH": Surroundings.ofProcess().variable("PATH") ?? ""]
      let terminal = Surroundings(variables: variables, inputIsTerminal: true, outputIsTerminal: true)
      let ending = run(["--help"] + words, in: terminal)
      #expect(ending.code == .ok)
      return ending.output
    }
    #expect(help([], pager: "cat >/dev/null").isEmpty)
    #expect(help([], pager: "true").isEmpty)
    #expect(help(["--no-pager"], pager: "false").hasPrefix("tl - a sample"))
    #expect(help([], pager: "cat").hasPrefix("tl - a sample"))
  }

  @Test("no line of any help text is over eighty columns, and every option is in it")
  func helpWidth() throws {
    let table = Sample.table()
    for path in [[]] + table.entries.map(\.path) {
      let text = run(path + ["--help"]).output
      for line in text.split(separator: "\n") { #expect(DisplayWidth.cells(line) <= 80, "\(line)") }
      for option in table.entries.first(where: { $0.path == path })?.command.options ?? [] {
        #expect(text.contains("--\(option.name)"))
      }
    }
  }

  @Test("examples are command lines that can be read")
  func examples() throws {
    let table = Sample.table()
    for example in table.entries.flatMap(\.command.examples) {
      let words = example.line.split(separator: "|").last!.split(separator: " ").map { $0.filter { $0 != "\"" } }
      #expect(words.first == "tl")
      guard case .run = try table.parse(Array(words.dropFirst())) else {
        Issue.record("\(example.line)")
        continue
      }
    }
  }

  @Test("a reader that went away ends the command with 3 and without a word")
  func brokenPipe() {
    _ = signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    close(ends[0])
    defer { close(ends[1]) }
    let error = Scratch()
    let table = Sample.table { invocation in
      for _ in 0..<100_000 { try invocation.output.line("data") }
      Issue.record("written to nobody")
    }
    let code = table.run(["sync"], in: Surroundings(), outputDescriptor: ends[1], errorDescriptor: error.descriptor)
    #expect(code == .brokenPipe)
    #expect(error.text == "")
  }

  @Test("a full disk under standard output ends the command with 8")
  func noSpace() {
    let full = open("/dev/full", O_WRONLY)
    defer { close(full) }
    let error = Scratch()
    let table = Sample.table { try $0.output.line("data") }
    let code = table.run(["sync"], in: Surroundings(), outputDescriptor: full, errorDescriptor: error.descriptor)
    #expect(code == .noSpace)
    #expect(error.text == "error: no space left for the output\n")
  }

  @Test("hostile text and names leave no control byte, on a terminal and in a pipe, plain and as JSON")
  func hostile() {
    for isTerminal in [false, true] {
      let surroundings = Surroundings(
        variables: ["TERM": "dumb"], outputIsTerminal: isTerminal, errorIsTerminal: isTerminal, columns: 40)
      for text in hostileStrings() {
        let table = Sample.table { invocation in
          var object = JSONObject.line()
          object.add("name", text)
          try invocation.output.line("\(text) \(text, .bold)")
          try invocation.output.paragraph(text, indent: "  ")
          try invocation.output.line(object)
          if isTerminal { try invocation.output.data(Array(text.utf8)) }
          invocation.output.note("\(text)")
          invocation.output.warn("\(text)")
          invocation.output.tell(text)
          throw CommandFailure(.failed, text, hint: text)
        }
        let ending = run(["sync"], in: surroundings, table: table)
        #expect(
          !(ending.output + ending.error).unicodeScalars.contains { $0 != "\n" && isControl($0) },
          "\(Hex.encode(text.utf8))")
      }
    }
  }

  private func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control || (0x202A...0x202E).contains(scalar.value)
      || (0x2066...0x2069).contains(scalar.value)
  }

  @Test("an option that is not in the table is our own mistake")
  func unknownOption() async {
    await #expect(processExitsWith: .failure) {
      _ = run(["sync"], table: Sample.table { _ = $0.arguments.has(Sample.ttl) })
    }
  }
}
