public import Primitives

/// A key with what belongs to it, as a key file holds it.
public enum KeyFile: Sendable {
  case device(SigningKey, number: UInt16, person: PersonID)
  case root(SigningKey, person: PersonID)
  case recovery(SigningKey, person: PersonID)
  /// The node key names a database instance, not a person.
  case node(SigningKey)

  /// What a key file tells without its passphrase.
  public struct PublicPart: Hashable, Sendable {
    public let kind: SealedBox.Kind
    public let key: PublicKey
    /// Nil for a node key.
    public let person: PersonID?
    /// Of a device key, 0–1023; nil for the others.
    public let number: UInt16?
    public let isSealed: Bool
  }

  /// What the file of an unsealed key tells.
  public static func publicPart(of file: KeyFile) -> PublicPart {
    PublicPart(
      kind: file.kind, key: file.key.publicKey, person: file.person, number: file.deviceNumber, isSealed: false)
  }

  public var kind: SealedBox.Kind {
    switch self {
    case .device: .device
    case .root: .root
    case .recovery: .recovery
    case .node: .node
    }
  }

  public var key: SigningKey {
    switch self {
    case .device(let key, _, _), .root(let key, _), .recovery(let key, _), .node(let key): key
    }
  }

  public var person: PersonID? {
    switch self {
    case .device(_, _, let person), .root(_, let person), .recovery(_, let person): person
    case .node: nil
    }
  }

  public var deviceNumber: UInt16? {
    if case .device(_, let number, _) = self { number } else { nil }
  }

  /// The file's bytes, protected by the file's mode alone.
  public func encodedPlain() -> SecretBytes {
    SealedBox.plain(kind, publicPart: Self.encodedPublicPart(self), secret: seed)
  }

  /// The file's bytes, sealed by a passphrase.
  public func encodedSealed(
    passphrase: SecretBytes, cost: SealingCost = .moderate
  ) throws(IdentityError) -> [UInt8] {
    try SealedBox.seal(
      kind, publicPart: Self.encodedPublicPart(self), secret: seed, passphrase: passphrase, cost: cost)
  }

  /// What can be read of a key file without its passphrase.
  /// - Throws: `.malformed` also for a box that holds no key (a backup, a session).
  public static func publicPart(of box: SealedBox) throws(IdentityError) -> PublicPart {
    let place = "key file of kind \(box.kind)"
    let fields = try decoding(place) { () throws(ByteError) in
      var reader = CBORReader(box.publicPart)
      let count = try reader.mapCount()
      try reader.key(0)
      let key: PublicKey = try reader.bytes32()
      var person: PersonID?
      var number: UInt16?
      if count > 1 {
        try reader.key(1)
        person = try reader.bytes32()
      }
      if count > 2 { number = UInt16(try reader.unsigned(2, in: 0...UInt64(Device.numberMaximum), "device number")) }
      guard count <= 3 else { throw ByteError(at: 0, "\(count) fields in the public part") }
      try reader.expectEnd()
      return (key, person, number)
    }
    let (key, person, number) = fields
    let expected: (person: Bool, number: Bool)
    switch box.kind {
    case .device: expected = (true, true)
    case .root, .recovery: expected = (true, false)
    case .node: expected = (false, false)
    case .backup, .session: throw IdentityError(.malformed, "this file holds no key by itself", in: place)
    }
    guard (person != nil) == expected.person, (number != nil) == expected.number else {
      throw IdentityError(.malformed, "the public part does not fit the kind", in: place)
    }
    return PublicPart(kind: box.kind, key: key, person: person, number: number, isSealed: box.isSealed)
  }

  /// Opens a key file. The seed must make the key that the public part names.
  public init(opening box: SealedBox, passphrase: SecretBytes?) throws(IdentityError) {
    let part = try Self.publicPart(of: box)
    let secret = try box.secret(passphrase: passphrase)
    var seed = secret.withUnsafeBytes { Array($0) }
    defer { seed.wipe() }
    let place = "key file of kind \(box.kind)"
    guard let key = SigningKey(seed: seed) else {
      throw IdentityError(.malformed, "the secret has \(seed.count) bytes, not \(SigningKey.seedByteCount)", in: place)
    }
    guard key.publicKey == part.key else {
      throw IdentityError(.verification, "the secret key is not that of the public key beside it", in: place)
    }
    switch (part.kind, part.person, part.number) {
    case (.device, let person?, let number?): self = .device(key, number: number, person: person)
    case (.root, let person?, nil): self = .root(key, person: person)
    case (.recovery, let person?, nil): self = .recovery(key, person: person)
    case (.node, nil, nil): self = .node(key)
    default: throw IdentityError(.malformed, "the public part does not fit the kind", in: place)
    }
  }

  private var seed: SecretBytes { key.seed }

  private static func encodedPublicPart(_ file: KeyFile) -> [UInt8] {
    var writer = CBORWriter()
    writer.map(1 + (file.person == nil ? 0 : 1) + (file.deviceNumber == nil ? 0 : 1))
    writer.unsigned(0)
    writer.byteString(file.key.publicKey)
    if let person = file.person {
      writer.unsigned(1)
      writer.byteString(person)
    }
    if let number = file.deviceNumber {
      writer.unsigned(2)
      writer.unsigned(UInt64(number))
    }
    return writer.bytes
  }
}

extension SigningKey {
  /// A copy of the seed in locked memory, for sealing.
  var seed: SecretBytes {
    withSeed { bytes in
      var copy = Array(bytes)
      return SecretBytes(wiping: &copy)
    }
  }
}
