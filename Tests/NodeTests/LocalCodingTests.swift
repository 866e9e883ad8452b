import DHT
import Events
import Identity
import Node
import Primitives
import Replication
import Store
import Testing
import Transport

/// What crosses the control socket, byte by byte.
@Suite struct LocalCodingTests {
  static let person = PersonID(hashing: Array("person".utf8))
  static let key = PublicKey(hashing: Array("key".utf8))
  static let reference = Reference(log: key, sequence: .init(7), hash: EventHash(hashing: Array("event".utf8)))
  static let digest = Digest(hashing: Array("digest".utf8))
  static let join = Message.JoinRequest(
    secret: [UInt8](repeating: 7, count: 16), device: key, label: "laptop",
    consent: Signature([UInt8](repeating: 9, count: 64))!)

  static let requests: [LocalRequest] = [
    .append([]),
    .append([
      .post(.init(text: "hello", ttl: 0)),
      .post(
        .init(
          text: "müde", replyTo: reference, ttl: 86_400, written: Timestamp(milliseconds: -5),
          source: .init(feed: "https://a/b.txt", line: digest))),
      .follow(person), .unfollow(person), .delete(reference),
      .profile(.init(name: "Ann", about: nil, link: "")), .profile(.init()),
    ]),
    .mergeRecord([1, 2, 3]), .importExport(path: "/tmp/a b"),
    .sync([.init(address: "a:1"), .init(address: "[::1]:2", node: key)], .init(newest: 5, bytesMaximum: 0)),
    .sync([], .init()), .rebuild,
    .offerJoin(.init(secret: [UInt8](0..<16), notAfter: Timestamp(milliseconds: 9), listen: "*:0")),
    .offerJoin(.init(secret: [UInt8](0..<16), notAfter: Timestamp(milliseconds: -9))),
    .answerJoin(number: 3, record: nil), .answerJoin(number: .max, record: []), .status, .repair,
    .setNetwork([1, 2], replaces: true), .dht(.find(NodeID(sha1: [1]))), .dht(.ping(address: "a:1")), .dht(.table),
    .dht(.put(.init(name: .open([1, 2]), value: [3], lifetime: 60, copies: 20))),
    .dht(.put(.init(name: .own([1], of: []), value: []))), .dht(.get(.immutable(NodeID(sha1: [1])))),
    .dht(.put(.init(name: .immutable(nil), value: [1]))), .dht(.get(.own([7], of: [key]))),
    .search(.init(newest: 5)), .findName("müde"),
  ]

  static let replies: [LocalReply] = [
    .done, .appended([]),
    .appended([.skipped, .appended(reference, EventID(rawValue: 1 << 62))]), .merged(changed: true),
    .imported(.init(lines: 9, persons: 1, events: 3, known: 2, bad: 1)), .synced(outcomes),
    .rebuilt(events: 5, before: digest, after: Digest()), .repaired(places: 2),
    .status(.init(pid: 77, isNode: true, addresses: ["*:1", "[::1]:2"], sessions: 2, version: "1.0", node: key)),
    .status(.init(pid: -1, isNode: false, addresses: [], sessions: 0, version: "", node: nil)),
    .dhtReport(report(.unreachable)), .dhtReport(report(.answered(NodeID(sha1: [2]), roundTrip: .zero))),
    .dhtTable([]), .dhtTable([table]), .dhtValue(nil),
    .dhtStored(
      .init(
        target: NodeID(sha1: [1]), nodes: 3, parts: 2, isHeldHere: true, isKept: true,
        expires: Timestamp(milliseconds: 5_000), isOutdone: false)),
    .dhtValue(.init(value: [1, 2], expires: nil, key: key, sequence: 5, copies: 3)),
    .dhtValue(.init(value: [], expires: Timestamp(milliseconds: 1_000), key: nil, sequence: nil, copies: 0)),
    .searched(searched, outcomes),
    .searched(.init(logs: [], attempts: [], isNetworkThere: false), []),
    .foundNames(.init(candidates: [.init(person: person, name: "Ann", peers: 3)], asked: 8, answered: 4)),
    .foundNames(.init(candidates: [], asked: 0, answered: 0)),
  ]

  static let searched = SearchReport(
    logs: [
      .init(person: person, log: key, state: .partial, held: .init(3), newest: .init(9)),
      .init(person: person, log: nil, state: .nobodyFound, held: .init(0), newest: nil),
      .init(person: person, log: key, state: .upToDate, held: .init(3), newest: .init(3)),
    ],
    attempts: [.init(person: person, endpoint: contacts[0].endpoint, source: .learnt)], isNetworkThere: true)

