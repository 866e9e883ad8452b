import Terminal
import Testing

@Suite struct DisplayWidthTests {
  @Test("cells agree with an implementation that is not ours, but for one string in a thousand")
  func samples() throws {
    var wrong: [String] = []
    let lines = widthSamples.split(separator: "\n")
    for line in lines {
      let numbers = line.split(separator: " ")
      var text = String.UnicodeScalarView()
      for number in numbers.dropFirst() {
        text.append(try #require(UInt32(number, radix: 16).flatMap { Unicode.Scalar($0) }))
      }
      if DisplayWidth.cells(String(text)) != Int(numbers[0]) { wrong.append(String(line)) }
    }
    #expect(lines.count >= 500)
    #expect(wrong.count * 1000 <= lines.count, "\(wrong)")
  }

  @Test(
    "cells of what people write",
    arguments: [
      ("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("日本語", 6), ("ﾊﾝ", 2), ("한국", 4), ("👩‍👩‍👧‍👦", 2), ("👍🏽", 2), ("🇩🇪", 2),
      ("☺️", 2), ("☺", 1), ("1️⃣", 2), ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", 2), ("שלום", 4), ("नमस्ते", 4),
    ])
  func known(text: String, cells: Int) { #expect(DisplayWidth.cells(text) == cells) }

  @Test("a cut never exceeds its cells and never splits a character", arguments: 0...12)
  func truncation(cells: Int) {
    let cut = TextLayout.truncated("日本👩‍👩‍👧‍👦abcе\u{301}", cells: cells)
    #expect(DisplayWidth.cells(cut) <= cells)
    #expect(!cut.hasSuffix("\u{200D}…"))
    #expect(cut == "日本👩‍👩‍👧‍👦abcе\u{301}" || cut.isEmpty || cut.hasSuffix("…"))
  }

  @Test("lines are wrapped at spaces, long words anywhere, and in a pipe not at all")
  func wrapping() {
    #expect(TextLayout.wrapped("one two three four", cells: 16) == ["one two three", "four"])
    #expect(TextLayout.wrapped("one two three four", cells: 16, indent: "  ") == ["one two three", "  four"])
    #expect(TextLayout.wrapped("one two three four five", cells: nil) == ["one two three four five"])
    #expect(TextLayout.wrapped("a\n\nb", cells: 16) == ["a", "", "b"])
    let long = TextLayout.wrapped(String(repeating: "日", count: 20), cells: 16)
    #expect(long.map { DisplayWidth.cells($0) } == [16, 16, 8])
  }
}
