public import Identity
public import Primitives

/// A value of any bytes as items of the DHT (schemas/dht.md): one item when it fits, else parts that are named by their
/// hashes and a manifest that lists them. It carries its own expiry, because BEP 44 knows none.
public struct StoredValue: Hashable, Sendable {
  /// What is stored under the value's name, bencoded.
  public var head: [UInt8]
  /// The parts, and for a long value the lists of parts, each to be stored before the head.
  public var parts: [ImmutableItem]

  /// Longest value: what one request of the control socket takes.
  public static let byteCountMaximum = 1_000_000
  /// Content of the longest string that is a value of BEP 44: 1,000 bytes with the four before it.
  static let stringByteCountMaximum = 996
  static let headerByteCount = 8
  static let manifestByteCount = 36
  /// Longest value that is one item.
  public static let inlineByteCountMaximum = stringByteCountMaximum - headerByteCount
  static let namesInManifestMaximum = (stringByteCountMaximum - headerByteCount - manifestByteCount) / NodeID.byteCount
  static let namesInListMaximum = stringByteCountMaximum / NodeID.byteCount
  static let magic: [UInt8] = [0x74, 0x6C, 1]

  enum Kind: UInt8 { case value, parts, lists }

  /// - Parameter expires: nil for never; its whole seconds count.
  /// - Precondition: the value is within its bound.
  public init(_ value: [UInt8], expires: Timestamp?) {
    precondition(value.count <= Self.byteCountMaximum, "a value of \(value.count) bytes")
    guard value.count > Self.inlineByteCountMaximum else {
      head = Self.head(.value, expires, value)
      parts = []
      return
    }
    parts = Self.items(of: value)
    var names = parts.flatMap(\.target.bytes)
    var kind = Kind.parts
    if parts.count > Self.namesInManifestMaximum {
      let lists = Self.items(of: names, each: Self.namesInListMaximum * NodeID.byteCount)
      parts += lists
      names = lists.flatMap(\.target.bytes)
      kind = .lists
    }
    let size = withUnsafeBytes(of: UInt32(value.count).bigEndian) { Array($0) }
    head = Self.head(kind, expires, size + Digest(hashing: value).bytes + names)
  }

  /// A value as others store it: a bencoded string and nothing more.
  ///
  /// Nil for one that is too long, or that would be read as one of ours.
  public init?(plain value: [UInt8]) {
    guard value.count <= Self.stringByteCountMaximum, !value.starts(with: Self.magic) else { return nil }
    head = Self.string(value)
    parts = []
  }

  private static func head(_ kind: Kind, _ expires: Timestamp?, _ body: [UInt8]) -> [UInt8] {
    let seconds = expires.map { UInt32(clamping: max(1, $0.milliseconds / 1000)) } ?? 0
    return string(magic + [kind.rawValue] + withUnsafeBytes(of: seconds.bigEndian) { Array($0) } + body)
  }

  private static func items(of bytes: [UInt8], each count: Int = stringByteCountMaximum) -> [ImmutableItem] {
    stride(from: 0, to: bytes.count, by: count).map { start in
      ImmutableItem(value: string(bytes[start..<min(start + count, bytes.count)]))
    }
  }

  private static func string(_ content: some Collection<UInt8>) -> [UInt8] {
    var writer = BencodeWriter(reserving: content.count + 4)
    writer.string(content)
    return writer.bytes
  }
}

/// What a head says: the value itself, or where its parts are.
public enum StoredContent: Hashable, Sendable {
  /// Of whoever has another form: the content of a string, or whatever else is bencoded as it stands.
  case plain([UInt8])
  case value([UInt8], expires: Timestamp?)
  case manifest(StoredManifest, expires: Timestamp?)

  /// Reads the value of an item. Throws `ByteError` for one that begins as ours and is not.
  public init(_ head: [UInt8]) throws(ByteError) {
    let bencode = try Bencode(head)
    guard let content = bencode.string(bencode.root).map(Array.init), content.starts(with: StoredValue.magic) else {
      self = .plain(bencode.string(bencode.root).map(Array.init) ?? head)
      return
    }
    let magicCount = StoredValue.magic.count
    guard content.count >= StoredValue.headerByteCount, let kind = StoredValue.Kind(rawValue: content[magicCount])
    else { throw ByteError(at: magicCount, "a value of another kind, or cut short") }
    let seconds = content[(magicCount + 1)..<StoredValue.headerByteCount].reduce(Int64(0)) { $0 << 8 | Int64($1) }
    let expires = seconds == 0 ? nil : Timestamp(milliseconds: seconds * 1000)
    let body = Array(content[StoredValue.headerByteCount...])
    switch kind {
    case .value: self = .value(body, expires: expires)
    case .parts: self = .manifest(try StoredManifest(body, hasLists: false), expires: expires)
    case .lists: self = .manifest(try StoredManifest(body, hasLists: true), expires: expires)
    }
  }
}

