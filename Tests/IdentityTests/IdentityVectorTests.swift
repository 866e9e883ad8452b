import Foundation
import Identity
import Primitives
import Testing

/// The published vectors are what the code makes: other programs decode the files, these tests hold the code to them.
/// `TL_WRITE_VECTORS=1 swift test --filter VectorTests` writes them anew.
@Suite struct IdentityVectorTests {
  @Test("schemas/vectors/person.json is what the code makes")
  func person() throws { try check("person.json", try PersonVectors.make()) }

  @Test("schemas/vectors/keystore.json is what the code makes")
  func keystore() throws { try check("keystore.json", try KeystoreVectors.make()) }

  @Test("every record that the vectors call refused is refused")
  func refused() throws {
    for example in try PersonVectors.refused() {
      #expect(throws: IdentityError.self, "\(example.name)") {
        try PersonRecord(decoding: Hex.decode(example.encoded)!)
      }
    }
  }

  private func check(_ name: String, _ vectors: some Encodable) throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("schemas/vectors/\(name)")
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let made = try encoder.encode(vectors) + Data("\n".utf8)
    if ProcessInfo.processInfo.environment["TL_WRITE_VECTORS"] != nil { try made.write(to: file) }
    #expect(try Data(contentsOf: file) == made, "\(name) differs from what the code makes")
  }
}

struct PersonVectors: Encodable {
  struct Key: Encodable {
    let name, seed, publicKey: String
  }
  struct Person: Encodable {
    let rootKey1, recoveryKey, id, fingerprint, handleOfAlice: String
  }
  struct Consent: Encodable {
    let device, person, signature: String
  }
  struct Device: Encodable {
    let key: String
    let number: Int
    let label: String
    let revokedAt, revokedHash: String?
  }
  struct Record: Encodable {
    let name, encoded, hash, currentRoot: String
    let rootNumber: Int
    let statements: Int
    let devices: [Device]
  }
  struct Merge: Encodable {
    let name: String
    /// Names of records.
    let of: [String]
    let result: String
  }
  struct Refused: Encodable {
    let name, encoded: String
  }
  struct NodeStatement: Encodable {
    let encoded, node, device, person, notAfterMilliseconds: String
  }
  struct TicketExample: Encodable {
    let text, kind: String
    let person: String?
    let name, node, secret, notAfterMilliseconds: String?
    let addresses: [String]
    var network, key: String?
  }

  let keys: [Key]
  let person: Person
  let consent: Consent
  let records: [Record]
  let merges: [Merge]
  let refused: [Refused]
  let nodeStatement: NodeStatement
  let tickets: [TicketExample]

  static func make() throws -> PersonVectors {
    let alice = try records()
    let id = alice[0].record.id
    let node = Identity.NodeStatement(
      node: People.key(9).publicKey, person: id, now: Timestamp(milliseconds: 1_763_600_000_000), device: People.key(3))
    return PersonVectors(
      keys: names.map { Key(name: $0.1, seed: hex($0.0), publicKey: People.key($0.0).publicKey.hex) },
      person: Person(
        rootKey1: alice[0].record.firstRoot.hex, recoveryKey: alice[0].record.recovery.hex, id: id.hex,
        fingerprint: id.fingerprint, handleOfAlice: id.handle(name: "alice")),
      consent: Consent(
        device: People.key(3).publicKey.hex, person: id.hex,
        signature: Hex.encode(People.key(3).consent(to: id).bytes)),
      records: alice.map(describe), merges: try merges(alice), refused: try refused(),
      nodeStatement: NodeStatement(
        encoded: Hex.encode(node.encoded), node: node.node.hex, device: node.device.hex, person: id.hex,
        notAfterMilliseconds: String(node.notAfter.milliseconds)),
      tickets: try tickets(id))
  }

  private static let names: [(UInt8, String)] = [
    (1, "root 1"), (2, "recovery"), (3, "device laptop"), (4, "device phone"), (9, "node"), (11, "root 2"),
    (12, "another root 2"),
  ]

  private static func hex(_ seed: UInt8) -> String { Hex.encode([UInt8](repeating: seed, count: 32)) }

