import Glibc

/// One figure that can be measured over and over.
struct Benchmark: Sendable {
  /// What one run found: the figure itself and whatever else is worth a column (bytes, percentiles).
  struct Sample: Sendable {
    var value: Double
    var notes: [(name: String, value: Double)] = []
  }

  enum Goal: Sendable {
    /// The figure itself.
    case atLeast(Double)
    case atMost(Double)
    /// The figure divided by its limit's, from the same rounds.
    case ratioAtLeast(Double)
    case ratioAtMost(Double)
  }

  /// `area.what`, in lower case.
  let name: String
  let about: String
  let unit: String
  /// The name of the benchmark that this one stands beside: a bare loop over the mechanism, or a rival.
  let limit: String?
  let goal: Goal?
  /// Sets up once, outside the clock, and gives back the run. State lives as long as the closure.
  let prepare: @Sendable (Context) throws -> () throws -> Sample

  init(
    _ name: String, _ about: String, unit: String, limit: String? = nil, goal: Goal? = nil,
    prepare: @escaping @Sendable (Context) throws -> () throws -> Sample
  ) {
    self.name = name
    self.about = about
    self.unit = unit
    self.limit = limit
    self.goal = goal
    self.prepare = prepare
  }

  /// Things done per second: the time of one call of `body`, which does `count` of them.
  static func rate(_ count: Int, _ body: () throws -> Void) rethrows -> Sample {
    let start = Stopwatch()
    try body()
    return Sample(value: Double(count) / start.seconds)
  }

  /// The median of `count` single calls in milliseconds, with the 99th percentile and the longest beside it.
  static func latency(_ count: Int, _ body: (Int) throws -> Void) rethrows -> Sample {
    var times: [Double] = []
    times.reserveCapacity(count)
    for index in 0..<count {
      let start = Stopwatch()
      try body(index)
      times.append(start.seconds * 1000)
    }
    times.sort()
    return Sample(
      value: times[count / 2], notes: [("p99", times[min(count - 1, count * 99 / 100)]), ("max", times[count - 1])])
  }
}

/// Monotonic time since it was made.
struct Stopwatch {
  private let start = Stopwatch.now()

  var seconds: Double { Double(Self.now() - start) / 1e9 }

  private static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// Something that keeps a benchmark from running. Says what to do about it.
struct BenchmarkError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// With the text of the last failed system call.
  init(systemCall description: String) { self.description = description + ": " + String(cString: strerror(errno)) }
}

/// The result of a computation that must not be optimised away.
@inline(never)
func keep<Value>(_ value: Value) {
  withUnsafePointer(to: value) { _ = $0 }
}
