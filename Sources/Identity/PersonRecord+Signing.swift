public import Primitives

extension SigningKey {
  /// A device's agreement to belong to a person. It holds for ever and under every root of that person.
  public func consent(to person: PersonID) -> Signature { sign(person.bytes, in: .consent) }
}

/// What the owner of the root and recovery keys can say.
extension PersonRecord {
  /// Certifies a device by the current root.
  /// - Parameters:
  ///   - number: 0–1023, see `unusedDeviceNumbers`.
  ///   - label: at most 128 bytes and `Name`'s other rules.
  ///   - consent: the device's `consent(to:)` this person.
  /// - Throws: `.wrongKey` if `root` is not the current root, `.verification` for a consent that does not hold,
  ///   `.conflict` for a device that is certified or revoked already (a certificate cannot be replaced), `.limit`.
  public mutating func certify(
    device: PublicKey, number: UInt16, label: String, consent: Signature, with root: SigningKey
  ) throws(IdentityError) {
    let place = "certifying device \(device.hex.prefix(8))"
    try expectCurrent(root, in: place)
    guard number <= Device.numberMaximum else {
      throw IdentityError(.limit, "device number \(number) over \(Device.numberMaximum)", in: place)
    }
    try Name.check(label, in: place)
    guard device.verifies(consent, of: id.bytes, in: .consent) else {
      throw IdentityError(.verification, "the device did not consent to be \(id.hex.prefix(8))'s", in: place)
    }
    guard self.device(device) == nil else { throw IdentityError(.conflict, "certified already", in: place) }
    guard revocation(of: device) == nil else { throw IdentityError(.conflict, "revoked already", in: place) }
    try put(certificate(device, number, label, consent, self.root, root), in: place)
  }

  /// Revokes a device by the current root: its log ends with `lastGood` and `hash`. At sequence 0 nothing of it stays
  /// and `hash` must be the person id's bytes.
  /// - Throws: `.wrongKey` if `root` is not the current root, `.conflict` if the log ends there or earlier already,
  ///   `.limit`.
  public mutating func revoke(
    device: PublicKey, lastGood sequence: SequenceNumber, hash: EventHash, with root: SigningKey
  ) throws(IdentityError) {
    let place = "revoking device \(device.hex.prefix(8))"
    try expectCurrent(root, in: place)
    guard sequence <= .maximum else {
      throw IdentityError(.limit, "sequence over \(SequenceNumber.maximum)", in: place)
    }
    guard sequence.rawValue > 0 || hash.cast() == id else {
      throw IdentityError(.conflict, "a revocation at sequence 0 names the person id as its hash", in: place)
    }
    if let held = revocation(of: device), held.sequence <= sequence {
      throw IdentityError(.conflict, "revoked already at sequence \(held.sequence)", in: place)
    }
    try put(revocationStatement(device, Revocation(sequence: sequence, hash: hash), self.root, root), in: place)
  }

  /// Replaces the root by the recovery key, and signs again by the new root what stands: the certificates and
  /// revocations by the current root for which `stands` says so. After a theft it should name one's own devices alone,
  /// for the thief may have certified others, and revoked ours. Statements of kinds that this version does not know
  /// are not signed again, as nobody should sign what he cannot read; they stay in the record under the old root.
  /// - Throws: `.wrongKey` if `recovery` is not the recovery key, `.conflict` if `newRoot` is the current root, `.limit`.
  public mutating func rotate(
    to newRoot: SigningKey, with recovery: SigningKey, keeping stands: (PersonStatement) -> Bool = { _ in true }
  ) throws(IdentityError) {
    let place = "rotating the root of \(id.hex.prefix(8))"
    guard recovery.publicKey == self.recovery else {
      throw IdentityError(.wrongKey, "not the recovery key of this person", in: place)
    }
    guard newRoot.publicKey != currentRoot else { throw IdentityError(.conflict, "this root is in force", in: place) }
    guard root.number < .max else { throw IdentityError(.limit, "no root number left", in: place) }
    let next = Root(number: root.number + 1, key: newRoot.publicKey)
    var more = [PersonStatement(kind: "rotate", root: next, fieldCount: 0, person: id, by: recovery)]
    for statement in statements where statement.root == root {
      switch statement.content {
      case .rotate, .unknown: break
      case .certify(let device, let number, let label, let consent):
        if stands(statement) { more.append(certificate(device, number, label, consent, next, newRoot)) }
      case .revoke(let device, let revocation):
        if stands(statement) { more.append(revocationStatement(device, revocation, next, newRoot)) }
      }
    }
    // In a full record these push out what older roots said, so an outranked root cannot block its replacement.
    _ = add(more)
  }

  /// The numbers that no unrevoked device uses, in rising order. A new device picks one at random.
  public var unusedDeviceNumbers: [UInt16] {
    let used = Set(devices.filter { $0.revocation == nil }.map(\.number))
    return (0...Device.numberMaximum).filter { !used.contains($0) }
  }

  private func expectCurrent(_ key: SigningKey, in place: String) throws(IdentityError) {
    guard key.publicKey == currentRoot else {
      throw IdentityError(.wrongKey, "not the root key in force (number \(root.number))", in: place)
    }
  }

  private mutating func put(_ statement: PersonStatement, in place: String) throws(IdentityError) {
    var copy = self
    guard copy.add([statement]), copy.statements.contains(where: { $0 == statement }) else {
      throw IdentityError(.limit, "the record is full (\(Self.statementMaximum) statements)", in: place)
    }
    self = copy
  }

  private func certificate(
    _ device: PublicKey, _ number: UInt16, _ label: String, _ consent: Signature, _ root: Root, _ key: SigningKey
  ) -> PersonStatement {
    PersonStatement(kind: "certify", root: root, fieldCount: 4, person: id, by: key) { body in
      body.unsigned(2)
      body.byteString(device)
      body.unsigned(3)
      body.unsigned(UInt64(number))
      body.unsigned(4)
      body.text(label)
      body.unsigned(5)
      body.byteString(consent.bytes)
    }
  }

  private func revocationStatement(
    _ device: PublicKey, _ revocation: Revocation, _ root: Root, _ key: SigningKey
  ) -> PersonStatement {
    PersonStatement(kind: "revoke", root: root, fieldCount: 3, person: id, by: key) { body in
      body.unsigned(2)
      body.byteString(device)
      body.unsigned(3)
      body.unsigned(revocation.sequence.rawValue)
      body.unsigned(4)
      body.byteString(revocation.hash)
    }
  }
}
