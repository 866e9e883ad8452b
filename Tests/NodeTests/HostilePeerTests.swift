import Events
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing

/// A peer that sends what it should not, against the real store.
@Suite struct HostilePeerTests {
  let authorKey: SigningKey
  let record: PersonRecord
  let node = SigningKey().publicKey

  init() throws {
    var random = SeededRandom(seed: 5)
    let root = SigningKey(seed: random.bytes(32))!
    authorKey = SigningKey(seed: random.bytes(32))!
    var record = PersonRecord(creating: root, recovery: SigningKey(seed: random.bytes(32))!.publicKey)
    try record.certify(
      device: authorKey.publicKey, number: 3, label: "one", consent: authorKey.consent(to: record.id), with: root)
    self.record = record
  }

  private func bridge() throws -> StoreBridge {
    let now = Timestamp(milliseconds: 1_800_000_000_000)
    let environment = StorageEnvironment(disk: MemoryDisk(seed: 1), now: { now })
    let store = try EventStore(writing: "tl.db", authority: .alone, environment: environment)
    let interests = [record.id]
    return StoreBridge(store: store, interests: { interests }, now: { now })
  }

  /// A RUN body with the tail of a log, as an honest peer sends it first, and the wants it answers.
  private func honestRun() throws -> (body: [UInt8], wants: [UInt32: WantItem], count: Int) {
    let source = try bridge()
    try source.store.merge(record)
    let author = Author(key: authorKey, device: DeviceNumber(rawValue: 3)!, person: record.id)
    let drafts = (0..<260).map {
      Draft(.post(.init(text: "post number \($0)")), ttl: 0, salt: [UInt8](repeating: UInt8($0 % 256), count: 8))
    }
    _ = try source.store.append(drafts, by: author)
    let log = authorKey.publicKey
    let item = Message.Want.Item(log: LogName(log), from: .first, to: SequenceNumber(260), chained: false)
    guard
      case .read(let result) = source.answer(.read([NumberedWant(number: 0, item: item)], bytesMaximum: 1 << 20)),
      let tail = result.body
    else { throw NodeError(.notFound, "the honest peer has nothing") }
    return (tail, [0: WantItem(log: log, from: .first, to: SequenceNumber(260), chained: false)], 4)
  }

  private func held(_ bridge: StoreBridge) throws -> [Event] {
    guard let log = try bridge.store.log(authorKey.publicKey), let range = log.ranges.last else { return [] }
    return try bridge.store.events(authorKey.publicKey, range)
  }

