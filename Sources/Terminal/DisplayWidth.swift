/// How many cells of a terminal a text takes (Unicode 15.0, East Asian ambiguous characters narrow).
public enum DisplayWidth {
  /// The cells of a text that has passed `SafeText`; a line feed or another control character counts as none.
  public static func cells(_ text: some StringProtocol) -> Int {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text.utf8.count }
    return text.reduce(0) { $0 + cells($1) }
  }

  /// The cells of one grapheme cluster: that of its base, plus what U+FE0F, a spacing mark or a further base adds.
  public static func cells(_ character: Character) -> Int {
    var total = 0
    /// What a mark or U+FE0F widens, once.
    var base: UInt32?
    var isPicture = false
    var joined = false
    var isFlag = false
    for scalar in character.unicodeScalars {
      let value = scalar.value
      if value < 0x20 || (0x7F..<0xA0).contains(value) { continue }
      if value == 0x200D {
        joined = isPicture
        continue
      }
      if joined {
        joined = false
        if contains(WidthTable.pictographs, value) { continue }
      }
      if value == 0xFE0F {
        if let known = base, contains(WidthTable.emojiStyle, known) {
          total += 1
          base = nil
        }
        continue
      }
      if isPicture, (0x1F3FB...0x1F3FF).contains(value) { continue }
      if (0x1F1E6...0x1F1FF).contains(value) {
        if isFlag { continue }
        isFlag = true
        total += 2
        base = value
        continue
      }
      if contains(WidthTable.zero, value) {
        if base != nil, contains(WidthTable.spacingMarks, value) {
          total += 1
          base = nil
        }
        continue
      }
      total += contains(WidthTable.wide, value) ? 2 : 1
      base = value
      isPicture = contains(WidthTable.pictographs, value)
    }
    return total
  }

  private static func contains(_ table: [UInt32], _ value: UInt32) -> Bool {
    var low = 0
    var high = table.count / 2
    while low < high {
      let middle = (low + high) / 2
      if value > table[2 * middle + 1] {
        low = middle + 1
      } else if value < table[2 * middle] {
        high = middle
      } else {
        return true
      }
    }
    return false
  }
}
