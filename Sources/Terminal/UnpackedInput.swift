import Glibc

extension Input {
  /// As `bytes`; what gzip packed comes unpacked, by the gzip program, so that no decompressor of ours reads what people
  /// fetched from somewhere.
  /// - Parameter maximum: bytes, before and after.
  public static func unpackedBytes(
    _ path: String, maximum: Int, in surroundings: Surroundings
  ) throws(CommandFailure) -> [UInt8] {
    let packed = try bytes(path, maximum: maximum)
    guard packed.starts(with: [0x1F, 0x8B]) else { return packed }
    let name = path == "-" ? "standard input" : path
    let failure = CommandFailure(.failed, "gzip cannot unpack \(name)")
    // A file that has no name takes the bytes, because gzip writes before it has read all.
    guard let file = tmpfile() else { throw failure }
    defer { fclose(file) }
    guard writeAll(packed, to: fileno(file)) == 0, lseek(fileno(file), 0, SEEK_SET) == 0 else { throw failure }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw failure }
    _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
    let child = ChildProcess.start("exec gzip -dc >&\(ends[1])", input: fileno(file), in: surroundings)
    close(ends[1])
    defer { close(ends[0]) }
    guard let child else { throw failure }
    var unpacked: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while unpacked.count <= maximum {
      let count = read(ends[0], &part, part.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      unpacked += part[..<count]
    }
    guard unpacked.count <= maximum else {
      kill(child.identifier, SIGTERM)
      child.wait()
      throw CommandFailure(.usage, "\(name) has more than \(maximum) bytes when it is unpacked")
    }
    guard child.wait() == 0 else { throw failure }
    return unpacked
  }
}
