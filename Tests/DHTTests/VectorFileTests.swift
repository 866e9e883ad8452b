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

  static let values: [(name: String, value: [UInt8], expires: Timestamp?)] = [
    ("empty", [], nil), ("short", Array("hello".utf8), Timestamp(milliseconds: 1_800_000_000_999)),
    ("longest of one item", [UInt8](repeating: 1, count: StoredValue.inlineByteCountMaximum), nil),
    ("shortest of parts", bytes(StoredValue.inlineByteCountMaximum + 1), Timestamp(milliseconds: 1_800_000_000_000)),
    ("longest without lists", bytes(47 * 996), nil), ("shortest with lists", bytes(47 * 996 + 1), nil),
  ]

  /// Bytes of which no two parts are equal.
  static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 996) } }

  static func valueLines() -> [JSONObject] {
    values.map { name, value, expires in
      let stored = StoredValue(value, expires: expires)
      var line = JSONObject()
      line.add("name", name)
      line.add("count", value.count)
      line.add("hash", Digest(hashing: value).hex)
      line.add("expires", expires.map { $0.milliseconds / 1000 })
      line.add("head", hex(stored.head))
      line.add("parts", stored.parts.count)
      line.add("partsHash", Digest(hashing: stored.parts.flatMap(\.value)).hex)
      return line
    }
  }

  static func nameLines() -> [JSONObject] {
    let key = [UInt8](0..<32)
    let names: [(String, [UInt8], [UInt8])] = [
      ("own", Array("colour".utf8), StoredName.own(Array("colour".utf8))),
      ("open", Array("colour".utf8), StoredName.open(Array("colour".utf8))),
      ("voidphone", key, StoredName.voidphone(key)),
    ]
    return names.map { space, name, salt in
      var line = JSONObject()
      line.add("space", space)
      line.add("name", hex(name))
      line.add("salt", hex(salt))
      return line
    }
  }

  @Test("a value of any length comes back from its items, and from no others")
  func storedValues() throws {
    for (name, value, expires) in Self.values + [("long", Self.bytes(StoredValue.byteCountMaximum), nil)] {
      let stored = StoredValue(value, expires: expires)
      let seconds = expires.map { Timestamp(milliseconds: $0.milliseconds / 1000 * 1000) }
      #expect(stored.head.count <= MutableItem.valueByteCountMaximum)
      let items = Dictionary(stored.parts.map { ($0.target, $0) }) { first, _ in first }
      switch try StoredContent(stored.head) {
      case .plain: Issue.record("\(name) is plain")
      case .value(let read, let end): #expect(read == value && end == seconds && stored.parts.isEmpty)
      case .manifest(let manifest, let end):
        let lists = manifest.hasLists ? manifest.names.compactMap { items[$0] } : []
        let names = manifest.hasLists ? try manifest.parts(inLists: lists) : manifest.names
        let parts = names.compactMap { items[$0] }
        #expect(try manifest.value(of: parts) == value && end == seconds)
        #expect(parts.count + lists.count == stored.parts.count)
        if parts.count > 1 {
          #expect(throws: ByteError.self) { _ = try manifest.value(of: parts.reversed()) }
        }
        #expect(throws: ByteError.self) { _ = try manifest.value(of: Array(parts.dropLast())) }
      }
    }
  }

  @Test("a value of others is shown as it is; one that begins as ours must be ours")
  func plainValues() throws {
    #expect(try StoredContent(Array("5:hello".utf8)) == .plain(Array("hello".utf8)))
    #expect(try StoredContent(Array("i5e".utf8)) == .plain(Array("i5e".utf8)))
    #expect(StoredValue(plain: Array("hello".utf8))?.head == Array("5:hello".utf8))
    #expect(StoredValue(plain: [0x74, 0x6C, 1, 0]) == nil)
    #expect(StoredValue(plain: [UInt8](repeating: 0, count: 997)) == nil)
    for content: [UInt8] in [[0x74, 0x6C, 1], [0x74, 0x6C, 1, 3, 0, 0, 0, 0], [0x74, 0x6C, 1, 1, 0, 0, 0, 0, 9]] {
      var writer = BencodeWriter()
      writer.string(content)
      #expect(throws: ByteError.self) { try StoredContent(writer.bytes) }
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
       "networks": \(list(Self.networkLines())),
       "values": \(list(Self.valueLines())),
       "names": \(list(Self.nameLines()))
      }

      """
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../schemas/vectors/dht.json").standardizedFileURL
    if ProcessInfo.processInfo.environment["TL_WRITE_VECTORS"] != nil { try Data(text.utf8).write(to: path) }
    #expect(try String(contentsOf: path, encoding: .utf8) == text)
  }
}
