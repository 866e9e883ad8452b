import Foundation
import Testing
import Timelines

@Suite struct SchemaTests {
  /// Statements in one line each, without comments and without what only the program needs.
  private func statements(_ sql: String) -> Set<String> {
    let text = sql.split(separator: "\n").map { $0.split(separator: "--", omittingEmptySubsequences: false)[0] }
    return Set(
      text.joined(separator: " ").replacing(" IF NOT EXISTS", with: "").split(separator: ";").map {
        $0.split(separator: " ").joined(separator: " ")
      }.filter { !$0.isEmpty })
  }

  @Test("schemas/timelines.sql says exactly what the read models are made of")
  func documented() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = root.appending(path: "schemas/timelines.sql")
    #expect(statements(try String(contentsOf: file, encoding: .utf8)) == statements(TimelineModel.schema))
  }
}
