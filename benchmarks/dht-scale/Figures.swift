import Primitives

/// What lookups cost and found.
struct Figures {
  let scenario: String
  let nodes: Int
  var lookups = 0
  /// Lookups that met the node which really is nearest.
  var nearestFound = 0
  /// Of the eight that really are nearest, and how many of them there were.
  var recalled = 0
  var recallable = 0
  var hops = 0
  var queries = 0
  var timeouts = 0
  var milliseconds: [Double] = []
  /// Items that were stored, and of those the ones found by somebody else.
  var items = 0
  var itemsFound = 0
  var putQueries = 0
  var getQueries = 0

  init(_ scenario: String, _ nodes: Int) {
    self.scenario = scenario
    self.nodes = nodes
  }

  var recall: Double { share(recalled, recallable) }
  var success: Double { share(nearestFound, lookups) }
  var itemSuccess: Double { share(itemsFound, items) }
  var hopsEach: Double { Double(hops) / Double(max(1, lookups)) }
  var queriesEach: Double { Double(queries) / Double(max(1, lookups)) }
  var timeoutsEach: Double { Double(timeouts) / Double(max(1, lookups)) }

  func percentile(_ part: Double) -> Double {
    let sorted = milliseconds.sorted()
    return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
  }

  private func share(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 1 : Double(part) / Double(whole) }

  static let header =
    "   nodes  scenario    lookups  nearest   recall   hops   RPCs  timeouts    p50 ms    p99 ms   items   found  put RPCs  get RPCs"

  var row: String {
    func perItem(_ queries: Int) -> Double { Double(queries) / Double(max(1, items)) }
    return [
      column("\(nodes)", 8), "  " + scenario + String(repeating: " ", count: max(0, 10 - scenario.count)),
      column("\(lookups)", 9), column(percent(success), 9), column(percent(recall), 9), column(fixed(hopsEach, 2), 7),
      column(fixed(queriesEach, 1), 7), column(fixed(timeoutsEach, 2), 10), column(fixed(percentile(0.5), 0), 10),
      column(fixed(percentile(0.99), 0), 10), column("\(items)", 8), column(percent(itemSuccess), 8),
      column(fixed(perItem(putQueries), 1), 10), column(fixed(perItem(getQueries), 1), 10),
    ].joined()
  }

  var json: [UInt8] {
    var line = JSONObject()
    line.add("scenario", scenario)
    line.add("nodes", nodes)
    line.add("lookups", lookups)
    line.add("nearestFound", nearestFound)
    line.add("recalled", recalled)
    line.add("recallable", recallable)
    line.add("hops", hops)
    line.add("queries", queries)
    line.add("timeouts", timeouts)
    line.add("items", items)
    line.add("itemsFound", itemsFound)
    line.add("putQueries", putQueries)
    line.add("getQueries", getQueries)
    return line.encoded
  }
}

/// A lookup with full knowledge of one's own table, and nobody gone: a simulation of static tables with the same buckets
/// (128, 64, 32, 16, then 8) and five queries at a time, and one of plain buckets of eight and three at a time.
struct Ideal {
  let nodes: Int
  let hops: Double
  let plainHops: Double
  let plainQueries: Double

  static let all = [
    Ideal(nodes: 100, hops: 1.0, plainHops: 1.6, plainQueries: 9),
    Ideal(nodes: 1_000, hops: 1.7, plainHops: 2.2, plainQueries: 11),
    Ideal(nodes: 10_000, hops: 2.3, plainHops: 2.9, plainQueries: 13),
    Ideal(nodes: 100_000, hops: 2.9, plainHops: 3.6, plainQueries: 15),
  ]
}

func percent(_ part: Double) -> String { fixed(part * 100, 2) }

func fixed(_ value: Double, _ digits: Int) -> String {
  let scale = (0..<digits).reduce(1) { number, _ in number * 10 }
  let rounded = Int((value * Double(scale)).rounded())
  let sign = rounded < 0 ? "-" : ""
  guard digits > 0 else { return "\(rounded)" }
  let rest = String(rounded.magnitude % UInt(scale))
  return sign + "\(rounded.magnitude / UInt(scale))." + String(repeating: "0", count: digits - rest.count) + rest
}

func column(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
