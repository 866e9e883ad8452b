/// Fitting safe text into columns, by grapheme clusters and cells.
public enum TextLayout {
  /// The text, cut so that it and a closing `…` take at most `cells`.
  public static func truncated(_ text: String, cells: Int) -> String {
    if DisplayWidth.cells(text) <= cells { return text }
    guard cells > 0 else { return "" }
    var result = ""
    var used = 0
    for character in text {
      let width = DisplayWidth.cells(character)
      if used + width > cells - 1 { break }
      result.append(character)
      used += width
    }
    return result + "…"
  }

  /// The text with spaces behind it, so that it takes at least `cells`.
  public static func padded(_ text: String, cells: Int) -> String {
    text + String(repeating: " ", count: max(0, cells - DisplayWidth.cells(text)))
  }

  /// Lines of at most `cells`, broken at spaces where there are any, every line after the first led by `indent`. Nil cells
  /// break nothing: a pipe gets the lines that the text has. The text's own line feeds stay.
  public static func wrapped(_ text: String, cells: Int?, indent: String = "") -> [String] {
    var lines: [String] = []
    for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let lead = lines.isEmpty ? "" : indent
      guard let cells else {
        lines.append(lead + paragraph)
        continue
      }
      append(paragraph, to: &lines, cells: max(cells, cellsMinimum), indent: indent)
    }
    return lines
  }

  private static func append(_ paragraph: Substring, to lines: inout [String], cells: Int, indent: String) {
    var line = lines.isEmpty ? "" : indent
    var used = DisplayWidth.cells(line)
    var hasWord = false
    for word in paragraph.split(separator: " ", omittingEmptySubsequences: false) {
      let width = DisplayWidth.cells(word)
      if hasWord, used + 1 + width > cells {
        lines.append(line)
        line = indent
        used = DisplayWidth.cells(indent)
        hasWord = false
        if word.isEmpty { continue }
      }
      if hasWord {
        line += " "
        used += 1
      }
      hasWord = true
      if used + width <= cells {
        line += word
        used += width
        continue
      }
      for character in word {
        let width = DisplayWidth.cells(character)
        if used + width > cells {
          lines.append(line)
          line = indent
          used = DisplayWidth.cells(indent)
        }
        line.append(character)
        used += width
      }
    }
    lines.append(line)
  }

  /// Below this a line could hold an indent and nothing else.
  private static let cellsMinimum = 16
}
