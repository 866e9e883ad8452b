import DHT
import Identity
import Node
import Primitives
import Testing

/// The finder in dialogue: what it is told, and what it wants.
@Suite struct FinderTests {
  static func key(_ byte: UInt8) -> SigningKey { SigningKey(seed: [UInt8](repeating: byte, count: 32))! }
  static let device = key(1)
  static let other = key(2)
  static let root = key(3)
  static func person(_ byte: UInt8) -> PersonID { PersonID([UInt8](repeating: byte, count: 32))! }
  static func at(_ last: UInt8, port: UInt16 = 7001) -> Endpoint { Endpoint(IPAddress(127, 0, last, 1), port: port) }

  static func own(_ sequence: UInt64) -> Survey.Person {
    Survey.Person(
      id: person(1), isOwn: true, name: "me", devices: [device.publicKey],
      logs: [
        .init(
          log: device.publicKey, sequence: SequenceNumber(sequence), hash: EventHash(hashing: [UInt8(sequence)]),
          floor: SequenceNumber(min(1, sequence)), isOwnDevice: true)
      ])
  }

  static func followed(_ byte: UInt8 = 2, holding sequence: UInt64? = nil, name: String? = nil) -> Survey.Person {
    Survey.Person(
      id: person(byte), name: name, root: sequence == nil ? nil : root.publicKey,
      devices: sequence == nil ? [] : [other.publicKey],
      logs: sequence.map {
        [.init(log: other.publicKey, sequence: SequenceNumber($0), hash: EventHash(hashing: [1]), floor: .first)]
      } ?? [])
  }

  /// A finder with a clock, and what it wanted last.
  struct Talk {
    var finder: Finder
    var now = Moment(instant: Instant(nanoseconds: 1_000_000_000), wall: Timestamp(milliseconds: 1_700_000_000_000))
    var wants: [Finder.Output] = []

    init(
      seed: UInt64 = 1, port: UInt16? = 7001, announcesOthers: Bool = true, isPublic: Bool = false, sessions: Int = 32
    ) {
      finder = Finder(random: SeededRandom(seed: seed), at: now)
      var settings = Finder.Settings()
      settings.addresses = isPublic ? [Endpoint(IPAddress(8, 8, 4, 4), port: 7001)] : [FinderTests.at(1)]
      settings.port = port
      settings.announcesOthers = announcesOthers
      settings.rules = AddressRules(isPublic: isPublic)
      settings.sessionsMaximum = sessions
      tell(.settings(settings))
    }

    mutating func tell(_ input: Finder.Input) {
      wants = finder.handle(input, at: now)
      // The shell signs at once.
      for case .sign(let head, let last) in wants {
        let rest = wants
        wants = rest + finder.handle(.signed(head.signed(by: FinderTests.device, after: last, at: now.wall)), at: now)
      }
    }

    mutating func wait(_ span: Duration) {
      now.instant = now.instant + span
      now.wall = now.wall.advanced(milliseconds: span.components.seconds * 1000)
      tell(.deadlineReached)
    }

    mutating func begin(_ persons: [Survey.Person]) {
      tell(.surveyed(Survey(persons: persons)))
      tell(.joined)
    }

    var asked: [Finder.Errand] { wants.compactMap { if case .ask(let errand, _) = $0 { errand } else { nil } } }
    var stood: [Endpoint] { wants.compactMap { if case .stand(let endpoint) = $0 { endpoint } else { nil } } }
    var left: [Endpoint] { wants.compactMap { if case .leave(let endpoint) = $0 { endpoint } else { nil } } }
    var withdrawn: [DHTNode.PublicationKey] {
      wants.compactMap { if case .withdraw(let key) = $0 { key } else { nil } }
    }
    var heads: [HeadItem] { wants.compactMap { if case .sign(let head, _) = $0 { head } else { nil } } }
    var announced: Set<NodeID> {
      Set(wants.compactMap { if case .ask(_, .announce(let hash, _)) = $0 { hash } else { nil } })
    }
  }

  static func head(
    _ sequence: UInt64, at addresses: [Endpoint] = [], replicas: [Endpoint] = [], number: Int64? = nil,
    flags: HeadItem.Flags = [], expires: Int64 = 1_700_000_600_000
  ) -> MutableItem {
    HeadItem(
      flags: flags, sequence: SequenceNumber(sequence), hash: EventHash(hashing: [UInt8(sequence)]), floor: .first,
      expires: Timestamp(milliseconds: expires), addresses: addresses,
      replicas: replicas.map { .init(nodePrefix: 1, endpoint: $0) }
    ).signed(by: other, after: number, at: Timestamp(milliseconds: 1))
  }

