import Identity
import Primitives
import Testing

@Suite struct PersonRecordTests {
  @Test("the person id is BLAKE2b-256 of prefix, root key 1 and recovery key")
  func identifier() throws {
    let record = try People.record()
    let bytes = Array("tl-person-v1\0".utf8) + People.key(1).publicKey.bytes + People.key(2).publicKey.bytes
    #expect(record.id == PersonID(hashing: bytes))
  }

  @Test("a record reads back equal, with its devices in order of their keys")
  func roundTrip() throws {
    var record = try People.record(devices: [3, 4, 5])
    try record.revoke(device: People.key(4).publicKey, lastGood: .init(7), hash: People.hash(9), with: People.key(1))
    let read = try PersonRecord(decoding: record.encoded)
    #expect(read == record)
    #expect(read.devices == record.devices)
    #expect(read.devices.map(\.key) == read.devices.map(\.key).sorted())
    #expect(read.device(People.key(3).publicKey)?.number == 0)
    #expect(read.device(People.key(5).publicKey)?.label == "device 5")
    #expect(read.isAuthor(People.key(4).publicKey) && !read.isActive(People.key(4).publicKey))
    #expect(read.revocation(of: People.key(4).publicKey) == Revocation(sequence: .init(7), hash: People.hash(9)))
    #expect(!read.isAuthor(People.key(1).publicKey) && read.device(People.key(9).publicKey) == nil)
    #expect(try PersonRecord(verified: record.encoded) == record)
  }

