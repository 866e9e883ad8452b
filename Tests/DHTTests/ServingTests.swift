import DHT
import Identity
import Primitives
import Testing

/// What others get (PROTOCOLS 2.4, 2.5, 2.6).
@Suite struct ServingTests {
  static let key = SigningKey(seed: [UInt8](repeating: 9, count: 32))!
  static let hash = NodeID(Array("mnopqrstuvwxyz123456".utf8))!
  static let id = "2:id20:abcdefghij0123456789"
  static let elsewhere = Endpoint(IPAddress(9, 8, 7, 5), port: 6881)

  static func item(_ sequence: Int64, _ text: String = "text", salt: String = "") -> MutableItem {
    MutableItem(
      signing: Array("\(text.utf8.count):\(text)".utf8), salt: Array(salt.utf8), sequence: sequence, with: key)
  }

  @Test(
    "what is no KRPC gets no answer",
    arguments: [
      "", "le", "i1e", "4:spam", "d1:ad\(id)e1:q4:ping1:t2:aa1:y1:q", "d1:ad\(id)e1:q4:ping1:t2:aa1:y1:qex",
      "d1:a99999999999:x", "d1:a-1:xe", String(repeating: "l", count: 400), "d1:ad\(id)e1:q4:ping1:t2:aae",
      "d1:ad\(id)e1:q4:ping1:t2:aa1:y1:xe", "d1:ad\(id)e1:q4:ping1:y1:qe",
      "d1:ad\(id)e1:q4:ping1:t2:aa1:y1:q1:z" + "1990:" + String(repeating: "z", count: 1990) + "e",
    ])
  func silence(packet: String) {
    var dialogue = Dialogue()
    #expect(dialogue.input(.received(Array(packet.utf8), from: dialogue.remote)).isEmpty)
    #expect(dialogue.node.statistics.malformed == 1)
  }

  static let long = String(repeating: "v", count: 997)
  static let sig = String(repeating: "s", count: 64)
  static let k = String(repeating: "k", count: 32)
  static func put(_ before: String, _ after: String = "", value: String = "1:v") -> String {
    "d1:ad\(before)\(after)5:token1:x1:v\(value)e1:q3:put1:t2:aa1:y1:qe"
  }

  @Test(
    "what is wrong gets its error",
    arguments: [
      ("d1:q4:ping1:t2:aa1:y1:qe", 203), ("d1:ade1:q4:ping1:t2:aa1:y1:qe", 203),
      ("d1:ad2:id19:abcdefghij012345678e1:q4:ping1:t2:aa1:y1:qe", 203), ("d1:a4:spam1:q4:ping1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)e1:t2:aa1:y1:qe", 203), ("d1:ad\(id)e1:q9:find_node1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)6:target3:abce1:q9:find_node1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)9:info_hash3:abce1:q9:get_peers1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)6:target3:abce1:q3:get1:t2:aa1:y1:qe", 203), ("d1:ad\(id)e1:q4:vote1:t2:aa1:y1:qe", 204),
      ("d1:ad\(id)9:info_hash20:mnopqrstuvwxyz1234564:porti0e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)9:info_hash20:mnopqrstuvwxyz1234564:porti70000e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)9:info_hash20:mnopqrstuvwxyz1234564:porti-1e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)9:info_hash20:mnopqrstuvwxyz1234565:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe", 203),
      ("d1:ad\(id)9:info_hash20:mnopqrstuvwxyz1234564:porti7ee1:q13:announce_peer1:t2:aa1:y1:qe", 203),
      (put(id, value: "997:\(long)"), 205), (put("\(id)", value: "996:\(long.dropLast())"), 203),  // the token
      (put("\(id)1:k32:\(k)4:salt65:\(k)\(k)!3:seqi1e3:sig64:\(sig)"), 207),
      // A key without number and signature is no immutable item: libtorrent's first hole.
      (put("\(id)1:k32:\(k)"), 203), (put("\(id)1:k32:\(k)3:seqi1e"), 203), (put("\(id)3:seqi1e3:sig64:\(sig)"), 203),
      (put("\(id)1:k32:\(k)3:sig64:\(sig)"), 203), (put("\(id)4:salt1:s"), 203),
      (put("\(id)1:k32:\(k)3:seqi-1e3:sig64:\(sig)"), 203),
      (put("\(id)1:k31:\(k.dropLast())3:seqi1e3:sig64:\(sig)"), 203),
      ("d1:ad1:v1:v\(id)5:token1:xe1:q3:put1:t2:aa1:y1:qe", 203),  // keys out of order
      ("d1:ad\(id)5:token1:x1:v1:v1:v1:we1:q3:put1:t2:aa1:y1:qe", 203),  // a key twice
    ])
  func errors(packet: String, code: Int) throws {
    var dialogue = Dialogue()
    let given = dialogue.answer(packet)
    let answer = try #require(given)
    #expect(answer.transaction == Array("aa".utf8))
    guard case .error(let error) = answer.body else {
      Issue.record("answered")
      return
    }
    #expect(error.code.rawValue == code, "\(error.message)")
  }

