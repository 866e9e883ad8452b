/// Cost against size, as a picture: sizes on a logarithmic axis, RPCs above, hops below.
enum Plot {
  private static let width = 760.0
  private static let panelHeight = 260.0
  private static let margin = (left: 60.0, right: 190.0, top: 36.0, bottom: 44.0)
  private static let colours = ["calm": "#1f77b4", "30% dead": "#d62728", "churn": "#2ca02c"]

  private struct Line {
    var name: String
    var colour: String
    var isIdeal = false
    var points: [(nodes: Double, value: Double)]
  }

  static func costBySize(_ figures: [Figures]) -> String {
    var scenarios: [String] = []
    for figures in figures where !scenarios.contains(figures.scenario) { scenarios.append(figures.scenario) }
    func lines(_ value: (Figures) -> Double) -> [Line] {
      scenarios.map { scenario in
        Line(
          name: scenario, colour: colours[scenario] ?? "#555555",
          points: figures.filter { $0.scenario == scenario }.map { (Double($0.nodes), value($0)) })
      }
    }
    let sizes = figures.map { Double($0.nodes) }
    let range = log2(sizes.min() ?? 1)...max(log2(sizes.max() ?? 2), log2(sizes.min() ?? 1) + 1)
    let ideals = Ideal.all.filter { range.contains(log2(Double($0.nodes))) }
    let queries =
      lines(\.queriesEach) + [
        Line(
          name: "static, buckets of 8", colour: "#999999", isIdeal: true,
          points: ideals.map { (Double($0.nodes), $0.plainQueries) })
      ]
    let hops =
      lines(\.hopsEach) + [
        Line(
          name: "static, buckets of 8", colour: "#999999", isIdeal: true,
          points: ideals.map { (Double($0.nodes), $0.plainHops) }),
        Line(
          name: "static, our buckets", colour: "#444444", isIdeal: true,
          points: ideals.map { (Double($0.nodes), $0.hops) }),
      ]
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(text(width))" height="\(text(2 * panelHeight))" \
      font-family="sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="white"/>
      \(panel("RPCs per lookup", queries, range, top: 0))
      \(panel("hops to the nearest node", hops, range, top: panelHeight))
      </svg>

      """
  }

  private static func panel(_ title: String, _ lines: [Line], _ range: ClosedRange<Double>, top: Double) -> String {
    let most = lines.flatMap(\.points).map(\.value).max() ?? 1
    let step = most > 40 ? 20.0 : most > 10 ? 5.0 : most > 4 ? 2.0 : 1.0
    let ceiling = (most / step).rounded(.up) * step
    func x(_ nodes: Double) -> Double {
      let part = (log2(nodes) - range.lowerBound) / (range.upperBound - range.lowerBound)
      return margin.left + part * (width - margin.left - margin.right)
    }
    func y(_ value: Double) -> Double {
      top + margin.top + (1 - value / ceiling) * (panelHeight - margin.top - margin.bottom)
    }
    var parts = ["<text x=\"\(text(margin.left))\" y=\"\(text(top + 22))\" font-weight=\"bold\">\(title)</text>"]
    for index in 0...Int(ceiling / step) {
      let value = Double(index) * step
      parts.append(
        "<path d=\"M\(text(margin.left)) \(text(y(value)))H\(text(width - margin.right))\" stroke=\"#dddddd\"/>"
          + "<text x=\"\(text(margin.left - 8))\" y=\"\(text(y(value) + 4))\" text-anchor=\"end\">\(Int(value))</text>")
    }
    var marked: [Double] = []
    for point in lines.flatMap(\.points) where !marked.contains(point.nodes) {
      marked.append(point.nodes)
      parts.append(
        "<text x=\"\(text(x(point.nodes)))\" y=\"\(text(y(0) + 18))\" text-anchor=\"middle\">\(Int(point.nodes))</text>"
      )
    }
    for (index, line) in lines.enumerated() {
      let path = line.points.enumerated().map { place, point in
        "\(place == 0 ? "M" : "L")\(text(x(point.nodes))) \(text(y(point.value)))"
      }.joined()
      let dashes = line.isIdeal ? " stroke-dasharray=\"5 4\"" : ""
      parts.append("<path d=\"\(path)\" fill=\"none\" stroke=\"\(line.colour)\" stroke-width=\"2\"\(dashes)/>")
      if !line.isIdeal {
        parts += line.points.map {
          "<circle cx=\"\(text(x($0.nodes)))\" cy=\"\(text(y($0.value)))\" r=\"3\" fill=\"\(line.colour)\"/>"
        }
      }
      let height = top + margin.top + 18 * Double(index) + 6
      parts.append(
        "<path d=\"M\(text(width - margin.right + 16)) \(text(height))h22\" stroke=\"\(line.colour)\" stroke-width=\"2\"\(dashes)/>"
          + "<text x=\"\(text(width - margin.right + 44))\" y=\"\(text(height + 4))\">\(line.name)</text>")
    }
    return parts.joined(separator: "\n")
  }

  private static func log2(_ value: Double) -> Double { logarithm(value) / 0.6931471805599453 }
  private static func text(_ value: Double) -> String { fixed(value, 1) }
}
