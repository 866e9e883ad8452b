import Glibc
import Terminal
import Testing

@Suite struct InputTests {
  @Test("a text loses its last line feeds and must be UTF-8")
  func text() throws {
    let text = try withFile("a\nb\n\n".utf8) { try Input.text($0, maximum: 100) }
    #expect(text == "a\nb")
    withFile([0x61, 0x62, 0xFF]) { path in
      let failure = #expect(throws: CommandFailure.self) { try Input.text(path, maximum: 100) }
      #expect(failure?.code == .usage)
      #expect(failure?.message == "\(path) is not UTF-8: bad byte at position 2")
    }
  }

  @Test("a text over its bound is refused")
  func bound() {
    withFile(Array(repeating: 0x61, count: 101)) { path in
      #expect(throws: CommandFailure.self) { try Input.text(path, maximum: 100) }
      #expect(throws: Never.self) { try Input.text(path, maximum: 101) }
    }
  }

  @Test("a missing file is 4, an unreadable one 1")
  func missing() {
    let missing = #expect(throws: CommandFailure.self) { try Input.bytes("/nonexistent/x", maximum: 1) }
    #expect(missing?.code == .notFound)
    let directory = #expect(throws: CommandFailure.self) { try Input.bytes("/", maximum: 1) }
    #expect(directory?.code == .failed)
  }

  @Test("lines as they are, whatever their length and bytes", arguments: ["", "\n", "a", "a\n", "a\n\nb", "a\r\nb\n"])
  func lines(text: String) throws {
    var lines: [String] = []
    let number = try withFile(text.utf8) { path in
      let reader = try LineReader(path, lineMaximum: 10)
      while let line = try reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
      return reader.number
    }
    var expected = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    if expected.last == "" { expected.removeLast() }
    #expect(lines == expected)
    #expect(number == expected.count)
  }

  @Test("long files and long lines")
  func longLines() throws {
    let line = Array(repeating: UInt8(ascii: "x"), count: 70_000)
    let reader = try withFile(line + [10] + line + [10, 65]) { try LineReader($0, lineMaximum: 70_000) }
    #expect(try reader.next() == line)
    #expect(try reader.next() == line)
    #expect(try reader.next() == [65])
    #expect(try reader.next() == nil)
    let strict = try withFile(line + [10]) { try LineReader($0, lineMaximum: 69_999) }
    let failure = #expect(throws: CommandFailure.self) { try strict.next() }
    #expect(failure?.code == .usage)
  }

  @Test("nobody is asked without a terminal or with --no-input, and a text must come from somewhere")
  func noQuestions() {
    let table = Sample.table { invocation in
      #expect(!invocation.mayAsk)
      try invocation.confirm("Really?", yes: Sample.yes)
    }
    #expect(run(["sync"], table: table).code == .usage)
    #expect(run(["sync", "--yes"], table: table).code == .ok)
    let terminal = Surroundings(inputIsTerminal: true, outputIsTerminal: true, errorIsTerminal: true)
    #expect(run(["sync", "--no-input"], in: terminal, table: table).code == .usage)
    let post = Sample.table { invocation in
      _ = try invocation.composedText(invocation.arguments.optional(Sample.text), maximum: 5)
    }
    #expect(run(["post"], table: post).code == .usage)
    #expect(run(["post", " \n\u{2003}"], table: post).code == .failed)
    #expect(run(["post", " \n"], table: post).error == "error: empty, nothing posted\n")
    #expect(run(["post", "123456"], table: post).code == .usage)
    #expect(run(["post", "12345"], table: post).code == .ok)
  }

  @Test("the editor writes the text; an empty one posts nothing, a failing one too")
  func editor() {
    func post(_ editor: String) -> Ending {
      let variables = ["EDITOR": editor, "NO_COLOR": "1", "PATH": Surroundings.ofProcess().variable("PATH") ?? ""]
      let terminal = Surroundings(
        variables: variables, inputIsTerminal: true, outputIsTerminal: false, errorIsTerminal: true)
      let table = Sample.table { try $0.output.line("\($0.composedText(nil, maximum: 100))") }
      return run(["post"], in: terminal, table: table)
    }
    #expect(post("true").code == .failed)
    #expect(post("true").error == "error: empty, nothing posted\n")
    #expect(post("false").code == .failed)
    #expect(post("printf 'from the editor' >").output == "from the editor\n")
  }

  @Test("a passphrase comes from a file or a descriptor, its first line only")
  func passphrase() throws {
    let options = [Option.passphraseFile, .passphraseDescriptor]
    func login(_ words: [String]) -> Ending {
      let command = Command(
        "login", "unlock", examples: [.init("tl login", "ask"), .init("tl login -q", "ask quietly")], options: options
      ) { invocation in
        let passphrase = try invocation.passphrase()
        try invocation.output.line("\(passphrase.map { String(decoding: $0, as: UTF8.self) } ?? "nobody")")
      }
      return run(
        ["login"] + words,
        table: CommandTable(
          program: "tl", version: "0.1.0", date: "2026-11-20", summary: "a sample", examples: [], commands: [command]))
    }
    withFile("secret\r\nmore".utf8) { path in
      let descriptor = open(path, O_RDONLY)
      defer { close(descriptor) }
      #expect(login(["--passphrase-file", path]).output == "secret\n")
      #expect(login(["--passphrase-fd", "\(descriptor)"]).output == "secret\n")
    }
    withFile([]) { #expect(login(["--passphrase-file", $0]).code == .usage) }
    #expect(login([]).output == "nobody\n")
  }
}

@Suite struct ProfileDirectoryTests {
  @Test(
    "flag, TL_HOME, XDG_DATA_HOME when absolute, else the home directory",
    arguments: [
      ("/flag", ["TL_HOME": "/t", "HOME": "/h"], "/flag"), (nil, ["TL_HOME": "/t", "HOME": "/h"], "/t"),
      (nil, ["TL_HOME": "", "XDG_DATA_HOME": "/d", "HOME": "/h"], "/d/tl"),
      (nil, ["XDG_DATA_HOME": "relative", "HOME": "/h"], "/h/.local/share/tl"),
      (nil, ["HOME": "/h"], "/h/.local/share/tl"),
    ] as [(String?, [String: String], String)])
  func path(asked: String?, variables: [String: String], expected: String) throws {
    #expect(try ProfileDirectory.path(asked: asked, in: Surroundings(variables: variables)) == expected)
  }

  @Test("without a home directory somebody must name one")
  func homeless() {
    #expect(throws: CommandFailure.self) { try ProfileDirectory.path(asked: nil, in: Surroundings()) }
  }

  @Test("the runtime directory must be ours alone")
  func runtime() throws {
    var template = Array("/tmp/tl-test-XXXXXX".utf8CString)
    let made = try #require(mkdtemp(&template).map { String(cString: $0) })
    defer { rmdir(made) }
    func path(_ runtime: String) -> String {
      ProfileDirectory.runtimePath(profile: "/p", in: Surroundings(variables: ["XDG_RUNTIME_DIR": runtime]))
    }
    #expect(path(made) == "\(made)/tl")
    chmod(made, 0o750)
    #expect(path(made) == "/p")
    #expect(path("relative") == "/p")
    #expect(path("/nonexistent") == "/p")
    #expect(path("") == "/p")
  }
}
