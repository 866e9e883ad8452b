import Events
import Identity
import Primitives
import Replication
import Simulator
import Testing

@Suite struct ExchangeTests {
  static let people: [PersonID] = (0..<40).map { PersonID(hashing: Array("person \($0)".utf8)) }

  @Test("both sides get what they follow and the other holds, in one session")
  func bothWays() throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0], Self.people[1]])
    let b = ModelStore(seed: 2, follows: [Self.people[0], Self.people[1]])
    a.author(Self.people[0], events: 1..<300)
    b.author(Self.people[1], events: 1..<50)
    var duet = Duet(a, b)
    try duet.run()
    #expect(duet.endings == [.finished, .finished])
    #expect(a.digest == b.digest)
    #expect(duet.exchanges[0].report.complete)
    #expect(duet.exchanges[0].report.events == 49)
    #expect(duet.exchanges[1].report.events == 299)
  }

  @Test("what nobody asked for is not sent")
  func interests() throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0]])
    let b = ModelStore(seed: 2)
    b.author(Self.people[0], events: 1..<10)
    b.author(Self.people[1], events: 1..<10)
    var duet = Duet(a, b)
    try duet.run()
    #expect(a.logs.count == 1)
    #expect(b.logs.count == 2)
  }

  @Test("peers that know each other and have nothing new part after two greetings")
  func unchanged() throws {
    let a = ModelStore(seed: 1, follows: Self.people)
    let b = ModelStore(seed: 2, follows: Self.people)
    for person in Self.people { b.author(person, events: 1..<20) }
    for _ in 0..<2 {
      var duet = Duet(a, b)
      try duet.run()
      #expect(duet.endings == [.finished, .finished])
    }
    var duet = Duet(a, b)
    try duet.run()
    #expect(duet.exchanges[0].report.tier == .unchanged)
    #expect(duet.exchanges[0].report.roundTrips == 1)
    #expect(duet.bytes[0] + duet.bytes[1] <= 250)
    b.author(Self.people[3], events: 20..<21)
    duet = Duet(a, b)
    try duet.run()
    #expect(duet.exchanges[0].report.tier == .changes)
    #expect(duet.exchanges[0].report.logs == 1)
    #expect(a.digest == b.digest)
  }

  @Test("a store that was replaced, or interests that changed, fall back to the list")
  func fallback() throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0]])
    let b = ModelStore(seed: 2)
    b.author(Self.people[0], events: 1..<20)
    b.author(Self.people[1], events: 1..<20)
    for _ in 0..<2 {
      var duet = Duet(a, b)
      try duet.run()
    }
    a.follows.insert(Self.people[1])
    var duet = Duet(a, b)
    try duet.run()
    #expect(duet.exchanges[0].report.tier == .list)
    #expect(a.digest == b.digest)
    b.instance += 1
    duet = Duet(a, b)
    try duet.run()
    #expect(duet.exchanges[0].report.tier == .list)
  }

  @Test("a session cut after any message leaves a state from which the next one completes")
  func cuts() throws {
    for cut in 0..<60 {
      let a = ModelStore(seed: 1, follows: Array(Self.people[..<5]))
      let b = ModelStore(seed: 2, follows: Array(Self.people[..<8]))
      a.bodyEvents = 13
      b.bodyEvents = 17
      for person in Self.people[..<3] { a.author(person, events: 1..<40) }
      for person in Self.people[3..<6] { b.author(person, events: 1..<90) }
      var duet = Duet(a, b)
      try duet.run(cutAfter: cut)
      duet = Duet(a, b)
      try duet.run()
      #expect(duet.endings == [.finished, .finished], "after a cut at \(cut)")
      for person in Self.people[..<5] { #expect(a.logs[person.cast()]?.held == b.logs[person.cast()]?.held) }
    }
  }

  @Test("a cursor that moved while wants were open does not lose them")
  func durableWants() throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0]])
    let b = ModelStore(seed: 2)
    b.author(Self.people[0], events: 1..<20)
    var duet = Duet(
      a, b,
      options: {
        var options = Exchange.Options(bytesMaximum: 1)
        options.stallMaximum = .seconds(1)
        return options
      }())
    try duet.run()
    #expect(!duet.exchanges[0].report.complete)
    duet = Duet(a, b)
    try duet.run()
    #expect(a.digest == b.digest)
    #expect(duet.exchanges[0].report.complete)
  }

  @Test("a payload that one peer does not have is asked for once a session, and comes from the next")
  func missingPayloads() throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0]])
    let b = ModelStore(seed: 2)
    let c = ModelStore(seed: 3)
    for store in [b, c] { store.author(Self.people[0], events: 1..<60) }
    b.lose(Self.people[0], 10..<14)
    b.lose(Self.people[0], 30..<31)
    // The first session brings the events, the second has nothing new and asks once more.
    for session in 0..<2 {
      let reads = b.reads
      var duet = Duet(a, b)
      try duet.run()
      #expect(duet.endings == [.finished, .finished])
      let report = duet.exchanges[0].report
      #expect(b.reads == reads + 1)
      #expect(report.events == (session == 0 ? 59 : 0))
      #expect(report.lacksPayloads && !report.complete && report.notDelivered == 0)
      #expect(a.logs[Self.people[0].cast()]?.lacking == [10, 11, 12, 13, 30])
    }
    var duet = Duet(a, c)
    try duet.run()
    #expect(duet.exchanges[0].report.events == 5)
    #expect(duet.exchanges[0].report.complete && !duet.exchanges[0].report.lacksPayloads)
    #expect(a.digest == c.digest)
    #expect(a.logs[Self.people[0].cast()]?.lacking == [])
    duet = Duet(a, b)
    try duet.run()
    #expect(duet.exchanges[0].report.complete)
  }

  @Test("a payload that came to a peer which had not had it is named as a change")
  func filledPayload() throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0]])
    let b = ModelStore(seed: 2, follows: [Self.people[0]])
    let c = ModelStore(seed: 3)
    for store in [b, c] { store.author(Self.people[0], events: 1..<60) }
    b.lose(Self.people[0], 10..<14)
    for (store, other) in [(a, b), (b, c)] {
      var duet = Duet(store, other)
      try duet.run()
    }
    var duet = Duet(a, b)
    try duet.run()
    #expect(duet.exchanges[0].report.tier == .changes)
    #expect(duet.exchanges[0].report.events == 4)
    #expect(duet.exchanges[0].report.complete)
  }

  @Test("missing payloads of a log that the peer does not hold say nothing of what it named")
  func unrelatedPayloads() throws {
    let a = ModelStore(seed: 1, follows: Array(Self.people[..<2]))
    let b = ModelStore(seed: 2)
    a.author(Self.people[0], events: 1..<60)
    a.lose(Self.people[0], 10..<14)
    b.author(Self.people[1], events: 1..<9)
    var duet = Duet(a, b)
    try duet.run()
    #expect(duet.endings == [.finished, .finished])
    #expect(duet.exchanges[0].report.events == 8)
    #expect(duet.exchanges[0].report.complete)
    #expect(duet.exchanges[0].report.notDelivered == 0)
  }

  @Test("of very many missing payloads a session asks for 4,096, once, and the next ones for the others")
  func manyMissing() throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0]])
    let b = ModelStore(seed: 2)
    let c = ModelStore(seed: 3)
    for store in [b, c] {
      store.author(Self.people[0], events: 1..<10_000)
      store.bodyEvents = 5_000
    }
    for event in stride(from: 1 as UInt64, to: 10_000, by: 2) { b.lose(Self.people[0], event..<(event + 1)) }
    var duet = Duet(a, b)
    try duet.run()
    #expect(duet.endings == [.finished, .finished])
    let reads = b.reads
    duet = Duet(a, b)
    try duet.run()
    #expect(duet.endings == [.finished, .finished])
    #expect(b.reads - reads == 1)
    #expect(duet.exchanges[0].report.roundTrips == 2)
    #expect(duet.exchanges[0].report.lacksPayloads && duet.exchanges[0].report.notDelivered == 0)
    for (events, isComplete) in [(4_096, false), (904, true)] {
      duet = Duet(a, c)
      try duet.run()
      #expect(duet.exchanges[0].report.events == events)
      #expect(duet.exchanges[0].report.complete == isComplete)
      #expect(duet.exchanges[0].report.lacksPayloads == !isComplete)
    }
    #expect(a.logs[Self.people[0].cast()]?.lacking == [])
  }

  @Test(
    "a peer that holds a part of a range without the payloads, or named a later event, does not make a session complete",
    arguments: [12, 20] as [UInt64])
  func partOfRange(first: UInt64) throws {
    let a = ModelStore(seed: 1, follows: [Self.people[0]])
    let b = ModelStore(seed: 2)
    let c = ModelStore(seed: 3)
    b.author(Self.people[0], events: 1..<60)
    c.author(Self.people[0], events: first..<60)
    for store in [b, c] { store.lose(Self.people[0], 10..<14) }
    var duet = Duet(a, b)
    try duet.run()
    for session in 0..<2 {
      duet = Duet(a, c)
      try duet.run()
      let report = duet.exchanges[0].report
      #expect(report.events == 0 && report.notDelivered == 0)
      // In the second session it names nothing, so that only what it sends can speak against it.
      #expect(report.lacksPayloads == (session == 0 || first == 12))
      #expect(report.complete == !report.lacksPayloads)
    }
  }

  @Test("held ranges with missing payloads are forgiven 1 MiB each, and no more, of what a peer may send for nothing")
  func brake() {
    for (bodies, isClosed) in [(1, false), (40, true)] {
      let store = ModelStore(seed: 1, follows: [Self.people[0]])
      store.author(Self.people[0], events: 1..<200)
      for event in stride(from: 1 as UInt64, to: 200, by: 2) { store.lose(Self.people[0], event..<(event + 1)) }
      var exchange = Exchange(
        role: .responder, node: Self.people[0].cast(), options: .init(), at: Instant(nanoseconds: 0))
      var items: [Message.Want.Item] = []
      var ending: Exchange.Ending?
      func perform(_ effects: [Exchange.Effect]) {
        for effect in effects {
          switch effect {
          case .store(.ingest):
            perform(
              exchange.handle(.store(.ingested(IngestResult(events: 0, bad: false))), at: Instant(nanoseconds: 0)))
          case .store(let request):
            perform(exchange.handle(.store(store.answer(request)), at: Instant(nanoseconds: 0)))
          case .send(.want(let want)): items = want.items
          case .close(let reason): ending = ending ?? reason
          case .send, .rest, .pauseReading, .resumeReading: break
          }
        }
      }
      func receive(_ message: Message) { perform(exchange.handle(.received(message), at: Instant(nanoseconds: 0))) }
      perform(exchange.start())
      let nothing = ChangeMark(number: 0, cookie: 0)
      receive(
        .hello(
          .init(
            instance: 1, mark: nothing, interests: Exchange.hash(of: [PersonID]()), cursor: nil,
            knownInterests: Exchange.hash(of: store.follows.sorted()), knownStatement: nil)))
      receive(.digest(.init(tier: .list, page: DigestPage(persons: [], logs: [], next: nil, mark: nothing))))
      #expect(items.count == 100)
      let body = [UInt8](repeating: 0, count: 1 << 20)
      for number in items.indices where ending == nil {
        for _ in 0..<bodies where ending == nil { receive(.run(body)) }
        if ending == nil { receive(.end([UInt32(number): .complete])) }
      }
      #expect(
        ending.map { if case .trouble = $0 { true } else { false } } ?? false == isClosed,
        "\(String(describing: ending))")
    }
  }

  @Test("pages follow each other until the last")
  func pages() throws {
    let a = ModelStore(seed: 1, follows: (0..<4200).map { PersonID(hashing: Array("many \($0)".utf8)) })
    let b = ModelStore(seed: 2)
    for person in a.follows.sorted() { b.author(person, events: 1..<2) }
    var duet = Duet(a, b)
    try duet.run()
    #expect(a.digest == b.digest)
    #expect(duet.exchanges[0].report.logs == 4200)
  }

  @Test("a session in which nothing moves ends at its deadline")
  func stall() {
    var exchange = Exchange(
      role: .responder, node: Self.people[0].cast(), options: .init(), at: Instant(nanoseconds: 0))
    _ = exchange.start()
    #expect(exchange.nextDeadline == Instant(nanoseconds: 25_000_000_000))
    #expect(exchange.handle(.deadlineReached, at: Instant(nanoseconds: 24_000_000_000)).isEmpty)
    #expect(
      exchange.handle(.deadlineReached, at: Instant(nanoseconds: 25_000_000_000)) == [
        .send(.bye(.busy)), .close(.stalled),
      ])
  }

  @Test("a peer that has no room may say so before it greets, while our store is opening and after")
  func refusedEarly() {
    for isOpen in [false, true] {
      let store = ModelStore(seed: 3)
      var exchange = Exchange(
        role: .initiator, node: Self.people[0].cast(), options: .init(), at: Instant(nanoseconds: 0))
      _ = exchange.start()
      if isOpen {
        let answer = store.answer(.open(node: Self.people[0].cast()))
        _ = exchange.handle(.store(answer), at: Instant(nanoseconds: 0))
      }
      let effects = exchange.handle(.received(.bye(.busy)), at: Instant(nanoseconds: 0))
      #expect(effects.last == .close(.farewell(.busy)))
    }
  }

  @Test(
    "messages out of turn are faults",
    arguments: [
      Message.run([1]), .end([1: .complete]),
      .digest(
        .init(tier: .list, page: DigestPage(persons: [], logs: [], next: nil, mark: ChangeMark(number: 0, cookie: 0)))),
      .digestNext, .evidence(LogID(), []), .record(PersonID(), [], more: false), .joined([], more: false),
      .want(.init(first: 9, items: [], bytesMaximum: nil)),
    ])
  func outOfTurn(message: Message) {
    let store = ModelStore(seed: 3)
    var exchange = Exchange(
      role: .responder, node: Self.people[0].cast(), options: .init(), at: Instant(nanoseconds: 0))
    _ = exchange.start()
    _ = exchange.handle(.store(store.answer(.open(node: Self.people[0].cast()))), at: Instant(nanoseconds: 0))
    let hello = Message.Hello(
      instance: 1, mark: ChangeMark(number: 0, cookie: 0), interests: Exchange.hash(of: [PersonID]()), cursor: nil,
      knownInterests: Exchange.hash(of: [PersonID]()), knownStatement: nil)
    _ = exchange.handle(.received(.hello(hello)), at: Instant(nanoseconds: 0))
    _ = exchange.handle(
      .received(
        .digest(
          .init(tier: .list, page: DigestPage(persons: [], logs: [], next: nil, mark: ChangeMark(number: 0, cookie: 0)))
        )), at: Instant(nanoseconds: 0))
    let effects = exchange.handle(.received(message), at: Instant(nanoseconds: 0))
    guard case .close(.fault)? = effects.last else {
      Issue.record("\(message) gave \(effects)")
      return
    }
  }
}

