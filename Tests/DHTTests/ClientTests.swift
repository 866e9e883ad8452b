import DHT
import Identity
import Primitives
import Testing

/// What a node makes of the answers it gets, and of those it did not ask for.
@Suite struct ClientTests {
  /// A node, and remotes at 50.n.0.1 that a test speaks for.
  struct Remotes {
    var dialogue: Dialogue
    /// Queries of the node that wait for an answer.
    var open: [(query: KRPCQuery, transaction: [UInt8], to: Endpoint)] = []

    init(_ settings: DHTSettings = DHTSettings()) { dialogue = Dialogue(settings) }

    static func contact(_ number: UInt8) -> Contact {
      Contact(
        NodeID([UInt8](repeating: number, count: 20))!,
        at: Endpoint(IPAddress(50, number, 0, 1), port: 6881))
    }

    mutating func input(_ input: DHTNode.Input) {
      for (bytes, endpoint) in dialogue.input(input) {
        guard case .message(let message) = KRPCMessage.decode(bytes),
          case .query(let query) = message.body
        else { continue }
        open.append((query, message.transaction, endpoint))
      }
    }

    mutating func wait(_ duration: Duration) {
      let end = dialogue.now.instant + duration
      while let due = dialogue.node.nextDeadline, due <= end {
        dialogue.now.instant = max(due, dialogue.now.instant)
        input(.deadlineReached)
      }
      dialogue.now.instant = end
    }

    /// Answers the first open query to a contact.
    mutating func answer(
      _ contact: Contact, from endpoint: Endpoint? = nil, transaction: [UInt8]? = nil,
      _ fill: (inout KRPCReply) -> Void = { _ in }
    ) {
      guard let index = open.firstIndex(where: { $0.to == contact.endpoint }) else {
        Issue.record("nothing was asked of \(contact)")
        return
      }
      var reply = KRPCReply(id: contact.id)
      fill(&reply)
      let message = KRPCMessage(
        transaction: transaction ?? open[index].transaction, body: .reply(reply),
        observed: Dialogue.here)
      if endpoint == nil, transaction == nil { open.remove(at: index) }
      input(.received(message.encoded(), from: endpoint ?? contact.endpoint))
    }

    /// Lets the node know a contact.
    mutating func introduce(_ contact: Contact) {
      input(.command(.init(99), .ping(contact.endpoint)))
      answer(contact)
      dialogue.events = []
    }

    var asked: [Endpoint] { open.map(\.to) }

    var report: DHTNode.Report? {
      for case .finished(let report) in dialogue.events { return report }
      return nil
    }
  }

  static let one = Remotes.contact(1)

  @Test("an answer counts only with the transaction, the address and the port that were asked")
  func matching() {
    var remotes = Remotes()
    remotes.input(.command(.init(1), .ping(Self.one.endpoint)))
    let elsewhere = Endpoint(IPAddress(50, 9, 0, 1), port: 6881)
    remotes.answer(Self.one, from: elsewhere)
    remotes.answer(Self.one, from: Endpoint(Self.one.endpoint.address, port: 1))
    remotes.answer(Self.one, transaction: [0, 0, 0, 0])
    remotes.answer(Self.one, transaction: [1])
    #expect(remotes.dialogue.node.statistics.unmatched == 4)
    #expect(remotes.report == nil && remotes.dialogue.node.contactCount == 0)
    remotes.dialogue.now.instant = remotes.dialogue.now.instant + .milliseconds(20)
    remotes.answer(Self.one)
    #expect(remotes.report?.outcome == .answered(Self.one.id, roundTrip: .milliseconds(20)))
    #expect(remotes.dialogue.node.contactCount == 1)
  }

  @Test("who is slow is waited for while nobody has answered, and not afterwards")
  func slow() {
    var remotes = Remotes()
    for number in 1...2 { remotes.introduce(Remotes.contact(UInt8(number))) }
    remotes.input(.command(.init(1), .findNode(Remotes.contact(7).id)))
    remotes.wait(.seconds(3))
    #expect(remotes.report == nil)
    remotes.answer(Self.one)
    #expect(remotes.report?.closest == [Self.one] && remotes.report?.timeouts == 2)
  }

