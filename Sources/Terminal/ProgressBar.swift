public import Primitives

/// One line on standard error that says how far a long command is. On anything but a terminal it says nothing.
public struct ProgressBar {
  private let output: Output
  private let title: String
  private var shown: Instant?

  public init(_ title: String, on output: Output) {
    self.title = title
    self.output = output
  }

  /// Draws at most ten times a second. Without a total it counts.
  public mutating func update(_ done: Int, of total: Int? = nil, at now: Instant) {
    guard output.showsProgress else { return }
    if let shown, now - shown < .milliseconds(100) { return }
    shown = now
    output.showProgress(Self.text(title, done, of: total))
  }

  /// Takes the line away.
  public mutating func finish() {
    if shown != nil { output.hideProgress() }
    shown = nil
  }

  package static func text(_ title: String, _ done: Int, of total: Int?) -> String {
    guard let total, total > 0 else { return "\(title) \(done)" }
    let filled = min(max(done, 0), total) * barCells / total
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: barCells - filled)
    return "\(title) [\(bar)] \(min(max(done, 0), total) * 100 / total) % (\(done) of \(total))"
  }

  private static let barCells = 24
}