/// The parts of a long value.
public struct StoredManifest: Hashable, Sendable {
  public let byteCount: Int
  public let digest: Digest
  /// Of the parts, or of lists of them.
  public let names: [NodeID]
  public let hasLists: Bool

  init(_ body: [UInt8], hasLists: Bool) throws(ByteError) {
    guard body.count > StoredValue.manifestByteCount,
      (body.count - StoredValue.manifestByteCount) % NodeID.byteCount == 0
    else { throw ByteError(at: 0, "a manifest of \(body.count) bytes") }
    byteCount = body[..<4].reduce(0) { $0 << 8 | Int($1) }
    digest = Digest(body[4..<StoredValue.manifestByteCount])!
    names = try Self.names(body[StoredValue.manifestByteCount...])
    self.hasLists = hasLists
    let partCount = (byteCount + StoredValue.stringByteCountMaximum - 1) / StoredValue.stringByteCountMaximum
    let listCount = (partCount + StoredValue.namesInListMaximum - 1) / StoredValue.namesInListMaximum
    guard byteCount <= StoredValue.byteCountMaximum, byteCount > StoredValue.inlineByteCountMaximum,
      names.count == (hasLists ? listCount : partCount)
    else { throw ByteError(at: 0, "\(names.count) names for a value of \(byteCount) bytes") }
  }

  private static func names(_ bytes: ArraySlice<UInt8>) throws(ByteError) -> [NodeID] {
    guard bytes.count % NodeID.byteCount == 0 else { throw ByteError(at: 0, "a list of names that is cut short") }
    return stride(from: bytes.startIndex, to: bytes.endIndex, by: NodeID.byteCount).map {
      NodeID(bytes[$0..<($0 + NodeID.byteCount)])!
    }
  }

  /// The names of all parts, from the lists in their order.
  public func parts(inLists lists: [ImmutableItem]) throws(ByteError) -> [NodeID] {
    var found: [NodeID] = []
    for list in lists { found += try Self.names(try Self.content(list)[...]) }
    let count = (byteCount + StoredValue.stringByteCountMaximum - 1) / StoredValue.stringByteCountMaximum
    guard found.count == count else { throw ByteError(at: 0, "\(found.count) parts instead of \(count)") }
    return found
  }

  /// The value, from its parts in their order. Throws for parts that do not make up what was promised.
  public func value(of parts: [ImmutableItem]) throws(ByteError) -> [UInt8] {
    var value: [UInt8] = []
    value.reserveCapacity(byteCount)
    for part in parts { value += try Self.content(part) }
    guard value.count == byteCount, Digest(hashing: value) == digest else {
      throw ByteError(at: 0, "the parts do not make up the value")
    }
    return value
  }

  private static func content(_ item: ImmutableItem) throws(ByteError) -> [UInt8] {
    let bencode = try Bencode(item.value)
    guard let content = bencode.string(bencode.root) else { throw ByteError(at: 0, "a part that is no string") }
    return Array(content)
  }
}

/// Names of values that people choose: salts under the key of a device, or under the one that everybody has.
public enum StoredName {
  public static let saltByteCount = 20

  /// Of a device's own value.
  public static func own(_ name: [UInt8]) -> [UInt8] { salt("tl-own-v1\0", name) }
  /// Of a value that anybody may overwrite.
  public static func open(_ name: [UInt8]) -> [UInt8] { salt("tl-open-v1\0", name) }
  /// Of a value of the voidphone API, by its key of 32 bytes.
  public static func voidphone(_ key: [UInt8]) -> [UInt8] { salt("tl-voidphone-v1\0", key) }

  /// The key that signs what anybody may overwrite. It is no secret: its seed is BLAKE2b-256("tl-open-v1\0").
  public static let openKey = SigningKey(seed: Digest(hashing: Array("tl-open-v1\0".utf8)).bytes)!

  private static func salt(_ domain: String, _ name: [UInt8]) -> [UInt8] {
    Array(Digest(hashing: Array(domain.utf8) + name).bytes.prefix(saltByteCount))
  }
}
