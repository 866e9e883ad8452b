import Glibc
import Primitives

/// The public chat log: who, when, what.
struct ChatLog {
  struct Line {
    /// Place in `authors`.
    let author: Int
    let time: Timestamp
    let text: String
  }

  /// In the order in which they first appear; a few never say anything.
  private(set) var authors: [String] = []
  /// All messages with text, in the order of the file: times have only minutes.
  private(set) var lines: [Line] = []

  /// Nil when the data is not at hand.
  init?(in data: String?) throws {
    guard let data else { return nil }
    let path = data + "/irc/ubuntu-irc.tsv.gz"
    guard access(path, R_OK) == 0 else { return nil }
    var places: [String: Int] = [:]
    for line in try Self.gunzip(path).split(separator: UInt8(ascii: "\n")) {
      // The text may hold tabs itself: only the first two separate.
      let parts = line.split(separator: UInt8(ascii: "\t"), maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, let time = Int64(String(decoding: parts[1], as: UTF8.self)) else {
        throw BenchmarkError("a line of \(path) is not author, time, text")
      }
      let name = String(decoding: parts[0], as: UTF8.self)
      let author = places[name] ?? authors.count
      if author == authors.count {
        authors.append(name)
        places[name] = author
      }
      if parts[2].allSatisfy({ $0 == UInt8(ascii: " ") }) { continue }
      lines.append(
        Line(
          author: author, time: Timestamp(milliseconds: time), text: String(decoding: parts[2], as: UTF8.self)))
    }
  }

  private static func gunzip(_ path: String) throws -> [UInt8] {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw BenchmarkError(systemCall: "pipe") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    var arguments: [UnsafeMutablePointer<CChar>?] = (["gzip", "-dc", "--", path] as [String]).map { strdup($0) }
    arguments.append(nil)
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let code = posix_spawnp(&child, "gzip", &actions, nil, &arguments, environ)
    close(ends[1])
    defer { close(ends[0]) }
    guard code == 0 else { throw BenchmarkError("gzip does not start") }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(ends[0], &buffer, buffer.count)
      if count <= 0 { break }
      bytes.append(contentsOf: buffer[..<count])
    }
    var status: Int32 = 0
    guard waitpid(child, &status, 0) == child, status == 0 else { throw BenchmarkError("gzip fails on \(path)") }
    return bytes
  }
}
