import Primitives
import Replication
import Store
import Testing
import Transport

/// A frame that a peer must not send, and the rule of schemas/peer.md that it breaks.
struct PeerRefusal {
  let name: String
  /// Bytes and how often they come, so that the published file stays small.
  let parts: [(bytes: [UInt8], times: Int)]

  /// One body under its type.
  init(_ name: String, _ type: UInt8, _ body: [UInt8]...) { self.init(name, type, parts: body.map { ($0, 1) }) }

  init(_ name: String, _ type: UInt8, parts: [(bytes: [UInt8], times: Int)]) {
    self.name = name
    let count = parts.reduce(1) { $0 + $1.bytes.count * $1.times }
    self.parts = [(withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) } + [type], 1)] + parts
  }

  init(stream name: String, _ bytes: [UInt8]) {
    self.name = name
    parts = [(bytes, 1)]
  }

  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    for part in parts {
      // The long ones repeat a single byte, and that is quick.
      if part.bytes.count == 1 {
        bytes += [UInt8](repeating: part.bytes[0], count: part.times)
      } else {
        for _ in 0..<part.times { bytes += part.bytes }
      }
    }
    return bytes
  }

  func listed() throws -> JSON {
    #expect(throws: (any Error).self, "\(name)") {
      if try read(bytes) == nil { Issue.record("\(name) is stepped over") }
    }
    return .table([
      ("breaks", .string(name)), ("parts", .array(parts.map { .array([.hex($0.bytes), .integer(Int64($0.times))]) })),
    ])
  }
}

extension PeerVectors {
  /// CBOR of a byte string: its head of the shortest form.
  private static func head(_ count: Int) -> [UInt8] {
    var writer = CBORWriter()
    writer.unsigned(UInt64(count))
    return [writer.bytes[0] | 0x40] + writer.bytes.dropFirst()
  }
  private static func string(_ bytes: [UInt8]) -> [UInt8] { head(bytes.count) + bytes }
  private static let eight = string([UInt8](repeating: 1, count: 8))
  /// Keys 1 to 5 of a greeting.
  private static let greeting: [UInt8] = [1, 1, 2] + eight + [3, 0, 4] + eight + [5] + eight
  /// Keys 6 to 65: a cursor and values of eight bytes.
  private static let sixtyKeys: [UInt8] = {
    var writer = CBORWriter()
    for key in UInt64(6)...65 {
      writer.unsigned(key)
      if key == 6 { writer.array(3) }
      writer.encoded(eight)
      if key == 6 { writer.unsigned(0) }
      if key == 6 { writer.encoded(eight) }
    }
    return writer.bytes
  }()
  /// State, name of eight bytes, sequence 1, hash.
  private static let logEntry = [UInt8](repeating: 0, count: 10) + [1] + [UInt8](repeating: 0, count: 8)
  /// Name of eight bytes, `to` 1, and one event.
  private static let wantItem = [UInt8](repeating: 0, count: 9) + [1, 0]

  private static func digest(_ tier: UInt8, _ persons: [UInt8], _ logs: [UInt8]) -> [UInt8] {
    [0x86, tier] + string(persons) + string(logs) + [0xF6, 0] + eight
  }

  private static func changed(_ bytes: [UInt8], _ range: Range<Int>, _ value: [UInt8]) -> [UInt8] {
    var copy = bytes
    copy.replaceSubrange(range, with: value)
    return copy
  }

