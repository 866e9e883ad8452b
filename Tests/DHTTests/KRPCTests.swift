import DHT
import Identity
import Primitives
import Testing

@Suite struct KRPCTests {
  static let own = NodeID(Array("abcdefghij0123456789".utf8))!
  static let other = NodeID(Array("mnopqrstuvwxyz123456".utf8))!

  static func message(_ ask: KRPCQuery.Ask) -> KRPCMessage {
    KRPCMessage(transaction: Array("aa".utf8), body: .query(KRPCQuery(id: own, ask: ask)))
  }

  static func text(_ message: KRPCMessage) -> String { String(decoding: message.encoded(), as: UTF8.self) }

  @Test("the examples of BEP 5 are written as there")
  func examples() {
    #expect(Self.text(Self.message(.ping)) == "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe")
    #expect(
      Self.text(Self.message(.findNode(target: Self.other, want: [])))
        == "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe")
    #expect(
      Self.text(Self.message(.getPeers(infoHash: Self.other, want: [])))
        == "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe")
    #expect(
      Self.text(Self.message(.announcePeer(infoHash: Self.other, port: 6881, token: Array("aoeusnth".utf8))))
        == "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe"
        + "1:q13:announce_peer1:t2:aa1:y1:qe")
    var reply = KRPCReply(id: Self.own)
    reply.token = Array("aoeusnth".utf8)
    reply.values = [Array("axje.u".utf8), Array("idhtnm".utf8)].map { Endpoint(compact: $0)! }
    #expect(
      Self.text(KRPCMessage(transaction: Array("aa".utf8), body: .reply(reply)))
        == "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re")
    let error = KRPCError(.generic, "A Generic Error Ocurred")
    #expect(
      Self.text(KRPCMessage(transaction: Array("aa".utf8), body: .error(error)))
        == "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee")
  }

  static let item = MutableItem(
    signing: Array("4:text".utf8), salt: [1, 2], sequence: 9, with: SigningKey(seed: [UInt8](repeating: 1, count: 32))!)

  static let asks: [KRPCQuery.Ask] = [
    .ping, .findNode(target: other, want: [.ipv4, .ipv6]), .getPeers(infoHash: other, want: .ipv6),
    .announcePeer(infoHash: other, port: 65_535, token: [1]), .announcePeer(infoHash: other, port: nil, token: []),
    .get(target: other, sequence: nil, want: []), .get(target: other, sequence: 0, want: .ipv4),
    .putImmutable(ImmutableItem(value: Array("d1:ai1ee".utf8)), token: [2, 3]),
    .putMutable(item, token: [4], compareAndSwap: nil), .putMutable(item, token: [4], compareAndSwap: 8),
    .sampleInfohashes(target: other, want: []), .unknown(target: other, want: []),
  ]

  static let networkKey = NetworkKey(AuthenticationCode([UInt8](repeating: 5, count: 32))!)

  @Test("every query is canonical and reads as what was written, tagged or not", arguments: asks)
  func queries(ask: KRPCQuery.Ask) throws {
    var message = Self.message(ask)
    message.version = [1, 2, 3, 4]
    message.isReadOnly = true
    for key in [nil, Self.networkKey] {
      let bytes = message.encoded(for: key)
      #expect(try Bencode(bytes).isCanonical)
      #expect(KRPCMessage.decode(bytes, for: key, isStrict: true) == .message(message))
    }
  }

  @Test("a reply with everything reads as what was written")
  func replies() throws {
    var reply = KRPCReply(id: Self.own)
    let v6 = Endpoint(IPAddress(Hex.decode("20014860000000000000000000008888")!)!, port: 1)
    reply.nodes = [Contact(Self.other, at: Endpoint(IPAddress(1, 2, 3, 4), port: 5))]
    reply.nodes6 = [Contact(Self.other, at: v6)]
    reply.token = [9]
    reply.values = [Endpoint(IPAddress(1, 2, 3, 4), port: 6), v6]
    reply.value = Self.item.value
    reply.key = Self.item.key
    reply.sequence = 9
    reply.signature = Self.item.signature
    reply.interval = 10
    reply.count = 1
    reply.samples = [Self.other]
    let message = KRPCMessage(transaction: [0, 255], body: .reply(reply), observed: v6)
    let bytes = message.encoded()
    #expect(try Bencode(bytes).isCanonical)
    #expect(KRPCMessage.decode(bytes) == .message(message))
  }

  @Test("no reply is longer than 1024 bytes, and none with a large value than 1400")
  func lengths() {
    var reply = KRPCReply(id: Self.own)
    let contact = Contact(Self.other, at: Endpoint(IPAddress(1, 2, 3, 4), port: 5))
    reply.nodes = Array(repeating: contact, count: 8)
    reply.token = [UInt8](repeating: 1, count: 8)
    func length() -> Int {
      KRPCMessage(
        transaction: [1, 2, 3, 4], body: .reply(reply), version: [1, 2, 3, 4], observed: contact.endpoint
      ).encoded(for: Self.networkKey).count
    }
    reply.key = Self.item.key
    reply.signature = Self.item.signature
    reply.sequence = 1_700_000_000_000_000
    reply.value = Array("460:".utf8) + [UInt8](repeating: 0, count: MutableItem.valueByteCountComfortable - 4)
    #expect(length() <= 1024 && length() > 900)  // the eight nodes are all there
    reply.value = Array("996:".utf8) + [UInt8](repeating: 0, count: 996)
    #expect(length() <= 1400 && length() > 1300)
    reply.value = nil
    reply.values = (0..<200).map { Endpoint(IPAddress(1, 2, 3, UInt8($0)), port: 7) }
    #expect(length() <= 1024 && length() > 1000)
  }

  @Test("a packet of another network, or changed under way, is foreign")
  func networks() {
    let message = Self.message(.ping)
    let other = NetworkKey(AuthenticationCode([UInt8](repeating: 6, count: 32))!)
    #expect(KRPCMessage.decode(message.encoded(), for: Self.networkKey) == .silence(.foreign))
    #expect(KRPCMessage.decode(message.encoded(for: other), for: Self.networkKey) == .silence(.foreign))
    let bytes = message.encoded(for: Self.networkKey)
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 1
      if case .message = KRPCMessage.decode(changed, for: Self.networkKey) {
        Issue.record("byte \(index) does not count")
      }
    }
    // Without a network of its own a node reads them all: a tag is one more key it does not know.
    #expect(KRPCMessage.decode(bytes) == .message(message))
  }

  @Test("port 0 is nowhere: it is left out of what others name")
  func portZero() {
    let packet =
      "d1:rd2:id20:abcdefghij01234567895:nodes26:mnopqrstuvwxyz1234561234\0\0"
      + "6:valuesl6:1234\0\u{7}6:1234\0\0ee1:t2:aa1:y1:re"
    guard case .message(let message) = KRPCMessage.decode(Array(packet.utf8)), case .reply(let reply) = message.body
    else {
      Issue.record("not read")
      return
    }
    #expect(reply.nodes == [])
    #expect(reply.values.map(\.port) == [7])
  }
}
