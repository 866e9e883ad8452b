public import Primitives

/// A device's word that a node speaks for it, shown in HELLO. Without a valid one a peer is a stranger: served, but
/// without the rights of a contact.
///
///     node statement = CBOR array of 2: body (byte string), signature (byte string of 64)
///     body           = CBOR map  0: node key  1: device key  2: person id  3: not after (ms since 1970)
///     signature      = by the device key over "tl-node-v1\0" ‖ body
public struct NodeStatement: Hashable, Sendable {
  /// How long a statement holds, in milliseconds: 30 days. Renewed whenever the device key is unlocked.
  public static let lifetimeMilliseconds: Int64 = 30 * 86_400_000
  /// What clocks may differ: a statement that claims to hold longer than lifetime and this is not believed.
  public static let skewMilliseconds: Int64 = 86_400_000
  public static let byteMaximum = 256

  public let node: PublicKey
  public let device: PublicKey
  public let person: PersonID
  public let notAfter: Timestamp
  public let encoded: [UInt8]

  /// Signs a statement that holds for 30 days from `now`.
  public init(node: PublicKey, person: PersonID, now: Timestamp, device: SigningKey) {
    self.node = node
    self.person = person
    self.device = device.publicKey
    notAfter = now.advanced(milliseconds: Self.lifetimeMilliseconds)
    var body = CBORWriter(reserving: 128)
    body.map(4)
    body.unsigned(0)
    body.byteString(node)
    body.unsigned(1)
    body.byteString(device.publicKey)
    body.unsigned(2)
    body.byteString(person)
    body.unsigned(3)
    body.integer(notAfter.milliseconds)
    var whole = CBORWriter(reserving: 256)
    whole.array(2)
    whole.byteString(body.bytes)
    whole.byteString(device.sign(body.bytes, in: .node).bytes)
    encoded = whole.bytes
  }

  /// Reads a statement and verifies its signature. Whether it fits the peer and the time is `isValid`'s to say.
  public init(decoding bytes: [UInt8]) throws(IdentityError) {
    let place = "node statement"
    guard bytes.count <= Self.byteMaximum else {
      throw IdentityError(.limit, "\(bytes.count) bytes, more than \(Self.byteMaximum)", in: place)
    }
    let read = try decoding(place) { () throws(ByteError) in
      var reader = CBORReader(bytes)
      guard try reader.arrayCount() == 2 else { throw ByteError(at: 0, "not an array of 2") }
      let bodyRange = try reader.byteString()
      let signatureOffset = reader.offset
      guard let signature = Signature(bytes[try reader.byteString(atMost: Signature.byteCount)]) else {
        throw ByteError(at: signatureOffset, "signature of another length than 64")
      }
      try reader.expectEnd()
      var body = CBORReader(bytes, bodyRange)
      guard try body.mapCount() == 4 else { throw ByteError(at: bodyRange.lowerBound, "not a map of 4") }
      try body.key(0)
      let node: PublicKey = try body.bytes32()
      try body.key(1)
      let device: PublicKey = try body.bytes32()
      try body.key(2)
      let person: PersonID = try body.bytes32()
      try body.key(3)
      let notAfter = Timestamp(milliseconds: try body.integer())
      try body.expectEnd()
      return (node, device, person, notAfter, Array(bytes[bodyRange]), signature)
    }
    let body: [UInt8]
    let signature: Signature
    (node, device, person, notAfter, body, signature) = read
    guard device.verifies(signature, of: body, in: .node) else {
      throw IdentityError(.verification, "the device's signature does not hold", in: place)
    }
    encoded = bytes
  }

  /// Whether the peer whose node key this is may speak for the device now.
  /// - Parameters:
  ///   - peer: the key that the transport has proven.
  ///   - record: the person's record; the device must be certified in it and not revoked.
  public func isValid(for peer: PublicKey, in record: PersonRecord, at now: Timestamp) -> Bool {
    node == peer && person == record.id && record.isActive(device) && now <= notAfter
      && notAfter <= now.advanced(milliseconds: Self.lifetimeMilliseconds + Self.skewMilliseconds)
  }
}
