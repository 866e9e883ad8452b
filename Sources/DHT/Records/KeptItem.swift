internal import Identity
public import Primitives

/// A signed item as a file keeps it, so that it can be published again without its key (schemas/records.md).
public struct KeptItem: Hashable, Sendable {
  public let item: MutableItem

  /// Value, salt, key, signature, number and the names of the fields.
  public static let byteCountMaximum = 1_280

  public init(_ item: MutableItem) { self.item = item }

  /// A bencoded dictionary of the fields that a `put` has (BEP 44).
  public var bytes: [UInt8] {
    var writer = BencodeWriter(reserving: item.value.count + 160)
    writer.beginDictionary()
    writer.key("k")
    writer.string(item.key.bytes)
    writer.key("salt")
    writer.string(item.salt)
    writer.key("seq")
    writer.integer(item.sequence)
    writer.key("sig")
    writer.string(item.signature.bytes)
    writer.key("v")
    writer.raw(item.value)
    writer.end()
    return writer.bytes
  }

  /// Reads what `bytes` wrote and verifies the signature.
  public init(_ bytes: [UInt8]) throws(ByteError) {
    guard bytes.count <= Self.byteCountMaximum else { throw ByteError(at: 0, "an item of \(bytes.count) bytes") }
    let read = try Bencode(bytes)
    guard read.isCanonical, let key = read.string(read.value("k", in: read.root)).flatMap({ PublicKey($0) }),
      let salt = read.string(read.value("salt", in: read.root)), salt.count <= MutableItem.saltByteCountMaximum,
      let sequence = read.integer(read.value("seq", in: read.root)), sequence >= 0,
      let signature = read.string(read.value("sig", in: read.root)).flatMap({ Signature($0) }),
      let value = read.value("v", in: read.root).map({ read.range(of: $0) }),
      value.count <= MutableItem.valueByteCountMaximum
    else { throw ByteError(at: 0, "a field of the item is missing or out of bounds") }
    item = MutableItem(
      key: key, salt: Array(salt), sequence: sequence, value: Array(bytes[value]), signature: signature)
    guard item.isSigned, self.bytes == bytes else { throw ByteError(at: 0, "the item is not what its key signed") }
  }
}