@Suite struct LogRangesTests {
  @Test("ranges say what a set of their members says, in whatever order they came", arguments: (0 as UInt64)..<20)
  func model(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let logs = ExchangeTests.people[..<2].map { $0.cast() as LogID }
    var ranges = LogRanges()
    var members: [Set<UInt64>] = [[], []]
    func draw() -> ClosedRange<UInt64> {
      let first = 1 + random.next() % 120
      return first...(first + random.next() % 6)
    }
    for _ in 0..<60 {
      let log = Int(random.next() % 2)
      let range = draw()
      var single = LogRanges()
      single.insert(SequenceNumber(range.lowerBound)...SequenceNumber(range.upperBound), of: logs[log])
      ranges.formUnion(single)
      members[log].formUnion(range)
      for log in 0..<2 {
        let asked = draw()
        #expect(
          ranges.overlaps(SequenceNumber(asked.lowerBound)...SequenceNumber(asked.upperBound), of: logs[log])
            == !members[log].isDisjoint(with: asked))
      }
    }
    // The same members in order make the same ranges: they are as few as they can be.
    var ordered = LogRanges()
    for (log, members) in zip(logs, members) {
      for member in members.sorted() { ordered.insert(SequenceNumber(member)...SequenceNumber(member), of: log) }
    }
    #expect(ranges == ordered)
  }
}

