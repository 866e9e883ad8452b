import Dispatch
import Events
import Glibc
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing
import Transport

/// Who does the work: this process, or a node behind its control socket.
enum Place: CaseIterable { case here, behindSocket }

/// A profile with whoever serves it.
struct ServedProfile {
  let profile: TestProfile
  let server: NodeServer?
  let service: any LocalService

  init(_ profile: TestProfile, _ place: Place, listen: [PeerAddress] = []) async throws {
    self.profile = profile
    if place == .behindSocket {
      server = try await NodeServer.start(
        profile.directory, options: .init(service: profile.options, listen: listen, notifier: nil))
    } else {
      server = nil
    }
    service = try await profile.open()
    guard (service is RemoteService) == (place == .behindSocket) else { throw NodeError(.refused, "wrong service") }
  }

  func close() async {
    await service.close()
    await server?.stop()
  }
}

@Suite(.timeLimit(.minutes(2))) struct ProfileServiceTests {
  @Test("drafts become events of this device, in order and with the service's additions", arguments: Place.allCases)
  func append(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    let profile = served.profile
    let first = try await served.service.append([.post(.init(text: "one")), .post(.init(text: "two", ttl: 0))])
    let handle = profile.person.id.handle(name: "", showing: 8)
    let second = try await served.service.append([
      .post(.init(text: "hi @\(handle), not mail@\(handle)", replyTo: first.references[0], ttl: 60)),
      .profile(.init(name: "Ann")),
    ])
    await served.close()
    #expect((first + second).references.allSatisfy { $0?.log == profile.device.publicKey })
    let contents = try profile.contents()
    #expect(contents[0] == .post(.init(text: "one")))
    guard case .post(let reply) = contents[2] else { return #expect(Bool(false)) }
    #expect(reply.replyTo == first.references[0] && reply.mentions == [profile.person.id])
    #expect(contents[3] == .profile(.init(name: "Ann")))
    let headers = try profile.headers()
    #expect(headers.map(\.ttl) == [LocalDraft.postLifetime, 0, 60, LocalDraft.stateLifetime])
    // The number that the root gave, not the one in the key file.
    #expect(headers.allSatisfy { $0.id.device.rawValue == 5 })
    #expect(Set(headers.map(\.payloadHash)).count == 4)
  }

  @Test("a follow that stands is not made again, and an unfollow names what it takes back", arguments: Place.allCases)
  func follows(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    let other = TestPerson().id
    let results = try await served.service.append([
      .follow(other), .follow(other), .unfollow(other), .unfollow(other), .follow(other),
    ])
    let again = try await served.service.append([.follow(other), .unfollow(TestPerson().id)])
    await #expect(throws: NodeError.self) { try await served.service.append([.follow(served.profile.person.id)]) }
    await served.close()
    #expect(results.references.map { $0 != nil } == [true, false, true, false, true])
    #expect(again == [.skipped, .skipped])
    let contents = try served.profile.contents()
    let dot = EventContent.Dot(log: served.profile.device.publicKey, sequence: .first)
    #expect(
      contents == [
        .follow(.init(person: other)), .unfollow(.init(person: other, dots: [dot])), .follow(.init(person: other)),
      ])
    #expect(try served.profile.headers()[1].ttl == LocalDraft.removeLifetime)
  }

  @Test("a delete erases its target, lives as long as it would have, and happens once", arguments: Place.allCases)
  func delete(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    let posts = try await served.service.append([
      .post(.init(text: "for ever", ttl: 0)), .post(.init(text: "a day", ttl: 86_400)), .follow(TestPerson().id),
    ])
    let targets = posts.references.compactMap { $0 }
    let deletes = try await served.service.append([.delete(targets[0]), .delete(targets[1]), .delete(targets[0])])
    await #expect(throws: NodeError.self) { try await served.service.append([.delete(targets[2])]) }
    var wrong = targets[1]
    wrong.hash = EventHash()
    let error = await #expect(throws: NodeError.self) { try await served.service.append([.delete(wrong)]) }
    #expect(error?.code == .notFound)
    await served.close()
    #expect(deletes.references.map { $0 != nil } == [true, true, false])
    #expect(try served.profile.contents().prefix(2) == [nil, nil])
    let headers = try served.profile.headers()
    #expect(headers[3].ttl == 0)
    #expect((82_800...86_400).contains(headers[4].ttl))
  }

  @Test("a line that was imported before is skipped, and nothing of a refused request stays", arguments: Place.allCases)
  func sources(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    func line(_ number: Int) -> LocalDraft {
      let source = EventContent.Source(feed: "feed", line: Digest(hashing: Array("line \(number)".utf8)))
      return .post(.init(text: "line \(number)", ttl: 0, written: Timestamp(milliseconds: 1), source: source))
    }
    let first = try await served.service.append([line(1), line(2), line(1)])
    #expect(first.references.map { $0 != nil } == [true, true, false])
    let future = LocalDraft.post(.init(text: "x", written: Timestamp(milliseconds: .max)))
    await #expect(throws: NodeError.self) { try await served.service.append([line(3), future]) }
    let second = try await served.service.append([line(2), line(3), .post(.init(text: "own")), line(3)])
    #expect(second.references.map { $0 != nil } == [false, true, true, false])
    await served.close()
    let texts = try served.profile.contents().map { if case .post(let post) = $0 { post.text } else { "" } }
    #expect(texts == ["line 1", "line 2", "line 3", "own"])
  }

  @Test("an import larger than one request goes through in parts", arguments: Place.allCases)
  func manyDrafts(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    let text = String(repeating: "a", count: 300)
    let results = try await served.service.append((0..<5_000).map { _ in .post(.init(text: text)) })
    await served.close()
    #expect(results.references.compactMap { $0?.sequence.rawValue } == Array(1...5_000))
  }

  @Test("an export comes in whole, once, and what is wrong in it is named by its line", arguments: Place.allCases)
  func importExport(_ place: Place) async throws {
    let origin = try await ServedProfile(TestProfile(), .here)
    _ = try await origin.service.append((0..<700).map { .post(.init(text: "post \($0)", ttl: 0)) })
    await origin.close()
    let file = try origin.profile.export()
    var bytes = try PrivateFile.read(file, atMost: 1 << 24)
    bytes += Array("{\"odd\":1}\n\nnonsense\n".utf8)
    try PrivateFile.write(bytes, to: file)
    let served = try await ServedProfile(TestProfile(), place)
    let steps = Locked<[LocalProgress]>([])
    func run() async throws -> LocalImport? {
      let reply = try await served.service.perform(.importExport(path: file)) { step in steps.change { $0.append(step) }
      }
      if case .imported(let counts) = reply { return counts }
      return nil
    }
    let first = try await run()
    let lines = bytes.count { $0 == 0x0A }
    #expect(first == LocalImport(lines: lines, persons: 1, events: 700, known: 0, bad: 2))
    let named = steps.value.compactMap { if case .badLines(let lines, _) = $0 { lines } else { nil } }
    #expect(named == [(lines - 2)...(lines - 2), lines...lines])
    #expect(steps.value.contains(.importing(lines: lines, events: 700)))
    let second = try await run()
    #expect(second?.events == 0 && second?.known == 700)
    let missing = await #expect(throws: NodeError.self) {
      try await served.service.perform(.importExport(path: "/tmp/tl-there-is-no-such-file"))
    }
    #expect(missing?.code == .notFound)
    await #expect(throws: NodeError.self) { try await served.service.perform(.importExport(path: "/tmp")) }
    await served.close()
  }

  @Test("the same errors come from here and from behind the socket", arguments: Place.allCases)
  func errors(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    let relative = await #expect(throws: NodeError.self) {
      try await served.service.perform(.importExport(path: "feed.ndjson"))
    }
    #expect(relative?.code == .refused)
    let record = await #expect(throws: IdentityError.self) { try await served.service.perform(.mergeRecord([1])) }
    #expect(record?.code == .malformed)
    let answer = await #expect(throws: NodeError.self) {
      try await served.service.perform(.answerJoin(number: 1, record: nil))
    }
    #expect(answer?.code == .notFound)
    await served.close()
  }

  @Test("a rebuild leaves the read models as they were", arguments: Place.allCases)
  func rebuild(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    _ = try await served.service.append([.post(.init(text: "a")), .follow(TestPerson().id), .profile(.init(name: "A"))])
    let reply = try await served.service.perform(.rebuild)
    await served.close()
    guard case .rebuilt(let events, let before, let after) = reply else { return #expect(Bool(false)) }
    #expect(events == 3 && before == after)
  }

  @Test("status says who has the profile")
  func status() async throws {
    let profile = try TestProfile()
    let alone = try await ServedProfile(profile, .here)
    guard case .status(let own) = try await alone.service.perform(.status) else { return #expect(Bool(false)) }
    await alone.close()
    #expect(own == LocalStatus(pid: getpid(), isNode: false, addresses: [], sessions: 0, version: "test", node: nil))
    let served = try await ServedProfile(
      profile, .behindSocket, listen: [PeerAddress("127.0.0.1:0", for: .listening)])
    guard case .status(let status) = try await served.service.perform(.status) else { return #expect(Bool(false)) }
    #expect(status.isNode && status.pid == getpid() && status.node == served.server?.node)
    #expect(status.addresses == served.server?.addresses.map(\.description) && status.addresses.count == 1)
    await served.close()
  }

  @Test("a second one is refused, and told which process has the profile")
  func locked() async throws {
    let profile = try TestProfile()
    let first = try await profile.open()
    let error = #expect(throws: StoreError.self) {
      try LocalProfile.open(profile.directory, options: profile.options, patience: .milliseconds(60))
    }
    #expect(error?.code == .locked && error?.message.contains("process \(getpid())") == true)
    await #expect(throws: StoreError.self) {
      var options = NodeServer.Options(service: profile.options, notifier: nil)
      options.patience = .zero
      _ = try await NodeServer.start(profile.directory, options: options)
    }
    await first.close()
    let second = try LocalProfile.open(profile.directory, options: profile.options, patience: .zero)
    await second.close()
  }

  @Test("a command waits for another one that is about to finish")
  func waiting() async throws {
    let profile = try TestProfile()
    let first = try await profile.open()
    let (directory, options) = (profile.directory, profile.options)
    // Opening blocks, so it has a thread of its own: the threads of the tasks are what the first one's closing needs.
    async let second = withCheckedThrowingContinuation { waiting in
      DispatchQueue.global().async {
        waiting.resume(
          with: Result { try LocalProfile.open(directory, options: options, patience: .seconds(600)) })
      }
    }
    await first.close()
    await (try await second).close()
  }

  @Test("a sealed device key is used while somebody is logged in, and not after")
  func sealed() async throws {
    let profile = try TestProfile(isSealed: true)
    let service = try await profile.open()
    let error = await #expect(throws: NodeError.self) { try await service.append([.post(.init(text: "a"))]) }
    #expect(error?.code == .locked)
    try profile.logIn(until: Timestamp(milliseconds: .max))
    #expect(try await service.append([.post(.init(text: "a"))]).references[0] != nil)
    try profile.logOut()
    await #expect(throws: NodeError.self) { try await service.append([.post(.init(text: "b"))]) }
    // Logging out ends posting, not serving.
    _ = try await service.perform(.sync([], .init()))
    await service.close()
  }

  @Test("a node that was started sealed speaks for its person once somebody has logged in, and goes on after")
  func statement() async throws {
    let author = try await ServedProfile(
      TestProfile(isSealed: true), .behindSocket, listen: [PeerAddress("127.0.0.1:0", for: .listening)])
    let reader = try await ServedProfile(TestProfile(), .here)
    _ = try await reader.service.append([.follow(author.profile.person.id)])
    let target = NodeCore.Target(address: author.server!.addresses[0].description, node: author.server!.node)
    func met() async throws -> PersonID? {
      guard case .synced(let outcomes) = try await reader.service.perform(.sync([target], .init())) else { return nil }
      return outcomes[0].end.report?.person
    }
    #expect(try await met() == nil)
    await author.server!.service.keepHouse()
    #expect(try await met() == nil)
    try author.profile.logIn(until: Timestamp(milliseconds: .max))
    await author.server!.service.keepHouse()
    try author.profile.logOut()
    let statement = try await met()
    await author.server!.service.keepHouse()
    await reader.close()
    await author.close()
    #expect(statement == author.profile.person.id)
  }

  @Test("a profile without a device key is not found")
  func empty() throws {
    let profile = try TestProfile()
    try KeyStore(profile.directory).remove(.device)
    let error = #expect(throws: NodeError.self) { try LocalProfile.open(profile.directory, patience: .zero) }
    #expect(error?.code == .notFound)
  }

  @Test("the node key stays with its database, and a database without it gets another")
  func nodeKey() async throws {
    let profile = try TestProfile()
    func key() async throws -> PublicKey {
      let lock = try WriteLock.acquire(in: profile.directory)
      let service = try ProfileService(profile.directory, lock: lock, options: profile.options)
      let key = try await service.nodeKey()
      await service.close()
      return key
    }
    let first = try await key()
    #expect(try await key() == first)
    for suffix in ["", "-wal", "-shm"] { Glibc.remove(profile.directory.path(of: .database) + suffix) }
    let second = try await key()
    #expect(second != first)
    try PrivateFile.remove(profile.directory.path(of: .nodeKey))
    #expect(try await key() != second)
  }

  @Test(
    "a sync brings what the followed person wrote, says who was met, and knows it the next time",
    arguments: Place.allCases)
  func sync(_ place: Place) async throws {
    let author = try await ServedProfile(
      TestProfile(), .behindSocket, listen: [PeerAddress("127.0.0.1:0", for: .listening)])
    let reader = try await ServedProfile(TestProfile(), place)
    _ = try await author.service.append((0..<600).map { .post(.init(text: "post \($0)")) })
    _ = try await reader.service.append([.follow(author.profile.person.id)])
    let target = NodeCore.Target(address: author.server!.addresses[0].description, node: author.server!.node)
    let nobody = NodeCore.Target(address: "127.0.0.1:1")
    let steps = Locked<[LocalProgress]>([])
    func run(_ targets: [NodeCore.Target]) async throws -> [SyncOutcome] {
      let reply = try await reader.service.perform(.sync(targets, .init())) { step in steps.change { $0.append(step) } }
      guard case .synced(let outcomes) = reply else { throw NodeError.init(.refused, "another reply") }
      return outcomes
    }
    let first = try await run([nobody, target])
    #expect(first.map { $0.end.failure == nil } == [false, true])
    #expect(first[1].end.report?.events == 600 && first[1].end.report?.complete == true)
    let events = steps.value.map { if case .syncing(let progress) = $0 { progress.events } else { -1 } }
    #expect(events.last == 600 && events == events.sorted())
    let second = try await run([target])
    #expect(second[0].end.report?.tier == .unchanged && second[0].end.report?.events == 0)
    // The statement was sent once, and is remembered.
    #expect(second[0].traffic.bytesReceived < 150)
    guard case .status(let status) = try await author.service.perform(.status) else { return #expect(Bool(false)) }
    #expect(status.isNode)
    await reader.close()
    await author.close()
    let store = try EventStore(reading: reader.profile.directory.path(of: .database))
    defer { store.close() }
    #expect(try store.log(author.profile.device.publicKey)?.eventCount == 600)
    let remembered = try #require(try store.peer(author.server!.node)?.statement)
    #expect(try NodeStatement(decoding: remembered).person == author.profile.person.id)
  }

  @Test("a sync whose command has gone away ends its session and dials nobody else")
  func abandonedSync() async throws {
    let peer = try StoreWorker { ModelStore(seed: 1) }
    let node = NodeRuntime(identity: try TLSIdentity(SigningKey()), store: peer)
    let address = try await node.listen(on: PeerAddress("127.0.0.1:0", for: .listening))
    // The peer's store is busy, so the session stands and nothing moves.
    let gate = DispatchSemaphore(value: 0)
    let busy = Task { try await peer.perform { _ in gate.wait() } }
    let reader = try await ServedProfile(TestProfile(), .here)
    let target = NodeCore.Target(address: address.description)
    let service = reader.service
    let syncing = Task { try await service.perform(.sync([target, target], .init())) }
    while await node.sessionCount == 0 { await Task.yield() }
    syncing.cancel()
    guard case .synced(let outcomes) = try await syncing.value else { return #expect(Bool(false)) }
    #expect(outcomes.count == 1 && outcomes[0].end.failure != nil)
    gate.signal()
    try await busy.value
    await reader.close()
    await node.stop()
  }

  @Test("a device joins with a ticket, once", arguments: Place.allCases)
  func join(_ place: Place) async throws {
    let served = try await ServedProfile(TestProfile(), place)
    let holder = served.profile
    let laptop = try TestProfile(holder.person, isCertified: false)
    let secret = [UInt8](0..<16)
    let (steps, step) = AsyncStream.makeStream(of: LocalProgress.self)
    let offer = LocalJoinOffer(
      secret: secret, notAfter: Timestamp(milliseconds: .max / 4), listen: "127.0.0.1:0")
    let service = served.service
    let offered = Task { try await service.perform(.offerJoin(offer)) { step.yield($0) } }
    let lock = try WriteLock.acquire(in: laptop.directory)
    let joiner = try ProfileService(laptop.directory, lock: lock, options: laptop.options)
    var joined: [Task<PersonRecord, any Error>] = []
    loop: for await progress in steps {
      switch progress {
      case .listening(let address, let node):
        await #expect(throws: NodeError.self) { try await service.perform(.offerJoin(offer)) }
        func ticket(_ secret: [UInt8]) -> Ticket.Join {
          Ticket.Join(
            person: holder.person.id, node: node, addresses: [address], secret: SecretBytes(secret),
            notAfter: offer.notAfter)
        }
        await #expect(throws: NodeError.self) { try await joiner.join(ticket(secret.reversed()), label: "thief") }
        let good = ticket(secret)
        joined.append(Task { try await joiner.join(good, label: "laptop") })
      case .joinRequest(let number, let request):
        try holder.person.certify(request.device, consent: request.consent, number: 77)
        _ = try await service.perform(.answerJoin(number: number, record: holder.person.record.encoded))
        break loop
      default: #expect(Bool(false))
      }
    }
    #expect(try await offered.value == .done)
    let record = try await joined[0].value
    #expect(record == holder.person.record && record.device(laptop.device.publicKey)?.number == 77)
    // It can write from now on.
    #expect(try await joiner.append([.post(.init(text: "from the laptop"))]).references[0] != nil)
    await joiner.close()
    await served.close()
    let ranOut = LocalJoinOffer(secret: secret, notAfter: Timestamp(milliseconds: 0))
    let again = try await ServedProfile(holder, place)
    await #expect(throws: NodeError.self) { try await again.service.perform(.offerJoin(ranOut)) }
    await again.close()
  }

  @Test("of two devices that show one ticket at the same moment one joins, and the other is refused")
  func joinRace() async throws {
    let served = try await ServedProfile(TestProfile(), .here)
    let holder = served.profile
    let laptops = try (0..<2).map { _ in try TestProfile(holder.person, isCertified: false) }
    let (steps, step) = AsyncStream.makeStream(of: LocalProgress.self)
    let offer = LocalJoinOffer(
      secret: [UInt8](0..<16), notAfter: Timestamp(milliseconds: .max / 4), listen: "127.0.0.1:0")
    let service = served.service
    let offered = Task { try await service.perform(.offerJoin(offer)) { step.yield($0) } }
    let joiners = try laptops.map {
      try ProfileService($0.directory, lock: try WriteLock.acquire(in: $0.directory), options: $0.options)
    }
    var joined: [Task<PersonRecord, any Error>] = []
    var answers: [(number: UInt32, record: [UInt8])] = []
    loop: for await progress in steps {
      switch progress {
      case .listening(let address, let node):
        let ticket = Ticket.Join(
          person: holder.person.id, node: node, addresses: [address], secret: SecretBytes(offer.secret),
          notAfter: offer.notAfter)
        joined = joiners.map { joiner in Task { try await joiner.join(ticket, label: "laptop") } }
      case .joinRequest(let number, let request):
        var person = holder.person
        try person.certify(request.device, consent: request.consent, number: 70 + UInt16(number))
        answers.append((number, person.record.encoded))
        if answers.count == 2 { break loop }
      default: #expect(Bool(false))
      }
    }
    let given = answers.map { answer in
      Task { try await service.perform(.answerJoin(number: answer.number, record: answer.record)) }
    }
    var refusals = 0
    for answer in given {
      do { _ = try await answer.value } catch is NodeError { refusals += 1 }
    }
    #expect(refusals == 1)
    #expect(try await offered.value == .done)
    var records: [PersonRecord] = []
    for join in joined { if let record = try? await join.value { records.append(record) } }
    #expect(records.count == 1 && records[0].devices.count == holder.person.record.devices.count + 1)
    for joiner in joiners { await joiner.close() }
    await served.close()
  }

  @Test("a command that goes away takes its ticket with it")
  func abandonedTicket() async throws {
    let served = try await ServedProfile(TestProfile(), .here)
    let service = served.service
    let (steps, step) = AsyncStream.makeStream(of: LocalProgress.self)
    let offer = LocalJoinOffer(
      secret: [UInt8](0..<16), notAfter: Timestamp(milliseconds: .max / 4), listen: "127.0.0.1:0")
    let first = Task { try await service.perform(.offerJoin(offer)) { step.yield($0) } }
    for await _ in steps { break }
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    let second = Task { try await service.perform(.offerJoin(offer)) { step.yield($0) } }
    for await _ in steps { break }
    await served.close()
    await #expect(throws: NodeError.self) { try await second.value }
  }
}