  @Test("a ping without an answer fails after four seconds")
  func silence() {
    var remotes = Remotes()
    remotes.input(.command(.init(1), .ping(Self.one.endpoint)))
    remotes.wait(.milliseconds(3_999))
    #expect(remotes.report == nil)
    remotes.wait(.milliseconds(1))
    #expect(remotes.report?.outcome == .unreachable)
  }

  @Test(
    "in public nobody is asked at an address that is not global, or at a port of the system, on somebody's word"
  )
  func forbidden() {
    var settings = DHTSettings.publicMainline
    settings.provesReachability = false
    var remotes = Remotes(settings)
    remotes.introduce(Self.one)
    remotes.input(.command(.init(1), .getPeers(Remotes.contact(7).id)))
    let good = Endpoint(IPAddress(60, 1, 1, 1), port: 6881)
    let bad = [
      Endpoint(IPAddress(127, 0, 0, 1), port: 6881), Endpoint(IPAddress(10, 0, 0, 1), port: 6881),
      Endpoint(IPAddress(169, 254, 1, 1), port: 6881),
      Endpoint(IPAddress(100, 64, 0, 1), port: 6881),
      Endpoint(IPAddress(224, 0, 0, 1), port: 6881), Endpoint(IPAddress(60, 2, 2, 2), port: 22),
      Endpoint(IPAddress(60, 2, 2, 2), port: 25), Endpoint(IPAddress(60, 2, 2, 2), port: 1023),
    ]
    remotes.answer(Self.one) { reply in
      reply.nodes = (bad + [good]).enumerated().map {
        Contact(NodeID([UInt8](repeating: UInt8($0 + 8), count: 20))!, at: $1)
      }
      reply.values = bad + [good]
    }
    remotes.wait(.seconds(20))
    #expect(Set(remotes.asked).subtracting([Self.one.endpoint]) == [good])
    #expect(remotes.report?.outcome == .peers([good]))
  }

  @Test("what a private address names is its own class, or global")
  func classes() {
    var remotes = Remotes()
    remotes.introduce(Self.one)
    remotes.input(.command(.init(1), .findNode(Remotes.contact(7).id)))
    remotes.answer(Self.one) { reply in
      reply.nodes = [IPAddress(127, 0, 0, 1), IPAddress(192, 168, 0, 1), IPAddress(60, 1, 1, 1)]
        .enumerated().map {
          Contact(
            NodeID([UInt8](repeating: UInt8($0 + 8), count: 20))!, at: Endpoint($1, port: 6881))
        }
    }
    #expect(remotes.asked == [Endpoint(IPAddress(60, 1, 1, 1), port: 6881)])
  }

