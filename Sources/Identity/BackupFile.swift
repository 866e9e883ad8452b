internal import Primitives

/// What `tl backup` writes: enough to make a new device of the same person, and never the recovery key or a device
/// key, so that a restore cannot fork a log and a stolen backup can be outranked.
///
/// The file is a sealed box of kind backup with an empty public part; its secret is a CBOR map  0: seed of the current
/// root, 1: person record, 2: profile name (text, ≤ 128 bytes).
public struct BackupFile: Sendable {
  public let root: SigningKey
  public let record: PersonRecord
  public let profileName: String

  /// - Throws: `.wrongKey` if `root` is not the record's current root, `.limit` for a long name.
  public init(root: SigningKey, record: PersonRecord, profileName: String) throws(IdentityError) {
    guard root.publicKey == record.currentRoot else {
      throw IdentityError(.wrongKey, "not the root key in force (number \(record.rootNumber))", in: "backup")
    }
    guard profileName.utf8.count <= Name.byteMaximum else {
      throw IdentityError(.limit, "profile name over \(Name.byteMaximum) bytes", in: "backup")
    }
    self.root = root
    self.record = record
    self.profileName = profileName
  }

  public func encoded(passphrase: SecretBytes, cost: SealingCost = .moderate) throws(IdentityError) -> [UInt8] {
    let recordBytes = record.encoded
    var writer = CBORWriter(reserving: recordBytes.count + 256)
    writer.map(3)
    writer.unsigned(0)
    root.withSeed { writer.byteString($0) }
    writer.unsigned(1)
    writer.byteString(recordBytes)
    writer.unsigned(2)
    writer.text(profileName)
    let secret = SecretBytes(wiping: &writer.bytes)
    return try SealedBox.seal(.backup, publicPart: [], secret: secret, passphrase: passphrase, cost: cost)
  }

  /// Opens a backup and verifies the record in it.
  public init(opening box: SealedBox, passphrase: SecretBytes) throws(IdentityError) {
    guard box.kind == .backup, box.isSealed, box.publicPart.isEmpty else {
      throw IdentityError(.malformed, "this key file is no backup", in: "backup")
    }
    var bytes = try box.secret(passphrase: passphrase).withUnsafeBytes { Array($0) }
    defer { bytes.wipe() }
    let (seedRange, recordRange, name) = try decoding("backup") { () throws(ByteError) in
      var reader = CBORReader(bytes)
      guard try reader.mapCount() == 3 else { throw ByteError(at: 0, "not a map of 3") }
      try reader.key(0)
      let seed = try reader.byteString(atMost: SigningKey.seedByteCount)
      guard seed.count == SigningKey.seedByteCount else { throw ByteError(at: 0, "seed of another length than 32") }
      try reader.key(1)
      let record = try reader.byteString(atMost: PersonRecord.byteMaximum)
      try reader.key(2)
      let name = try reader.text(atMost: Name.byteMaximum)
      try reader.expectEnd()
      return (seed, record, name)
    }
    var seed = Array(bytes[seedRange])
    defer { seed.wipe() }
    let record = try PersonRecord(decoding: Array(bytes[recordRange]))
    try self.init(root: SigningKey(seed: seed)!, record: record, profileName: name)
  }
}
