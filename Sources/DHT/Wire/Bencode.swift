public import Primitives

/// A decoded bencoded value (BEP 3): the bytes as they came, and where in them each part lies. Nothing is copied, so what
/// was signed or hashed can be checked as it was received (BEP 44).
///
/// The decoder does not recurse, and reads forms that are not canonical (keys unsorted or twice, superfluous zeros):
/// `isCanonical` tells, and whoever needs the strict form asks it.
public struct Bencode: Sendable {
  public enum Kind: UInt8, Sendable { case integer, string, list, dictionary }

  /// One value within the document.
  public struct Place: Hashable, Sendable { let index: Int }

  struct Token {
    var kind: Kind
    /// The whole value in the bytes.
    var start: Int32
    var end: Int32
    /// Where a string's content begins; the digits of an integer.
    var content: Int32
    /// The token after this value and all within it.
    var next: Int32
  }

  public let bytes: [UInt8]
  /// Whether every dictionary is sorted without repetition and every number in its shortest form.
  public private(set) var isCanonical = true
  private var tokens: [Token] = []

  /// Containers in each other, and values in all, as libtorrent bounds them for the DHT.
  public static let depthMaximum = 10
  public static let tokensMaximum = 500

  private struct Frame {
    var token: Int
    var isDictionary: Bool
    var expectsKey = true
    var previousKey: Range<Int>?
  }

  /// Reads exactly one value. Throws `ByteError` for bytes that are no bencoding, bytes after it, and exceeded bounds.
  public init(_ bytes: [UInt8]) throws(ByteError) {
    self.bytes = bytes
    tokens.reserveCapacity(24)
    var frames: [Frame] = []
    frames.reserveCapacity(Self.depthMaximum)
    var position = 0
    repeat {
      guard position < bytes.count else { throw ByteError(at: position, "truncated") }
      let depth = frames.count
      let byte = bytes[position]
      if byte == UInt8(ascii: "e"), let frame = frames.last {
        if frame.isDictionary, !frame.expectsKey { throw ByteError(at: position, "key without value") }
        position += 1
        tokens[frame.token].end = Int32(position)
        tokens[frame.token].next = Int32(tokens.count)
        frames.removeLast()
        continue
      }
      guard tokens.count < Self.tokensMaximum else { throw ByteError(at: position, "too many values") }
      let start = position
      let isKey = depth > 0 && frames[depth - 1].isDictionary && frames[depth - 1].expectsKey
      if isKey, !(0x30...0x39).contains(byte) { throw ByteError(at: position, "key that is no string") }
      switch byte {
      case UInt8(ascii: "i"):
        let content = position + 1
        position = try Self.integerEnd(bytes, content, &isCanonical)
        push(.integer, start, content, position + 1)
        position += 1
      case 0x30...0x39:
        let content = try Self.contentStart(bytes, position, &isCanonical)
        position = content.upperBound
        push(.string, start, content.lowerBound, position)
        if isKey {
          if let previous = frames[depth - 1].previousKey,
            !bytes.withUnsafeBufferPointer({ $0[previous].lexicographicallyPrecedes($0[content]) })
          {
            isCanonical = false
          }
          frames[depth - 1].previousKey = content
        }
      case UInt8(ascii: "l"), UInt8(ascii: "d"):
        guard depth < Self.depthMaximum else { throw ByteError(at: position, "too deep") }
        position += 1
        frames.append(Frame(token: tokens.count, isDictionary: byte == UInt8(ascii: "d")))
        push(byte == UInt8(ascii: "d") ? .dictionary : .list, start, position, position)
      default: throw ByteError(at: position, "no value")
      }
      if depth > 0, frames[depth - 1].isDictionary { frames[depth - 1].expectsKey.toggle() }
    } while !frames.isEmpty
    guard position == bytes.count else { throw ByteError(at: position, "bytes after the value") }
  }

  private mutating func push(_ kind: Kind, _ start: Int, _ content: Int, _ end: Int) {
    tokens.append(
      Token(
        kind: kind, start: Int32(start), end: Int32(end), content: Int32(content), next: Int32(tokens.count + 1)))
  }

  /// Where the digits of an integer end; there the "e" is. Checks that they are a number of 64 bits.
  private static func integerEnd(
    _ bytes: [UInt8], _ start: Int, _ isCanonical: inout Bool
  ) throws(ByteError) -> Int {
    var position = start
    let isNegative = position < bytes.count && bytes[position] == UInt8(ascii: "-")
    if isNegative { position += 1 }
    let digits = position
    var value: Int64 = 0
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
      let digit = Int64(bytes[position] - 0x30)
      let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tenfold.addingReportingOverflow(isNegative ? -digit : digit)
      if overflow || carry { throw ByteError(at: start, "number over 64 bits") }
      value = sum
      position += 1
    }
    guard position > digits else { throw ByteError(at: start, "number without digits") }
    guard position < bytes.count, bytes[position] == UInt8(ascii: "e") else {
      throw ByteError(at: position, "number without end")
    }
    if bytes[digits] == 0x30, position - digits > 1 || isNegative { isCanonical = false }
    return position
  }

  /// Where the content of the string lies whose length begins at `start`.
  private static func contentStart(
    _ bytes: [UInt8], _ start: Int, _ isCanonical: inout Bool
  ) throws(ByteError) -> Range<Int> {
    var position = start
    var count = 0
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
      count = count * 10 + Int(bytes[position] - 0x30)
      if count > bytes.count { throw ByteError(at: start, "string longer than the bytes") }
      position += 1
    }
    guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else {
      throw ByteError(at: position, "length without end")
    }
    if bytes[start] == 0x30, position - start > 1 { isCanonical = false }
    position += 1
    guard count <= bytes.count - position else { throw ByteError(at: position, "truncated") }
    return position..<(position + count)
  }
}

