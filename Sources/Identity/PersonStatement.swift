public import Primitives

/// Names one root key of a person: number 1 is the one in the person id, later ones come from *rotate* statements.
public struct Root: Hashable, Sendable {
  /// 1…2³²−1.
  public let number: UInt32
  public let key: PublicKey

  public init(number: UInt32, key: PublicKey) {
    self.number = number
    self.key = key
  }

  /// Whether this root outranks another: the higher number, then the bytewise lower key.
  public func outranks(_ other: Root) -> Bool {
    number != other.number ? number > other.number : key < other.key
  }
}

/// One signed sentence of a person record, kept as the bytes it came in.
///
///     statement = CBOR array of 3: kind (text), body (byte string), signature (byte string of 64)
///     signature = by root n — by the recovery key for "rotate" — over "tl-KIND-v1\0" ‖ person id ‖ body
///     body      = CBOR map; every kind begins with 0: n (root number), 1: root n
///       rotate    nothing more; n ≥ 2
///       certify   2: device key, 3: device number 0–1023, 4: label (text, ≤ 128 bytes), 5: consent (64 bytes), the
///                 device's signature over "tl-consent-v1\0" ‖ person id
///       revoke    2: device key, 3: last good sequence, 4: hash of the event there; at 0 the hash is the person id
///       others    2: subject (32 bytes), then what their version defines: kept and passed on, never interpreted
///
/// The person id is signed but not stored, so a statement belongs to one person even where a key has two.
public struct PersonStatement: Hashable, Sendable {
  /// A statement takes at most 512 bytes: a certificate with the longest label has about 360, the rest is for later kinds.
  public static let byteMaximum = 512
  public static let kindByteMaximum = 16
  public static let labelByteMaximum = 128

  /// What a statement says, with what only its kind has.
  public enum Content: Hashable, Sendable {
    case rotate
    case certify(device: PublicKey, number: UInt16, label: String, consent: Signature)
    case revoke(device: PublicKey, Revocation)
    case unknown(subject: Bytes32<SubjectRole>)
  }
  public enum SubjectRole {}

  public let bytes: [UInt8]
  /// Lower-case letters, digits and hyphens; it is the NAME in the signature's prefix.
  public let kind: String
  public let root: Root
  public let content: Content
  let signature: Signature
  private let bodyRange: Range<Int>

  /// Reads one statement that fills `bytes`. Checks the form; `isValid` checks the signatures.
  init(decoding bytes: [UInt8]) throws(ByteError) {
    guard bytes.count <= Self.byteMaximum else { throw ByteError(at: 0, "statement over \(Self.byteMaximum) bytes") }
    var reader = CBORReader(bytes)
    guard try reader.arrayCount() == 3 else { throw ByteError(at: 0, "statement is not an array of 3") }
    let kindOffset = reader.offset
    kind = try reader.text(atMost: Self.kindByteMaximum)
    guard Self.isKind(kind) else { throw ByteError(at: kindOffset, "not a kind of statement") }
    bodyRange = try reader.byteString()
    let signatureOffset = reader.offset
    guard let signature = Signature(bytes[try reader.byteString(atMost: Signature.byteCount)]) else {
      throw ByteError(at: signatureOffset, "signature of another length than 64")
    }
    try reader.expectEnd()
    self.signature = signature
    self.bytes = bytes

    var form = CBORReader(bytes, bodyRange)
    try form.skip()
    try form.expectEnd()
    (root, content) = try Self.body(of: kind, CBORReader(bytes, bodyRange), bytes)
  }

  // The body's form was checked as a whole, so its fields need only be taken in order.
  private static func body(
    of kind: String, _ start: CBORReader, _ bytes: [UInt8]
  ) throws(ByteError) -> (Root, Content) {
    var body = start
    let fieldCount = try body.mapCount()
    func expect(_ expected: Int) throws(ByteError) {
      guard fieldCount == expected else {
        throw ByteError(at: start.offset, "\(kind) has \(fieldCount) fields, not \(expected)")
      }
    }
    let number = try body.unsigned(0, in: 1...UInt64(UInt32.max), "root number")
    try body.key(1)
    let root = Root(number: UInt32(number), key: try body.bytes32())
    switch kind {
    case "rotate":
      try expect(2)
      guard number >= 2 else { throw ByteError(at: start.offset, "rotate to root number 1") }
      return (root, .rotate)
    case "certify":
      try expect(6)
      try body.key(2)
      let device: PublicKey = try body.bytes32()
      let number = try body.unsigned(3, in: 0...UInt64(Device.numberMaximum), "device number")
      try body.key(4)
      let label = try body.text(atMost: labelByteMaximum)
      try body.key(5)
      let consentOffset = body.offset
      guard let consent = Signature(bytes[try body.byteString(atMost: Signature.byteCount)]) else {
        throw ByteError(at: consentOffset, "consent of another length than 64")
      }
      return (root, .certify(device: device, number: UInt16(number), label: label, consent: consent))
    case "revoke":
      try expect(5)
      try body.key(2)
      let device: PublicKey = try body.bytes32()
      let sequence = try body.unsigned(3, in: 0...SequenceNumber.maximum.rawValue, "sequence")
      try body.key(4)
      return (root, .revoke(device: device, Revocation(sequence: .init(sequence), hash: try body.bytes32())))
    default:
      guard fieldCount >= 3 else { throw ByteError(at: start.offset, "\(kind) has \(fieldCount) fields, fewer than 3") }
      try body.key(2)
      return (root, .unknown(subject: try body.bytes32()))
    }
  }

