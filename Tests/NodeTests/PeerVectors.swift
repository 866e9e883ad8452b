import Events
import Foundation
import Identity
import Primitives
import Replication
import Store
import Testing
import Transport

/// Makes `schemas/vectors/peer.json`. `TL_WRITE_VECTORS=1 swift test --filter PeerVectorTests` writes it anew.
@Suite struct PeerVectorTests {
  @Test("schemas/vectors/peer.json is what the code makes")
  func file() throws {
    let vectors = try PeerVectors()
    let lists = [
      ("frames", try vectors.frames()), ("refused", try PeerVectors.refusals.map { try $0.listed() }),
      ("sessions", vectors.sessions()),
    ]
    let text =
      "{\n" + lists.map { name, cases in " \"\(name)\": [\n" + lines(cases) + "\n ]" }.joined(separator: ",\n")
      + "\n}\n"
    let file = PeerVectors.folder.appendingPathComponent("peer.json")
    if ProcessInfo.processInfo.environment["TL_WRITE_VECTORS"] != nil { try Data(text.utf8).write(to: file) }
    let published = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    let made = text.split(separator: "\n")
    for (found, wanted) in zip(published, made) where found != wanted {
      Issue.record("published \(found.prefix(300)), the code makes \(wanted.prefix(300))")
    }
    #expect(published.count == made.count)
  }

  private func lines(_ cases: [JSON]) -> String {
    cases.map { "  " + String(decoding: $0.encoded, as: UTF8.self) }.joined(separator: ",\n")
  }
}

/// Messages with what schemas/peer.md says that they hold.
struct PeerVectors {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("schemas/vectors")

  let statement, record, proof, envelope, tail: [UInt8]

  init() throws {
    func bytes(_ file: String, _ path: (JSON) -> JSON?) throws -> [UInt8] {
      let json = try JSON(parsing: Array(try Data(contentsOf: Self.folder.appendingPathComponent(file))))
      return try #require(path(json)?.text.flatMap(Hex.decode))
    }
    func named(_ name: String, _ list: String, _ key: String) -> (JSON) -> JSON? {
      { $0[list]?.elements?.first { $0["name"]?.text == name }?[key] }
    }
    statement = try bytes("person.json") { $0["nodeStatement"]?["encoded"] }
    record = try bytes("person.json", named("one device", "records", "encoded"))
    proof = try bytes("evidence.json", named("two events leave the third", "cases", "evidence"))
    envelope = try bytes("stretch.json", named("signed at the end", "envelopes", "envelope"))
    tail = try bytes("stretch.json", named("every event signed", "envelopes", "envelope"))
  }

  static let ada = PersonID(hashing: Array("ada".utf8))
  static let bob = PersonID(hashing: Array("bob".utf8))
  static let log = LogID(hashing: Array("a log".utf8))
  static let mark = ChangeMark(number: 70_000, cookie: 0x0102_0304_0506_0708)
  static let nothing = Message.Digest(
    tier: .list, page: DigestPage(persons: [], logs: [], next: nil, mark: ChangeMark(number: 0, cookie: 0)))

  /// A greeting of somebody with these interests who remembers nothing.
  static func hello(_ interests: [PersonID] = [], version: UInt64 = 1) -> Message {
    .hello(
      .init(
        version: version, instance: 0x1112_1314_1516_1718, mark: mark, interests: Exchange.hash(of: interests),
        cursor: nil, knownInterests: nil, knownStatement: nil))
  }

