public import Identity
public import Primitives

/// A value that only the owner of a key can change (BEP 44): whoever holds it can pass it on, the signature travels.
public struct MutableItem: Hashable, Sendable {
  public var key: PublicKey
  /// Tells the items of one key apart. At most 64 bytes; empty for none.
  public var salt: [UInt8]
  /// The highest counts. Ours begin at 1, because libtorrent gives nothing at or below the number that is asked with.
  public var sequence: Int64
  /// Bencoded, as it was signed. At most 1000 bytes.
  public var value: [UInt8]
  public var signature: Signature

  public static let valueByteCountMaximum = 1000
  public static let saltByteCountMaximum = 64
  /// With a value up to this every reply of one family fits the 1024 bytes of BEP 32, its eight nodes included.
  public static let valueByteCountComfortable = 460

  public init(key: PublicKey, salt: [UInt8], sequence: Int64, value: [UInt8], signature: Signature) {
    self.key = key
    self.salt = salt
    self.sequence = sequence
    self.value = value
    self.signature = signature
  }

  /// Signs a value with the owner's key.
  ///
  /// - Precondition: salt and value are within their bounds, and the sequence number is not negative.
  public init(signing value: [UInt8], salt: [UInt8] = [], sequence: Int64, with key: SigningKey) {
    precondition(salt.count <= Self.saltByteCountMaximum, "a salt of \(salt.count) bytes")
    precondition(value.count <= Self.valueByteCountMaximum, "a value of \(value.count) bytes")
    precondition(sequence >= 0, "sequence number \(sequence)")
    let signature = key.sign(raw: Self.signedBytes(salt: salt, sequence: sequence, value: value))
    self.init(key: key.publicKey, salt: salt, sequence: sequence, value: value, signature: signature)
  }

  /// Where the item lies: SHA-1 of the key and the salt.
  public var target: NodeID { Self.target(key: key, salt: salt) }

  public static func target(key: PublicKey, salt: [UInt8]) -> NodeID { NodeID(sha1: key.bytes + salt) }

  /// Whether the signature is the key's over salt, number and value.
  public var isSigned: Bool {
    key.verifies(signature, ofRaw: Self.signedBytes(salt: salt, sequence: sequence, value: value))
  }

  /// What is signed. Built by hand and never by writing a decoded value again: only so are the bytes the received ones.
  public static func signedBytes(salt: [UInt8], sequence: Int64, value: [UInt8]) -> [UInt8] {
    var writer = BencodeWriter(reserving: value.count + salt.count + 48)
    if !salt.isEmpty {
      writer.key("salt")
      writer.string(salt)
    }
    writer.key("seq")
    writer.integer(sequence)
    writer.key("v")
    writer.raw(value)
    return writer.bytes
  }
}

/// A value that is named by its content (BEP 44): nobody can change it, and it is nobody's.
public struct ImmutableItem: Hashable, Sendable {
  /// Bencoded. At most 1000 bytes.
  public let value: [UInt8]

  /// - Precondition: the value is within its bound.
  public init(value: [UInt8]) {
    precondition(value.count <= MutableItem.valueByteCountMaximum, "a value of \(value.count) bytes")
    self.value = value
  }

  /// SHA-1 of the value.
  public var target: NodeID { NodeID(sha1: value) }
}
