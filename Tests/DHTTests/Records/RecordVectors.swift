import DHT
import Foundation
import Identity
import Primitives
import Testing

/// schemas/vectors/records.json: `TL_WRITE_VECTORS=1 swift test --filter VectorTests` writes it.
@Suite struct RecordVectorTests {
  static let root = SigningKey(seed: [UInt8](repeating: 1, count: 32))!
  static let recovery = SigningKey(seed: [UInt8](repeating: 2, count: 32))!

  static func line(_ item: MutableItem) -> JSONObject {
    var line = JSONObject()
    line.add("key", item.key.hex)
    line.add("salt", String(decoding: item.salt, as: UTF8.self))
    line.add("seq", String(item.sequence))
    line.add("value", Hex.encode(item.value))
    line.add("signature", Hex.encode(item.signature.bytes))
    line.add("target", item.target.hex)
    return line
  }

  static func meetings() -> [JSONObject] {
    var lines: [JSONObject] = []
    for name in ["alice", "Alice", "ÄRGER öß", "İstanbul", "ΣΑΣ"] {
      var line = JSONObject()
      line.add("name", name)
      line.add("hash", NodeID.name(name).hex)
      lines.append(line)
    }
    for byte in [UInt8(0), 7] {
      let person: PersonID = RecordTests.bytes(byte)
      var line = JSONObject()
      line.add("person", person.hex)
      line.add("hash", NodeID.swarm(of: person).hex)
      lines.append(line)
    }
    return lines
  }

  static func persons() throws -> [JSONObject] {
    var record = PersonRecord(creating: root, recovery: recovery.publicKey)
    var lines: [JSONObject] = []
    for count in 0...9 {
      if count > 0 {
        let device = SigningKey(seed: [UInt8](repeating: 10 + UInt8(count), count: 32))!
        try record.certify(
          device: device.publicKey, number: UInt16(count), label: "d", consent: device.consent(to: record.id),
          with: root)
      }
      guard [0, 1, 9].contains(count) else { continue }
      let item = PersonItem(of: record)
      var line = line(item.signed(by: root, after: nil, at: RecordTests.now))
      line.add("record", Hex.encode(record.encoded))
      line.add("devices", item.devices.map(\.hex))
      lines.append(line)
    }
    return lines
  }

  static func heads() -> [JSONObject] {
    [
      ("bare", RecordTests.head(addresses: 0, replicas: 0)), ("one replica", RecordTests.head()),
      ("full, leaving", RecordTests.head(addresses: 4, replicas: 6, flags: .leaving)),
    ].map { name, item in
      var line = line(item.signed(by: RecordTests.key, after: nil, at: RecordTests.now))
      line.add("name", name)
      line.add("flags", Int(item.flags.rawValue))
      line.add("sequence", String(item.sequence.rawValue))
      line.add("hash", item.hash.hex)
      line.add("floor", String(item.floor.rawValue))
      line.add("expires", String(item.expires.milliseconds))
      line.add("addresses", item.addresses.map(\.description))
      line.add(
        "replicas",
        item.replicas.map { "\(Hex.encode(withUnsafeBytes(of: $0.nodePrefix.bigEndian) { Array($0) })) \($0.endpoint)" }
      )
      return line
    }
  }

  static func kept() throws -> [JSONObject] {
    let item = PersonItem(of: PersonRecord(creating: root, recovery: recovery.publicKey))
      .signed(by: root, after: nil, at: RecordTests.now)
    var line = line(item)
    line.add("bytes", Hex.encode(KeptItem(item).bytes))
    return [line]
  }

  /// Values that are no head, by what is wrong with them.
  static func refused() -> [JSONObject] {
    let value = RecordTests.head().value
    let start = value.firstIndex(of: UInt8(ascii: ":"))! + 1
    let content = Array(value[start...])
    func changed(_ index: Int, _ byte: UInt8) -> [UInt8] {
      var copy = content
      copy[index] = byte
      return copy
    }
    let cases: [(String, [UInt8])] = [
      ("version 2", changed(0, 2)), ("a byte too many", content + [0]), ("a byte too few", content.dropLast()),
      ("five addresses", changed(58, 5)), ("seven replicas", changed(66, 7)), ("family 5", changed(59, 5)),
      ("a floor above the head", changed(49, 4)), ("a sequence over 48 bits", changed(2, 1)),
      ("a time over 63 bits", changed(50, 0x80)),
    ]
    return cases.map { name, content in
      var writer = BencodeWriter()
      writer.string(content)
      var line = JSONObject()
      line.add("name", name)
      line.add("value", Hex.encode(writer.bytes))
      return line
    }
  }

  @Test("the published vectors are what the code makes")
  func file() throws {
    func list(_ lines: [JSONObject]) -> String {
      "[\n  " + lines.map { String(decoding: $0.encoded, as: UTF8.self) }.joined(separator: ",\n  ") + "\n ]"
    }
    let text = """
      {
       "meetings": \(list(Self.meetings())),
       "persons": \(list(try Self.persons())),
       "heads": \(list(Self.heads())),
       "refusedHeads": \(list(Self.refused())),
       "kept": \(list(try Self.kept()))
      }

      """
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../../schemas/vectors/records.json").standardizedFileURL
    if ProcessInfo.processInfo.environment["TL_WRITE_VECTORS"] != nil { try Data(text.utf8).write(to: path) }
    #expect(try String(contentsOf: path, encoding: .utf8) == text)
    for line in Self.refused() {
      let value = Hex.decode(try JSON(parsing: line.encoded)["value"]!.text!)!
      #expect(throws: ByteError.self) { try HeadItem(value: value) }
    }
  }
}
