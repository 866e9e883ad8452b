import Glibc

/// What this process has used so far.
enum Usage {
  /// Seconds on a processor, of all threads.
  static var processorSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// The most memory it ever had resident, in MB of 10⁶ bytes: VmHWM.
  static func residentMaximum() throws -> Double {
    guard let file = fopen("/proc/self/status", "r") else { throw BenchmarkError(systemCall: "/proc/self/status") }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix("VmHWM:") else { continue }
      let digits = text.filter(\.isNumber)
      if let kibibytes = Double(digits) { return kibibytes * 1024 / 1e6 }
    }
    throw BenchmarkError("no VmHWM in /proc/self/status")
  }
}

enum Files {
  static func size(_ path: String) throws -> Int {
    var status = stat()
    guard stat(path, &status) == 0 else { throw BenchmarkError(systemCall: path) }
    return Int(status.st_size)
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// A store and what SQLite keeps beside it.
  static func remove(store path: String) {
    for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
  }

  static func copy(_ source: String, to target: String) throws {
    let from = open(source, O_RDONLY | O_CLOEXEC)
    let to = open(target, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
    guard from >= 0, to >= 0 else { throw BenchmarkError(systemCall: "copying \(source)") }
    defer {
      close(from)
      close(to)
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(from, &buffer, buffer.count)
      if count == 0 { return }
      guard count > 0, write(to, buffer, count) == count else { throw BenchmarkError(systemCall: "copying \(source)") }
    }
  }
}

extension Benchmark {
  /// As `rate`, with the rate per second of processor time beside it, which a busy machine does not change as much.
  static func rateWithProcessor(_ count: Int, _ body: () throws -> Void) rethrows -> Sample {
    let before = Usage.processorSeconds
    var sample = try rate(count, body)
    sample.notes.append(("perCPUSecond", Double(count) / (Usage.processorSeconds - before)))
    return sample
  }
}