  func messages() throws -> [(name: String, message: Message)] {
    let log = Self.log
    let mark = Self.mark
    let request = Message.JoinRequest(
      secret: [UInt8](repeating: 0x5A, count: 16), device: PublicKey(hashing: [1]), label: "caf\u{E9}",
      consent: Signature([UInt8](repeating: 0xC0, count: 64))!)
    var run = RunBody()
    run.append(try StretchEnvelope(decoding: envelope, 0..<envelope.count), for: 0)
    run.append(try StretchEnvelope(decoding: envelope, 0..<envelope.count), for: 300)
    return [
      ("a greeting of somebody who remembers nothing", Self.hello([Self.ada])),
      (
        "a greeting with all that may be remembered",
        .hello(
          .init(
            instance: .max, mark: ChangeMark(number: 0, cookie: 0), interests: 1, cursor: (instance: 2, mark: mark),
            knownInterests: 3, knownStatement: 4, stands: true))
      ),
      ("a statement", .statement(statement)), ("no interests", .interests([], more: false)),
      ("interests of which more follow", .interests([Self.ada, Self.bob], more: true)),
      ("a digest of nothing", .digest(Self.nothing)),
      (
        "a page of changes",
        .digest(
          .init(
            tier: .changes,
            page: DigestPage(
              persons: [(prefix: Self.ada.prefix64, record: 5), (prefix: Self.bob.prefix64, record: .max)],
              logs: [
                LogDigest(log: LogName(log), state: .open, sequence: SequenceNumber(1 << 48), hash: 6),
                LogDigest(log: LogName(log, whole: true), state: .frozen, sequence: .first, hash: 7),
              ], next: 69_999, mark: mark)))
      ),
      ("the next page", .digestNext), ("records wanted", .recordWant([Self.ada, Self.bob])),
      ("a record", .record(Self.ada, record, more: false)), ("a part of a record", .record(Self.ada, [1], more: true)),
      ("a record that is not held", .record(Self.bob, [], more: false)),
      ("no wants", .want(.init(first: 0, items: [], bytesMaximum: nil))),
      (
        "wants",
        .want(
          .init(
            first: 70_000,
            items: [
              .init(log: LogName(log), from: .first, to: .first, chained: false),
              .init(log: LogName(log, whole: true), from: SequenceNumber(200), to: SequenceNumber(455), chained: true),
            ], bytesMaximum: 1_000_000))
      ), ("a run of two wants", .run(run.encoded)), ("a run whose rest is one LZ4 block", .run(looseRun())),
      ("a run of nothing but a stretch of a later version", .run([0, 1, 2, 2, 0xAA])),
      ("no ends", .end([:])),
      ("an end of each kind", .end([0: .complete, 1: .notHad, 300: .budget, .max: .damaged])),
      ("evidence wanted", .evidenceWant([LogName(log), LogName(log, whole: true)])),
      ("evidence", .evidence(log, proof)), ("evidence that is not held", .evidence(log, [])), ("done", .done),
      ("farewell", .bye(.finished)), ("farewell in trouble", .bye(.trouble)), ("a sign of life", .alive),
      ("a device asks", .join(request)),
      ("a name asked for", .find("Zo\u{EB}")), ("nobody of that name", .found([])),
      (
        "two of one name",
        .found([.init(person: Self.ada, name: "zo\u{EB}"), .init(person: Self.bob, name: "ZO\u{CB}")])
      ),
      ("a port to dial", .dialBack(port: 7001)), ("a dial that came through", .dialled(.reached)),
      ("a dial that was not tried", .dialled(.refused)),
      ("the only part of the record", .joined(record, more: false)),
      ("a part of the record", .joined([2], more: true)),
    ]
  }

  /// A tail is packed with the rest of its body. The block here has literals only, so that it does not depend on a
  /// version of the compressor.
  private func looseRun() -> [UInt8] {
    var content = ByteWriter()
    content.varint(2)
    content.varint(UInt64(tail.count))
    content.append(tail)
    var body = ByteWriter()
    body.byte(1)
    body.varint(UInt64(content.bytes.count))
    body.byte(0xF0)
    var rest = content.bytes.count - 15
    while rest >= 255 {
      body.byte(255)
      rest -= 255
    }
    body.byte(UInt8(rest))
    body.append(content.bytes)
    return body.bytes
  }

  func frames() throws -> [JSON] {
    var cases = try messages().map { name, message in
      let frame = encodeFrame(Frame(type: message.type, body: message.body))
      #expect(try read(frame) == message, "\(name)")
      return JSON.table([
        ("name", .string(name)), ("frame", .hex(frame)), ("type", .string(Message.name(ofType: message.type))),
        ("fields", try message.fields()),
      ])
    }
    for (name, type, body) in [("no type", UInt8(0), [UInt8]()), ("a type of a later version", 100, [1, 2])] {
      let frame = encodeFrame(Frame(type: type, body: body))
      #expect(try read(frame) == nil, "\(name)")
      cases.append(.table([("name", .string(name)), ("frame", .hex(frame)), ("type", .null), ("fields", .null)]))
    }
    // What is read, but never written.
    for (name, body, message) in [
      ("a farewell of a later version", [UInt8(0x18), 0x64], Message.bye(.trouble)),
      ("a greeting with a key of a later version", Self.later, Self.hello([Self.ada])),
    ] {
      let frame = encodeFrame(Frame(type: message.type, body: body))
      #expect(try read(frame) == message, "\(name)")
      cases.append(
        .table([
          ("name", .string(name)), ("frame", .hex(frame)), ("type", .string(Message.name(ofType: message.type))),
          ("fields", try message.fields()),
        ]))
    }
    return cases
  }

  /// The first greeting with key 64: {0: [null, -1]}.
  private static var later: [UInt8] {
    [0xA6] + Array(hello([ada]).body.dropFirst()) + [0x18, 0x40, 0xA1, 0, 0x82, 0xF6, 0x20]
  }
}