  @Test("without the device's consent to this very person there is no certificate")
  func consent() throws {
    var record = try People.record()
    let stranger = People.key(7)
    let elsewhere = PersonRecord(creating: People.key(8), recovery: People.key(2).publicKey)
    let wrong = [
      stranger.consent(to: elsewhere.id), People.key(6).consent(to: record.id),
      stranger.sign(record.id.bytes, in: .node),
    ]
    for consent in wrong {
      let error = #expect(throws: IdentityError.self) {
        try record.certify(
          device: stranger.publicKey, number: 1, label: "x", consent: consent, with: People.key(1))
      }
      #expect(error?.code == .verification)
      let forged = People.statement("certify", root: People.key(1), number: 1, person: record.id, fields: 4) { body in
        body.unsigned(2)
        body.byteString(stranger.publicKey)
        body.unsigned(3)
        body.unsigned(1)
        body.unsigned(4)
        body.text("x")
        body.unsigned(5)
        body.byteString(consent.bytes)
      }
      let bytes = People.encode(root: record.firstRoot, recovery: record.recovery, [forged])
      #expect(throws: IdentityError.self) { try PersonRecord(decoding: bytes) }
    }
  }

  @Test("a statement does not hold for another person with the same root")
  func otherPerson() throws {
    let record = try People.record()
    let bytes = People.encode(
      root: record.firstRoot, recovery: People.key(9).publicKey, record.statements.map(\.bytes))
    let error = #expect(throws: IdentityError.self) { try PersonRecord(decoding: bytes) }
    #expect(error?.code == .verification)
  }

  @Test("every change of one byte is refused, or is another person's record")
  func tampering() throws {
    var record = try People.record(devices: [3, 4])
    try record.revoke(device: People.key(3).publicKey, lastGood: .init(300), hash: People.hash(1), with: People.key(1))
    try record.rotate(to: People.key(11), with: People.key(2))
    let bytes = record.encoded
    for index in bytes.indices {
      for mask: UInt8 in [1 << UInt8(index % 8), 0xFF] {
        var changed = bytes
        changed[index] ^= mask
        do throws(IdentityError) {
          let read = try PersonRecord(decoding: changed)
          Issue.record("byte \(index) ^ \(mask) was accepted, id changed: \(read.id != record.id)")
        } catch {
          #expect(!error.context.isEmpty)
        }
      }
    }
    for count in stride(from: 0, to: bytes.count, by: 7) {
      #expect(throws: IdentityError.self) { try PersonRecord(decoding: Array(bytes[..<count])) }
    }
    #expect(throws: IdentityError.self) { try PersonRecord(decoding: bytes + [0]) }
  }

  @Test("of two revocations the lower sequence counts, and a later one is refused")
  func lowestRevocation() throws {
    let device = People.key(3).publicKey
    for (low, high) in [(1, 2), (23, 24), (255, 256), (5, 70_000)] as [(UInt64, UInt64)] {
      var a = try People.record()
      var b = a
      try a.revoke(device: device, lastGood: .init(low), hash: People.hash(9), with: People.key(1))
      try b.revoke(device: device, lastGood: .init(high), hash: People.hash(1), with: People.key(1))
      var merged = b
      let lowered = merged.merge(a)
      #expect(lowered && merged == a)
      let raised = a.merge(b)
      #expect(!raised && a.revocation(of: device)?.sequence == .init(low))
      let error = #expect(throws: IdentityError.self) {
        try a.revoke(device: device, lastGood: .init(high), hash: People.hash(1), with: People.key(1))
      }
      #expect(error?.code == .conflict)
      try b.revoke(device: device, lastGood: .init(low), hash: People.hash(9), with: People.key(1))
      #expect(a == b)
    }
  }

  @Test("a revocation at sequence 0 names the person id")
  func revokedFromTheStart() throws {
    var record = try People.record()
    let device = People.key(3).publicKey
    #expect(throws: IdentityError.self) {
      try record.revoke(device: device, lastGood: .init(0), hash: People.hash(1), with: People.key(1))
    }
    try record.revoke(device: device, lastGood: .init(0), hash: record.id.cast(), with: People.key(1))
    #expect(try PersonRecord(decoding: record.encoded) == record)
  }

  @Test("rotation replaces the root and signs again what stands; the old root's statements stay and do not count")
  func rotation() throws {
    var record = try People.record(devices: [3, 4])
    let id = record.id
    try record.revoke(device: People.key(4).publicKey, lastGood: .init(7), hash: People.hash(9), with: People.key(1))
    let devices = record.devices
    let before = record.statements
    #expect(throws: IdentityError.self) { try record.rotate(to: People.key(11), with: People.key(1)) }
    try record.rotate(to: People.key(11), with: People.key(2))
    #expect(record.id == id && record.currentRoot == People.key(11).publicKey && record.rootNumber == 2)
    #expect(record.devices == devices)
    #expect(Set(before).isSubset(of: record.statements))
    #expect(record.statements.count == 2 * before.count + 1)
    let thief = People.key(12)
    #expect(throws: IdentityError.self) {
      try record.certify(
        device: thief.publicKey, number: 9, label: "thief", consent: thief.consent(to: id), with: People.key(1))
    }
    var stolen = try People.record(devices: [3, 4])
    try stolen.certify(
      device: thief.publicKey, number: 9, label: "thief", consent: thief.consent(to: id), with: People.key(1))
    let changed = record.merge(stolen)
    #expect(changed)
    #expect(!record.isAuthor(thief.publicKey) && record.devices == devices)
    #expect(try PersonRecord(decoding: record.encoded) == record)
  }

  @Test("rotation after a theft signs again only what is one's own")
  func selectiveRotation() throws {
    var record = try People.record(devices: [3, 4])
    let own = People.key(3).publicKey
    try record.revoke(device: own, lastGood: .init(1), hash: People.hash(9), with: People.key(1))
    try record.rotate(to: People.key(11), with: People.key(2)) { statement in
      if case .certify(let device, _, _, _) = statement.content { device == own } else { false }
    }
    #expect(record.devices.map(\.key) == [own] && record.isActive(own))
  }

  @Test("of two rotations to one number the bytewise lower root counts; a higher number outranks both")
  func rotationConflict() throws {
    var a = try People.record()
    var b = a
    try a.rotate(to: People.key(11), with: People.key(2))
    try b.rotate(to: People.key(12), with: People.key(2))
    let lower = min(People.key(11).publicKey, People.key(12).publicKey)
    var merged = a
    merged.merge(b)
    b.merge(a)
    #expect(merged == b && merged.currentRoot == lower && merged.rootNumber == 2)
    try a.rotate(to: People.key(13), with: People.key(2))
    merged.merge(a)
    #expect(merged.currentRoot == People.key(13).publicKey && merged.rootNumber == 3)
  }

  @Test("an unknown kind by a root is kept, one per subject, and passed on; by a stranger it is refused")
  func unknownKinds() throws {
    var record = try People.record()
    func bytes(_ statement: [UInt8]) -> [UInt8] {
      People.encode(
        root: record.firstRoot, recovery: record.recovery, People.sorted(record.statements.map(\.bytes) + [statement]))
    }
    let first = People.unknown("witness", subject: 1, extra: 5, root: People.key(1), number: 1, person: record.id)
    let lower = People.unknown("witness", subject: 1, extra: 4, root: People.key(1), number: 1, person: record.id)
    let other = People.unknown("witness", subject: 2, extra: 9, root: People.key(1), number: 1, person: record.id)
    let read = try PersonRecord(decoding: bytes(first))
    #expect(read.statements.count == 2 && read.devices == record.devices && read.encoded == bytes(first))
    let both = try PersonRecord(decoding: bytes(lower))
    let third = try PersonRecord(decoding: bytes(other))
    record.merge(read)
    record.merge(both)
    record.merge(third)
    #expect(Set(record.statements.map(\.bytes)).isSuperset(of: [lower, other]) && record.statements.count == 3)
    record = try People.record()
    let foreign = People.unknown("witness", subject: 1, extra: 5, root: People.key(9), number: 1, person: record.id)
    #expect(throws: IdentityError.self) { try PersonRecord(decoding: bytes(foreign)) }
    for kind in ["event", "node", "consent", "deposit", "Witness", "", "a-kind-of-17-chars"] {
      let bad = People.unknown(kind, subject: 1, extra: 5, root: People.key(1), number: 1, person: record.id)
      #expect(throws: IdentityError.self, "kind \(kind)") { try PersonRecord(decoding: bytes(bad)) }
    }
  }

  @Test("what is not canonical is refused: order, doubles, a second statement for one slot, a foreign version")
  func canonical() throws {
    let record = try People.record(devices: [3, 4])
    let own = record.statements.map(\.bytes)
    func read(_ statements: [[UInt8]], version: UInt64 = 1) throws(IdentityError) -> PersonRecord {
      try PersonRecord(
        decoding: People.encode(
          root: record.firstRoot, recovery: record.recovery, statements, version: version))
    }
    #expect(try read(own) == record)
    #expect(throws: IdentityError.self) { try read(own.reversed()) }
    #expect(throws: IdentityError.self) { try read([own[0], own[0], own[1]]) }
    #expect(#expect(throws: IdentityError.self) { try read(own, version: 2) }?.code == .unsupported)
    let a = People.unknown("x", subject: 1, extra: 5, root: People.key(1), number: 1, person: record.id)
    let b = People.unknown("x", subject: 1, extra: 6, root: People.key(1), number: 1, person: record.id)
    #expect(throws: IdentityError.self) { try read(People.sorted([a, b])) }
    // A root that no rotation names, and a rotation signed by a root.
    let orphan = People.unknown("x", subject: 1, extra: 5, root: People.key(9), number: 2, person: record.id)
    #expect(throws: IdentityError.self) { try read([orphan]) }
    let usurped = People.statement(
      "rotate", root: People.key(9), number: 2, person: record.id, signer: People.key(1), fields: 0
    ) { _ in }
    #expect(throws: IdentityError.self) { try read([usurped]) }
    let first = People.statement(
      "rotate", root: People.key(9), number: 1, person: record.id, signer: People.key(2), fields: 0
    ) { _ in }
    #expect(throws: IdentityError.self) { try read([first]) }
    let long = People.statement("x", root: People.key(1), number: 1, person: record.id, fields: 2) { body in
      body.unsigned(2)
      body.byteString(People.hash(1))
      body.unsigned(3)
      body.byteString([UInt8](repeating: 0, count: 400))
    }
    #expect(throws: IdentityError.self) { try read([long]) }
  }

  @Test("certifying checks number, label, and that the device is new")
  func certifyLimits() throws {
    var record = try People.record()
    func certify(_ seed: UInt8, number: UInt16 = 1, label: String = "a", root: UInt8 = 1) -> IdentityError.Code? {
      let device = People.key(seed)
      do throws(IdentityError) {
        try record.certify(
          device: device.publicKey, number: number, label: label, consent: device.consent(to: record.id),
          with: People.key(root))
        return nil
      } catch {
        return error.code
      }
    }
    #expect(certify(4, number: 1024) == .limit)
    #expect(certify(4, label: String(repeating: "x", count: 33)) == .limit)
    #expect(certify(4, label: "a\u{202E}b") == .malformed)
    #expect(certify(4, label: "") == .malformed)
    #expect(certify(3) == .conflict)
    #expect(certify(4, root: 5) == .wrongKey)
    #expect(certify(4, number: 1023) == nil)
    #expect(record.unusedDeviceNumbers == Array(1...1022))
    #expect(try PersonRecord(decoding: record.encoded) == record)
  }
}
