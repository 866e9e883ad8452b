/// The rules for names and labels that people give: a handle's name, a device's label.
public enum Name {
  /// RELIABILITY §4.
  public static let graphemeMaximum = 32
  public static let byteMaximum = 128
  /// Marks that may pile up on one base character (RELIABILITY §4).
  public static let combiningMaximum = 16

  /// Refuses a name that is empty, too long, padded with spaces, or holds a character that could change how the text
  /// around it looks: controls, line breaks, bidirectional and invisible formatting, or "#", which ends a handle's name.
  ///
  /// It judges what one's own device writes. Received names are never verified by it, because grapheme rules change
  /// with Unicode versions and replicas must agree.
  public static func check(_ name: String, in place: String) throws(IdentityError) {
    guard !name.isEmpty else { throw IdentityError(.malformed, "the name is empty", in: place) }
    guard name.utf8.count <= byteMaximum else {
      throw IdentityError(.limit, "the name has \(name.utf8.count) bytes, more than \(byteMaximum)", in: place)
    }
    guard name.count <= graphemeMaximum else {
      throw IdentityError(.limit, "the name has \(name.count) characters, more than \(graphemeMaximum)", in: place)
    }
    var marks = 0
    for scalar in name.unicodeScalars {
      guard isAllowed(scalar) else {
        let code = String(scalar.value, radix: 16, uppercase: true)
        throw IdentityError(.malformed, "the name holds the character U+\(code), which names may not", in: place)
      }
      marks = scalar.properties.canonicalCombiningClass == .notReordered ? 0 : marks + 1
      guard marks <= combiningMaximum else {
        throw IdentityError(.limit, "more than \(combiningMaximum) combining marks on one character", in: place)
      }
    }
    guard name.first?.isWhitespace == false, name.last?.isWhitespace == false else {
      throw IdentityError(.malformed, "the name begins or ends with a space", in: place)
    }
  }

  public static func isValid(_ name: String) -> Bool {
    do throws(IdentityError) {
      try check(name, in: "")
      return true
    } catch {
      return false
    }
  }

  /// The form under which names are looked for: each scalar in its lower-case mapping (Unicode, without context or
  /// language). Whether two names are one is for people to say: nothing is verified by it.
  public static func folded(_ name: String) -> String {
    name.unicodeScalars.reduce(into: "") { $0 += $1.properties.lowercaseMapping }
  }

  private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
    if scalar == "#" { return false }
    // Joiners shape text in several scripts and in emoji; every other format character is refused.
    if scalar == "\u{200C}" || scalar == "\u{200D}" { return true }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return false
    case .spaceSeparator: return scalar == " "
    default: return true
    }
  }
}