/// The message of the one frame in these bytes; nil for one that is stepped over.
func read(_ bytes: [UInt8]) throws -> Message? {
  var decoder = FrameDecoder()
  let frames = try decoder.append(bytes)
  try #require(frames.count == 1 && decoder.isBetweenFrames)
  let message = try Message(type: frames[0].type, body: frames[0].body)
  if case .run(let body)? = message { _ = try RunBody.decode(body) }
  return message
}

extension JSON {
  static func table(_ members: [(String, JSON)]) -> JSON { .object(members.map { Member(key: $0.0, value: $0.1) }) }
  static func hex(_ bytes: [UInt8]) -> JSON { .string(Hex.encode(bytes)) }
  static func hex<Role>(_ bytes: Bytes32<Role>) -> JSON { .string(bytes.hex) }
  static func eight(_ value: UInt64) -> JSON { .hex(withUnsafeBytes(of: value.bigEndian) { Array($0) }) }
  /// Numbers that may have 64 bits are text.
  static func wide(_ value: UInt64) -> JSON { .string(String(value)) }
}

extension Message {
  /// What the frame says, under the words of schemas/peer.md.
  func fields() throws -> JSON {
    switch self {
    case .hello(let hello):
      .table([
        ("version", .wide(hello.version)), ("instance", .eight(hello.instance)), ("number", .wide(hello.mark.number)),
        ("cookie", .eight(hello.mark.cookie)), ("interests", .eight(hello.interests)),
        (
          "cursor",
          hello.cursor.map { .array([.eight($0.instance), .wide($0.mark.number), .eight($0.mark.cookie)]) } ?? .null
        ), ("knownInterests", hello.knownInterests.map(JSON.eight) ?? .null),
        ("knownStatement", hello.knownStatement.map(JSON.eight) ?? .null), ("stands", .bool(hello.stands)),
      ])
    case .statement(let bytes): .table([("statement", .hex(bytes))])
    case .interests(let persons, let more):
      .table([("more", .bool(more)), ("persons", .array(persons.map { .hex($0) }))])
    case .digest(let digest):
      .table([
        ("tier", .integer(Int64(digest.tier.rawValue))),
        ("persons", .array(digest.page.persons.map { .array([.eight($0.prefix), .eight($0.record)]) })),
        (
          "logs",
          .array(
            digest.page.logs.map {
              .array([.integer(Int64($0.state.rawValue)), $0.log.listed, .wide($0.sequence.rawValue), .eight($0.hash)])
            })
        ), ("next", digest.page.next.map(JSON.wide) ?? .null), ("number", .wide(digest.page.mark.number)),
        ("cookie", .eight(digest.page.mark.cookie)),
      ])
    case .digestNext, .done, .alive: .table([])
    case .recordWant(let persons): .table([("persons", .array(persons.map { .hex($0) }))])
    case .record(let person, let part, let more):
      .table([("person", .hex(person)), ("more", .bool(more)), ("part", .hex(part))])
    case .want(let want):
      .table([
        ("first", .wide(UInt64(want.first))), ("bytes", want.bytesMaximum.map { .wide(UInt64($0)) } ?? .null),
        (
          "items",
          .array(
            want.items.map {
              .array([$0.log.listed, .wide($0.from.rawValue), .wide($0.to.rawValue), .bool($0.chained)])
            })
        ),
      ])
    case .run(let body):
      .table([
        (
          "stretches",
          .array(try RunBody.decode(body).map { .array([.wide(UInt64($0.want)), .hex($0.envelope.encoded)]) })
        )
      ])
    case .end(let codes):
      .table([
        (
          "ends",
          .array(
            codes.sorted { $0.key < $1.key }.map {
              .array([.wide(UInt64($0.key)), .integer(Int64($0.value.rawValue))])
            })
        )
      ])
    case .evidenceWant(let names): .table([("logs", .array(names.map(\.listed)))])
    case .evidence(let log, let proof): .table([("log", .hex(log)), ("proof", .hex(proof))])
    case .bye(let reason): .table([("code", .integer(Int64(reason.rawValue)))])
    case .join(let join):
      .table([
        ("secret", .hex(join.secret)), ("device", .hex(join.device)), ("label", .string(join.label)),
        ("consent", .hex(join.consent.bytes)),
      ])
    case .joined(let part, let more): .table([("more", .bool(more)), ("part", .hex(part))])
    case .find(let name): .table([("name", .string(name))])
    case .found(let persons):
      .table([("persons", .array(persons.map { .array([.hex($0.person), .string($0.name)]) }))])
    case .dialBack(let port): .table([("port", .integer(Int64(port)))])
    case .dialled(let outcome): .table([("outcome", .integer(Int64(outcome.rawValue)))])
    }
  }
}

extension LogName {
  /// 8 or 32 bytes.
  fileprivate var listed: JSON { whole.map { .hex($0) } ?? .eight(prefix) }
}