  @Test("an item counts only with its key and a signature that holds, and the newest of them")
  func forgedItems() throws {
    var remotes = Remotes()
    let contacts = (1...5).map { Remotes.contact($0) }
    for contact in contacts { remotes.introduce(contact) }
    let item = ServingTests.item(5)
    remotes.input(.command(.init(1), .getMutable(item.key, salt: [], known: nil)))
    #expect(
      remotes.open.allSatisfy { $0.query.ask == .get(target: item.target, sequence: 0, want: []) })
    let forgers: [(inout KRPCReply) -> Void] = [
      { $0.value = Array("4:evil".utf8) },  // the hole of libtorrent: no number, no signature
      {
        $0.value = Array("4:evil".utf8)
        $0.key = item.key
        $0.sequence = 9
        $0.signature = item.signature
      },
      {
        let other = MutableItem(
          signing: Array("4:evil".utf8), sequence: 9,
          with: SigningKey(seed: [UInt8](repeating: 2, count: 32))!)
        $0.value = other.value
        $0.key = other.key
        $0.sequence = 9
        $0.signature = other.signature
      },
      {
        $0.value = item.value
        $0.key = item.key
        $0.sequence = 5
        $0.signature = item.signature
      },
      {
        let older = ServingTests.item(4, "older")
        $0.value = older.value
        $0.key = older.key
        $0.sequence = 4
        $0.signature = older.signature
      },
    ]
    // They are asked in the order of their distance, four at a time.
    while let asked = remotes.open.first {
      let index = contacts.firstIndex { $0.endpoint == asked.to }!
      remotes.answer(contacts[index], forgers[index])
    }
    #expect(remotes.report?.outcome == .mutable(item, copies: 1))
    let found = remotes.dialogue.events.compactMap { effect in
      if case .foundItem(_, let item) = effect { item.sequence } else { nil }
    }
    #expect(found == [5])
  }

  @Test("a value that is not what was asked for is none")
  func forgedValues() {
    var remotes = Remotes()
    remotes.introduce(Self.one)
    let item = ImmutableItem(value: Array("4:true".utf8))
    remotes.input(.command(.init(1), .getImmutable(item.target)))
    remotes.answer(Self.one) { $0.value = Array("5:false".utf8) }
    #expect(remotes.report?.outcome == .notFound)
  }

  @Test("a node that does not know `get` is asked for nodes once, and is not blamed")
  func oldNodes() {
    var settings = DHTSettings()
    settings.asksOldNodes = true
    var remotes = Remotes(settings)
    remotes.introduce(Self.one)
    let target = Remotes.contact(7).id
    remotes.input(.command(.init(1), .getImmutable(target)))
    #expect(remotes.open.map(\.query.method) == [.get])
    remotes.wait(.milliseconds(500))
    #expect(remotes.open.map(\.query.method) == [.get, .findNode])
    remotes.open.removeFirst()
    remotes.answer(Self.one) { $0.nodes = [Remotes.contact(2)] }
    #expect(remotes.asked == [Remotes.contact(2).endpoint])
    remotes.answer(Remotes.contact(2)) { $0.token = [1] }
    #expect(remotes.report?.outcome == .notFound)
    remotes.wait(.seconds(5))
    #expect(remotes.dialogue.node.savedContacts.contacts.contains(Self.one))
    // The next time it is not asked in vain.
    remotes.input(.command(.init(2), .getImmutable(target)))
    #expect(Set(remotes.open.suffix(2).map(\.query.method)) == [.get, .findNode])
  }

  @Test(
    "in public a node proves itself first: an id for its address, a dial-back, a quarter of an hour"
  )
  func states() {
    var settings = DHTSettings.publicMainline
    settings.addressClasses = [.global]
    var remotes = Remotes(settings)
    #expect(remotes.dialogue.node.state == .bootstrapping)
    remotes.input(
      .command(
        .init(1),
        .bootstrap(contacts: [], routers: [Self.one.endpoint, Remotes.contact(2).endpoint])))
    remotes.answer(Self.one)
    remotes.answer(Remotes.contact(2))
    #expect(remotes.dialogue.events.contains(.externalAddress(Dialogue.here.address)))
    #expect(remotes.dialogue.node.id.fits(Dialogue.here.address))
    #expect(remotes.dialogue.node.state == .client)
    #expect(remotes.dialogue.ask(.ping) == nil)
    remotes.wait(.seconds(15 * 60))
    #expect(remotes.dialogue.node.state == .client)
    remotes.input(.dialBack(isReachable: true))
    #expect(remotes.dialogue.node.state == .server)
    #expect(remotes.dialogue.ask(.ping) != nil)
    remotes.input(.dialBack(isReachable: false))
    #expect(remotes.dialogue.node.state == .client)
  }

  @Test("contacts are saved every five minutes")
  func saving() {
    var remotes = Remotes()
    remotes.introduce(Self.one)
    remotes.wait(.seconds(299))
    #expect(remotes.dialogue.events.isEmpty)
    remotes.wait(.seconds(6))
    let saved = SavedContacts(id: Dialogue.own, contacts: [Self.one])
    #expect(remotes.dialogue.events == [.saveContacts(saved)])
    #expect(remotes.dialogue.node.savedContacts == saved)
  }
}
