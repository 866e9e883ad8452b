public import Primitives

/// The recovery key as text that survives paper: two header lines, then base32 in groups of four.
///
///     tl recovery key, version 1
///     # Keep this offline. …
///     abcd efgh … (four lines of seven groups; 112 characters)
///
/// The characters are base32 of person id (32 bytes), seed (32) and a checksum (6): the first bytes of BLAKE2b-256 of
/// "tl-recovery-v1\0" ‖ person id ‖ seed. Reading ignores case, spaces, hyphens, empty lines and lines that begin
/// with "#".
public struct RecoveryFile: Sendable {
  public static let header = "tl recovery key, version 1"
  /// Longest text that is read, in bytes.
  public static let byteMaximum = 4096

  public let key: SigningKey
  public let person: PersonID

  public init(key: SigningKey, person: PersonID) {
    self.key = key
    self.person = person
  }

  public var keyFile: KeyFile { .recovery(key, person: person) }

  public func encoded() -> SecretBytes {
    var bytes = person.bytes
    bytes.reserveCapacity(Self.byteCount)
    key.withSeed { bytes.append(contentsOf: $0) }
    var sum = Self.checksum(bytes)
    bytes.append(contentsOf: sum)
    sum.wipe()
    var digits = Base32.digits(of: bytes)
    bytes.wipe()
    var text: [UInt8] = []
    text.reserveCapacity(512)
    text.append(contentsOf: Self.header.utf8)
    text.append(
      contentsOf: "\n# It can replace your root key, and nothing else can. Keep it offline, never on a device.\n".utf8)
    for (index, digit) in digits.enumerated() {
      text.append(digit)
      if index % 28 == 27 { text.append(0x0A) } else if index % 4 == 3 { text.append(0x20) }
    }
    digits.wipe()
    return SecretBytes(wiping: &text)
  }

  /// - Throws: `IdentityError` that names line and column; it quotes no character of the key.
  public init(decoding text: [UInt8]) throws(IdentityError) {
    let place = "recovery file"
    guard text.count <= Self.byteMaximum else {
      throw IdentityError(.limit, "\(text.count) bytes, more than \(Self.byteMaximum)", in: place)
    }
    let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
    guard let first = lines.first, Self.trimmed(first) == Array(Self.header.utf8) else {
      let known = lines.first?.starts(with: "tl recovery key, version ".utf8) ?? false
      throw IdentityError(
        known ? .unsupported : .malformed, "the first line is not \"\(Self.header)\"", in: "\(place), line 1")
    }
    var digits: [UInt8] = []
    digits.reserveCapacity(Self.digitCount + 1)
    defer { digits.wipe() }
    for (index, line) in lines.enumerated().dropFirst() where line.first != UInt8(ascii: "#") {
      for (column, unit) in line.enumerated() {
        switch unit {
        case 0x20, 0x09, 0x0D, 0x2D: continue
        case 0x61...0x7A, 0x41...0x5A, 0x32...0x37:
          guard digits.count < Self.digitCount else {
            throw IdentityError(
              .malformed, "more than \(Self.digitCount) characters", in: "\(place), line \(index + 1)")
          }
          digits.append(unit)
        default:
          throw IdentityError(
            .malformed, "a character outside a–z and 2–7", in: "\(place), line \(index + 1), column \(column + 1)")
        }
      }
    }
    guard digits.count == Self.digitCount else {
      throw IdentityError(.malformed, "\(digits.count) of \(Self.digitCount) characters", in: place)
    }
    var bytes = Base32.decode(digits: digits)!
    defer { bytes.wipe() }
    guard Self.checksum(Array(bytes[..<64])) == Array(bytes[64...]) else {
      throw IdentityError(.malformed, "the checksum does not hold: a character is wrong", in: place)
    }
    var seed = Array(bytes[32..<64])
    defer { seed.wipe() }
    self.init(key: SigningKey(seed: seed)!, person: PersonID(bytes[..<32])!)
  }

  private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
    var message = Array("tl-recovery-v1".utf8) + [0]
    message.reserveCapacity(message.count + bytes.count)
    message.append(contentsOf: bytes)
    defer { message.wipe() }
    return Array(Digest(hashing: message).bytes.prefix(6))
  }

  private static func trimmed(_ line: ArraySlice<UInt8>) -> [UInt8] {
    Array(line.reversed().drop { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }.reversed())
  }

  private static let byteCount = 70
  private static let digitCount = 112
}
