import Identity
import Node
import Store
import Terminal
import Timelines
import Transport

/// What the errors of the modules mean to the person at the command line: an exit code, the words, and what to do next.
/// Nil for anything else, which is a bug of ours.
func explain(_ error: any Error) -> CommandFailure? {
  switch error {
  case let error as StoreError: explain(error)
  case let error as IdentityError: explain(error)
  case let error as NodeError: explain(error)
  case let error as TransportError: explain(error)
  case let error as ResolutionError: explain(error)
  default: nil
  }
}

private func explain(_ error: StoreError) -> CommandFailure? {
  let words = error.description
  switch error.code {
  case .locked:
    return CommandFailure(
      .locked, "the profile is \(words)", hint: "one process writes at a time; a node that runs serves all commands")
  case .permissions: return CommandFailure(.failed, words, hint: "a profile and its keys are for their owner alone")
  case .noSpace: return CommandFailure(.noSpace, words, hint: "nothing was changed; make room and try again")
  case .damaged where error.message.contains("write-ahead log"):
    // What was told last is lost here: going on would sign other events under the same numbers.
    return CommandFailure(
      .verificationFailed, words,
      hints: [
        "nothing is written to this profile any more; tl show and tl log still read what lies before, tl-log the rest",
        "in another --home, tl restore makes a new device of this person from a backup, and tl sync brings all back",
      ])
  case .damaged:
    return CommandFailure(
      .verificationFailed, words, hint: "tl log repair takes out what is damaged, and tl sync fetches it again")
  case .notFound: return CommandFailure(.notFound, words)
  case .verification: return CommandFailure(.verificationFailed, words)
  case .io, .unsupported: return CommandFailure(.failed, words)
  case .misuse: return nil
  }
}

private func explain(_ error: IdentityError) -> CommandFailure? {
  let words = error.description
  switch error.code {
  case .malformed, .limit: return CommandFailure(.usage, words)
  case .damaged:
    return CommandFailure(
      .verificationFailed, words, hint: "put back a copy of the file, or make a new device with tl restore")
  case .unsupported: return CommandFailure(.failed, words, hint: "a newer tl may know it")
  case .verification: return CommandFailure(.verificationFailed, words)
  case .conflict, .wrongKey: return CommandFailure(.failed, words)
  case .passphrase: return CommandFailure(.failed, words)
  case .sealed:
    return CommandFailure(.locked, words, hint: "tl login unlocks the device key; --passphrase-file FILE opens others")
  }
}

private func explain(_ error: NodeError) -> CommandFailure? {
  switch error.code {
  case .closed: CommandFailure(.failed, error.message)
  case .unreachable: CommandFailure(.incomplete, error.message)
  case .refused: CommandFailure(.failed, error.message)
  case .locked: CommandFailure(.locked, error.message)
  case .notFound: CommandFailure(.notFound, error.message)
  }
}

private func explain(_ error: TransportError) -> CommandFailure? {
  switch error.code {
  case .address: CommandFailure(.usage, error.description)
  case .resources: CommandFailure(.failed, error.description)
  case .refused, .timedOut, .handshake, .protocolViolation, .closed: CommandFailure(.incomplete, error.description)
  }
}

private func explain(_ error: ResolutionError) -> CommandFailure? {
  let hints = error.candidates.map { "did you mean \($0)?" }
  switch error.code {
  case .malformed, .ambiguous: return CommandFailure(.usage, error.message, hints: hints)
  case .notFound: return CommandFailure(.notFound, error.message, hints: hints)
  }
}
