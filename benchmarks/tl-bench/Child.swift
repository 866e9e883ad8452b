import Dispatch
import Glibc
import Primitives

/// This program as a process of its own, with a line in and a line out at a time.
final class Child {
  private let process: pid_t
  private let input: Int32
  private let output: UnsafeMutablePointer<FILE>

  /// - Parameter arguments: what `Child.run` gets there.
  init(_ arguments: [String]) throws {
    var down: [Int32] = [0, 0]
    var up: [Int32] = [0, 0]
    guard pipe(&down) == 0, pipe(&up) == 0 else { throw BenchmarkError(systemCall: "pipe") }
    for end in down + up { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO)
    var words: [UnsafeMutablePointer<CChar>?] = (["tl-bench", "--child"] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child: pid_t = 0
    let code = posix_spawn(&child, "/proc/self/exe", &actions, nil, &words, environ)
    close(down[0])
    close(up[1])
    guard code == 0, let file = fdopen(up[0], "r") else { throw BenchmarkError("the child does not start") }
    process = child
    input = down[1]
    output = file
  }

  /// Says a line and returns the answer's words; with nil only waits for one.
  func ask(_ line: String?) throws -> [String] {
    if let line {
      let bytes = Array((line + "\n").utf8)
      guard write(input, bytes, bytes.count) == bytes.count else {
        throw BenchmarkError(systemCall: "asking the child")
      }
    }
    var buffer = [CChar](repeating: 0, count: 1 << 16)
    guard fgets(&buffer, Int32(buffer.count), output) != nil else { throw BenchmarkError("the child ended early") }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
    if words.first == "failed" { throw BenchmarkError("the child: \(text)") }
    return words
  }

  /// The child ends when its input does.
  deinit {
    close(input)
    fclose(output)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }

  // MARK: - In the child

  /// Does what the first word says, until standard input ends.
  static func run(_ arguments: [String]) throws {
    func reply(_ text: String) {
      let bytes = Array((text + "\n").utf8)
      _ = write(STDOUT_FILENO, bytes, bytes.count)
    }
    do {
      let answer: (String) throws -> String
      switch arguments.first {
      case "serve":
        let server = try SyncServer(store: arguments[1])
        reply("\(server.address) \(server.node.hex)")
        answer = server.answer
      case "fetch":
        reply("ready")
        answer = { try SyncClient.answer($0) }
      default: throw UsageError(description: "no child \(arguments)\n")
      }
      while let line = readLine() { reply(try answer(line)) }
    } catch {
      reply("failed \(error)")
    }
  }
}

/// Waits on this thread for what is done elsewhere.
func wait<Value: Sendable>(for body: @escaping @Sendable () async throws -> Value) throws -> Value {
  let done = DispatchSemaphore(value: 0)
  let box = Box<Value>()
  Task.detached {
    do { box.result = .success(try await body()) } catch { box.result = .failure(error) }
    done.signal()
  }
  done.wait()
  return try box.result!.get()
}

/// `@unchecked Sendable`: written before the semaphore is raised and read after.
private final class Box<Value>: @unchecked Sendable {
  var result: Result<Value, any Error>?
}
