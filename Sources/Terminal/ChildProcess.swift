import Glibc

/// Programs of the user's choice (a pager, an editor), started through the shell as their variables expect.
struct ChildProcess {
  let identifier: pid_t

  /// Runs `sh -c command` with `arguments` as `$1` …; nil when it cannot be started. `input` becomes its standard input.
  static func start(
    _ command: String, arguments: [String] = [], input: Int32? = nil, adding extra: [String: String] = [:],
    in surroundings: Surroundings
  ) -> ChildProcess? {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input { posix_spawn_file_actions_adddup2(&actions, input, 0) }
    // A child must not inherit that we ignore SIGPIPE.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    sigemptyset(&defaults)
    sigaddset(&defaults, SIGPIPE)
    sigaddset(&defaults, SIGINT)
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))

    let variables = surroundings.variables.merging(extra) { $1 }.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }
    var identifier: pid_t = 0
    let error = withCStrings(["sh", "-c", command, "sh"] + arguments) { words in
      withCStrings(variables) { variables in
        posix_spawn(&identifier, "/bin/sh", &actions, &attributes, words, variables)
      }
    }
    return error == 0 ? ChildProcess(identifier: identifier) : nil
  }

  /// Its exit status, 128 + the signal that ended it, or -1.
  @discardableResult
  func wait() -> Int32 {
    var status: Int32 = 0
    while waitpid(identifier, &status, 0) < 0 {
      if errno != EINTR { return -1 }
    }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  }
}

/// A pager that reads what we write to `descriptor`.
struct Pager {
  let descriptor: Int32
  private let process: ChildProcess

  static func command(in surroundings: Surroundings) -> String? {
    let command = surroundings.variables["TL_PAGER"] ?? surroundings.variable("PAGER") ?? "less -FIRX"
    // An empty TL_PAGER, or cat, means: no pager.
    return command.isEmpty || command == "cat" ? nil : command
  }

  static func start(in surroundings: Surroundings) -> Pager? {
    guard let command = command(in: surroundings) else { return nil }
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let extra = surroundings.variables["LESS"] == nil ? ["LESS": "FIRX"] : [:]
    let process = ChildProcess.start(command, input: ends[0], adding: extra, in: surroundings)
    close(ends[0])
    guard let process else {
      close(ends[1])
      return nil
    }
    // From now on the keyboard's interrupt is the pager's; when it leaves, writing to it fails and the command ends.
    _ = signal(SIGINT, SIG_IGN)
    return Pager(descriptor: ends[1], process: process)
  }

  func wait() {
    close(descriptor)
    process.wait()
  }
}

private func withCStrings<R>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
  let pointers = texts.map { strdup($0) }
  defer { for pointer in pointers { free(pointer) } }
  return body(pointers + [nil])
}