  @Test("an unsorted query is answered, unless all has to be strict")
  func unsorted() {
    let packet = "d1:t2:aa1:y1:q1:ad\(Self.id)e1:q4:pinge"
    var dialogue = Dialogue()
    #expect(dialogue.answer(packet)?.body == .reply(KRPCReply(id: Dialogue.own)))
    var settings = DHTSettings()
    settings.isStrict = true
    var strict = Dialogue(settings)
    guard case .error(let error)? = strict.answer(packet)?.body else {
      Issue.record("answered")
      return
    }
    #expect(error.code == .protocolViolation)
  }

  @Test("the transaction id is echoed, whatever it is, and the asker told where it was seen")
  func echo() {
    var dialogue = Dialogue()
    for transaction in [[], [0], [UInt8](repeating: 7, count: 64)] {
      let query = KRPCMessage(transaction: transaction, body: .query(KRPCQuery(id: dialogue.remoteID, ask: .ping)))
      let answer = dialogue.answer(query.encoded())
      #expect(answer?.transaction == transaction)
      #expect(answer?.observed == dialogue.remote)
    }
  }

  @Test("an unknown method with a target is answered with nodes")
  func unknown() {
    var dialogue = Dialogue()
    #expect(dialogue.reply(.unknown(target: Self.hash, want: []))?.nodes == [])
    #expect(dialogue.error(.unknown(target: nil, want: [])) == 204)
  }

  @Test("a token is good for its address and its target, for 5 to 10 minutes")
  func tokens() {
    var dialogue = Dialogue()
    let announce = { (hash: NodeID, token: [UInt8]) in
      KRPCQuery.Ask.announcePeer(infoHash: hash, port: 7, token: token)
    }
    let token = dialogue.token(Self.hash)
    #expect(token.count == 8)
    #expect(dialogue.error(announce(Self.hash, token), from: Self.elsewhere) == 203)
    #expect(dialogue.error(announce(Dialogue.own, token)) == 203)
    #expect(dialogue.error(announce(Self.hash, Array(token.dropLast()))) == 203)
    #expect(dialogue.error(announce(Self.hash, [])) == 203)
    #expect(dialogue.error(announce(Self.hash, token)) == nil)
    // Another port of one address is the same address.
    #expect(dialogue.error(announce(Self.hash, token), from: Endpoint(dialogue.remote.address, port: 1)) == nil)
    dialogue.wait(.seconds(300))
    #expect(dialogue.error(announce(Self.hash, token)) == nil)
    dialogue.wait(.seconds(301))
    #expect(dialogue.error(announce(Self.hash, token)) == 203)
  }

  @Test("tokens are not guessed")
  func guesses() {
    let start = Instant(nanoseconds: 0)
    var tokens = Tokens(secret: AuthenticationCode([UInt8](repeating: 3, count: 32))!, at: start)
    var random = SeededRandom(seed: 1)
    var accepted = 0
    for _ in 0..<50_000 {
      if tokens.accepts(random.bytes(8), from: IPAddress(1, 2, 3, 4), target: Self.hash, at: start) { accepted += 1 }
    }
    #expect(accepted == 0)
  }

  @Test("peers are returned with the port they gave, or the one they came from")
  func announces() {
    var dialogue = Dialogue()
    let token = dialogue.token(Self.hash)
    #expect(dialogue.error(.announcePeer(infoHash: Self.hash, port: 7, token: token)) == nil)
    #expect(dialogue.error(.announcePeer(infoHash: Self.hash, port: nil, token: token)) == nil)
    let values = dialogue.reply(.getPeers(infoHash: Self.hash, want: []), from: Self.elsewhere)?.values
    #expect(values?.map(\.port) == [7, 6881])
    dialogue.wait(.seconds(45 * 60))
    #expect(dialogue.reply(.getPeers(infoHash: Self.hash, want: []))?.values == [])
  }

