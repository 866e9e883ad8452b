public import Primitives

/// The device key while somebody is logged in: what `tl login` leaves in the 0700 runtime directory and `tl logout`
/// removes. The file is a plain box of kind session; its public part is a CBOR map  0: device key, 1: person id,
/// 2: device number, 3: not after (ms since 1970).
public struct LoginSession: Sendable {
  public let device: SigningKey
  public let number: UInt16
  public let person: PersonID
  public let notAfter: Timestamp

  public init(device: SigningKey, number: UInt16, person: PersonID, notAfter: Timestamp) {
    self.device = device
    self.number = number
    self.person = person
    self.notAfter = notAfter
  }

  public var keyFile: KeyFile { .device(device, number: number, person: person) }

  /// The session ends with this moment.
  public func isOver(at now: Timestamp) -> Bool { now >= notAfter }

  public func encoded() -> SecretBytes {
    var part = CBORWriter()
    part.map(4)
    part.unsigned(0)
    part.byteString(device.publicKey)
    part.unsigned(1)
    part.byteString(person)
    part.unsigned(2)
    part.unsigned(UInt64(number))
    part.unsigned(3)
    part.integer(notAfter.milliseconds)
    return SealedBox.plain(.session, publicPart: part.bytes, secret: device.seed)
  }

  public init(decoding bytes: [UInt8]) throws(IdentityError) {
    let place = "login session"
    let box = try SealedBox(decoding: bytes)
    guard box.kind == .session, !box.isSealed else { throw IdentityError(.malformed, "not a session", in: place) }
    let (key, person, number, notAfter) = try decoding(place) { () throws(ByteError) in
      var reader = CBORReader(box.publicPart)
      guard try reader.mapCount() == 4 else { throw ByteError(at: 0, "not a map of 4") }
      try reader.key(0)
      let key: PublicKey = try reader.bytes32()
      try reader.key(1)
      let person: PersonID = try reader.bytes32()
      let number = UInt16(try reader.unsigned(2, in: 0...UInt64(Device.numberMaximum), "device number"))
      try reader.key(3)
      let notAfter = Timestamp(milliseconds: try reader.integer())
      try reader.expectEnd()
      return (key, person, number, notAfter)
    }
    var seed = try box.secret(passphrase: nil).withUnsafeBytes { Array($0) }
    defer { seed.wipe() }
    guard let device = SigningKey(seed: seed), device.publicKey == key else {
      throw IdentityError(.verification, "the secret key is not that of the public key beside it", in: place)
    }
    self.init(device: device, number: number, person: person, notAfter: notAfter)
  }
}
