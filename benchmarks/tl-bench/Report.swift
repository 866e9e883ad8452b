/// Medians of a benchmark over its rounds, beside those of its limit.
struct Finding {
  let benchmark: Benchmark
  let samples: [Benchmark.Sample]
  let limit: [Benchmark.Sample]?

  var median: Double { Self.median(samples.map(\.value)) }
  var limitMedian: Double? { limit.map { Self.median($0.map(\.value)) } }
  /// The median of the ratios of the rounds, so that a slow moment counts on both sides.
  var ratio: Double? { limit.map { Self.median(zip(samples, $0).map { $0.value / $1.value }) } }

  /// Nil when there is no goal.
  var isMet: Bool? {
    switch benchmark.goal {
    case nil: nil
    case .atLeast(let goal): median >= goal
    case .atMost(let goal): median <= goal
    case .ratioAtLeast(let goal): ratio.map { $0 >= goal } ?? false
    case .ratioAtMost(let goal): ratio.map { $0 <= goal } ?? false
    }
  }

  var goalText: String? {
    switch benchmark.goal {
    case nil: nil
    case .atLeast(let goal): "≥ \(Self.short(goal)) \(benchmark.unit)"
    case .atMost(let goal): "≤ \(Self.short(goal)) \(benchmark.unit)"
    case .ratioAtLeast(let goal): "≥ \(Self.short(goal)) × limit"
    case .ratioAtMost(let goal): "≤ \(Self.short(goal)) × limit"
    }
  }

  var notes: [(name: String, value: Double)] {
    (samples.first?.notes ?? []).map { note in
      (note.name, Self.median(samples.compactMap { $0.notes.first { $0.name == note.name }?.value }))
    }
  }

  var json: String {
    let values = samples.map(\.value)
    var fields = [
      "\"v\":1", "\"name\":\"\(benchmark.name)\"", "\"unit\":\"\(benchmark.unit)\"",
      "\"median\":\(Self.number(median))",
      "\"min\":\(Self.number(values.min()!))", "\"max\":\(Self.number(values.max()!))", "\"runs\":\(values.count)",
    ]
    if let limit = benchmark.limit, let limitMedian, let ratio {
      fields += [
        "\"limit\":\"\(limit)\"", "\"limitMedian\":\(Self.number(limitMedian))", "\"ratio\":\(Self.number(ratio))",
      ]
    }
    if let goalText, let isMet { fields += ["\"goal\":\"\(goalText)\"", "\"met\":\(isMet)"] }
    if !notes.isEmpty {
      fields.append(
        "\"notes\":{" + notes.map { "\"\($0.name)\":\(Self.number($0.value))" }.joined(separator: ",") + "}")
    }
    return "{" + fields.joined(separator: ",") + "}"
  }

  /// The row of the table: name, figure, spread, ratio to the limit, goal and whether it is met, notes.
  var row: [String] {
    let values = samples.map(\.value)
    return [
      benchmark.name, "\(Self.short(median)) \(benchmark.unit)",
      "\(Self.short(values.min()!))–\(Self.short(values.max()!))",
      ratio.map { "\(Self.short($0)) × \(benchmark.limit!)" } ?? "",
      goalText.map { (isMet! ? "met: " : "MISSED: ") + $0 } ?? "",
      notes.map { "\($0.name) \(Self.short($0.value))" }.joined(separator: ", "),
    ]
  }

  static let columns = ["benchmark", "median", "spread", "ratio", "goal", "notes"]

  static func table(_ rows: [[String]]) -> String {
    let all = [columns] + rows
    let widths = columns.indices.map { column in all.map { $0[column].count }.max()! }
    return all.map { row in
      var line = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  /// Three digits that count.
  private static func short(_ value: Double) -> String {
    if value >= 1000 { return grouped(Int(value.rounded())) }
    let decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3
    let scale = [1.0, 10, 100, 1000][decimals]
    let rounded = (value * scale).rounded() / scale
    return decimals == 0 ? String(Int(rounded)) : String(rounded)
  }

  private static func grouped(_ value: Int) -> String {
    value < 1000 ? String(value) : grouped(value / 1000) + "," + String(String(value % 1000 + 1000).dropFirst())
  }

  private static func number(_ value: Double) -> String {
    value.isFinite ? (value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)) : "null"
  }
}