@Suite struct WantTests {
  @Test("wants that come while others are open are a fault: what is asked for once need not be sent twice")
  func oneAtATime() {
    let store = ModelStore(seed: 3)
    store.author(ExchangeTests.people[0], events: 1..<50)
    var exchange = Exchange(
      role: .responder, node: ExchangeTests.people[1].cast(), options: .init(), at: Instant(nanoseconds: 0))
    _ = exchange.start()
    _ = exchange.handle(.store(store.answer(.open(node: exchange.node))), at: Instant(nanoseconds: 0))
    let hello = Message.Hello(
      instance: 1, mark: ChangeMark(number: 0, cookie: 0), interests: Exchange.hash(of: [PersonID]()), cursor: nil,
      knownInterests: Exchange.hash(of: [PersonID]()), knownStatement: nil)
    _ = exchange.handle(.received(.hello(hello)), at: Instant(nanoseconds: 0))
    func want(_ number: UInt32) -> Exchange.Input {
      let item = Message.Want.Item(
        log: LogName(ExchangeTests.people[0].cast()), from: .first, to: SequenceNumber(49), chained: false)
      return .received(.want(.init(first: number, items: [item], bytesMaximum: nil)))
    }
    let first = exchange.handle(want(0), at: Instant(nanoseconds: 0))
    guard case .store(let request)? = first.last else {
      Issue.record("\(first)")
      return
    }
    let served = exchange.handle(.store(store.answer(request)), at: Instant(nanoseconds: 0))
    #expect(served.contains(.send(.end([0: .complete]))))
    let second = exchange.handle(want(1), at: Instant(nanoseconds: 0))
    #expect(second.count == 1)
    guard case .close(.fault)? = exchange.handle(want(2), at: Instant(nanoseconds: 0)).last else {
      Issue.record("a third want was taken while the second was open")
      return
    }
  }
}

