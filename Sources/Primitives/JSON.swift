/// A JSON value (RFC 8259) as our parser reads it: members keep their order, and a number that is not a whole one in 64
/// bits keeps its text, so nothing is rounded on the way through.
public enum JSON: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// A number with a fraction, an exponent or more than 64 bits, exactly as it was written.
  case number(String)
  case string(String)
  case array([JSON])
  case object([Member])

  public struct Member: Hashable, Sendable {
    public let key: String
    public let value: JSON

    @inlinable
    public init(key: String, value: JSON) {
      self.key = key
      self.value = value
    }
  }

  /// The value of a member of an object; nil for a missing key and for anything but an object.
  public subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  public var text: String? { if case .string(let value) = self { value } else { nil } }
  public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var elements: [JSON]? { if case .array(let values) = self { values } else { nil } }
  public var members: [Member]? { if case .object(let members) = self { members } else { nil } }

  /// Any number, rounded to the nearest double.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let text): Double(text)
    case .null, .bool, .string, .array, .object: nil
    }
  }

  /// The value on one line, without spaces.
  public var encoded: [UInt8] {
    var bytes: [UInt8] = []
    JSONText.append(self, to: &bytes)
    return bytes
  }
}

/// Builds one JSON object on one line; members appear in the order in which they are added.
public struct JSONObject: Hashable, Sendable {
  private var bytes: [UInt8] = [UInt8(ascii: "{")]

  public init() {}

  /// An object that begins with `"v":1`, the version of all JSON Lines we print.
  public static func line() -> JSONObject {
    var object = JSONObject()
    object.add("v", 1)
    return object
  }

  /// A nil value adds nothing: absent means unknown or not applicable.
  public mutating func add(_ key: String, _ value: String?) {
    guard let value else { return }
    begin(key)
    JSONText.append(string: value, to: &bytes)
  }

  public mutating func add(_ key: String, _ value: (some FixedWidthInteger)?) {
    guard let value else { return }
    begin(key)
    bytes.append(contentsOf: String(value).utf8)
  }

  public mutating func add(_ key: String, _ value: Bool?) {
    guard let value else { return }
    begin(key)
    JSONText.append(.bool(value), to: &bytes)
  }

  public mutating func add(_ key: String, _ value: JSONObject?) {
    guard let value else { return }
    begin(key)
    value.append(to: &bytes)
  }

  public mutating func add(_ key: String, _ values: [JSONObject]) {
    begin(key)
    JSONText.append(values, to: &bytes) { value, bytes in value.append(to: &bytes) }
  }

  public mutating func add(_ key: String, _ values: [String]) {
    begin(key)
    JSONText.append(values, to: &bytes) { value, bytes in JSONText.append(string: value, to: &bytes) }
  }

  public mutating func add(_ key: String, _ value: JSON) {
    begin(key)
    JSONText.append(value, to: &bytes)
  }

  /// A member whose value is null, where a reader must tell "none" from "not said".
  public mutating func addNull(_ key: String) {
    begin(key)
    JSONText.append(.null, to: &bytes)
  }

  /// The whole object without a line feed.
  public var encoded: [UInt8] { bytes + [UInt8(ascii: "}")] }

  private mutating func begin(_ key: String) {
    if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
    JSONText.append(string: key, to: &bytes)
    bytes.append(UInt8(ascii: ":"))
  }

  private func append(to target: inout [UInt8]) {
    target.append(contentsOf: bytes)
    target.append(UInt8(ascii: "}"))
  }
}

/// Writing JSON. Beyond what RFC 8259 §7 asks for, every character that a terminal could act on or that hides what a line
/// says is escaped (DEL, C1, bidirectional controls, line separators), so that JSON is safe to look at and lossless.
private enum JSONText {
  static func append(_ value: JSON, to bytes: inout [UInt8]) {
    switch value {
    case .null: bytes.append(contentsOf: "null".utf8)
    case .bool(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    case .integer(let number): bytes.append(contentsOf: String(number).utf8)
    case .number(let text): bytes.append(contentsOf: text.utf8)
    case .string(let text): append(string: text, to: &bytes)
    case .array(let values): append(values, to: &bytes) { value, bytes in append(value, to: &bytes) }
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (index, member) in members.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        append(string: member.key, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(member.value, to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  static func append<T>(_ values: [T], to bytes: inout [UInt8], each: (T, inout [UInt8]) -> Void) {
    bytes.append(UInt8(ascii: "["))
    for (index, value) in values.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      each(value, &bytes)
    }
    bytes.append(UInt8(ascii: "]"))
  }

  static func append(string: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    if string.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }) {
      bytes.append(contentsOf: string.utf8)
    } else {
      for scalar in string.unicodeScalars { append(scalar, to: &bytes) }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private static func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
    switch scalar.value {
    case 0x22: bytes.append(contentsOf: [0x5C, 0x22])
    case 0x5C: bytes.append(contentsOf: [0x5C, 0x5C])
    case 0x08: bytes.append(contentsOf: [0x5C, UInt8(ascii: "b")])
    case 0x09: bytes.append(contentsOf: [0x5C, UInt8(ascii: "t")])
    case 0x0A: bytes.append(contentsOf: [0x5C, UInt8(ascii: "n")])
    case 0x0C: bytes.append(contentsOf: [0x5C, UInt8(ascii: "f")])
    case 0x0D: bytes.append(contentsOf: [0x5C, UInt8(ascii: "r")])
    case 0..<0x20, 0x7F...0x9F, 0x61C, 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF,
      0xFFF9...0xFFFB:
      escape(UInt16(scalar.value), to: &bytes)
    case 0xE0000...0xE0FFF:
      for unit in UTF16.encode(scalar)! { escape(unit, to: &bytes) }
    default: bytes.append(contentsOf: UTF8.encode(scalar)!)
    }
  }

  private static func escape(_ unit: UInt16, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: [0x5C, UInt8(ascii: "u")])
    for shift in stride(from: 12, through: 0, by: -4) { bytes.append(digits[Int(unit >> UInt16(shift)) & 15]) }
  }

  private static let digits = Array("0123456789abcdef".utf8)
}
