import Glibc
public import Primitives
import Synchronization

/// The only way to say something: data on standard output, talk on standard error. Text is made safe here, for terminals
/// and pipes alike. Any thread may use it; a line is written whole.
public final class Output: Sendable {
  public struct Options: Sendable {
    public var json = false
    /// No talk but errors.
    public var quiet = false
    /// How often `-v` was given.
    public var verbosity = 0
    public var colour = ColourChoice.auto
    public var pager = true

    public init() {}
  }

  public let surroundings: Surroundings
  public let options: Options
  public let outputHasColours: Bool
  public let errorHasColours: Bool
  private let errorDescriptor: Int32
  private let state: Mutex<State>

  private struct State {
    var descriptor: Int32
    var buffer: [UInt8] = []
    var pager: Pager?
    var pagerLeft = false
    var progressIsShown = false
  }

  public init(
    surroundings: Surroundings, options: Options = Options(), outputDescriptor: Int32 = 1, errorDescriptor: Int32 = 2
  ) {
    self.surroundings = surroundings
    self.options = options
    self.errorDescriptor = errorDescriptor
    outputHasColours = options.colour.applies(toTerminal: surroundings.outputIsTerminal, in: surroundings)
    errorHasColours = options.colour.applies(toTerminal: surroundings.errorIsTerminal, in: surroundings)
    state = Mutex(State(descriptor: outputDescriptor))
  }

  /// Columns to wrap data to; nil in a pipe, where a line is never broken.
  public var wrapCells: Int? { surroundings.outputIsTerminal ? surroundings.columns : nil }
}

/// Data.
extension Output {
  /// One line for a person.
  public func line(_ text: StyledText = "") throws(CommandFailure) {
    try write(Array((text.rendered(colours: outputHasColours) + "\n").utf8))
  }

  /// The lines of a text, wrapped to the terminal; in a pipe as they are. `indent` leads every line.
  public func paragraph(_ text: String, indent: String = "", style: Style = .plain) throws(CommandFailure) {
    for part in TextLayout.wrapped(indent + SafeText.block(text), cells: wrapCells, indent: indent) {
      try line(StyledText(part, style))
    }
  }

  /// One JSON line.
  public func line(_ object: JSONObject) throws(CommandFailure) {
    try write(object.encoded + [0x0A])
  }

  /// Bytes of a format of their own (a completion script, an export). A terminal gets them made safe.
  public func data(_ bytes: [UInt8]) throws(CommandFailure) {
    if surroundings.outputIsTerminal {
      try write(Array(SafeText.block(String(decoding: bytes, as: UTF8.self)).utf8))
    } else {
      try write(bytes)
    }
  }

  /// Hands everything to the system. A command that goes on for long calls it after what must be seen at once.
  public func flush() throws(CommandFailure) {
    try state.withLock { (state) throws(CommandFailure) in try flush(&state) }
  }

  /// Sends what follows through a pager when a person at a terminal reads it (TL_PAGER, PAGER, `less -FIRX`). A pager that
  /// does not start is no reason to fail.
  public func startPager() {
    guard options.pager, !options.json, surroundings.outputIsTerminal, surroundings.inputIsTerminal else { return }
    state.withLock { state in
      guard state.pager == nil, state.buffer.isEmpty, let pager = Pager.start(in: surroundings) else { return }
      state.pager = pager
      state.descriptor = pager.descriptor
    }
  }

  /// Flushes, and waits for the pager. The last call; without it buffered data is lost.
  public func finish() throws(CommandFailure) {
    hideProgress()
    defer {
      state.withLock { state in
        state.pager?.wait()
        state.pager = nil
      }
    }
    try flush()
  }

  private func write(_ bytes: [UInt8]) throws(CommandFailure) {
    try state.withLock { (state) throws(CommandFailure) in
      if state.progressIsShown, surroundings.outputIsTerminal { clearProgress(&state) }
      state.buffer += bytes
      let isSeenAtOnce = surroundings.outputIsTerminal && state.pager == nil
      if isSeenAtOnce || state.buffer.count >= bufferBytes { try flush(&state) }
    }
  }

  private func flush(_ state: inout State) throws(CommandFailure) {
    let bytes = state.buffer
    state.buffer.removeAll(keepingCapacity: true)
    if state.pagerLeft { return }
    let error = writeAll(bytes, to: state.descriptor)
    switch error {
    case 0: return
    // Who leaves the pager has seen enough: that is no failure.
    case EPIPE where state.pager != nil: state.pagerLeft = true
    case EPIPE: throw CommandFailure(.brokenPipe, "")
    case ENOSPC: throw CommandFailure(.noSpace, "no space left for the output")
    default: throw CommandFailure(.failed, "cannot write the output: \(String(cString: strerror(error)))")
    }
  }
}

/// Talk. There is nobody to tell when it cannot be written.
extension Output {
  /// What a person wants to know beside the data; `-q` silences it.
  public func note(_ text: StyledText) {
    if !options.quiet { talk(text) }
  }

  /// For `-v` (level 1), `-vv` (level 2) and so on.
  public func detail(_ text: StyledText, level: Int = 1) {
    if options.verbosity >= level { talk(text) }
  }

  /// Something is wrong but the command goes on.
  public func warn(_ text: StyledText) { talk("\("warning:", .yellow) \(text)") }

  /// `error: …` and a `hint: …` for each hint.
  public func report(_ failure: CommandFailure) {
    if failure.message.isEmpty { return }
    talk("\("error:", .red) \(failure.message)")
    for hint in failure.hints { talk("\("hint:", .cyan) \(hint)") }
  }

  /// Text for standard error as it stands, on as many lines as it has: a question, or a help text after a mistake.
  public func tell(_ text: String) {
    state.withLock { state in
      clearProgress(&state)
      _ = writeAll(Array(SafeText.block(text).utf8), to: errorDescriptor)
    }
  }

  private func talk(_ text: StyledText) {
    state.withLock { state in
      clearProgress(&state)
      _ = writeAll(Array((text.rendered(colours: errorHasColours) + "\n").utf8), to: errorDescriptor)
    }
  }
}

/// The progress line: on standard error, on a terminal only.
extension Output {
  public var showsProgress: Bool {
    surroundings.errorIsTerminal && !options.quiet && surroundings.variable("TERM") != "dumb"
  }

  func showProgress(_ text: String) {
    guard showsProgress else { return }
    let line = TextLayout.truncated(SafeText.line(text), cells: surroundings.columns - 1)
    state.withLock { state in
      state.progressIsShown = true
      _ = writeAll(Array("\r\(line)\u{1B}[K".utf8), to: errorDescriptor)
    }
  }

  func hideProgress() {
    state.withLock { state in clearProgress(&state) }
  }

  private func clearProgress(_ state: inout State) {
    guard state.progressIsShown else { return }
    state.progressIsShown = false
    _ = writeAll(Array("\r\u{1B}[K".utf8), to: errorDescriptor)
  }
}

/// Writes everything; the error number, or 0. SIGPIPE must be ignored.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
  var offset = 0
  while offset < bytes.count {
    let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + offset, $0.count - offset) }
    if written >= 0 {
      offset += written
    } else if errno == EAGAIN {
      var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      _ = poll(&ready, 1, -1)
    } else if errno != EINTR {
      return errno
    }
  }
  return 0
}

private let bufferBytes = 64 * 1024
