/// Thirty-two bytes with a meaning: a key, a hash, the id of a person. `Role` keeps the meanings apart.
///
/// Order is bytewise. The value is four machine words, so copying, hashing and comparing cost nothing.
@frozen
public struct Bytes32<Role>: Hashable, Comparable, Sendable {
  @usableFromInline var words: (UInt64, UInt64, UInt64, UInt64)

  public static var byteCount: Int { 32 }

  /// All bytes zero.
  @inlinable
  public init() { words = (0, 0, 0, 0) }

  /// The 32 bytes as four machine words in memory order.
  @inlinable
  public init(memory words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  /// Takes exactly 32 bytes; any other count is refused.
  @inlinable
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == 32 else { return nil }
    self.init()
    withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
  }

  /// Fills the value through a pointer to its 32 bytes, as C functions want it.
  @inlinable
  public init<Failure: Error>(fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
    self.init()
    var copy: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var failure: Failure?
    Swift.withUnsafeMutableBytes(of: &copy) {
      do throws(Failure) { try fill($0) } catch { failure = error }
    }
    if let failure { throw failure }
    words = copy
  }

  /// Reads 64 hexadecimal digits of either case.
  public init?(hex: some StringProtocol) {
    guard let bytes = Hex.decode(hex) else { return nil }
    self.init(bytes)
  }

  @inlinable
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try Swift.withUnsafeBytes(of: words, body)
  }

  public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
  public var hex: String { withUnsafeBytes { Hex.encode($0) } }

  /// The same bytes under another meaning, where one value really plays two roles.
  @inlinable
  public func cast<Other>(to role: Other.Type = Other.self) -> Bytes32<Other> {
    var other = Bytes32<Other>()
    other.words = words
    return other
  }

  /// The first eight bytes as a big-endian number: a short name where clashes are handled.
  @inlinable
  public var prefix64: UInt64 { UInt64(bigEndian: words.0) }

  /// Eight bytes and then zeros: a value of which only the prefix is known.
  public init(prefix64: UInt64) { words = (prefix64.bigEndian, 0, 0, 0) }

  @inlinable
  public static func == (a: Self, b: Self) -> Bool {
    a.words.0 == b.words.0 && a.words.1 == b.words.1 && a.words.2 == b.words.2 && a.words.3 == b.words.3
  }

  @inlinable
  public static func < (a: Self, b: Self) -> Bool {
    if a.words.0 != b.words.0 { return a.words.0.bigEndian < b.words.0.bigEndian }
    if a.words.1 != b.words.1 { return a.words.1.bigEndian < b.words.1.bigEndian }
    if a.words.2 != b.words.2 { return a.words.2.bigEndian < b.words.2.bigEndian }
    return a.words.3.bigEndian < b.words.3.bigEndian
  }

  @inlinable
  public func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }
}

extension Bytes32: CustomStringConvertible {
  public var description: String { hex }
}