  static func stored(_ count: Int) -> DHTNode.Outcome {
    .stored(DHTNode.Storage(durability: count >= 5 ? .durable : count > 0 ? .weak : .failed))
  }

  // MARK: Publishing

  @Test("before the network is joined nothing is asked; then one's own person is announced, and the head published")
  func announces() {
    var talk = Talk()
    talk.tell(.surveyed(Survey(persons: [Self.own(3), Self.followed(holding: 2, name: "Bob"), Self.followed(3)])))
    #expect(talk.asked.isEmpty && talk.finder.nextDeadline == nil)
    talk.tell(.joined)
    #expect(talk.heads.map(\.sequence) == [SequenceNumber(3)])
    #expect(talk.heads[0].addresses == [Self.at(1)])
    let swarms = [Self.person(1), Self.person(2), Self.person(3)].map { NodeID.swarm(of: $0) }
    #expect(talk.announced == Set(swarms + [.name("me"), .name("bob")]))
    #expect(talk.asked.contains(.publish(.item(MutableItem.target(key: Self.device.publicKey, salt: HeadItem.salt)))))
  }

  @Test("with announcing switched off only one's own person is announced; nobody is by a node that cannot be reached")
  func setting() {
    var quiet = Talk(announcesOthers: false)
    quiet.begin([Self.own(3), Self.followed(holding: 2, name: "Bob")])
    #expect(quiet.announced == [.swarm(of: Self.person(1)), .name("me")])
    var hidden = Talk(port: nil)
    hidden.begin([Self.own(3), Self.followed(holding: 2)])
    #expect(hidden.announced.isEmpty && hidden.heads[0].addresses.isEmpty)
  }

  @Test("in public nothing is announced before a dial from outside came through")
  func reachability() {
    var talk = Talk(isPublic: true)
    talk.begin([Self.own(1)])
    #expect(talk.announced.isEmpty && talk.heads[0].addresses.isEmpty)
    talk.tell(.reachable(true))
    #expect(talk.announced.contains(.swarm(of: Self.person(1))))
    talk.wait(.seconds(5))
    #expect(talk.heads.map(\.addresses) == [[Endpoint(IPAddress(8, 8, 4, 4), port: 7001)]])
  }

  @Test("the first head is published at once, those after it once in five seconds, and again within the hour")
  func heads() {
    var talk = Talk()
    talk.begin([Self.own(1)])
    #expect(talk.heads.count == 1)
    for sequence in 2...9 {
      talk.tell(.surveyed(Survey(persons: [Self.own(UInt64(sequence))])))
      #expect(talk.heads.isEmpty)
    }
    #expect(talk.finder.nextDeadline.map { $0 <= talk.now.instant + .seconds(5) } == true)
    talk.wait(.seconds(5))
    #expect(talk.heads.map(\.sequence) == [SequenceNumber(9)])
    talk.wait(.seconds(3_631))
    #expect(talk.heads.count == 1)
    talk.tell(.surveyed(Survey(persons: [Self.own(9)])))
    #expect(talk.heads.isEmpty, "nothing changed")
  }

  @Test("a head that others are beyond is signed anew, above theirs")
  func superseded() throws {
    var talk = Talk()
    talk.begin([Self.own(1)])
    let item = MutableItem(
      signing: Self.head(9).value, salt: HeadItem.salt, sequence: 1_800_000_000_000_000, with: Self.device)
    talk.tell(.finished(.publish(.item(item.target)), .superseded(item)))
    let last = talk.wants.compactMap { if case .sign(_, let last) = $0 { last } else { nil } }
    #expect(last == [1_800_000_000_000_000])
  }

  @Test("what hardly anybody has taken is stored again soon, and ever less often")
  func weak() {
    var talk = Talk()
    talk.begin([Self.own(1)])
    let errand = Finder.Errand.publish(.announce(.swarm(of: Self.person(1))))
    #expect(talk.asked.contains(errand))
    talk.tell(.finished(errand, Self.stored(1)))
    #expect(!talk.asked.contains(errand))
    talk.wait(.seconds(11))
    #expect(talk.asked.contains(errand))
    talk.tell(.finished(errand, Self.stored(1)))
    talk.wait(.seconds(11))
    #expect(!talk.asked.contains(errand))
    talk.wait(.seconds(11))
    #expect(talk.asked.contains(errand))
    talk.tell(.finished(errand, Self.stored(8)))
    talk.wait(.seconds(600))
    #expect(!talk.asked.contains(errand))
  }

