/// Text from posts, names, peers and files, made harmless to look at. Whatever a terminal could act on, and whatever can
/// make a line read as something that it does not say, is replaced by something visible:
/// C0 and DEL by their pictures (U+2400 …), C1, bidirectional controls, invisible characters and line separators by
/// `<U+202E>`, an excess of combining marks by U+FFFD. Making safe text safe changes nothing.
public enum SafeText {
  /// For names, errors and everything that stays on its line: line feeds and tabs are replaced as well.
  public static func line(_ text: some StringProtocol) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return String(text) }
    var filter = Filter(allowsLineFeeds: false)
    for scalar in text.unicodeScalars { filter.add(scalar) }
    return filter.finish()
  }

  /// For posts and our own paragraphs: line feeds stay, CR LF and U+2028 and U+2029 become one, a tab becomes four spaces.
  public static func block(_ text: some StringProtocol) -> String {
    if text.utf8.allSatisfy({ $0 == 0x0A || ($0 >= 0x20 && $0 < 0x7F) }) { return String(text) }
    var filter = Filter(allowsLineFeeds: true)
    var previous: Unicode.Scalar = "\0"
    for scalar in text.unicodeScalars {
      if scalar == "\n", previous == "\r" { filter.dropLast() }
      filter.add(scalar)
      previous = scalar
    }
    return filter.finish()
  }

  /// Combining marks that one base may carry; scripts in use need four, and towers of hundreds cover other lines.
  public static let marksMaximum = 16
}

private struct Filter {
  let allowsLineFeeds: Bool
  private var result = String.UnicodeScalarView()
  private var marks = 0
  /// What the next mark or joiner would attach to; nil at the start of a text and after a replacement or a line feed.
  private var base: Unicode.Scalar?
  private var joinable = false
  private var selectable = false
  /// Tag characters held back until U+E007F shows that they end a flag such as Scotland's (UTS #51, ED-14a).
  private var tags: [Unicode.Scalar] = []

  init(allowsLineFeeds: Bool) { self.allowsLineFeeds = allowsLineFeeds }

  mutating func finish() -> String {
    showTags()
    return String(result)
  }

  /// Takes back the picture of a carriage return whose line feed follows.
  mutating func dropLast() { result.removeLast() }

  mutating func add(_ scalar: Unicode.Scalar) {
    if takeTag(scalar) { return }
    switch scalar.value {
    case 0x0A where allowsLineFeeds, 0x2028 where allowsLineFeeds, 0x2029 where allowsLineFeeds: breakLine()
    case 0x09 where allowsLineFeeds: for _ in 0..<4 { append(" ") }
    case 0..<0x20: replace([Unicode.Scalar(0x2400 + scalar.value)!])
    case 0x20..<0x7F: append(scalar)
    case 0x7F: replace(["\u{2421}"])
    case 0x200C, 0x200D:
      // Needed between letters in Persian and Indic scripts and inside emoji; alone or doubled they only hide.
      if joinable {
        result.append(scalar)
        joinable = false
      } else {
        show(scalar)
      }
    case 0xFE00...0xFE0F, 0xE0100...0xE01EF:
      if selectable {
        result.append(scalar)
        selectable = false
      } else {
        show(scalar)
      }
    case 0x80..<0xA0, 0x115F, 0x1160, 0x3164, 0xFFA0, 0x2028, 0x2029, 0xFFF9...0xFFFB: show(scalar)
    default: addOther(scalar)
    }
  }

  private mutating func addOther(_ scalar: Unicode.Scalar) {
    let properties = scalar.properties
    switch properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .spacingMark: addMark(scalar)
    case .format where !properties.isDefaultIgnorableCodePoint && !isBidirectionalControl(scalar): append(scalar)
    case .format, .control, .surrogate, .lineSeparator, .paragraphSeparator: show(scalar)
    default:
      if properties.isDefaultIgnorableCodePoint || properties.isNoncharacterCodePoint {
        show(scalar)
      } else {
        append(scalar)
      }
    }
  }

  private mutating func addMark(_ scalar: Unicode.Scalar) {
    if base == nil { append("\u{25CC}") }
    marks += 1
    if marks <= SafeText.marksMaximum {
      result.append(scalar)
      joinable = true
    } else if marks == SafeText.marksMaximum + 1 {
      replace(["\u{FFFD}"])
      marks = SafeText.marksMaximum + 1
      base = "\u{FFFD}"
    }
  }

  private func isBidirectionalControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x61C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  /// True when the scalar belongs to a sequence of tags and has been dealt with.
  private mutating func takeTag(_ scalar: Unicode.Scalar) -> Bool {
    guard (0xE0020...0xE007F).contains(scalar.value), base == "\u{1F3F4}", tags.count <= 6 else {
      showTags()
      return false
    }
    tags.append(scalar)
    if scalar.value == 0xE007F {
      result.append(contentsOf: tags)
      tags = []
      base = nil
      selectable = false
      joinable = false
    }
    return true
  }

  private mutating func showTags() {
    let hidden = tags
    tags = []
    for tag in hidden { show(tag) }
  }

  private mutating func append(_ scalar: Unicode.Scalar) {
    result.append(scalar)
    base = scalar
    marks = 0
    joinable = scalar.value >= 0xA0
    selectable = scalar.value >= 0xA0 || scalar == "#" || scalar == "*" || ("0"..."9").contains(scalar)
  }

  private mutating func breakLine() {
    result.append("\n")
    base = nil
    marks = 0
    joinable = false
    selectable = false
  }

  private mutating func show(_ scalar: Unicode.Scalar) {
    let digits = String(scalar.value, radix: 16, uppercase: true)
    replace("<U+\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)>".unicodeScalars)
  }

  private mutating func replace(_ scalars: some Sequence<Unicode.Scalar>) {
    result.append(contentsOf: scalars)
    base = nil
    marks = 0
    joinable = false
    selectable = false
  }
}
