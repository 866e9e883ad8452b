/// What a process of ours exits with; part of the interface, listed in tl(1).
public enum ExitCode: Int32, Sendable, CaseIterable {
  case ok = 0
  case failed = 1
  case usage = 2
  case brokenPipe = 3
  case notFound = 4
  case verificationFailed = 5
  /// A peer could not be reached, or something that it offered did not arrive.
  case incomplete = 6
  case locked = 7
  case noSpace = 8
  /// Our own bug.
  case bug = 70
  case interrupted = 130

  public var meaning: String {
    switch self {
    case .ok: "success"
    case .failed: "the command failed"
    case .usage: "the command line or the input was wrong"
    case .brokenPipe: "the reader of standard output went away"
    case .notFound: "what was asked for is not here"
    case .verificationFailed: "a hash, signature or checksum does not match"
    case .incomplete: "a peer could not be reached, or something it offered did not arrive"
    case .locked: "another process holds the profile, or the keys are locked"
    case .noSpace: "no space left on the disk"
    case .bug: "a bug in tl"
    case .interrupted: "interrupted from the keyboard"
    }
  }
}

/// Why a command ended without doing its work, in words for the person who ran it: what happened, and what to do next.
/// The words may quote hostile input; `Output` makes them safe.
public struct CommandFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public let code: ExitCode
  /// One sentence without a full stop; empty when there is nothing to say (a broken pipe).
  public let message: String
  public let hints: [String]

  public init(_ code: ExitCode = .failed, _ message: String, hints: [String] = []) {
    self.code = code
    self.message = message
    self.hints = hints
  }

  public init(_ code: ExitCode = .failed, _ message: String, hint: String) {
    self.init(code, message, hints: [hint])
  }

  public var description: String { message }
}