  @Test("who is not followed any more is withdrawn")
  func unfollow() {
    var talk = Talk()
    talk.begin([Self.own(1), Self.followed(holding: 2, name: "bob")])
    talk.tell(.surveyed(Survey(persons: [Self.own(1)])))
    #expect(Set(talk.withdrawn) == [.announce(.swarm(of: Self.person(2))), .announce(.name("bob"))])
  }

  @Test("of more than a thousand values one's own stay, and the others have their turns")
  func budget() {
    var talk = Talk()
    let many = (0..<1_200).map { number in
      Survey.Person(
        id: PersonID(hashing: [UInt8(number >> 8), UInt8(number & 255)]),
        logs: [.init(log: LogID(), sequence: .first, hash: EventHash(), floor: .first)])
    }
    talk.begin([Self.own(1)] + many)
    var stored: [Set<NodeID>] = [[]]
    func store() {
      while true {
        let running = talk.wants.compactMap { want -> Finder.Errand? in
          guard case .ask(let errand, .announce) = want else { return nil }
          return errand
        }
        guard !running.isEmpty else { return }
        var next: [Finder.Output] = []
        stored[stored.count - 1].formUnion(talk.announced)
        for errand in running {
          talk.tell(.finished(errand, Self.stored(8)))
          next += talk.wants
        }
        talk.wants = next
      }
    }
    store()
    #expect(stored[0].count <= Finder.publicationsMaximum && stored[0].count > 900)
    stored.append([])
    talk.wait(.seconds(991))
    #expect(!talk.withdrawn.contains(.announce(.swarm(of: Self.person(1)))))
    store()
    #expect(stored[0].union(stored[1]).count == 1_202)
  }

  @Test("leaving says so once, withdraws everything, and waits a second at most")
  func farewell() {
    var talk = Talk()
    talk.begin([Self.own(4)])
    talk.tell(.leaving)
    #expect(talk.heads.map(\.flags) == [.leaving])
    #expect(talk.asked == [.farewell] && !talk.withdrawn.isEmpty)
    func hasLeft() -> Bool { talk.wants.contains { if case .left = $0 { true } else { false } } }
    #expect(!hasLeft())
    var answered = talk
    answered.tell(.finished(.farewell, Self.stored(8)))
    #expect(answered.wants.contains { if case .left = $0 { true } else { false } })
    talk.wait(.seconds(1))
    #expect(hasLeft() && talk.finder.nextDeadline == nil)
  }

  // MARK: Seeking

  @Test("record, heads and swarm of a person are asked for together")
  func lookup() {
    var talk = Talk()
    talk.begin([Self.own(0), Self.followed(holding: 2)])
    let person = Self.person(2)
    for errand in [Finder.Errand.head(person, device: Self.other.publicKey), .personItem(person), .replicas(person)] {
      #expect(talk.asked.contains(errand))
    }
    #expect(talk.asked.contains(.replicas(Self.person(1))), "one's own replicas are wanted too")
  }

