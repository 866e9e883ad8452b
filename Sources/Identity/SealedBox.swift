private import CSodium
internal import Primitives

/// What it costs to try a passphrase (Argon2id, RFC 9106).
public struct SealingCost: Hashable, Sendable {
  public let memoryKibibytes: UInt32
  public let passes: UInt32

  /// libsodium's MODERATE: 256 MiB, three passes; about 0.4 s on a server core.
  public static let moderate = SealingCost(unchecked: 256 * 1024, passes: 3)
  /// The least that is accepted: RFC 9106 §4, second recommendation.
  public static let floor = SealingCost(unchecked: 64 * 1024, passes: 3)
  /// The most that is accepted, as a file from elsewhere may ask for anything.
  public static let ceiling = SealingCost(unchecked: 1024 * 1024, passes: 16)

  /// Nil outside `floor`…`ceiling`.
  public init?(memoryKibibytes: UInt32, passes: UInt32) {
    self.init(unchecked: memoryKibibytes, passes: passes)
    guard isAccepted(floor: .floor) else { return nil }
  }

  /// For tests, which cannot wait for real costs. What it seals, nothing in production opens.
  package init(unchecked memoryKibibytes: UInt32, passes: UInt32) {
    self.memoryKibibytes = memoryKibibytes
    self.passes = passes
  }

  func isAccepted(floor: SealingCost) -> Bool {
    (floor.memoryKibibytes...Self.ceiling.memoryKibibytes).contains(memoryKibibytes)
      && (floor.passes...Self.ceiling.passes).contains(passes)
  }
}

/// The bytes of a key file, a login session or a backup: a part that anybody may read, and a secret, sealed by a
/// passphrase or protected by the file's mode alone. schemas/keystore.md has the layout with an example.
///
///     0 "tlkf" | 4 version u8 = 1 | 5 kind u8 | 6 form u8 (0 plain, 1 sealed) | 7 public length u16 | 9 public part
///     plain:  secret | checksum 16 = BLAKE2b-256 of all bytes before it, the first half
///     sealed: memory u32 (KiB) | passes u32 | salt 16 | nonce 24 | XChaCha20-Poly1305 of the secret, tag 16; the key is
///             Argon2id(passphrase, salt), the associated data all bytes before the ciphertext
public struct SealedBox: Sendable {
  public enum Kind: UInt8, Sendable, CaseIterable {
    case device = 1
    case root, recovery, node, backup, session
  }

  public static let version: UInt8 = 1
  /// Longest public part, in bytes.
  public static let publicMaximum = 1024
  /// Longest file: a backup with the largest person record.
  public static let byteMaximum = PersonRecord.byteMaximum + 4096

  public let kind: Kind
  /// Readable without the passphrase; covered by its seal, or by the checksum.
  public let publicPart: [UInt8]
  private let form: Form

  private enum Form: Sendable {
    case plain(SecretBytes)
    case sealed(cost: SealingCost, salt: [UInt8], associated: [UInt8], nonce: [UInt8], ciphertext: [UInt8])
  }

  public var isSealed: Bool {
    switch form {
    case .plain: false
    case .sealed: true
    }
  }

  /// The file's bytes with the secret in the open. They are secret themselves.
  public static func plain(_ kind: Kind, publicPart: [UInt8], secret: SecretBytes) -> SecretBytes {
    var bytes = head(kind, form: 0, publicPart)
    bytes.reserveCapacity(bytes.count + secret.count + checksumCount)
    secret.withUnsafeBytes { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: Digest(hashing: bytes).bytes.prefix(checksumCount))
    return SecretBytes(wiping: &bytes)
  }

  /// The file's bytes with the secret sealed. Takes the time and memory that `cost` names.
  /// - Throws: `.limit` if there is not enough memory.
  public static func seal(
    _ kind: Kind, publicPart: [UInt8], secret: SecretBytes, passphrase: SecretBytes, cost: SealingCost = .moderate
  ) throws(IdentityError) -> [UInt8] {
    try seal(
      kind, publicPart: publicPart, secret: secret, passphrase: passphrase, cost: cost,
      salt: SystemRandom.bytes(saltCount), nonce: SystemRandom.bytes(nonceCount))
  }

  /// As above with salt (16 bytes) and nonce (24 bytes) given, for test vectors.
  package static func seal(
    _ kind: Kind, publicPart: [UInt8], secret: SecretBytes, passphrase: SecretBytes, cost: SealingCost,
    salt: [UInt8], nonce: [UInt8]
  ) throws(IdentityError) -> [UInt8] {
    precondition(salt.count == saltCount && nonce.count == nonceCount, "salt or nonce of a wrong length")
    var writer = ByteWriter()
    writer.append(head(kind, form: 1, publicPart))
    writer.integer(cost.memoryKibibytes)
    writer.integer(cost.passes)
    writer.append(salt)
    writer.append(nonce)
    let associated = writer.bytes
    let key = try stretch(passphrase, salt, cost)
    var ciphertext = [UInt8](repeating: 0, count: secret.count + tagCount)
    key.withUnsafeBytes { key in
      secret.withUnsafeBytes { secret in
        _ = crypto_aead_xchacha20poly1305_ietf_encrypt(
          &ciphertext, nil, secret.bindMemory(to: UInt8.self).baseAddress, UInt64(secret.count), associated,
          UInt64(associated.count), nil, nonce, key.bindMemory(to: UInt8.self).baseAddress!)
      }
    }
    return associated + ciphertext
  }

  /// Reads the form and, of a plain file, the checksum. Nothing is unsealed yet.
  /// - Throws: `.malformed`, `.unsupported`, and `.limit` for a cost outside floor and ceiling.
  public init(decoding bytes: [UInt8]) throws(IdentityError) {
    try self.init(decoding: bytes, floor: .floor)
  }

