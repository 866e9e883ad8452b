import Glibc

/// Asking the person at the terminal. Nobody is asked without a terminal or with `--no-input`.
extension Invocation {
  /// Asks before something that cannot be undone; `--yes` answers it. When nobody can be asked the answer must be in the
  /// command line (exit code 2), and "no" ends the command (exit code 1).
  public func confirm(_ question: String, yes: Option) throws(CommandFailure) {
    if arguments.has(yes) { return }
    guard mayAsk else { throw CommandFailure(.usage, "nobody to ask: \(question)", hint: "--\(yes.name) says yes") }
    let answer = try ask("\(question) [y/N]")
    if !["y", "yes"].contains(answer.lowercased()) { throw CommandFailure(.failed, "not confirmed, nothing changed") }
  }

  /// One line. Only where `mayAsk` holds.
  public func ask(_ question: String) throws(CommandFailure) -> String {
    precondition(mayAsk, "asked with nobody there")
    output.tell("\(question) ")
    guard let line = readLine() else { throw CommandFailure(.failed, "no answer") }
    return line
  }

  /// A passphrase from the file, the descriptor or the person, in this order. `isNew` asks twice. Nil when nobody can say.
  /// It never comes from a flag or the environment, where others could read it.
  public func passphrase(
    file: Option = .passphraseFile, descriptor: Option = .passphraseDescriptor, isNew: Bool = false
  ) throws(CommandFailure) -> [UInt8]? {
    if let path = arguments.text(file) { return try firstLine(try Input.bytes(path, maximum: passphraseMaximum)) }
    if let number = arguments.number(descriptor) {
      return try firstLine(try Input.bytes("/dev/fd/\(number)", maximum: passphraseMaximum))
    }
    guard mayAsk else { return nil }
    output.tell(isNew ? "New passphrase (empty for none): " : "Passphrase: ")
    let first = try readHidden()
    if isNew, !first.isEmpty {
      output.tell("Once more: ")
      guard try readHidden() == first else { throw CommandFailure(.failed, "the two passphrases differ") }
    }
    return first
  }

  private func firstLine(_ bytes: [UInt8]) throws(CommandFailure) -> [UInt8] {
    var line = Array(bytes.prefix { $0 != 0x0A })
    if line.last == 0x0D { line.removeLast() }
    if line.isEmpty { throw CommandFailure(.usage, "the passphrase is empty") }
    return line
  }

  // Byte by byte and without the terminal's own signals, so that Ctrl-C too puts the echo back.
  private func readHidden() throws(CommandFailure) -> [UInt8] {
    var before = termios()
    guard tcgetattr(0, &before) == 0 else { throw CommandFailure(.failed, "cannot switch the terminal's echo off") }
    var hidden = before
    hidden.c_lflag &= ~UInt32(ECHO | ICANON | ISIG)
    guard tcsetattr(0, TCSAFLUSH, &hidden) == 0 else {
      throw CommandFailure(.failed, "cannot switch the terminal's echo off")
    }
    defer {
      tcsetattr(0, TCSAFLUSH, &before)
      output.tell("\n")
    }
    var typed: [UInt8] = []
    while true {
      var byte: UInt8 = 0
      let count = read(0, &byte, 1)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { throw CommandFailure(.failed, "no passphrase") }
      switch byte {
      case 0x0A, 0x0D: return typed
      case 0x03: throw CommandFailure(.interrupted, "interrupted")
      case 0x04: if typed.isEmpty { throw CommandFailure(.failed, "no passphrase") } else { return typed }
      case 0x08, 0x7F:
        while let last = typed.popLast(), last & 0xC0 == 0x80 {}
      case 0x15: typed = []
      default: if typed.count < passphraseMaximum { typed.append(byte) }
      }
    }
  }

  /// A text: the words given, standard input for `-`, or what the person writes in their editor. Exit code 2 when it is
  /// not UTF-8, is over `maximum` bytes or nobody can write one, 1 when it is blank.
  public func composedText(_ given: String?, maximum: Int) throws(CommandFailure) -> String {
    let text = try unchecked(given, maximum: maximum)
    guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
      throw CommandFailure(.failed, "empty, nothing posted")
    }
    return text
  }

  private func unchecked(_ given: String?, maximum: Int) throws(CommandFailure) -> String {
    if given == "-" { return try Input.text("-", maximum: maximum) }
    if let given {
      guard given.utf8.count <= maximum else {
        throw CommandFailure(.usage, "the text has \(given.utf8.count) bytes; \(maximum) are allowed")
      }
      return given
    }
    guard mayAsk else {
      throw CommandFailure(.usage, "no text", hint: "give it as an argument, or - to read standard input")
    }
    return try editedText(maximum: maximum)
  }

  private func editedText(maximum: Int) throws(CommandFailure) -> String {
    let editor = surroundings.variable("VISUAL") ?? surroundings.variable("EDITOR") ?? "vi"
    let directory = surroundings.variable("TMPDIR") ?? "/tmp"
    var template = Array("\(directory)/tl-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else {
      throw CommandFailure(.failed, "cannot make a file in \(directory): \(String(cString: strerror(errno)))")
    }
    close(descriptor)
    let path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer { unlink(path) }
    // The keyboard's interrupt is the editor's while it runs.
    let previous = signal(SIGINT, SIG_IGN)
    let status = ChildProcess.start("\(editor) \"$1\"", arguments: [path], in: surroundings)?.wait()
    _ = signal(SIGINT, previous)
    guard let status, status == 0 else { throw CommandFailure(.failed, "the editor failed, nothing posted") }
    return try Input.text(path, maximum: maximum)
  }
}

extension Option {
  public static let passphraseFile = Option(
    "passphrase-file", .file("FILE"), "read the passphrase from the first line of FILE")
  public static let passphraseDescriptor = Option(
    "passphrase-fd", .number("N", 0...1023), "read the passphrase from file descriptor N")
}

private let passphraseMaximum = 4096