  static func report(_ outcome: DHTNode.Outcome) -> LocalDHTReport {
    var report = DHTNode.Report(id: .init(1), outcome: outcome)
    report.queries = 9
    report.duration = .milliseconds(80)
    report.closest = contacts
    return LocalDHTReport(report)
  }

  static let contacts = [
    Contact(NodeID(sha1: [3]), at: Endpoint(IPAddress(127, 0, 0, 2), port: 7001)),
    Contact(NodeID(sha1: [4]), at: Endpoint(.v6(1, 2), port: 1)),
  ]

  static let table = DHTStatus(
    family: .ipv6, id: NodeID(sha1: [5]), endpoint: contacts[1].endpoint, state: .client,
    externalAddress: contacts[0].endpoint.address, networkSize: 1200, contacts: contacts, hashes: 1, items: 2,
    statistics: .init())

  static let outcomes: [SyncOutcome] = {
    var outcomes: [SyncOutcome] = [
      SyncOutcome(
        end: .init(
          sync: nil, target: nil, node: nil, connection: nil, report: nil, failure: "nobody there"), traffic: .init())
    ]
    let endings: [Exchange.Ending?] = [nil, .finished, .farewell(.busy), .fault("x"), .stalled, .trouble("full")]
    for (index, ending) in endings.enumerated() {
      var report = ExchangeReport()
      report.tier = [.unchanged, .changes, .list, nil][index % 4]
      report.events = index
      report.logs = 4
      report.roundTrips = 3
      report.complete = index % 2 == 0
      report.limited = index % 3 == 0
      report.lacksPayloads = index % 4 == 0
      report.notDelivered = 2
      report.runBytes = 1 << 40
      report.device = index == 1 ? key : nil
      report.person = index == 1 ? person : nil
      report.ending = ending
      var traffic = Traffic()
      traffic.sent = [1: 100, 13: 5]
      traffic.received = [0: 1, 255: 2]
      outcomes.append(
        SyncOutcome(
          end: .init(
            sync: .init(UInt64(index)), target: .init(address: "h:1", node: key), node: key, connection: .init(9),
            report: report, failure: nil), traffic: traffic))
    }
    return outcomes
  }()

  static let steps: [LocalProgress] = [
    .syncing(.init(events: 4, bytesReceived: 5)), .importing(lines: 1, events: 0),
    .badLines(12...12, reason: "no tab"), .badLines(1...300, reason: "no signature"), .rebuilding(events: 1_000_000),
    .listening(address: "*:4000", node: key),
    .joinRequest(number: 2, join),
  ]

  static let errors: [any Error] = [
    StoreError(.locked, "in use by process 4", path: "/p/lock"), NodeError(.locked, "run `tl login`"),
    IdentityError(.sealed, "needs a passphrase", in: "device.key"),
    TransportError(.refused, "nobody", cause: "connect"),
  ]

  @Test("a request comes back as it was", arguments: requests)
  func request(_ request: LocalRequest) throws {
    #expect(try LocalRequest(decoding: request.encoded) == request)
  }

  @Test("a reply comes back as it was", arguments: replies)
  func reply(_ reply: LocalReply) throws {
    #expect(try LocalReply(decoding: reply.encoded) == reply)
  }

  @Test("progress comes back as it was", arguments: steps)
  func progress(_ step: LocalProgress) throws {
    #expect(try LocalProgress(decoding: step.encoded) == step)
  }

  @Test("an error comes back as the same typed error, whatever module it is from")
  func fault() throws {
    let back = try Self.errors.map { try LocalFault(decoding: LocalFault($0).encoded).error }
    #expect(back.map { "\(type(of: $0)): \($0)" } == Self.errors.map { "\(type(of: $0)): \($0)" })
    #expect((back[0] as? StoreError)?.code == .locked)
    #expect((back[1] as? NodeError)?.code == .locked)
    #expect((back[2] as? IdentityError)?.code == .sealed)
    #expect((back[3] as? TransportError)?.code == .refused)
    for code in StoreError.Code.allCases {
      let error = StoreError(code, "m", cause: NodeError(.closed, "why"))
      let back = try LocalFault(decoding: LocalFault(error).encoded).error
      #expect((back as? StoreError)?.code == code && "\(back)" == "m: why")
    }
    for code in NodeError.Code.allCases {
      #expect((LocalFault(NodeError(code, "m")).error as? NodeError)?.code == code)
    }
    #expect((LocalFault(ByteError(at: 1, "odd")).error as? StoreError)?.code == .misuse)
    #expect((LocalFault(CancellationError()).error as? NodeError)?.code == .closed)
  }