  private static let overMaximum: [UInt8] = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]

  static let refusals: [PeerRefusal] =
    [
      PeerRefusal(stream: "a length of zero", [0, 0, 0, 0, 13]),
      PeerRefusal(stream: "a length over the maximum", [0, 0x10, 0, 0x41, 13]),
    ] + greetings + digests + records + wants + runs + evidence + farewells

  private static let greetings: [PeerRefusal] = [
    PeerRefusal("HELLO: bytes behind the map", 1, [0xA5], greeting, [0]),
    PeerRefusal("HELLO: cut off", 1, [0xA5], Array(greeting.dropLast())),
    PeerRefusal("HELLO: no key 5", 1, [0xA4], Array(greeting.dropLast(10))),
    PeerRefusal("HELLO: keys out of order", 1, [0xA5, 2], eight, [1, 1], Array(greeting.dropFirst(12))),
    PeerRefusal("HELLO: a key twice", 1, [0xA6], greeting, [5], eight),
    PeerRefusal("HELLO: a key that is text", 1, [0xA6], greeting, [0x61, 0x61, 0]),
    PeerRefusal("HELLO: more than 64 keys", 1, [0xB8, 65], greeting, sixtyKeys),
    PeerRefusal("HELLO: a number longer than needed", 1, [0xA5, 1, 0x18, 1], Array(greeting.dropFirst(2))),
    PeerRefusal("HELLO: a map of no definite length", 1, [0xBF], greeting, [0xFF]),
    PeerRefusal("HELLO: a float", 1, [0xA6], greeting, [9, 0xF9, 0, 0]),
    PeerRefusal(
      "HELLO: an unknown key whose value nests 33 deep", 1,
      parts: [
        ([0xA6] + greeting + [9], 1), ([0x81], 33), ([0], 1),
      ]),
    PeerRefusal("HELLO: an instance of 7 bytes", 1, [0xA5, 1, 1, 2, 0x47], Array(greeting.dropFirst(5))),
    PeerRefusal("HELLO: an instance that is a number", 1, [0xA5, 1, 1, 2, 1], Array(greeting.dropFirst(12))),
    PeerRefusal("HELLO: a cursor of two parts", 1, [0xA6], greeting, [6, 0x82], eight, [0]),
    PeerRefusal("STATEMENT: over 512 bytes", 2, parts: [([0], 513)]),
    PeerRefusal("INTERESTS: an array of three", 3, [0x83, 0xF4, 0x40, 0]),
    PeerRefusal("INTERESTS: bytes behind the array", 3, [0x82, 0xF4, 0x40, 0]),
    PeerRefusal("INTERESTS: `more` that is a number", 3, [0x82, 0, 0x40]),
    PeerRefusal("INTERESTS: 31 bytes of a person", 3, parts: [([0x82, 0xF4] + head(31), 1), ([7], 31)]),
    PeerRefusal(
      "INTERESTS: more than 16,384 persons", 3,
      parts: [
        ([0x82, 0xF4] + head(16_385 * 32), 1), ([UInt8](repeating: 7, count: 32), 16_385),
      ]),
  ]

  private static let digests: [PeerRefusal] = [
    PeerRefusal("DIGEST: an array of five", 4, [0x85, 1, 0x40, 0x40, 0xF6, 0]),
    PeerRefusal("DIGEST: tier 2", 4, digest(2, [], [])),
    PeerRefusal("DIGEST: bytes behind the array", 4, digest(1, [], []), [0]),
    PeerRefusal("DIGEST: a person cut off", 4, digest(1, [UInt8](repeating: 1, count: 15), [])),
    PeerRefusal(
      "DIGEST: more than 4,096 persons", 4,
      parts: [
        ([0x86, 1] + head(4_097 * 16), 1), ([UInt8](repeating: 1, count: 16), 4_097), ([0x40, 0xF6, 0] + eight, 1),
      ]),
    PeerRefusal("DIGEST: state 2", 4, digest(1, [], changed(logEntry, 0..<1, [2]))),
    PeerRefusal("DIGEST: a log's name of form 2", 4, digest(1, [], changed(logEntry, 1..<2, [2]))),
    PeerRefusal("DIGEST: a log cut off", 4, digest(1, [], Array(logEntry.dropLast()))),
    PeerRefusal(
      "DIGEST: sequence 2^48 + 1", 4,
      digest(1, [], changed(logEntry, 10..<11, overMaximum))),
    PeerRefusal(
      "DIGEST: a sequence with a superfluous byte", 4, digest(1, [], changed(logEntry, 10..<11, [0x81, 0]))),
    PeerRefusal(
      "DIGEST: more than 4,096 logs", 4,
      parts: [
        ([0x86, 1, 0x40] + head(4_097 * 19), 1), (logEntry, 4_097), ([0xF6, 0] + eight, 1),
      ]),
    PeerRefusal("DIGEST: `next` that is false", 4, [0x86, 1, 0x40, 0x40, 0xF4, 0], eight),
    PeerRefusal("DIGEST: a cookie of 7 bytes", 4, [0x86, 1, 0x40, 0x40, 0xF6, 0, 0x47, 1, 1, 1, 1, 1, 1, 1]),
    PeerRefusal("DIGEST-NEXT: not empty", 5, [0]),
  ]

  private static let records: [PeerRefusal] = [
    PeerRefusal("RECORD-WANT: 33 bytes", 6, parts: [([1], 33)]),
    PeerRefusal("RECORD-WANT: more than 4,096 persons", 6, parts: [([UInt8](repeating: 1, count: 32), 4_097)]),
    PeerRefusal("RECORD: a person of 31 bytes", 7, parts: [([0x83] + head(31), 1), ([1], 31), ([0xF4, 0x40], 1)]),
    PeerRefusal("RECORD: two parts", 7, parts: [([0x82] + head(32), 1), ([1], 32), ([0xF4], 1)]),
    PeerRefusal(
      "RECORD: a part over 524,288 bytes", 7,
      parts: [
        ([0x83] + head(32), 1), ([1], 32), ([0xF4] + head(524_289), 1), ([0], 524_289),
      ]),
  ]

  private static let wants: [PeerRefusal] = [
    PeerRefusal("WANT: an array of two", 8, [0x82, 0, 0xF6]),
    PeerRefusal("WANT: a number over 32 bits", 8, [0x83, 0x1B, 0, 0, 0, 1, 0, 0, 0, 0, 0xF6, 0x40]),
    PeerRefusal(
      "WANT: an item whose number is over 32 bits", 8, [0x83, 0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0xF6], string(wantItem)),
    PeerRefusal("WANT: bytes below zero", 8, [0x83, 0, 0x20, 0x40]),
    PeerRefusal("WANT: `to` 0", 8, [0x83, 0, 0xF6], string(changed(wantItem, 9..<11, [0, 0]))),
    PeerRefusal("WANT: `from` 0", 8, [0x83, 0, 0xF6], string(changed(wantItem, 9..<11, [1, 2]))),
    PeerRefusal(
      "WANT: `to` 2^48 + 1", 8, [0x83, 0, 0xF6],
      string(changed(wantItem, 9..<10, overMaximum))),
    PeerRefusal("WANT: the same range twice", 8, [0x83, 0, 0xF6], string(wantItem + wantItem)),
    PeerRefusal(
      "WANT: a range that overlaps the one before", 8, [0x83, 0, 0xF6],
      string(changed(wantItem, 9..<11, [9, 8]) + changed(wantItem, 9..<11, [5, 4]))),
    PeerRefusal(
      "WANT: a newer range after an older one", 8, [0x83, 0, 0xF6],
      string(wantItem + changed(wantItem, 9..<11, [2, 0]))),
    PeerRefusal("WANT: a log's name of form 2", 8, [0x83, 0, 0xF6], string(changed(wantItem, 0..<1, [2]))),
    PeerRefusal("WANT: an item cut off", 8, [0x83, 0, 0xF6], string(Array(wantItem.dropLast()))),
    PeerRefusal(
      "WANT: more than 4,096 items", 8,
      parts: [
        ([0x83, 0, 0xF6] + head(4_097 * 11), 1), (wantItem, 4_097),
      ]),
    PeerRefusal("END: code 4", 10, [0, 4]), PeerRefusal("END: a code cut off", 10, [0, 0, 1]),
    PeerRefusal("END: a number twice", 10, [1, 0, 1, 0]), PeerRefusal("END: numbers that fall", 10, [1, 0, 0, 0]),
    PeerRefusal("END: a number over 32 bits", 10, [0x80, 0x80, 0x80, 0x80, 0x10, 0]),
  ]

  private static let runs: [PeerRefusal] = [
    PeerRefusal("RUN: no flags", 9, []), PeerRefusal("RUN: bit 1 of the flags", 9, [2]),
    PeerRefusal("RUN: a want's number over 32 bits", 9, [0, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 2]),
    PeerRefusal("RUN: a stretch cut off", 9, [0, 0, 2, 2]),
    PeerRefusal("RUN: an envelope of proof 5", 9, [0, 0, 2, 1, 5]),
    PeerRefusal("RUN: an unpacked length over 1,048,576", 9, [1, 0x81, 0x80, 0x40, 0]),
    PeerRefusal("RUN: an unpacked length of zero", 9, [1, 0, 0]),
    PeerRefusal("RUN: a block of another length than it says", 9, [1, 4, 0x30, 0, 1, 2]),
    PeerRefusal("RUN: a block that reaches before its beginning", 9, [1, 9, 0x10, 0, 2, 0, 0]),
  ]

  private static let evidence: [PeerRefusal] = [
    PeerRefusal("EVIDENCE-WANT: a log's name of form 2", 11, [2, 0, 0, 0, 0, 0, 0, 0, 0]),
    PeerRefusal("EVIDENCE-WANT: a log's name cut off", 11, [0, 0, 0, 0]),
    PeerRefusal("EVIDENCE-WANT: more than 1,024 logs", 11, parts: [([UInt8](repeating: 0, count: 9), 1_025)]),
    PeerRefusal("EVIDENCE: 31 bytes", 12, parts: [([1], 31)]),
    PeerRefusal("EVIDENCE: a proof over 140,000 bytes", 12, parts: [([1], 32 + 140_001)]),
  ]

  private static func join(secret: Int, label: [UInt8], consent: Int) -> [(bytes: [UInt8], times: Int)] {
    [
      ([0x84] + head(secret), 1), ([1], secret), (head(32), 1), ([2], 32), (label, 1), (head(consent), 1),
      ([3], consent),
    ]
  }

  private static let farewells: [PeerRefusal] = [
    PeerRefusal("DONE: not empty", 13, [0]), PeerRefusal("BYE: empty", 14, []), PeerRefusal("BYE: text", 14, [0x60]),
    PeerRefusal("BYE: below zero", 14, [0x20]), PeerRefusal("BYE: bytes behind the number", 14, [0, 0]),
    PeerRefusal("JOIN: a secret of 15 bytes", 15, parts: join(secret: 15, label: [0x60], consent: 64)),
    PeerRefusal("JOIN: a secret of 17 bytes", 15, parts: join(secret: 17, label: [0x60], consent: 64)),
    PeerRefusal("JOIN: a consent of 63 bytes", 15, parts: join(secret: 16, label: [0x60], consent: 63)),
    PeerRefusal("JOIN: a label that is not UTF-8", 15, parts: join(secret: 16, label: [0x61, 0xFF], consent: 64)),
    PeerRefusal(
      "JOIN: a label over 128 bytes", 15,
      parts: join(secret: 16, label: [0x78, 129] + [UInt8](repeating: 0x61, count: 129), consent: 64)),
    PeerRefusal("JOINED: an array of one", 16, [0x81, 0xF4]),
    PeerRefusal("ALIVE: not empty", 17, [0]), PeerRefusal("FIND: an empty name", 18, [0x60]),
    PeerRefusal("FIND: not text", 18, [0x41, 0x61]), PeerRefusal("FIND: not UTF-8", 18, [0x61, 0xFF]),
    PeerRefusal("FIND: a name over 128 bytes", 18, parts: [([0x78, 129], 1), ([0x61], 129)]),
    PeerRefusal("FOUND: a person without a name", 19, parts: [([0x81, 0x81], 1), (head(32), 1), ([1], 32)]),
    PeerRefusal(
      "FOUND: a person id of 31 bytes", 19, parts: [([0x81, 0x82], 1), (head(31), 1), ([1], 31), ([0x60], 1)]),
    PeerRefusal(
      "FOUND: more than 64 persons", 19,
      parts: [([0x98, 65], 1), ([0x82] + head(32) + [UInt8](repeating: 1, count: 32) + [0x60], 65)]),
    PeerRefusal("DIAL-BACK: port 0", 20, [0]), PeerRefusal("DIAL-BACK: port 65,536", 20, [0x1A, 0, 1, 0, 0]),
    PeerRefusal("DIALLED: a boolean", 21, [0xF5]),
    PeerRefusal("JOINED: a part over 524,288 bytes", 16, parts: [([0x82, 0xF4] + head(524_289), 1), ([0], 524_289)]),
  ]
}