  private static func records() throws -> [(name: String, record: PersonRecord)] {
    var result: [(String, PersonRecord)] = []
    var record = PersonRecord(creating: People.key(1), recovery: People.key(2).publicKey)
    result.append(("empty", record))
    func certify(_ seed: UInt8, _ number: UInt16, _ label: String, _ root: UInt8) throws {
      let device = People.key(seed)
      try record.certify(
        device: device.publicKey, number: number, label: label, consent: device.consent(to: record.id),
        with: People.key(root))
    }
    try certify(3, 17, "laptop", 1)
    result.append(("one device", record))
    try certify(4, 1023, "Zoës phone", 1)
    result.append(("two devices", record))
    let two = record
    try record.revoke(
      device: People.key(4).publicKey, lastGood: .init(300), hash: People.hash(0xAB), with: People.key(1))
    result.append(("phone revoked at 300", record))
    record = two
    try record.revoke(device: People.key(4).publicKey, lastGood: .init(7), hash: People.hash(0xCD), with: People.key(1))
    result.append(("phone revoked at 7", record))
    try record.rotate(to: People.key(11), with: People.key(2))
    result.append(("rotated", record))
    record = two
    try record.rotate(to: People.key(12), with: People.key(2))
    result.append(("rotated to another root", record))
    record = try PersonRecord(
      decoding: People.encode(
        root: two.firstRoot, recovery: two.recovery,
        People.sorted(
          two.statements.map(\.bytes) + [
            People.unknown("witness", subject: 1, extra: 5, root: People.key(1), number: 1, person: two.id)
          ])))
    result.append(("with a kind of a later version", record))
    record = two
    try record.revoke(device: People.key(3).publicKey, lastGood: .init(0), hash: two.id.cast(), with: People.key(1))
    result.append(("laptop revoked from the start", record))
    return result
  }

  private static func describe(_ name: String, _ record: PersonRecord) -> Record {
    Record(
      name: name, encoded: Hex.encode(record.encoded), hash: record.hash.hex, currentRoot: record.currentRoot.hex,
      rootNumber: Int(record.rootNumber), statements: record.statements.count,
      devices: record.devices.map { device in
        Device(
          key: device.key.hex, number: Int(device.number), label: device.label,
          revokedAt: device.revocation.map { String($0.sequence.rawValue) }, revokedHash: device.revocation?.hash.hex)
      })
  }

  private static func merges(_ records: [(name: String, record: PersonRecord)]) throws -> [Merge] {
    func merge(_ name: String, _ of: [String]) -> Merge {
      let chosen = of.map { wanted in records.first { $0.name == wanted }!.record }
      var result = chosen[0]
      for other in chosen.dropFirst() { result.merge(other) }
      return Merge(name: name, of: of, result: Hex.encode(result.encoded))
    }
    return [
      merge("the lower revocation stays", ["phone revoked at 300", "phone revoked at 7"]),
      merge("the bytewise lower of two roots with one number is in force", ["rotated", "rotated to another root"]),
      merge("everything", records.map(\.name)),
    ]
  }

  static func refused() throws -> [Refused] {
    let record = try records()[2].record
    let own = record.statements.map(\.bytes)
    func example(_ name: String, _ statements: [[UInt8]], version: UInt64 = 1, id: PublicKey? = nil) -> Refused {
      Refused(
        name: name,
        encoded: Hex.encode(
          People.encode(root: id ?? record.firstRoot, recovery: record.recovery, statements, version: version)))
    }
    func certificate(consent: [UInt8], number: UInt64 = 5, label: String = "x") -> [UInt8] {
      People.statement("certify", root: People.key(1), number: 1, person: record.id, fields: 4) { body in
        body.unsigned(2)
        body.byteString(People.key(5).publicKey)
        body.unsigned(3)
        body.unsigned(number)
        body.unsigned(4)
        body.text(label)
        body.unsigned(5)
        body.byteString(consent)
      }
    }
    let consent = People.key(5).consent(to: record.id).bytes
    func unknown(_ kind: String, _ extra: UInt64, root: UInt8 = 1, number: UInt64 = 1) -> [UInt8] {
      People.unknown(kind, subject: 1, extra: extra, root: People.key(root), number: number, person: record.id)
    }
    var changed = own
    changed[0][changed[0].count - 1] ^= 1
    return [
      example("a changed signature", changed),
      example("another root key 1, so another person", own, id: People.key(12).publicKey),
      example("statements out of order", own.reversed()),
      example("one statement twice", [own[0], own[0], own[1]]),
      example(
        "two statements for one root, kind and subject", People.sorted([unknown("witness", 5), unknown("witness", 6)])),
      example("version 2", own, version: 2),
      example("consent by another device", [certificate(consent: People.key(4).consent(to: record.id).bytes)]),
      example(
        "consent to be somebody else",
        [
          certificate(consent: People.key(5).consent(to: PersonID(hashing: [])).bytes)
        ]),
      example("device number 1024", [certificate(consent: consent, number: 1024)]),
      example("label of 129 bytes", [certificate(consent: consent, label: String(repeating: "x", count: 129))]),
      example("a kind that signs events", [unknown("event", 5)]),
      example("a root that no rotation names", [unknown("witness", 5, root: 11, number: 2)]),
      example(
        "a rotation by the root",
        [
          People.statement(
            "rotate", root: People.key(11), number: 2, person: record.id, signer: People.key(1), fields: 0
          ) { _ in }
        ]),
      example(
        "a rotation to number 1",
        [
          People.statement(
            "rotate", root: People.key(11), number: 1, person: record.id, signer: People.key(2), fields: 0
          ) { _ in }
        ]),
      example(
        "revoked at 0 with a hash that is not the person id",
        [
          People.statement("revoke", root: People.key(1), number: 1, person: record.id, fields: 3) { body in
            body.unsigned(2)
            body.byteString(People.key(3).publicKey)
            body.unsigned(3)
            body.unsigned(0)
            body.unsigned(4)
            body.byteString(People.hash(1))
          }
        ]),
    ]
  }

