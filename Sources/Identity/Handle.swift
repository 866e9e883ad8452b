public import Primitives

/// Texts of a person id. The fingerprint is the id in lower-case base32: 52 characters of which mostly 8 are shown.
extension PersonID {
  /// Characters of a whole fingerprint.
  public static let fingerprintCount = 52

  /// All 52 characters.
  public var fingerprint: String { withUnsafeBytes { Base32.encode($0) } }

  /// `name#abcdefgh`, as shown to people. Forty bits are no proof: pin and store all 32 bytes.
  /// - Parameter name: what the person claims to be called; may be empty.
  public func handle(name: String, showing characters: Int = Handle.shownCount) -> String {
    "\(name)#\(fingerprint.prefix(max(characters, Handle.prefixMinimum)))"
  }

  /// Reads a whole id: 64 hexadecimal digits or the 52 characters of a fingerprint, of either case.
  public init?(text: some StringProtocol) {
    switch text.utf8.count {
    case 64: self.init(hex: text)
    case Self.fingerprintCount:
      guard let bytes = Base32.decode(text) else { return nil }
      self.init(bytes)
    default: return nil
    }
  }
}

/// A way to say who is meant: `name#fingerprint`, with as much of the fingerprint as makes it unambiguous.
///
/// Names are claims, so the fingerprint decides and the name only narrows. Whoever resolves a handle collects all
/// persons that match and refuses more than one, showing the candidates.
public struct Handle: Hashable, Sendable, CustomStringConvertible {
  /// Characters of the fingerprint that are shown: 40 bits.
  public static let shownCount = 8
  /// Fewest characters that are accepted where a person can be asked.
  public static let prefixMinimum = 4
  /// Fewest characters that are accepted where nobody can be asked (scripts, invitations): 80 bits, which nobody finds
  /// by trying keys.
  public static let unattendedPrefixMinimum = 16

  /// Empty in `#abcdefgh`: any name.
  public let name: String
  /// Lower-case base32, 4–52 characters.
  public let prefix: String

  /// Reads `name#prefix`. The last "#" divides.
  /// - Throws: `IdentityError` that names the part at fault.
  public init(_ text: String, prefixMinimum: Int = Handle.prefixMinimum) throws(IdentityError) {
    let place = "handle"
    guard text.utf8.count <= Name.byteMaximum + 1 + PersonID.fingerprintCount else {
      throw IdentityError(.limit, "too long for a handle", in: place)
    }
    guard let divider = text.lastIndex(of: "#") else {
      throw IdentityError(.malformed, "no '#'; write name#fingerprint", in: place)
    }
    name = String(text[..<divider])
    let digits = text[text.index(after: divider)...]
    guard Base32.isPrefix(digits) else {
      throw IdentityError(.malformed, "the fingerprint has a character outside a–z and 2–7", in: place)
    }
    guard digits.utf8.count >= prefixMinimum else {
      throw IdentityError(
        .limit, "\(digits.utf8.count) characters of the fingerprint; at least \(prefixMinimum) are needed", in: place)
    }
    guard digits.utf8.count <= PersonID.fingerprintCount else {
      throw IdentityError(.malformed, "a fingerprint has \(PersonID.fingerprintCount) characters", in: place)
    }
    guard digits.utf8.count < PersonID.fingerprintCount || PersonID(text: digits) != nil else {
      throw IdentityError(.malformed, "no fingerprint ends in this character", in: place)
    }
    if !name.isEmpty { try Name.check(name, in: place) }
    prefix = digits.lowercased()
  }

  /// Whether the fingerprint fits; the name is not asked.
  public func matches(_ person: PersonID) -> Bool { person.fingerprint.hasPrefix(prefix) }

  /// Whether the fingerprint fits a person who goes by this name. A handle without a name fits every name.
  public func matches(_ person: PersonID, name claimed: String) -> Bool {
    (name.isEmpty || name == claimed) && matches(person)
  }

  /// The bounds of the ids that fit, both included: a range in an ordered index.
  public var bounds: ClosedRange<PersonID> {
    let fill = PersonID.fingerprintCount - prefix.utf8.count
    return Self.padded(prefix, "a", fill, 0x00)...Self.padded(prefix, "7", fill, 0xFF)
  }

  public var description: String { "\(name)#\(prefix)" }

  // The last character of a fingerprint has one bit of the id and four that are zero, so it is set by hand.
  private static func padded(_ prefix: String, _ digit: String, _ count: Int, _ last: UInt8) -> PersonID {
    if count == 0 { return PersonID(text: prefix)! }
    var bytes = Base32.decode(prefix + String(repeating: digit, count: count - 1) + "a")!
    if last == 0xFF { bytes[31] |= 1 }
    return PersonID(bytes)!
  }
}