  @Test("the author goes first, then the replicas the author prefers, then who announced themselves")
  func order() {
    var talk = Talk(sessions: 0)
    let person = Self.person(2)
    talk.begin([Self.own(0), Self.followed(holding: 2)])
    talk.tell(.foundPeers(.replicas(person), [Self.at(9), Self.at(8)]))
    talk.tell(.learnt(person, [Self.at(7)]))
    talk.tell(
      .foundItem(
        .head(person, device: Self.other.publicKey), Self.head(5, at: [Self.at(2)], replicas: [Self.at(3), Self.at(9)]))
    )
    #expect(talk.finder.candidates(for: person).prefix(1).map(\.endpoint) == [Self.at(2)])
    #expect(Set(talk.finder.candidates(for: person).dropFirst().prefix(2).map(\.endpoint)) == [Self.at(3), Self.at(9)])
    #expect(
      talk.finder.candidates(for: person).map(\.source) == [.author, .preferred, .preferred, .learnt, .announced])
    #expect(talk.finder.logsBehind(of: person) == [Self.other.publicKey])
    #expect(talk.finder.newestKnown(Self.other.publicKey, of: person)?.sequence == SequenceNumber(5))
  }

  @Test("replicas are dialled when the author's own word is in; two are enough")
  func dials() {
    var talk = Talk()
    let person = Self.person(2)
    let errand = Finder.Errand.head(person, device: Self.other.publicKey)
    talk.begin([Self.own(0), Self.followed(holding: 2)])
    talk.tell(.foundPeers(.replicas(person), [Self.at(7), Self.at(8), Self.at(9)]))
    #expect(talk.stood.isEmpty)
    talk.tell(.finished(errand, .notFound))
    #expect(talk.stood.count == 2)
  }

  @Test("while those who are connected lack what the DHT knows of, more are dialled; the author always")
  func behind() {
    var talk = Talk()
    let person = Self.person(2)
    let errand = Finder.Errand.head(person, device: Self.other.publicKey)
    talk.begin([Self.own(0), Self.followed(holding: 2)])
    talk.tell(.foundPeers(.replicas(person), (10..<20).map { Self.at($0) }))
    talk.tell(.finished(errand, .mutable(Self.head(5, at: [Self.at(2)]), copies: 3)))
    #expect(talk.stood.count == 4 && talk.stood.first == Self.at(2))
  }

  @Test("an address that fails is left alone for a while, ever longer, and the next one is dialled")
  func backOff() {
    var talk = Talk()
    let person = Self.person(2)
    talk.begin([Self.followed()])
    talk.tell(.foundPeers(.replicas(person), [Self.at(7)]))
    #expect(talk.stood == [Self.at(7)])
    talk.tell(.disconnected(Self.at(7)))
    #expect(talk.left == [Self.at(7)] && talk.stood.isEmpty)
    talk.wait(.seconds(6))
    #expect(talk.stood == [Self.at(7)])
    talk.tell(.disconnected(Self.at(7)))
    talk.wait(.seconds(6))
    #expect(talk.stood.isEmpty)
    talk.tell(.foundPeers(.replicas(person), [Self.at(8)]))
    #expect(talk.stood == [Self.at(8)])
    talk.wait(.seconds(6))
    #expect(talk.stood == [Self.at(7)])
  }

  @Test("who is not found is looked for again, with growing pauses; who lost the last replica, soon")
  func again() {
    var talk = Talk(announcesOthers: false)
    let person = Self.person(2)
    talk.begin([Self.followed()])
    #expect(talk.asked == [.replicas(person)])
    var pauses = [5, 10, 20].map { Duration.seconds($0) }
    while !pauses.isEmpty {
      talk.tell(.finished(.replicas(person), .notFound))
      talk.wait(pauses[0] * 88 / 100)
      #expect(talk.asked.isEmpty)
      talk.wait(pauses.removeFirst() * 23 / 100)
      #expect(talk.asked == [.replicas(person)])
    }
    talk.tell(.foundPeers(.replicas(person), [Self.at(7)]))
    talk.tell(.connected(Self.at(7), node: Self.other.publicKey))
    talk.tell(.finished(.replicas(person), .peers([Self.at(7)])))
    talk.wait(.seconds(900))
    #expect(talk.asked.isEmpty)
    talk.tell(.disconnected(Self.at(7)))
    talk.wait(.seconds(5))
    #expect(talk.asked == [.replicas(person)])
  }

  @Test("in public no address is dialled that is not global, or of a system's port")
  func martians() {
    var talk = Talk(isPublic: true)
    let person = Self.person(2)
    talk.begin([Self.followed()])
    let bad = [
      Self.at(7), Endpoint(IPAddress(10, 0, 0, 1), port: 7001), Endpoint(IPAddress(8, 8, 8, 8), port: 25),
      Endpoint(IPAddress(224, 0, 0, 1), port: 7001), Endpoint(IPAddress(192, 168, 1, 1), port: 7001),
    ]
    talk.tell(.foundPeers(.replicas(person), bad))
    talk.tell(.learnt(person, bad))
    #expect(talk.finder.candidates(for: person).isEmpty && talk.stood.isEmpty)
    talk.tell(.foundPeers(.replicas(person), [Endpoint(IPAddress(8, 8, 8, 8), port: 7001)]))
    #expect(talk.stood.count == 1)
  }

  @Test("an older word about a head is not gone back to, and of an expired one only the head counts")
  func rollback() {
    var talk = Talk(sessions: 0)
    let person = Self.person(2)
    let errand = Finder.Errand.head(person, device: Self.other.publicKey)
    talk.begin([Self.followed(holding: 2)])
    talk.tell(.foundItem(errand, Self.head(9, number: 100_000)))
    talk.tell(.foundItem(errand, Self.head(3, at: [Self.at(2)], number: 50_000)))
    talk.tell(.foundItem(errand, Self.head(4, number: 200_000)))
    #expect(talk.finder.newestKnown(Self.other.publicKey, of: person)?.sequence == SequenceNumber(9))
    #expect(talk.finder.candidates(for: person).isEmpty)
    talk.tell(.foundItem(errand, Self.head(10, at: [Self.at(2)], number: 300_000, expires: 5)))
    #expect(talk.finder.newestKnown(Self.other.publicKey, of: person)?.sequence == SequenceNumber(10))
    #expect(talk.finder.candidates(for: person).isEmpty)
    let leaving = Self.head(10, at: [Self.at(2)], replicas: [Self.at(3)], number: 400_000, flags: .leaving)
    talk.tell(.foundItem(errand, leaving))
    #expect(talk.finder.candidates(for: person).map(\.source) == [.preferred])
  }

  @Test("devices that only the person item names are looked up as well, and the item is passed on")
  func personItem() throws {
    var talk = Talk()
    let person = Self.person(2)
    var record = PersonRecord(creating: Self.root, recovery: Self.root.publicKey)
    let fresh = Self.key(9)
    try record.certify(
      device: fresh.publicKey, number: 1, label: "d", consent: fresh.consent(to: record.id), with: Self.root)
    let item = PersonItem(of: record).signed(by: Self.root, after: nil, at: talk.now.wall)
    talk.begin([Self.followed(holding: 2)])
    talk.tell(.foundItem(.personItem(person), item))
    #expect(talk.asked.contains(.head(person, device: fresh.publicKey)))
    #expect(talk.asked.contains(.publish(.item(item.target))))
  }

  @Test("when every connection is taken, one that nobody needs gives way to a person without any")
  func room() {
    var talk = Talk(sessions: 2)
    talk.begin([Self.followed(2), Self.followed(3)])
    talk.tell(.foundPeers(.replicas(Self.person(2)), [Self.at(7), Self.at(8)]))
    #expect(talk.stood.count == 2)
    talk.tell(.foundPeers(.replicas(Self.person(3)), [Self.at(9)]))
    #expect(talk.left.count == 1 && talk.stood == [Self.at(9)])
    talk.tell(.foundPeers(.replicas(Self.person(3)), [Self.at(10)]))
    #expect(talk.left.isEmpty && talk.stood.isEmpty)
  }

  @Test("when every place is taken, all who have nobody get one, not only the first")
  func everybodyGetsAPlace() {
    var talk = Talk(sessions: 4)
    talk.begin((2..<6).map { Self.followed($0) })
    for byte in UInt8(2)..<6 {
      talk.tell(.foundPeers(.replicas(Self.person(byte)), [Self.at(10 * byte), Self.at(10 * byte + 1)]))
      #expect(!talk.stood.isEmpty, "person \(byte)")
    }
  }

  @Test("in another network all is said and looked for anew, and nobody of the old one is kept")
  func otherNetwork() {
    var talk = Talk()
    let person = Self.person(2)
    talk.begin([Self.own(3), Self.followed(holding: 2)])
    let said = talk.asked.filter { if case .publish = $0 { true } else { false } }
    for errand in said { talk.tell(.finished(errand, Self.stored(8))) }
    talk.tell(.foundPeers(.replicas(person), [Self.at(7)]))
    talk.tell(.connected(Self.at(7), node: Self.other.publicKey))
    talk.tell(.networkLeft)
    #expect(talk.left == [Self.at(7)] && talk.asked.isEmpty && talk.finder.candidates(for: person).isEmpty)
    talk.wait(.seconds(30))
    #expect(talk.asked.isEmpty)
    talk.tell(.joined)
    #expect(Set(said).isSubset(of: talk.asked) && talk.asked.contains(.replicas(person)))
  }

  @Test("in public one host is a candidate twice at most, and strangers' addresses are dialled at a rate")
  func oneVictim() {
    var talk = Talk(isPublic: true)
    talk.begin((2..<60).map { Self.followed($0) })
    for byte in UInt8(2)..<60 {
      let victim = (1...100).map { Endpoint(IPAddress(8, 8, 8, 8), port: 2_000 + UInt16($0)) }
      talk.tell(.foundPeers(.replicas(Self.person(byte)), victim))
      #expect(talk.finder.candidates(for: Self.person(byte)).count == 2)
    }
    var dials = 0
    for number in UInt8(1)...200 {
      let stranger = Endpoint(IPAddress(9, 9, 9, number), port: 7001)
      talk.tell(.foundPeers(.replicas(Self.person(2 + number % 58)), [stranger]))
      dials += talk.stood.count
      for endpoint in talk.stood { talk.tell(.disconnected(endpoint)) }
    }
    #expect(dials <= 60)
  }

  @Test("connections for somebody who is not followed any more are given up")
  func unfollowed() {
    var talk = Talk()
    talk.begin([Self.own(3), Self.followed()])
    talk.tell(.foundPeers(.replicas(Self.person(2)), [Self.at(7)]))
    talk.tell(.connected(Self.at(7), node: Self.other.publicKey))
    talk.tell(.surveyed(Survey(persons: [Self.own(3)])))
    #expect(talk.left == [Self.at(7)])
  }
}