  @Test("an item is stored by the rules of BEP 44")
  func items() {
    var dialogue = Dialogue()
    #expect(dialogue.put(Self.item(5)) == nil)
    #expect(dialogue.put(Self.item(5)) == nil)
    #expect(dialogue.put(Self.item(5, "other")) == 302)
    #expect(dialogue.put(Self.item(4)) == 302)
    #expect(dialogue.put(Self.item(6), compareAndSwap: 4) == 301)
    #expect(dialogue.put(Self.item(6), compareAndSwap: 5) == nil)
    #expect(dialogue.put(Self.item(1, salt: "s"), compareAndSwap: 77) == nil)
    var forged = Self.item(7)
    forged.value = Array("3:new".utf8)
    #expect(dialogue.put(forged) == 206)
    let target = Self.item(6).target
    let reply = dialogue.reply(.get(target: target, sequence: nil, want: []))
    #expect(reply?.sequence == 6 && reply?.value == Self.item(6).value && reply?.signature == Self.item(6).signature)
    // To whom it is nothing new, only the number is told.
    let known = dialogue.reply(.get(target: target, sequence: 6, want: []))
    #expect(known?.sequence == 6 && known?.value == nil && known?.key == nil)
    #expect(dialogue.reply(.get(target: target, sequence: 5, want: []))?.value != nil)
    dialogue.wait(.seconds(2 * 3600 + 720))
    #expect(dialogue.reply(.get(target: target, sequence: nil, want: []))?.sequence == nil)
  }

  @Test("nobody hides a mutable item behind an immutable one")
  func shadowing() {
    var dialogue = Dialogue()
    #expect(dialogue.put(Self.item(5)) == nil)
    let target = Self.item(5).target
    let token = dialogue.token(target)
    let key = String(decoding: Self.key.publicKey.bytes.map { _ in UInt8(ascii: "k") }, as: UTF8.self)
    var packet = Array("d1:ad\(Self.id)1:k32:".utf8) + Self.key.publicKey.bytes + Array("5:token8:".utf8) + token
    packet += Array("1:v4:evile1:q3:put1:t2:aa1:y1:qe".utf8)
    guard key.count == 32, case .error(let error)? = dialogue.answer(packet)?.body else {
      Issue.record("stored")
      return
    }
    #expect(error.code.rawValue == 203)
    #expect(dialogue.reply(.get(target: target, sequence: nil, want: []))?.value == Self.item(5).value)
  }

  @Test("nobody locks a key with a number from the future")
  func lockOut() {
    var dialogue = Dialogue()
    let now = dialogue.now.wall.milliseconds * 1000
    #expect(dialogue.put(Self.item(.max)) == 203)
    #expect(dialogue.put(Self.item(now + 61_000_000)) == 203)
    #expect(dialogue.put(Self.item(now + 59_000_000)) == nil)
    dialogue.wait(.seconds(60))
    #expect(dialogue.put(Self.item(now + 60_000_000, "the owner")) == nil)
  }

  @Test("a client answers nobody and says that it does not")
  func readOnly() throws {
    var settings = DHTSettings()
    settings.isReadOnly = true
    var dialogue = Dialogue(settings)
    #expect(dialogue.ask(.ping) == nil)
    #expect(dialogue.node.statistics.unanswered == 1)
    let sent = dialogue.input(.command(.init(1), .ping(dialogue.remote)))
    guard case .message(let message) = KRPCMessage.decode(try #require(sent.first).bytes) else {
      Issue.record("not read")
      return
    }
    #expect(message.isReadOnly)
  }

  @Test("samples of what was announced, with the longest pause that is allowed")
  func samples() {
    var dialogue = Dialogue()
    let token = dialogue.token(Self.hash)
    #expect(dialogue.error(.announcePeer(infoHash: Self.hash, port: 7, token: token)) == nil)
    let reply = dialogue.reply(.sampleInfohashes(target: Self.hash, want: []))
    #expect(reply?.samples == [Self.hash] && reply?.count == 1 && reply?.interval == 21_600)
  }

  @Test("local addresses are named to local askers of their class only")
  func classes() {
    var dialogue = Dialogue()
    let addresses = [IPAddress(127, 0, 0, 5), IPAddress(10, 0, 0, 5), IPAddress(8, 8, 4, 4)]
    for address in addresses {
      let endpoint = Endpoint(address, port: 7000)
      let token = dialogue.token(Self.hash, from: endpoint)
      #expect(dialogue.error(.announcePeer(infoHash: Self.hash, port: 7, token: token), from: endpoint) == nil)
    }
    let seen = addresses.map { address in
      dialogue.reply(.getPeers(infoHash: Self.hash, want: []), from: Endpoint(address, port: 9))!.values.map(\.address)
    }
    #expect(seen == [[addresses[0], addresses[2]], [addresses[1], addresses[2]], [addresses[2]]])
    var settings = DHTSettings.publicMainline
    settings.provesReachability = false
    var outside = Dialogue(settings)
    for address in addresses.dropLast() { #expect(outside.ask(.ping, from: Endpoint(address, port: 7000)) == nil) }
    #expect(outside.ask(.ping) != nil)
  }
}