  private static func tickets(_ id: PersonID) throws -> [TicketExample] {
    let node = People.key(9).publicKey
    let addresses = ["example.org:4000", "[2001:db8::1]:4000"]
    let end = Timestamp(milliseconds: 1_763_600_000_000)
    let person = Ticket.person(.init(person: id, name: "alice", node: node, addresses: addresses))
    let bare = Ticket.person(.init(person: id, name: "", node: nil, addresses: []))
    let join = Ticket.join(
      .init(person: id, node: node, addresses: [addresses[0]], secret: SecretBytes(Array(1...16)), notAfter: end))
    let key = AuthenticationCode([UInt8](0..<32))!
    let network = Ticket.network(.init(key: key, addresses: addresses))
    return [
      TicketExample(
        text: try person.text(), kind: "person", person: id.hex, name: "alice", node: node.hex, secret: nil,
        notAfterMilliseconds: nil, addresses: addresses),
      TicketExample(
        text: try bare.text(), kind: "person", person: id.hex, name: "", node: nil, secret: nil,
        notAfterMilliseconds: nil, addresses: []),
      TicketExample(
        text: try join.text(), kind: "join", person: id.hex, name: nil, node: node.hex,
        secret: Hex.encode(Array(1...16) as [UInt8]), notAfterMilliseconds: String(end.milliseconds),
        addresses: [addresses[0]]),
      TicketExample(
        text: try network.text(), kind: "network", person: nil, name: nil, node: nil, secret: nil,
        notAfterMilliseconds: nil, addresses: addresses, network: Hex.encode(Ticket.Network.id(of: key)), key: key.hex),
    ]
  }
}

struct KeystoreVectors: Encodable {
  struct File: Encodable {
    let name, encoded, publicKey, seed: String
    let person: String?
    let number: Int?
    /// Of the sealed ones.
    let passphrase: String?
    let memoryKibibytes, passes: Int?
  }
  struct Recovery: Encodable {
    let text, person, seed: String
  }

  let files: [File]
  let recovery: Recovery

  static func make() throws -> KeystoreVectors {
    let person = try People.record().id
    let keys: [(String, UInt8, KeyFile)] = [
      ("device", 3, .device(People.key(3), number: 17, person: person)),
      ("root", 1, .root(People.key(1), person: person)),
      ("recovery", 2, .recovery(People.key(2), person: person)), ("node", 9, .node(People.key(9))),
    ]
    var files: [File] = []
    for (name, seed, key) in keys {
      let seedBytes = [UInt8](repeating: seed, count: 32)
      func file(_ name: String, _ bytes: [UInt8], _ cost: SealingCost?) -> File {
        File(
          name: name, encoded: Hex.encode(bytes), publicKey: key.key.publicKey.hex, seed: Hex.encode(seedBytes),
          person: key.person?.hex, number: key.deviceNumber.map(Int.init),
          passphrase: cost == nil ? nil : "correct horse", memoryKibibytes: cost.map { Int($0.memoryKibibytes) },
          passes: cost.map { Int($0.passes) })
      }
      let plain = key.encodedPlain().withUnsafeBytes { Array($0) }
      files.append(file("\(name), plain", plain, nil))
      let sealed = try SealedBox.seal(
        key.kind, publicPart: try SealedBox(decoding: plain).publicPart, secret: SecretBytes(seedBytes),
        passphrase: SecretBytes(Array("correct horse".utf8)), cost: .floor, salt: [UInt8](repeating: 0x5A, count: 16),
        nonce: [UInt8](repeating: 0xA5, count: 24))
      let opened = try KeyFile(
        opening: try SealedBox(decoding: sealed), passphrase: SecretBytes(Array("correct horse".utf8)))
      #expect(opened.key.publicKey == key.key.publicKey)
      files.append(file("\(name), sealed", sealed, .floor))
    }
    let text = RecoveryFile(key: People.key(2), person: person).encoded().withUnsafeBytes { Array($0) }
    return KeystoreVectors(
      files: files,
      recovery: Recovery(
        text: String(decoding: text, as: UTF8.self), person: person.hex,
        seed: Hex.encode([UInt8](repeating: 2, count: 32))))
  }
}
