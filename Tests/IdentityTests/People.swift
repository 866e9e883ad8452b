import Identity
import Primitives

/// Keys and persons that are the same in every run.
enum People {
  static func key(_ number: UInt8) -> SigningKey {
    SigningKey(seed: [UInt8](repeating: number, count: 32))!
  }

  /// Root of seed 1, recovery key of seed 2, and a device of each further seed, numbered from 0.
  static func record(devices seeds: [UInt8] = [3]) throws -> PersonRecord {
    var record = PersonRecord(creating: key(1), recovery: key(2).publicKey)
    for (index, seed) in seeds.enumerated() {
      let device = key(seed)
      try record.certify(
        device: device.publicKey, number: UInt16(index), label: "device \(seed)",
        consent: device.consent(to: record.id),
        with: key(1))
    }
    return record
  }

  static func hash(_ number: UInt8) -> EventHash { EventHash([UInt8](repeating: number, count: 32))! }

  /// A statement as any implementation could have written it, to test what ours would not write.
  static func statement(
    _ kind: String, root: SigningKey, number: UInt64, person: PersonID, signer: SigningKey? = nil,
    fields: Int, _ write: (inout CBORWriter) -> Void
  ) -> [UInt8] {
    var body = CBORWriter()
    body.map(2 + fields)
    body.unsigned(0)
    body.unsigned(number)
    body.unsigned(1)
    body.byteString(root.publicKey)
    write(&body)
    let signature = (signer ?? root).sign(raw: Array("tl-\(kind)-v1".utf8) + [0] + person.bytes + body.bytes)
    var statement = CBORWriter()
    statement.array(3)
    statement.text(kind)
    statement.byteString(body.bytes)
    statement.byteString(signature.bytes)
    return statement.bytes
  }

  static func unknown(_ kind: String, subject: UInt8, extra: UInt64, root: SigningKey, number: UInt64, person: PersonID)
    -> [UInt8]
  {
    statement(kind, root: root, number: number, person: person, fields: 2) { body in
      body.unsigned(2)
      body.byteString(hash(subject))
      body.unsigned(9)
      body.unsigned(extra)
    }
  }

  /// A record's bytes around the given statements, in the order given.
  static func encode(root: PublicKey, recovery: PublicKey, _ statements: [[UInt8]], version: UInt64 = 1) -> [UInt8] {
    var writer = CBORWriter()
    writer.map(4)
    writer.unsigned(0)
    writer.unsigned(version)
    writer.unsigned(1)
    writer.byteString(root)
    writer.unsigned(2)
    writer.byteString(recovery)
    writer.unsigned(3)
    writer.array(statements.count)
    for statement in statements { writer.encoded(statement) }
    return writer.bytes
  }

  static func sorted(_ statements: [[UInt8]]) -> [[UInt8]] { statements.sorted { $0.lexicographicallyPrecedes($1) } }
}
