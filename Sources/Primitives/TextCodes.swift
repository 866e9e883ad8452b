/// Lower-case hexadecimal.
public enum Hex {
  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var digits: [UInt8] = []
    for byte in bytes {
      digits.append(alphabet[Int(byte >> 4)])
      digits.append(alphabet[Int(byte & 15)])
    }
    return String(decoding: digits, as: UTF8.self)
  }

  /// Nil for an odd count or a character that is not a hexadecimal digit.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    var high: UInt8?
    for unit in text.utf8 {
      let digit: UInt8
      switch unit {
      case 0x30...0x39: digit = unit - 0x30
      case 0x61...0x66: digit = unit - 0x61 + 10
      case 0x41...0x46: digit = unit - 0x41 + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    return high == nil ? bytes : nil
  }

  private static let alphabet = Array("0123456789abcdef".utf8)
}

/// RFC 4648 §6 base32 in lower case and without padding, as used in fingerprints and tickets.
public enum Base32 {
  public static func encode(_ bytes: some Collection<UInt8>) -> String {
    String(decoding: digits(of: bytes), as: UTF8.self)
  }

  /// The same as ASCII bytes in one array that never moves, so that a caller can wipe a secret's text.
  public static func digits(of bytes: some Collection<UInt8>) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count * 8 + 4) / 5)
    var buffer: UInt32 = 0
    var bits = 0
    for byte in bytes {
      buffer = buffer << 8 | UInt32(byte)
      bits += 8
      while bits >= 5 {
        bits -= 5
        text.append(alphabet[Int(buffer >> UInt32(bits)) & 31])
      }
    }
    if bits > 0 { text.append(alphabet[Int(buffer << UInt32(5 - bits)) & 31]) }
    return text
  }

  /// Nil for a character outside the alphabet, an impossible length, or left-over bits that are not zero.
  public static func decode(_ text: some StringProtocol) -> [UInt8]? { decode(digits: text.utf8) }

  /// The same from ASCII bytes.
  public static func decode(digits: some Collection<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count * 5 / 8)
    var buffer: UInt32 = 0
    var bits = 0
    for unit in digits {
      guard let digit = value(of: unit) else { return nil }
      buffer = (buffer << 5 | UInt32(digit)) & 0xFFFF
      bits += 5
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: buffer >> UInt32(bits)))
      }
    }
    guard bits < 5, buffer & ((1 << UInt32(bits)) - 1) == 0 else { return nil }
    return bytes
  }

  /// Whether every character belongs to the alphabet (either case).
  public static func isPrefix(_ text: some StringProtocol) -> Bool {
    text.utf8.allSatisfy { value(of: $0) != nil }
  }

  private static func value(of unit: UInt8) -> UInt8? {
    switch unit {
    case 0x61...0x7A: unit - 0x61
    case 0x41...0x5A: unit - 0x41
    case 0x32...0x37: unit - 0x32 + 26
    default: nil
    }
  }

  private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
}
