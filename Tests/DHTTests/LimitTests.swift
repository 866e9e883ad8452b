import DHT
import Identity
import Primitives
import Testing

/// Bounds of stores and rates (PROTOCOLS 4.3, RELIABILITY 3E).
@Suite struct LimitTests {
  static let start = Instant(nanoseconds: 0)
  static let own = NodeID([UInt8](repeating: 0, count: 20))!

  @Test("one address that floods is answered at 5 a second over 10 s, and then not at all for 5 minutes")
  func flood() {
    var settings = DHTSettings.publicMainline
    settings.provesReachability = false
    var dialogue = Dialogue(settings)
    var answers = 0
    for _ in 0..<2_000 {
      if dialogue.ask(.ping) != nil { answers += 1 }
      dialogue.wait(.milliseconds(1))
    }
    #expect(answers == 50)
    dialogue.wait(.seconds(297))
    #expect(dialogue.ask(.ping) == nil)
    let other = Endpoint(IPAddress(9, 8, 7, 5), port: 1)
    #expect(dialogue.ask(.ping, from: other) != nil)
    dialogue.wait(.seconds(5))
    #expect(dialogue.ask(.ping) != nil)
  }

  @Test(
    "whoever proves nothing never gets more than five times its bytes, with its first reply too; a proof lifts that")
  func amplification() {
    var settings = DHTSettings.publicMainline
    settings.provesReachability = false
    settings.writesPerHour = nil
    var dialogue = Dialogue(settings)
    let item = ImmutableItem(value: Array("900:".utf8) + [UInt8](repeating: 1, count: 900))
    let storer = Endpoint(IPAddress(30, 1, 1, 1), port: 7000)
    let token = dialogue.token(item.target, from: storer)
    #expect(dialogue.error(.putImmutable(item, token: token), from: storer) == nil)
    let before = (dialogue.node.statistics.receivedBytes, dialogue.node.statistics.sentBytes)
    for number in 0..<45 {
      let reply = dialogue.reply(.get(target: item.target, sequence: nil, want: []))
      if number == 0 { #expect(reply?.token != nil && reply?.value == nil) }
      let received = dialogue.node.statistics.receivedBytes - before.0
      let sent = dialogue.node.statistics.sentBytes - before.1
      #expect(sent <= 5 * received && sent > 0, "\(received) in, \(sent) out")
      dialogue.wait(.milliseconds(300))
    }
    #expect(dialogue.error(.putImmutable(item, token: dialogue.token(item.target, from: storer)), from: storer) == nil)
    for _ in 0..<5 {
      dialogue.wait(.seconds(2))
      #expect(dialogue.reply(.get(target: item.target, sequence: nil, want: []), from: storer)?.value == item.value)
    }
  }

  @Test("our own question is long enough for a stranger's whole answer, though it gives five bytes for each")
  func padding() throws {
    var settings = DHTSettings.publicMainline
    settings.provesReachability = false
    var (asker, holder) = (Dialogue(settings), Dialogue(settings))
    let item = ImmutableItem(value: Array("996:".utf8) + [UInt8](repeating: 1, count: 996))
    let storer = Endpoint(IPAddress(30, 1, 1, 1), port: 7000)
    #expect(holder.error(.putImmutable(item, token: holder.token(item.target, from: storer)), from: storer) == nil)
    asker.input(.command(.init(1), .bootstrap(contacts: [], routers: [asker.remote])))
    for (bytes, _) in asker.input(.command(.init(2), .getImmutable(item.target))) {
      guard case .message(let question) = KRPCMessage.decode(bytes) else { throw ByteError(at: 0, "not read") }
      guard case .reply(let reply)? = holder.answer(bytes)?.body else { throw ByteError(at: 0, "no answer") }
      #expect(question.transaction.count == 4 && reply.value == item.value && bytes.count <= 280)
    }
  }

  @Test("all replies together keep to their budget")
  func budget() {
    var options = RateLimits.Options()
    options.amplificationMaximum = nil
    var limits = RateLimits(options: options, at: Self.start)
    var sent = 0
    for step in 0..<1000 {
      let now = Self.start + .milliseconds(10 * step)
      let address = IPAddress(9, 9, UInt8(step / 250), UInt8(step % 250))
      if limits.permitsReply(to: address, byteCount: 500, at: now) { sent += 500 }
    }
    #expect(sent <= 8_000 * 13 && sent > 8_000 * 12)
  }

  @Test("a site stores 60 times an hour")
  func writes() {
    var limits = RateLimits(options: RateLimits.Options(), at: Self.start)
    func permits(_ last: UInt8, _ seconds: Int) -> Bool {
      limits.permitsWrite(from: IPAddress(1, 2, 3, last), at: Self.start + .seconds(seconds))
    }
    #expect((0..<60).allSatisfy { permits(UInt8($0), $0) })
    #expect(!permits(99, 3599))
    #expect(permits(99, 3600))
  }

  @Test("what we send to one address is paced: four at once, then four a second, and nothing that waits over 2 s")
  func pacing() {
    var limits = RateLimits(options: RateLimits.Options(), at: Self.start)
    let due = (0..<14).map { _ in
      limits.sendTime(to: IPAddress(1, 2, 3, 4), at: Self.start).map { ($0 - Self.start) / .milliseconds(1) }
    }
    #expect(due == [0, 0, 0, 0, 250, 500, 750, 1000, 1250, 1500, 1750, 2000, nil, nil])
    #expect(limits.sendTime(to: IPAddress(1, 2, 3, 5), at: Self.start) == Self.start)
  }

  @Test("remembered addresses are bounded; a silenced one is forgotten last")
  func sources() {
    var limits = RateLimits(options: RateLimits.Options(), at: Self.start)
    let offender = IPAddress(1, 1, 1, 1)
    for _ in 0..<51 { _ = limits.admits(offender, byteCount: 1, at: Self.start) }
    for number in 0..<10_000 {
      _ = limits.admits(.v4(0x0900_0000 + UInt32(number)), byteCount: 1, at: Self.start + .milliseconds(number))
    }
    #expect(limits.sourceCount <= RateLimits.sourcesMaximum)
    let isHeard = limits.admits(offender, byteCount: 1, at: Self.start + .seconds(20))
    #expect(!isHeard)
  }

  @Test("a hash with all its peers gives no token; the least useful hash gives way")
  func peers() {
    var limits = PeerStore.Limits()
    limits.hashesMaximum = 3
    limits.peersMaximum = 10
    limits.portsPerAddressMaximum = 2
    var store = PeerStore(own: Self.own, limits: limits)
    var random = SeededRandom(seed: 1)
    let far = NodeID([UInt8](repeating: 255, count: 20))!
    for number in 0..<10 {
      store.announce(Endpoint(IPAddress(1, 1, 1, UInt8(number)), port: 7), for: far, at: Self.start)
    }
    #expect(store.isFull(far))
    for port in 1...9 {
      store.announce(Endpoint(IPAddress(1, 1, 1, 1), port: UInt16(port)), for: Self.own, at: Self.start)
    }
    #expect(store.peers(of: Self.own, at: Self.start, random: &random) { _ in true }.map(\.port) == [8, 9])
    // Ten that want the far one kept weigh two bits; the half-near one has one bit and goes.
    let half = [NodeID([UInt8](repeating: 64, count: 20))!, NodeID([UInt8](repeating: 65, count: 20))!]
    for hash in half { store.announce(Endpoint(IPAddress(1, 1, 1, 1), port: 7), for: hash, at: Self.start) }
    #expect(store.hashCount == 3)
    #expect(store.isFull(far))
    #expect(store.peers(of: half[0], at: Self.start, random: &random) { _ in true }.isEmpty)
    store.expire(at: Self.start + .seconds(45 * 60))
    #expect(store.hashCount == 0)
  }

  @Test("of many peers 80 are named, at random")
  func manyPeers() {
    var store = PeerStore(own: Self.own, limits: PeerStore.Limits())
    var random = SeededRandom(seed: 1)
    for number in 0..<200 {
      store.announce(Endpoint(IPAddress(1, 1, 1, UInt8(number)), port: 7), for: Self.own, at: Self.start)
    }
    let first = Set(store.peers(of: Self.own, at: Self.start, random: &random) { _ in true })
    let second = Set(store.peers(of: Self.own, at: Self.start, random: &random) { _ in true })
    #expect(first.count == 80 && second.count == 80 && first != second)
  }

  @Test("items are bounded by number and bytes; far ones that few want go first")
  func items() {
    var limits = ItemStore.Limits()
    limits.itemsMaximum = 10
    limits.bytesMaximum = 2_000
    var store = ItemStore(own: Self.own, limits: limits)
    var random = SeededRandom(seed: 1)
    let wanted = ImmutableItem(value: Array("6:wanted".utf8))
    for number in 0..<30 { store.put(wanted, from: IPAddress(1, 1, 1, UInt8(number)), at: Self.start, random: &random) }
    for number in 0..<200 {
      let value = Array("i\(number)e".utf8)
      store.put(ImmutableItem(value: value), from: IPAddress(1, 1, 1, 1), at: Self.start, random: &random)
      #expect(store.count <= 10)
    }
    #expect(store.item(wanted.target, at: Self.start) != nil)
    for number in 0..<10 {
      let value = Array("900:".utf8) + [UInt8](repeating: UInt8(number), count: 900)
      store.put(ImmutableItem(value: value), from: IPAddress(1, 1, 1, 1), at: Self.start, random: &random)
      #expect(store.byteCount <= 2_000)
    }
    store.expire(at: Self.start + .seconds(3 * 3600))
    #expect(store.count == 0 && store.byteCount == 0)
  }

  @Test("an address is ours after two votes against none, and another after more than one and a half times as many")
  func vote() {
    var vote = ExternalAddressVote()
    let a = IPAddress(8, 8, 8, 8)
    let b = IPAddress(9, 9, 9, 9)
    func voter(_ number: UInt8) -> IPAddress { IPAddress(20, 0, 0, number) }
    #expect(vote.vote(a, by: voter(1), at: Self.start) == nil)
    #expect(vote.vote(a, by: voter(1), at: Self.start) == nil)
    #expect(vote.vote(IPAddress(10, 0, 0, 1), by: voter(9), at: Self.start) == nil)
    #expect(vote.vote(a, by: voter(2), at: Self.start) == a)
    for number in 3...5 { #expect(vote.vote(b, by: voter(UInt8(number)), at: Self.start) == nil) }
    #expect(vote.vote(b, by: voter(6), at: Self.start) == b)
    #expect(vote.vote(a, by: voter(7), at: Self.start + .seconds(301)) == nil)
    #expect(vote.vote(a, by: voter(8), at: Self.start + .seconds(301)) == a)
  }

  @Test("the size of the network is estimated within a factor of two, also with a crowd at every fourth target")
  func size() throws {
    var random = SeededRandom(seed: 3)
    for count in [50, 1_000, 20_000] {
      let ids = (0..<count).map { _ in NodeID(random: &random) }
      var size = NetworkSize()
      for lookup in 0..<16 {
        let target = NodeID(random: &random)
        var distances = ids.map { $0.distance(to: target).fraction }.sorted()
        if lookup < 4 { distances = (1...8).map { Double($0) * 1e-30 } }
        size.observe(Array(distances.prefix(8)))
      }
      let estimate = try #require(size.nodes)
      #expect(estimate > Double(count) / 2 && estimate < Double(count) * 2, "\(count): \(estimate)")
    }
  }

  @Test("patience follows the slow ones of the round trips, within its bounds")
  func patience() {
    var times = RoundTripTimes()
    #expect(times.patience == .seconds(1))
    for _ in 0..<64 { times.observe(.milliseconds(10)) }
    #expect(times.patience == .milliseconds(150))
    for _ in 0..<64 { times.observe(.milliseconds(200)) }
    #expect(times.patience == .milliseconds(300))
    for _ in 0..<64 { times.observe(.seconds(3)) }
    #expect(times.patience == .seconds(1))
  }

  @Test("saved contacts are read as they were written; anything else is refused")
  func saved() throws {
    var random = SeededRandom(seed: 1)
    let v6 = Endpoint(IPAddress(Hex.decode("20014860000000000000000000008888")!)!, port: 1)
    let contacts = [
      Contact(NodeID(random: &random), at: Endpoint(IPAddress(1, 2, 3, 4), port: 5)), Contact(Self.own, at: v6),
    ]
    let saved = SavedContacts(id: Self.own, contacts: contacts)
    #expect(try SavedContacts(saved.bytes) == saved)
    #expect(try Bencode(saved.bytes).isCanonical)
    let many = SavedContacts(id: Self.own, contacts: Array(repeating: contacts[0], count: 500))
    #expect(many.contacts.count == 400 && many.bytes.count <= SavedContacts.byteCountMaximum)
    #expect(throws: ByteError.self) { try SavedContacts(Array(saved.bytes.dropLast())) }
    #expect(throws: ByteError.self) { try SavedContacts(Array("de".utf8)) }
  }
}