extension Bencode {
  public var root: Place { Place(index: 0) }

  public func kind(of place: Place) -> Kind { tokens[place.index].kind }

  /// The whole value as it was received, with its type and length.
  public func range(of place: Place) -> Range<Int> {
    Int(tokens[place.index].start)..<Int(tokens[place.index].end)
  }

  /// The content of a string; nil for any other kind.
  public func string(_ place: Place?) -> ArraySlice<UInt8>? {
    guard let place, kind(of: place) == .string else { return nil }
    return bytes[Int(tokens[place.index].content)..<Int(tokens[place.index].end)]
  }

  /// The number; nil for any other kind.
  public func integer(_ place: Place?) -> Int64? {
    guard let place, kind(of: place) == .integer else { return nil }
    var position = Int(tokens[place.index].content)
    let isNegative = bytes[position] == UInt8(ascii: "-")
    if isNegative { position += 1 }
    var value: Int64 = 0
    while bytes[position] != UInt8(ascii: "e") {
      let digit = Int64(bytes[position] - 0x30)
      value = value * 10 + (isNegative ? -digit : digit)
      position += 1
    }
    return value
  }

  /// The values of a list; none for any other kind.
  public func elements(of place: Place?) -> [Place] {
    guard let place, kind(of: place) == .list else { return [] }
    var places: [Place] = []
    var index = place.index + 1
    while index < Int(tokens[place.index].next) {
      places.append(Place(index: index))
      index = Int(tokens[index].next)
    }
    return places
  }

  /// The value of a key in a dictionary; nil for any other kind. Of a key that is there twice, the first.
  public func value(_ key: StaticString, in place: Place?) -> Place? { entry(key, in: place)?.value }

  /// A key and its value in a dictionary.
  func entry(_ key: StaticString, in place: Place?) -> (key: Place, value: Place)? {
    guard let place, kind(of: place) == .dictionary else { return nil }
    let wanted = UnsafeBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)
    var index = place.index + 1
    while index < Int(tokens[place.index].next) {
      let value = Int(tokens[index].next)
      let name = Int(tokens[index].content)..<Int(tokens[index].end)
      if name.count == wanted.count, bytes.withUnsafeBufferPointer({ $0[name].elementsEqual(wanted) }) {
        return (Place(index: index), Place(index: value))
      }
      index = Int(tokens[value].next)
    }
    return nil
  }
}

/// Builds bencoded bytes from front to back. Whoever writes a dictionary gives its keys in order.
public struct BencodeWriter: Sendable {
  public internal(set) var bytes: [UInt8] = []

  public init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

  public mutating func integer(_ value: Int64) {
    bytes.append(UInt8(ascii: "i"))
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    // At most 20 digits, the last first.
    var rest = value.magnitude
    let first = bytes.count
    repeat {
      bytes.append(0x30 + UInt8(rest % 10))
      rest /= 10
    } while rest > 0
    bytes[first...].reverse()
    bytes.append(UInt8(ascii: "e"))
  }

  public mutating func string(_ content: some Collection<UInt8>) {
    length(content.count)
    bytes.append(contentsOf: content)
  }

  public mutating func string(_ endpoint: Endpoint) {
    length(endpoint.address.isIPv4 ? 6 : 18)
    endpoint.append(to: &bytes)
  }

  public mutating func string(_ id: NodeID) {
    length(NodeID.byteCount)
    id.append(to: &bytes)
  }

  /// A key of a dictionary, or any short text.
  public mutating func key(_ name: StaticString) {
    length(name.utf8CodeUnitCount)
    bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
  }

  /// A value that is bencoded already.
  public mutating func raw(_ encoded: some Collection<UInt8>) { bytes.append(contentsOf: encoded) }

  public mutating func beginDictionary() { bytes.append(UInt8(ascii: "d")) }
  public mutating func beginList() { bytes.append(UInt8(ascii: "l")) }
  public mutating func end() { bytes.append(UInt8(ascii: "e")) }

  /// The length of a string, whose content the caller appends.
  mutating func length(_ count: Int) {
    if count >= 1000 { bytes.append(0x30 + UInt8(count / 1000 % 10)) }
    if count >= 100 { bytes.append(0x30 + UInt8(count / 100 % 10)) }
    if count >= 10 { bytes.append(0x30 + UInt8(count / 10 % 10)) }
    bytes.append(0x30 + UInt8(count % 10))
    bytes.append(UInt8(ascii: ":"))
    precondition(count < 10_000, "a string of \(count) bytes is no part of a packet")
  }
}