  /// Writes and signs a statement. `fields` writes what follows the root, keys included.
  /// - Precondition: the result keeps the limits; callers check label and kind first.
  init(
    kind: String, root: Root, fieldCount: Int, person: PersonID, by key: SigningKey,
    fields: (inout CBORWriter) -> Void = { _ in }
  ) {
    var body = CBORWriter(reserving: 256)
    body.map(2 + fieldCount)
    body.unsigned(0)
    body.unsigned(UInt64(root.number))
    body.unsigned(1)
    body.byteString(root.key)
    fields(&body)
    let signature = key.sign(raw: Self.signed(kind, person, body.bytes[...]))
    var whole = CBORWriter(reserving: body.bytes.count + 96)
    whole.array(3)
    whole.text(kind)
    whole.byteString(body.bytes)
    whole.byteString(signature.bytes)
    do throws(ByteError) {
      try self.init(decoding: whole.bytes)
    } catch {
      preconditionFailure("wrote a \(kind) statement that does not read back: \(error)")
    }
  }

  /// The key whose signature the statement needs.
  func signer(recovery: PublicKey) -> PublicKey { content == .rotate ? recovery : root.key }

  /// Whether the signature holds, and a certificate's consent with it. That the root is one of the person's is the
  /// record's to know.
  func isValid(person: PersonID, recovery: PublicKey) -> Bool {
    let message = Self.signed(kind, person, bytes[bodyRange])
    guard signer(recovery: recovery).verifies(signature, ofRaw: message) else { return false }
    switch content {
    case .rotate, .unknown: return true
    case .certify(let device, _, _, let consent): return device.verifies(consent, of: person.bytes, in: .consent)
    case .revoke(_, let revocation): return revocation.sequence.rawValue > 0 || revocation.hash.cast() == person
    }
  }

  private static func signed(_ kind: String, _ person: PersonID, _ body: ArraySlice<UInt8>) -> [UInt8] {
    var message = Array("tl-\(kind)-v1".utf8)
    message.reserveCapacity(message.count + 33 + body.count)
    message.append(0)
    person.withUnsafeBytes { message.append(contentsOf: $0) }
    message.append(contentsOf: body)
    return message
  }

  // A name that signs something else (an event, a consent) is no kind of statement, or one signature could be both.
  private static func isKind(_ name: String) -> Bool {
    guard !name.isEmpty,
      name.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
    else { return false }
    switch SignatureDomain(rawValue: name) {
    case nil, .certify, .revoke, .rotate: return true
    case .event, .node, .consent, .deposit: return false
    }
  }
}

extension PersonStatement {
  /// The place of which a record holds one statement, and the order in which places are kept when there are more than
  /// a record may hold: rotations; then the statements of each root, the outranking root first; within a root
  /// revocations, certificates, other kinds; then bytewise. It depends on nothing but the statement.
  struct Slot: Hashable, Comparable {
    let group: UInt8  // 0 rotate, 1 the rest
    let root: Root
    let kindRank: UInt8
    let kind: String
    let subject: Bytes32<SubjectRole>

    static func < (a: Slot, b: Slot) -> Bool {
      if a.group != b.group { return a.group < b.group }
      if a.root != b.root { return a.root.outranks(b.root) }
      if a.kindRank != b.kindRank { return a.kindRank < b.kindRank }
      if a.kind != b.kind { return a.kind.utf8.lexicographicallyPrecedes(b.kind.utf8) }
      return a.subject < b.subject
    }
  }

  var slot: Slot {
    switch content {
    case .rotate: Slot(group: 0, root: root, kindRank: 0, kind: kind, subject: .init())
    case .revoke(let device, _): Slot(group: 1, root: root, kindRank: 0, kind: kind, subject: device.cast())
    case .certify(let device, _, _, _): Slot(group: 1, root: root, kindRank: 1, kind: kind, subject: device.cast())
    case .unknown(let subject): Slot(group: 1, root: root, kindRank: 2, kind: kind, subject: subject)
    }
  }

  /// Bytewise. Numbers in CBOR's shortest form order as their bytes do, so of two revocations of one device the one
  /// with the lower sequence precedes.
  func precedes(_ other: PersonStatement) -> Bool {
    bytes.withUnsafeBytes { mine in
      other.bytes.withUnsafeBytes { theirs in
        // Statements of one root share their first sixty bytes, so eight are compared at a time.
        let common = min(mine.count, theirs.count)
        var index = 0
        while index + 8 <= common {
          let a = mine.loadUnaligned(fromByteOffset: index, as: UInt64.self)
          let b = theirs.loadUnaligned(fromByteOffset: index, as: UInt64.self)
          if a != b { return a.bigEndian < b.bigEndian }
          index += 8
        }
        while index < common {
          if mine[index] != theirs[index] { return mine[index] < theirs[index] }
          index += 1
        }
        return mine.count < theirs.count
      }
    }
  }
}