  @Test("a text too long for the socket is cut between characters")
  func longText() throws {
    let error = NodeError(.refused, String(repeating: "ä", count: LocalLimits.messageBytes))
    let back = try LocalFault(decoding: LocalFault(error).encoded).error as? NodeError
    #expect(back?.message == String(repeating: "ä", count: LocalLimits.messageBytes / 2))
  }

  /// Changes, cuts and lengthens `bytes`; whatever decodes then must be what its own encoder writes.
  static func attack(_ bytes: [UInt8], _ decodeAndEncode: ([UInt8]) throws -> [UInt8]) -> [[UInt8]] {
    var wrong: [[UInt8]] = []
    func check(_ bytes: [UInt8]) {
      do {
        if try decodeAndEncode(bytes) != bytes { wrong.append(bytes) }
      } catch {
        if !(error is ByteError) { wrong.append(bytes) }
      }
    }
    for index in bytes.indices {
      check(Array(bytes[..<index]))
      for value in [0x00, 0x01, 0x18, 0x1B, 0x5B, 0x7B, 0x9B, 0xBB, 0xF6, 0xFF, bytes[index] ^ 1, bytes[index] ^ 0x80] {
        var changed = bytes
        changed[index] = value
        check(changed)
      }
    }
    check(bytes + [0])
    return wrong
  }

  @Test("hostile bytes are refused or mean exactly what they say")
  func hostile() {
    for request in Self.requests {
      #expect(Self.attack(request.encoded) { try LocalRequest(decoding: $0).encoded } == [])
    }
    for reply in Self.replies { #expect(Self.attack(reply.encoded) { try LocalReply(decoding: $0).encoded } == []) }
    for step in Self.steps { #expect(Self.attack(step.encoded) { try LocalProgress(decoding: $0).encoded } == []) }
    for error in Self.errors {
      #expect(Self.attack(LocalFault(error).encoded) { try LocalFault(decoding: $0).encoded } == [])
    }
  }

  @Test("noise is refused")
  func noise() {
    var random = SeededRandom(seed: 4)
    for _ in 0..<2_000 {
      let count = Int(random.next() % 64)
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      #expect(throws: ByteError.self) { try LocalRequest(decoding: bytes) }
      #expect(throws: ByteError.self) { try LocalReply(decoding: bytes) }
      #expect(throws: ByteError.self) { try LocalProgress(decoding: bytes) }
    }
  }

  @Test("every list and text has its bound")
  func bounds() {
    let tooMany: [LocalRequest] = [
      .append(Array(repeating: .follow(Self.person), count: LocalLimits.drafts + 1)),
      .append([.post(.init(text: String(repeating: "a", count: ContentLimits.textBytes + 1)))]),
      .append([.profile(.init(name: String(repeating: "a", count: ContentLimits.nameBytes + 1)))]),
      .mergeRecord(Array(repeating: 0, count: LocalLimits.recordBytes + 1)),
      .importExport(path: "/" + String(repeating: "a", count: LocalLimits.pathBytes)),
      .sync(Array(repeating: .init(address: "a:1"), count: LocalLimits.targets + 1), .init()),
      .sync([.init(address: String(repeating: "a", count: LocalLimits.addressBytes + 1))], .init()),
      .offerJoin(.init(secret: [1], notAfter: Timestamp(milliseconds: 0))),
      .offerJoin(.init(secret: [UInt8](0..<17), notAfter: Timestamp(milliseconds: 0))),
    ]
    for request in tooMany { #expect(throws: ByteError.self) { try LocalRequest(decoding: request.encoded) } }
  }

  @Test("the examples of schemas/control.md hold")
  func examples() throws {
    let draft = LocalDraft.post(.init(text: "hi", ttl: 86_400))
    #expect(Hex.encode(LocalRequest.status.encoded) == "820107")
    #expect(Hex.encode(LocalRequest.append([draft]).encoded) == "830100818600626869f61a00015180f6f6")
    #expect(Hex.encode(LocalRequest.dht(.ping(address: "a:1")).encoded) == "83010a820163613a31")
    #expect(Hex.encode(LocalReply.appended([.skipped]).encoded) == "83010181f6")
    #expect(Hex.encode(LocalProgress.rebuilding(events: 7).encoded) == "83010307")
    #expect(
      Hex.encode(LocalFault(NodeError(.locked, "no")).encoded) == "850101666c6f636b6564626e6ff6")
  }

  @Test("another version of the protocol is named, not guessed at")
  func version() {
    var bytes = LocalRequest.status.encoded
    bytes[1] = 2
    #expect { try LocalRequest(decoding: bytes) } throws: { "\($0)".contains("version 2") }
  }
}