  @Test("every single-byte change of a run stores nothing that the author did not write")
  func everyByte() throws {
    let (body, wants, count) = try honestRun()
    let good = try bridge()
    try good.store.merge(record)
    var whole = IngestResult(events: count, bad: false)
    for want in wants.values { whole.brought.insert((want.to + (1 - count))...want.to, of: want.log) }
    #expect(good.answer(.ingest([body], wants: wants)) == .ingested(whole))
    let expected = try held(good)
    #expect(expected.count == count)
    let bridge = try bridge()
    try bridge.store.merge(record)
    for index in body.indices {
      var changed = body
      changed[index] ^= UInt8(1 << (index % 8))
      guard case .ingested(let result) = bridge.answer(.ingest([changed], wants: wants)) else {
        Issue.record("byte \(index): the store failed")
        continue
      }
      // A change in a signature of the tail that nothing ends on yet is found before anything does.
      if result.events > 0 { #expect(try held(bridge).allSatisfy { expected.contains($0) }, "byte \(index)") }
    }
  }

  @Test("bodies of random bytes, truncated and inflated ones are the peer's fault and change nothing")
  func garbage() throws {
    let (body, wants, _) = try honestRun()
    let bridge = try bridge()
    try bridge.store.merge(record)
    var random = SeededRandom(seed: 8)
    var bodies = (0..<200).map { _ in random.bytes(Int(random.next() % 400)) }
    bodies += stride(from: 1, to: body.count - 1, by: 7).map { Array(body[..<$0]) }
    bodies.append([1, 0x80, 0x80, 0x40] + [UInt8](repeating: 0, count: 64))  // claims a megabyte
    bodies.append([1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0])  // claims four gigabytes
    for body in bodies where !body.isEmpty && body != [0] {
      guard case .ingested(let result) = bridge.answer(.ingest([body], wants: wants)) else {
        Issue.record("the store failed over \(body.count) bytes")
        continue
      }
      #expect(result.events == 0)
    }
    #expect(try held(bridge).isEmpty)
  }

  @Test("a log whose eight bytes mean two logs here is wanted by all 32, and two such logs are no fault of the asker")
  func twins() throws {
    let bridge = try bridge()
    try bridge.store.merge(record)
    let log = authorKey.publicKey
    let head = LogHead(sequence: SequenceNumber(9), hash: EventHash(prefix64: 1))
    _ = try bridge.store.reconcile([LogStanding(log: log, person: record.id, state: .head(head))])
    _ = bridge.answer(.open(node: node))
    for isTwin in [false, true] {
      if isTwin {
        try bridge.store.database.execute(
          """
          INSERT INTO log(key, pid, first, head, head_hash, previous, lower, state, want_head, change) \
          SELECT x'\(log.hex.prefix(16))\(String(repeating: "0", count: 48))', pid, 0, 0, x'', x'', 0, 0, 0, 0 FROM log
          """)
      }
      let wants = StoreRequest.openWants(
        newest: nil, named: .init(), excluding: [], payloads: true, answered: .init(), itemsMaximum: 10)
      guard case .wants(let items, _) = bridge.answer(wants) else {
        Issue.record("no wants")
        return
      }
      #expect(items.map(\.isNamedWhole) == [isTwin])
    }
    let twin = LogID(Array(log.bytes[..<8]) + [UInt8](repeating: 0, count: 24))!
    let want = Message.want(
      .init(
        first: 0,
        items: [log, twin].map {
          .init(log: LogName($0, whole: true), from: .first, to: SequenceNumber(9), chained: false)
        }, bytesMaximum: nil))
    #expect(try Message(type: want.type, body: want.body) == want)
  }

  @Test("a session that sends bytes without proof is ended, and its node key refused afterwards")
  func banned() throws {
    var core = NodeCore()
    let now = Moment.start
    let bridge = try bridge()
    func run(_ input: NodeCore.Input) -> [NodeCore.Effect] {
      var all: [NodeCore.Effect] = []
      var inputs = [input]
      while let next = inputs.popLast() {
        for effect in core.handle(next, at: now) {
          if case .store(let ticket, let request) = effect {
            inputs.append(.store(ticket, bridge.answer(request)))
          } else {
            all.append(effect)
          }
        }
      }
      return all
    }
    _ = run(.connected(.init(1), node: node, dialled: nil))
    let hello = Message.hello(
      .init(
        instance: 9, mark: ChangeMark(number: 5, cookie: 1), interests: 0, cursor: nil,
        knownInterests: Exchange.hash(of: [record.id]), knownStatement: nil))
    _ = run(.received(.init(1), type: hello.type, body: hello.body))
    let garbage = run(.received(.init(1), type: 9, body: [1, 2, 3]))
    #expect(garbage.contains(.send(.init(1), .bye(.fault))))
    #expect(garbage.contains(.close(.init(1))))
    #expect(run(.connected(.init(2), node: node, dialled: nil)) == [.send(.init(2), .bye(.refused)), .close(.init(2))])
    #expect(run(.connected(.init(3), node: SigningKey().publicKey, dialled: nil)).isEmpty)
  }

  @Test("a sync that is given up ends its session, or its dial, and nothing is dialled after it")
  func givenUp() {
    let now = Moment.start
    let targets = (1...2).map { NodeCore.Target(address: "\($0)") }
    var core = NodeCore()
    let sync = NodeCore.SyncID(1)
    guard case .dial(let dial, _)? = core.handle(.sync(sync, targets, .init()), at: now).first else {
      Issue.record("no dial")
      return
    }
    var other = core
    #expect(other.handle(.cancelSync(sync), at: now) == [.abandon(dial)])
    // It may have come about in this moment.
    var late = other
    let reached = late.handle(.connected(.init(1), node: node, dialled: dial), at: now)
    #expect(reached.first == .close(.init(1)) && reached.count == 2)
    let failed = other.handle(.dialFailed(dial, "closed"), at: now)
    guard case .syncEnded(sync, let ends)? = failed.last, failed.count == 1 else {
      Issue.record("\(failed)")
      return
    }
    #expect(ends.map(\.target) == [targets[0]] && ends[0].failure != nil)
    _ = core.handle(.connected(.init(1), node: node, dialled: dial), at: now)
    let effects = core.handle(.cancelSync(sync), at: now)
    #expect(effects.prefix(2) == [.send(.init(1), .bye(.finished)), .close(.init(1))])
    guard case .syncEnded(sync, _)? = effects.last else {
      Issue.record("\(effects)")
      return
    }
    #expect(core.handle(.cancelSync(sync), at: now).isEmpty)
  }

  @Test("when every session is taken, the one that has been silent longest gives way")
  func makesRoom() {
    var limits = NodeCore.Limits()
    limits.sessionsMaximum = 4
    var core = NodeCore(limits: limits)
    for id in 1...4 {
      #expect(
        core.handle(
          .connected(.init(UInt64(id)), node: SigningKey().publicKey, dialled: nil), at: .start + .nanoseconds(id)
        )
        .isEmpty)
    }
    let effects = core.handle(.connected(.init(5), node: node, dialled: nil), at: .start + .nanoseconds(9))
    #expect(effects == [.send(.init(1), .bye(.busy)), .close(.init(1))])
    // Those that were sent away hold their connections for a while, and keep nobody out.
    for id in 6...20 {
      let now = Moment.start + .nanoseconds(id + 10)
      let effects = core.handle(.connected(.init(UInt64(id)), node: node, dialled: nil), at: now)
      let eldest = NodeCore.ConnectionID(UInt64(id) - 4)
      #expect(effects == [.send(eldest, .bye(.busy)), .close(eldest)])
    }
  }
}