@Suite struct MessageTests {
  static let samples: [Message] = [
    .hello(
      .init(
        instance: 1, mark: ChangeMark(number: 300, cookie: .max), interests: 5,
        cursor: (9, ChangeMark(number: 1, cookie: 2)), knownInterests: 3, knownStatement: nil)),
    .statement([1, 2]), .interests([PersonID(hashing: [1])], more: true),
    .digest(
      .init(
        tier: .changes,
        page: DigestPage(
          persons: [(1, 2)],
          logs: [
            LogDigest(log: LogName(prefix: 7), state: .frozen, sequence: SequenceNumber(300), hash: 1),
            LogDigest(
              log: LogName(LogID(hashing: [2]), whole: true), state: .open, sequence: SequenceNumber(1), hash: 2),
          ], next: 4, mark: ChangeMark(number: 1, cookie: 2)))),
    .digestNext, .recordWant([PersonID(hashing: [3])]), .record(PersonID(hashing: [4]), [1, 2, 3], more: false),
    .want(
      .init(
        first: 3,
        items: [.init(log: LogName(prefix: 1), from: SequenceNumber(1), to: SequenceNumber(256), chained: true)],
        bytesMaximum: 12)),
    .run([1, 2, 3]), .end([0: .complete, 70_000: .notHad]), .evidenceWant([LogName(prefix: 3)]),
    .evidence(LogID(hashing: [5]), [9]), .done, .bye(.busy),
    .join(
      .init(
        secret: [UInt8](repeating: 1, count: 16), device: PublicKey(hashing: [6]), label: "laptop",
        consent: Signature([UInt8](repeating: 2, count: 64))!)),
    .joined([1], more: true),
  ]

  @Test("every message comes back from its bytes", arguments: samples)
  func roundTrip(message: Message) throws { #expect(try Message(type: message.type, body: message.body) == message) }

  @Test("every prefix and every changed byte is refused or another message, never a trap", arguments: samples)
  func hostile(message: Message) {
    let body = message.body
    for length in 0..<body.count { _ = try? Message(type: message.type, body: Array(body[..<length])) }
    for index in body.indices {
      for bit: UInt8 in [1, 0x20, 0x80, 0xFF] {
        var changed = body
        changed[index] ^= bit
        _ = try? Message(type: message.type, body: changed)
      }
    }
  }

  @Test("a frame type of a later version is stepped over")
  func unknown() throws { #expect(try Message(type: 200, body: [1, 2, 3]) == nil) }
}
