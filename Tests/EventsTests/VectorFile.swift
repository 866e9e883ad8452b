import Events
import Foundation
import Identity
import Primitives
import Testing

/// A value of a published vector file, in the order in which it is written.
indirect enum Listed: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral,
  ExpressibleByIntegerLiteral
{
  case text(String)
  case number(Int)
  case flag(Bool)
  case nothing
  case list([Listed])
  case table([(String, Listed)])

  init(stringLiteral value: String) { self = .text(value) }
  init(integerLiteral value: Int) { self = .number(value) }
  init(booleanLiteral value: Bool) { self = .flag(value) }
  init(nilLiteral: ()) { self = .nothing }

  static func hex(_ bytes: some Sequence<UInt8>) -> Listed { .text(Hex.encode(Array(bytes))) }
  static func hex<Role>(_ bytes: Bytes32<Role>) -> Listed { .text(bytes.hex) }
  /// Numbers of 64 bits are text in JSON.
  static func wide(_ value: some BinaryInteger) -> Listed { .text(String(value)) }

  /// JSON with one case a line: the file, its lists and its cases are indented, whatever a case holds is not.
  func json(depth: Int = 0) -> String {
    let isOpen = depth < 2
    let (start, between, end) =
      isOpen
      ? (
        "\n" + String(repeating: " ", count: depth + 1), ",\n" + String(repeating: " ", count: depth + 1),
        "\n" + String(repeating: " ", count: depth)
      ) : ("", ", ", "")
    switch self {
    case .text(let text): return Self.quoted(text)
    case .number(let number): return String(number)
    case .flag(let flag): return flag ? "true" : "false"
    case .nothing: return "null"
    case .list(let items):
      return items.isEmpty
        ? "[]" : "[" + start + items.map { $0.json(depth: depth + 1) }.joined(separator: between) + end + "]"
    case .table(let fields):
      let lines = fields.map { Self.quoted($0.0) + ": " + $0.1.json(depth: depth + 1) }
      return "{" + start + lines.joined(separator: between) + end + "}"
    }
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20 || scalar.value > 0x7E:
        for unit in UTF16.encode(scalar)! {
          let digits = String(unit, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

/// Compares a vector file with what the code makes now, or writes it when `TL_WRITE_VECTORS` is set.
func checkVectors(_ name: String, _ made: Listed) throws {
  let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("schemas/vectors/\(name)")
  let text = made.json() + "\n"
  if ProcessInfo.processInfo.environment["TL_WRITE_VECTORS"] != nil {
    try Data(text.utf8).write(to: file)
  }
  let committed = try String(contentsOf: file, encoding: .utf8)
  let pairs = zip(committed.split(separator: "\n"), text.split(separator: "\n"))
  if let difference = pairs.first(where: { $0 != $1 }) {
    Issue.record("\(name) has \(difference.0.prefix(300)), the code makes \(difference.1.prefix(300))")
  }
  #expect(committed.utf8.count == text.utf8.count)
}

/// The people, keys and log that all vectors use.
struct VectorLog {
  static let root = SigningKey(seed: [UInt8](repeating: 3, count: 32))!
  static let recovery = SigningKey(seed: [UInt8](repeating: 4, count: 32))!
  static let person = PersonID(
    hashing: Array("tl-person-v1".utf8) + [0] + root.publicKey.bytes + recovery.publicKey.bytes)
  static let friend = PersonID(hashing: Array("a friend".utf8))
  /// 2026-01-01T00:00:00Z.
  static let start: Int64 = 1_767_225_600_000

  let key = SigningKey(seed: [UInt8](repeating: 1, count: 32))!
  var clock = HybridClock(device: DeviceNumber(rawValue: 5)!, last: nil)
  var events: [Event] = []

  var log: LogID { key.publicKey }
  var headers: [EventHeader] { events.map(\.header) }

  static func salt(_ number: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: 16 * number + $0) } }

  mutating func append(_ kind: EventKind, _ payload: [UInt8], ttl: UInt32 = 0, after milliseconds: Int64 = 1_500) {
    let last = events.last?.header
    let time = (last?.id.time ?? Timestamp(milliseconds: Self.start)).advanced(milliseconds: milliseconds)
    events.append(
      Event(
        header: EventHeader(
          kind: kind, place: last.map { $0.place + 1 } ?? 0, sequence: last.map { $0.sequence + 1 } ?? .first,
          id: clock.next(at: time)!, log: log, previous: last?.hash ?? Self.person.cast(),
          payloadBytes: UInt32(payload.count), payloadHash: Digest(hashing: payload), ttl: ttl,
          live: last.map { $0.live + 1 } ?? 0), payload: .present(payload)))
  }

  mutating func append(_ content: EventContent, ttl: UInt32 = 0) {
    append(content.kind, content.payload(salt: Self.salt(events.count)), ttl: ttl)
  }

  /// Seven events, one of each kind of content.
  static let sample: VectorLog = {
    var log = VectorLog()
    log.append(
      .profile(.init(name: "ada", about: "first of her kind", link: "https://example.org/ada")), ttl: 7_776_000)
    log.append(.post(.init(text: "hello, world")), ttl: 2_592_000)
    log.append(.follow(.init(person: friend)), ttl: 7_776_000)
    log.append(
      .post(
        .init(
          text: "caf\u{E9} \u{1F600}", replyTo: log.events[1].header.reference, mentions: [friend],
          written: Timestamp(milliseconds: 1_262_304_000_123),
          source: .init(feed: "https://example.org/twtxt.txt", line: Digest(hashing: Array("a line".utf8))))))
    log.append(
      .unfollow(.init(person: friend, dots: [.init(log: log.log, sequence: SequenceNumber(3))])), ttl: 15_552_000)
    log.append(.delete(log.events[1].header.reference), ttl: 2_591_995)
    log.append(.carry(.init(header: log.events[3].header, payload: log.events[3].payload.bytes!)))
    return log
  }()

  /// A chain of empty payloads from sequence 1, to be changed before it is linked.
  static func bare(_ count: Int, change: (Int, inout EventHeader) -> Void = { _, _ in }) -> [EventHeader] {
    var headers: [EventHeader] = []
    for index in 0..<count {
      var header = EventHeader(
        kind: .post, place: UInt8(truncatingIfNeeded: index), sequence: .first + index,
        id: EventID(milliseconds: UInt64(1_000 + index), device: DeviceNumber(rawValue: 5)!, counter: 0),
        log: sample.log, previous: headers.last?.hash ?? person.cast(), payloadBytes: 0,
        payloadHash: Digest(hashing: []), ttl: 0, live: UInt32(index))
      change(index, &header)
      headers.append(header)
    }
    return headers
  }
}
