import DHT
import Foundation
import Identity
import Primitives
import Testing

/// schemas/vectors/dht.json: `TL_WRITE_VECTORS=1 swift test --filter VectorTests` writes it.
@Suite struct VectorFileTests {
  static let networkKey = [UInt8](0..<32)

  static func hex(_ bytes: [UInt8]) -> String { Hex.encode(bytes) }

  static func packets() -> [JSONObject] {
    let key = NetworkKey(AuthenticationCode(networkKey)!)
    let asker = Endpoint(IPAddress(192, 0, 2, 7), port: 6881)
    var reply = KRPCReply(id: KRPCTests.own)
    reply.nodes = [Contact(KRPCTests.other, at: asker)]
    reply.token = [1, 2, 3, 4, 5, 6, 7, 8]
    let bodies: [(String, KRPCMessage.Body)] =
      KRPCTests.asks.filter { if case .unknown = $0 { false } else { true } }.map {
        ("query", .query(KRPCQuery(id: KRPCTests.own, ask: $0)))
      } + [("reply", .reply(reply)), ("error", .error(KRPCError(.sequenceTooLow, "old sequence number")))]
    return bodies.map { name, body in
      let message = KRPCMessage(
        transaction: [0, 1, 2, 3], body: body, version: [0x54, 0x4C, 0, 1], observed: name == "reply" ? asker : nil,
        isReadOnly: name == "query")
      var line = JSONObject()
      line.add("name", name)
      line.add("packet", hex(message.encoded()))
      line.add("tagged", hex(message.encoded(for: key)))
      return line
    }
  }

  static func items() -> [JSONObject] {
    let key = SigningKey(seed: [UInt8](repeating: 1, count: 32))!
    return ["", "tl/h/1"].map { salt in
      let item = MutableItem(
        signing: Array("5:value".utf8), salt: Array(salt.utf8), sequence: 1_700_000_000_000_000, with: key)
      var line = JSONObject()
      line.add("key", item.key.hex)
      line.add("salt", hex(item.salt))
      line.add("sequence", String(item.sequence))
      line.add("value", hex(item.value))
      line.add(
        "signed", hex(MutableItem.signedBytes(salt: item.salt, sequence: item.sequence, value: item.value)))
      line.add("signature", hex(item.signature.bytes))
      line.add("target", item.target.hex)
      return line
    }
  }

  static func saved() -> JSONObject {
    let v6 = IPAddress(Hex.decode("20014860000000000000000000008888")!)!
    let saved = SavedContacts(
      id: KRPCTests.own,
      contacts: [
        Contact(KRPCTests.other, at: Endpoint(IPAddress(192, 0, 2, 7), port: 6881)),
        Contact(KRPCTests.own, at: Endpoint(v6, port: 443)),
      ])
    var line = JSONObject()
    line.add("bytes", hex(saved.bytes))
    line.add("id", saved.id.hex)
    line.add(
      "contacts", saved.contacts.map { "\($0.id.hex) \(hex($0.endpoint.address.bytes)) \($0.endpoint.port)" })
    return line
  }

  static let networks = [
    NetworkConfiguration(
      .privateNetwork(AuthenticationCode(networkKey)!), bootstrap: ["example.org:7001", "[2001:db8::1]:7001"]),
    NetworkConfiguration(.mainline, bootstrap: []),
  ]

  static func networkLines() -> [JSONObject] {
    networks.map { network in
      var line = JSONObject()
      line.add("bytes", hex(network.bytes))
      if case .privateNetwork(let key) = network.network { line.add("key", key.hex) } else { line.addNull("key") }
      line.add("id", network.id.map(hex))
      line.add("bootstrap", network.bootstrap)
      return line
    }
  }

  @Test("a network's configuration reads back, and every changed or missing byte is refused")
  func configurations() throws {
    for network in Self.networks {
      let bytes = network.bytes
      #expect(try NetworkConfiguration(bytes) == network)
      for index in bytes.indices {
        var changed = bytes
        changed[index] ^= 1
        #expect(throws: ByteError.self) { try NetworkConfiguration(changed) }
        #expect(throws: ByteError.self) { try NetworkConfiguration(Array(bytes[..<index])) }
      }
    }
  }

  @Test("the published vectors are what the code makes")
  func file() throws {
    func list(_ lines: [JSONObject]) -> String {
      "[\n  " + lines.map { String(decoding: $0.encoded, as: UTF8.self) }.joined(separator: ",\n  ") + "\n ]"
    }
    let text = """
      {
       "networkKey": "\(Self.hex(Self.networkKey))",
       "packets": \(list(Self.packets())),
       "items": \(list(Self.items())),
       "saved": \(String(decoding: Self.saved().encoded, as: UTF8.self)),
       "networks": \(list(Self.networkLines()))
      }

      """
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../schemas/vectors/dht.json").standardizedFileURL
    if ProcessInfo.processInfo.environment["TL_WRITE_VECTORS"] != nil { try Data(text.utf8).write(to: path) }
    #expect(try String(contentsOf: path, encoding: .utf8) == text)
  }
}