  /// As above, accepting cheap seals made by tests.
  package init(decoding bytes: [UInt8], floor: SealingCost) throws(IdentityError) {
    let place = "key file"
    guard bytes.count <= Self.byteMaximum else {
      throw IdentityError(.limit, "\(bytes.count) bytes, more than \(Self.byteMaximum)", in: place)
    }
    guard bytes.starts(with: Self.magic) else { throw IdentityError(.malformed, "not a key file of tl", in: place) }
    var reader = ByteReader(bytes, Self.magic.count..<bytes.count)
    let (version, kindByte, formByte) = try decoding(place) { () throws(ByteError) in
      (try reader.byte(), try reader.byte(), try reader.byte())
    }
    guard version == Self.version else {
      throw IdentityError(.unsupported, "version \(version)", in: "\(place), byte 4")
    }
    guard let kind = Kind(rawValue: kindByte) else {
      throw IdentityError(.unsupported, "kind \(kindByte)", in: "\(place), byte 5")
    }
    guard formByte <= 1 else { throw IdentityError(.unsupported, "form \(formByte)", in: "\(place), byte 6") }
    let (publicPart, form) = try decoding(place) { () throws(ByteError) -> ([UInt8], Form) in
      let lengthOffset = reader.offset
      let publicCount = Int(try reader.integer(UInt16.self))
      guard publicCount <= Self.publicMaximum else { throw ByteError(at: lengthOffset, "public part too long") }
      let publicPart = try reader.array(publicCount)
      if formByte == 0 {
        guard reader.remaining >= Self.checksumCount else { throw ByteError(at: reader.offset, "truncated") }
        let end = bytes.count - Self.checksumCount
        var covered = Array(bytes[..<end])
        defer { covered.wipe() }
        guard Digest(hashing: covered).bytes.prefix(Self.checksumCount) == bytes[end...] else {
          throw ByteError(at: end, "the checksum does not hold: the file is damaged")
        }
        var secret = Array(bytes[reader.offset..<end])
        return (publicPart, .plain(SecretBytes(wiping: &secret)))
      }
      let cost = SealingCost(unchecked: try reader.integer(), passes: try reader.integer())
      let salt = try reader.array(Self.saltCount)
      let nonce = try reader.array(Self.nonceCount)
      let start = reader.offset
      return (
        publicPart,
        .sealed(
          cost: cost, salt: salt, associated: Array(bytes[..<start]), nonce: nonce, ciphertext: Array(bytes[start...]))
      )
    }
    if case .sealed(let cost, _, _, _, _) = form, !cost.isAccepted(floor: floor) {
      throw IdentityError(
        .limit, "sealed at a cost that is not accepted (\(cost.memoryKibibytes) KiB, \(cost.passes) passes)", in: place)
    }
    self.kind = kind
    self.publicPart = publicPart
    self.form = form
  }

  /// Hands out the secret. A plain file needs no passphrase and ignores one.
  /// - Throws: `.sealed` if a passphrase is needed; `.passphrase`, in the same words, whether the passphrase is wrong,
  ///   the file is changed or it is cut short; `.limit` without enough memory.
  public func secret(passphrase: SecretBytes?) throws(IdentityError) -> SecretBytes {
    switch form {
    case .plain(let secret): return secret
    case .sealed(let cost, let salt, let associated, let nonce, let ciphertext):
      guard let passphrase else { throw IdentityError(.sealed, "a passphrase is needed", in: "key file") }
      let key = try Self.stretch(passphrase, salt, cost)
      var plain = [UInt8](repeating: 0, count: max(0, ciphertext.count - Self.tagCount))
      let code = key.withUnsafeBytes { key in
        crypto_aead_xchacha20poly1305_ietf_decrypt(
          &plain, nil, nil, ciphertext, UInt64(ciphertext.count), associated, UInt64(associated.count), nonce,
          key.bindMemory(to: UInt8.self).baseAddress!)
      }
      guard code == 0 else {
        throw IdentityError(.passphrase, "wrong passphrase, or the file is damaged", in: "key file")
      }
      return SecretBytes(wiping: &plain)
    }
  }

  private static func head(_ kind: Kind, form: UInt8, _ publicPart: [UInt8]) -> [UInt8] {
    precondition(publicPart.count <= publicMaximum, "public part of \(publicPart.count) bytes")
    var writer = ByteWriter()
    writer.append(magic)
    writer.byte(version)
    writer.byte(kind.rawValue)
    writer.byte(form)
    writer.integer(UInt16(publicPart.count))
    writer.append(publicPart)
    return writer.bytes
  }

  private static func stretch(
    _ passphrase: SecretBytes, _ salt: [UInt8], _ cost: SealingCost
  ) throws(IdentityError) -> SecretBytes {
    var key = [UInt8](repeating: 0, count: 32)
    let code = passphrase.withUnsafeBytes { passphrase in
      crypto_pwhash(
        &key, 32, passphrase.bindMemory(to: CChar.self).baseAddress!, UInt64(passphrase.count), salt,
        UInt64(cost.passes), Int(cost.memoryKibibytes) * 1024, crypto_pwhash_ALG_ARGON2ID13)
    }
    guard code == 0 else {
      throw IdentityError(
        .limit, "not enough memory to try the passphrase (\(cost.memoryKibibytes) KiB)", in: "key file")
    }
    return SecretBytes(wiping: &key)
  }

  private static let magic = Array("tlkf".utf8)
  private static let checksumCount = 16
  private static let saltCount = 16
  private static let nonceCount = 24
  private static let tagCount = 16
}
