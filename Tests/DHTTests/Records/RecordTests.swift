import DHT
import Identity
import Primitives
import Testing

@Suite struct RecordTests {
  static let key = SigningKey(seed: [UInt8](repeating: 3, count: 32))!
  static let now = Timestamp(milliseconds: 1_700_000_000_000)

  static func bytes<Role>(_ byte: UInt8) -> Bytes32<Role> { Bytes32([UInt8](repeating: byte, count: 32))! }

  static func head(addresses: Int = 1, replicas: Int = 1, flags: HeadItem.Flags = []) -> HeadItem {
    let six = IPAddress(Hex.decode("20014860000000000000000000008888")!)!
    return HeadItem(
      flags: flags, sequence: SequenceNumber(3), hash: bytes(3), floor: .first,
      expires: now.advanced(milliseconds: HeadItem.lifetimeMilliseconds),
      addresses: (0..<addresses).map {
        Endpoint($0 % 2 == 0 ? IPAddress(203, 0, 113, 9) : six, port: 7001 + UInt16($0))
      },
      replicas: (0..<replicas).map {
        .init(nodePrefix: 0x1122_3344_5566_7788 + UInt64($0), endpoint: Endpoint(six, port: 7002))
      })
  }

  @Test("an item reads back from its value, at its largest too, within the comfortable size")
  func sizes() throws {
    for head in [
      Self.head(addresses: 0, replicas: 0), Self.head(), Self.head(addresses: 9, replicas: 9, flags: .leaving),
    ] {
      #expect(head.value.count <= MutableItem.valueByteCountComfortable)
      #expect(try HeadItem(value: head.value) == head)
    }
    let record = PersonRecord(creating: Self.key, recovery: Self.key.publicKey)
    var item = PersonItem(of: record)
    #expect(try PersonItem(value: item.value) == item)
    #expect(item.recordHash == record.hash && item.recordByteCount == UInt32(record.encoded.count))
    item.devices = (0..<8).map { Self.bytes($0) }
    #expect(try PersonItem(value: item.value) == item)
    #expect(item.value.count <= MutableItem.valueByteCountComfortable)
  }

  @Test("another version, further bytes, missing bytes and counts over their bound are refused")
  func strict() throws {
    func refuses(_ change: (inout [UInt8]) -> Void) -> Bool {
      let value = Self.head().value
      var content = Array(value[(value.firstIndex(of: UInt8(ascii: ":"))! + 1)...])
      change(&content)
      var writer = BencodeWriter()
      writer.string(content)
      return (try? HeadItem(value: writer.bytes)) == nil
    }
    #expect(!refuses { _ in })
    #expect(!refuses { $0[1] = 0x80 })
    #expect(refuses { $0[0] = 2 })
    #expect(refuses { $0.append(0) })
    #expect(refuses { $0.removeLast() })
    #expect(refuses { $0 = [] })
    #expect(refuses { $0[58] = 5 })
    #expect(refuses { $0[66] = 7 })
    #expect(refuses { $0[59] = 5 })
    #expect(
      refuses {
        $0[64] = 0
        $0[65] = 0
      })
    #expect(refuses { $0[49] = 4 })
    #expect(refuses { $0[2] = 1 })
    #expect(refuses { $0[50] = 0x80 })
    // An IPv4 address in the form of IPv6.
    #expect(
      refuses {
        $0.replaceSubrange(
          59..<66, with: [6] + [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 203, 0, 113, 9, 0x1B, 0x59])
      })
    #expect((try? HeadItem(value: Array("i1e".utf8))) == nil)
    #expect((try? PersonItem(value: Array("1:\u{1}".utf8))) == nil)
  }

  @Test("the number of an item is the time in microseconds, and above the last")
  func numbers() {
    let micros: Int64 = 1_700_000_000_000_000
    #expect(Self.head().signed(by: Self.key, after: nil, at: Self.now).sequence == micros)
    #expect(Self.head().signed(by: Self.key, after: micros + 9, at: Self.now).sequence == micros + 10)
    #expect(Self.head().signed(by: Self.key, after: 5, at: Timestamp(milliseconds: -1)).sequence == 6)
    #expect(Self.head().signed(by: Self.key, after: .max, at: Self.now).sequence == .max)
    #expect(Self.head().signed(by: Self.key, after: nil, at: Self.now).isSigned)
  }

  @Test("a kept item reads back, and no other than its key signed")
  func kept() throws {
    let item = Self.head().signed(by: Self.key, after: nil, at: Self.now)
    let bytes = KeptItem(item).bytes
    #expect(try KeptItem(bytes).item == item)
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 1
      #expect(throws: ByteError.self, "byte \(index)") { try KeptItem(changed) }
    }
    #expect(throws: ByteError.self) { try KeptItem(bytes + [0]) }
  }

  @Test("devices that write are named, the newest first, and no others")
  func devices() throws {
    var record = PersonRecord(creating: Self.key, recovery: Self.key.publicKey)
    var devices: [SigningKey] = []
    for number in 0..<10 {
      let device = SigningKey(seed: [UInt8](repeating: 40 + UInt8(number), count: 32))!
      devices.append(device)
      try record.certify(
        device: device.publicKey, number: UInt16(number), label: "d", consent: device.consent(to: record.id),
        with: Self.key)
    }
    try record.revoke(device: devices[0].publicKey, lastGood: SequenceNumber(1), hash: Self.bytes(1), with: Self.key)
    let newest = [devices[9].publicKey, devices[0].publicKey, devices[4].publicKey, Self.key.publicKey]
    let item = PersonItem(of: record, newest: newest)
    #expect(item.devices.count == 8)
    #expect(Array(item.devices.prefix(2)) == [devices[9].publicKey, devices[4].publicKey])
    #expect(!item.devices.contains(devices[0].publicKey) && Set(item.devices).count == 8)
  }

  @Test("in public only global addresses and ports without privilege are told or dialled")
  func addresses() {
    let cases: [(Endpoint, Bool, Bool)] = [
      (Endpoint(IPAddress(8, 8, 8, 8), port: 7001), true, true),
      (Endpoint(IPAddress(8, 8, 8, 8), port: 80), false, true),
      (Endpoint(IPAddress(10, 0, 0, 1), port: 7001), false, true),
      (Endpoint(IPAddress(127, 0, 0, 1), port: 7001), false, true),
      (Endpoint(IPAddress(224, 0, 0, 1), port: 7001), false, false),
      (Endpoint(IPAddress(0, 0, 0, 0), port: 7001), false, false),
      (Endpoint(IPAddress(8, 8, 8, 8), port: 0), false, false),
    ]
    for (endpoint, inPublic, inPrivate) in cases {
      #expect(AddressRules(isPublic: true).allows(endpoint) == inPublic, "\(endpoint)")
      #expect(AddressRules(isPublic: false).allows(endpoint) == inPrivate, "\(endpoint)")
    }
  }

  @Test("names meet whatever their case")
  func names() {
    #expect(NodeID.name("Alice") == NodeID.name("alice"))
    #expect(NodeID.name("ÄRGER") == NodeID.name("ärger"))
    #expect(NodeID.name("alice") != NodeID.name("alice "))
    #expect(NodeID.swarm(of: Self.bytes(1)) != NodeID.swarm(of: Self.bytes(2)))
  }
}
