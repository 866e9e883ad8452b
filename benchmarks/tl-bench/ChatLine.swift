import Glibc
import Primitives

/// One message of the public chat log: who, when, what.
struct ChatLine {
  let author: String
  let time: Timestamp
  let text: String

  /// All messages with text, in the order of the file (times have only minutes, so the order is the file's). Nil when the
  /// data is not at hand.
  static func all(in data: String?) throws -> [ChatLine]? {
    guard let data else { return nil }
    let path = data + "/irc/ubuntu-irc.tsv.gz"
    guard access(path, R_OK) == 0 else { return nil }
    var lines: [ChatLine] = []
    for line in try gunzip(path).split(separator: UInt8(ascii: "\n")) {
      // The text may hold tabs itself: only the first two separate.
      let parts = line.split(separator: UInt8(ascii: "\t"), maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3, let time = Int64(String(decoding: parts[1], as: UTF8.self)), !parts[2].isEmpty else {
        continue
      }
      lines.append(
        ChatLine(
          author: String(decoding: parts[0], as: UTF8.self), time: Timestamp(milliseconds: time),
          text: String(decoding: parts[2], as: UTF8.self)))
    }
    return lines
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
