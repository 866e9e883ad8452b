import Events
import Identity
import Primitives
import Testing

/// The payload cases of `schemas/vectors/event.json`, each also judged by the code.
struct PayloadVectors {
  private let sample = VectorLog.sample
  private static let key = String(repeating: "ab", count: 32)
  /// CBOR of a reference to sequence 1, and of a dot at sequence `n`.
  private static let reference = "83 5820\(key) 01 5820\(key)"
  private static func dot(_ sequence: String) -> String { "82 5820\(key) \(sequence)" }
  private static func text(_ count: Int) -> String {
    (count < 256 ? "78" + hex(count, 2) : "79" + hex(count, 4)) + String(repeating: "61", count: count)
  }
  private static func hex(_ value: Int, _ width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: width - digits.count) + digits
  }

  private enum Verdict: String { case good, malformed, unknown }

  var cases: [Listed] {
    sample.events.map { listed("sample log: \($0.header.kind.name)", $0.header.kind, $0.payload.bytes!, .good) }
      + (posts + numbers + texts + unknownKeys + sets + others).map { name, kind, cbor, verdict in
        listed(name, kind, VectorLog.salt(0) + Hex.decode(cbor.filter { $0 != " " })!, verdict)
      } + shortOnes + carries
  }

  private typealias Case = (String, EventKind, String, Verdict)

  private var posts: [Case] {
    let mention = "5820" + Self.key
    return [
      ("the least post", .post, "A1 01 60", .good), ("no text", .post, "A0", .malformed),
      ("text of 8,192 bytes", .post, "A1 01" + Self.text(8_192), .good),
      ("text of 8,193 bytes", .post, "A1 01" + Self.text(8_193), .malformed),
      ("text as a byte string", .post, "A1 01 4161", .malformed), ("not a map", .post, "81 6161", .malformed),
      ("a reply", .post, "A2 01 6161 02" + Self.reference, .good),
      ("a reference of two parts", .post, "A2 01 6161 02 82 5820\(Self.key) 01", .malformed),
      ("a reference to sequence 0", .post, "A2 01 6161 02 83 5820\(Self.key) 00 5820\(Self.key)", .malformed),
      (
        "a reference to sequence 2^48", .post, "A2 01 6161 02 83 5820\(Self.key) 1B0001000000000000 5820\(Self.key)",
        .good
      ),
      (
        "a reference to sequence 2^48 + 1", .post,
        "A2 01 6161 02 83 5820\(Self.key) 1B0001000000000001 5820\(Self.key)", .malformed
      ),
      (
        "a log of 31 bytes", .post, "A2 01 6161 02 83 581F\(Self.key.dropLast(2)) 01 5820\(Self.key)", .malformed
      ),
      ("no mentions, said", .post, "A2 01 6161 03 80", .good),
      ("64 mentions", .post, "A2 01 6161 03 9840" + String(repeating: mention, count: 64), .good),
      ("65 mentions", .post, "A2 01 6161 03 9841" + String(repeating: mention, count: 65), .malformed),
      ("a mention of 33 bytes", .post, "A2 01 6161 03 81 5821\(Self.key)00", .malformed),
      ("written before 1970", .post, "A2 01 6161 04 3A00010000", .good),
      ("written at the least integer", .post, "A2 01 6161 04 3B7FFFFFFFFFFFFFFF", .good),
      ("written below the least integer", .post, "A2 01 6161 04 3B8000000000000000", .malformed),
      ("written at the greatest integer", .post, "A2 01 6161 04 1B7FFFFFFFFFFFFFFF", .good),
      ("written above the greatest integer", .post, "A2 01 6161 04 1B8000000000000000", .malformed),
      ("written as text", .post, "A2 01 6161 04 6130", .malformed),
      ("a source", .post, "A2 01 6161 05 82 6166 5820\(Self.key)", .good),
      ("a source of one part", .post, "A2 01 6161 05 81 6166", .malformed),
      ("a source with a hash of 31 bytes", .post, "A2 01 6161 05 82 6166 581F\(Self.key.dropLast(2))", .malformed),
      ("a feed of 2,048 bytes", .post, "A2 01 6161 05 82 \(Self.text(2_048)) 5820\(Self.key)", .good),
      ("a feed of 2,049 bytes", .post, "A2 01 6161 05 82 \(Self.text(2_049)) 5820\(Self.key)", .malformed),
    ]
  }

  private var numbers: [Case] {
    [
      ("a map head longer than needed", .post, "B801 01 6161", .malformed),
      ("a key longer than needed", .post, "A1 1801 6161", .malformed),
      ("a length longer than needed", .post, "A1 01 780161", .malformed),
      ("a length in two bytes that fits one", .post, "A1 01 790018" + String(repeating: "61", count: 24), .malformed),
      ("a number in four bytes that fits two", .post, "A2 01 6161 04 1A0000FFFF", .malformed),
      ("a number in eight bytes that fits four", .post, "A2 01 6161 04 1B00000000FFFFFFFF", .malformed),
      ("a map of indefinite length", .post, "BF 01 6161 FF", .malformed),
      ("a text of indefinite length", .post, "A1 01 7F 6161 FF", .malformed),
      ("a reserved length", .post, "A1 01 7C", .malformed),
      ("keys not in order", .post, "A2 02\(Self.reference) 01 6161", .malformed),
      ("a key twice", .post, "A2 01 6161 01 6161", .malformed), ("a text as key", .post, "A1 6131 6161", .malformed),
      ("a negative key", .post, "A2 01 6161 20 00", .malformed),
      ("one byte too many", .post, "A1 01 6161 00", .malformed),
      ("fewer entries than said", .post, "A2 01 6161", .malformed),
      ("a text that ends early", .post, "A1 01 6261", .malformed),
      ("a length over all memory", .post, "A1 01 7BFFFFFFFFFFFFFFFF", .malformed),
      ("a count over all memory", .post, "A2 01 6161 03 9BFFFFFFFFFFFFFFFF", .malformed),
    ]
  }

  private var texts: [Case] {
    [
      ("text in three scripts", .post, "A1 01 6B C3A9 E4BDA0 F09F9880 0A 00", .good),
      ("text with a lone continuation byte", .post, "A1 01 6180", .malformed),
      ("text with an overlong form", .post, "A1 01 62C0AF", .malformed),
      ("text with a surrogate", .post, "A1 01 63EDA080", .malformed),
      ("text beyond Unicode", .post, "A1 01 64F4908080", .malformed),
      ("text cut inside a character", .post, "A1 01 62E4BD", .malformed),
    ]
  }

  private var unknownKeys: [Case] {
    let deep = { (count: Int) in "A2 01 6161 1864" + String(repeating: "81", count: count - 1) + "80" }
    let many = { (count: Int) in
      "B8" + Self.hex(count, 2) + "01 6161" + (1..<count).map { "18" + Self.hex(99 + $0, 2) + "F6" }.joined()
    }
    return [
      ("an unknown key", .post, "A2 01 6161 1864 F5", .good),
      ("the highest key", .post, "A2 01 6161 1BFFFFFFFFFFFFFFFF 20", .good),
      ("an unknown key with everything in it", .post, "A2 01 6161 1864 86 00 20 4100 6161 F6 A2 00 F4 6161 80", .good),
      ("an unknown key with a float", .post, "A2 01 6161 1864 F93C00", .malformed),
      ("an unknown key with a tag", .post, "A2 01 6161 1864 C100", .malformed),
      ("an unknown key with undefined", .post, "A2 01 6161 1864 F7", .malformed),
      ("an unknown key with a simple value", .post, "A2 01 6161 1864 E0", .malformed),
      ("an unknown key with a text that is not UTF-8", .post, "A2 01 6161 1864 61FF", .malformed),
      ("an unknown key with a number longer than needed", .post, "A2 01 6161 1864 1800", .malformed),
      ("an unknown key with a map out of order", .post, "A2 01 6161 1864 A2 01 00 00 00", .malformed),
      ("an unknown key with a map that repeats a key", .post, "A2 01 6161 1864 A2 00 00 00 00", .malformed),
      ("an unknown key with an array as key", .post, "A2 01 6161 1864 A1 80 00", .malformed),
      ("32 arrays deep", .post, deep(32), .good), ("33 arrays deep", .post, deep(33), .malformed),
      ("64 entries", .post, many(64), .good), ("65 entries", .post, many(65), .malformed),
    ]
  }

  private var sets: [Case] {
    let person = "01 5820" + Self.key
    return [
      ("a follow", .follow, "A1 \(person)", .good), ("a follow of nobody", .follow, "A0", .malformed),
      ("a follow that renews", .follow, "A2 \(person) 02 \(Self.dot("05"))", .good),
      ("a follow that renews sequence 0", .follow, "A2 \(person) 02 \(Self.dot("00"))", .malformed),
      ("a dot of one part", .follow, "A2 \(person) 02 81 5820\(Self.key)", .malformed),
      ("an unfollow without dots", .unfollow, "A1 \(person)", .good),
      ("an unfollow of two dots", .unfollow, "A2 \(person) 02 82 \(Self.dot("05")) \(Self.dot("06"))", .good),
      ("dots out of order", .unfollow, "A2 \(person) 02 82 \(Self.dot("06")) \(Self.dot("05"))", .malformed),
      ("a dot twice", .unfollow, "A2 \(person) 02 82 \(Self.dot("05")) \(Self.dot("05"))", .malformed),
      ("an unfollow of nobody", .unfollow, "A1 02 80", .malformed),
    ]
  }

  private var others: [Case] {
    [
      ("a delete", .delete, "A1 01 \(Self.reference)", .good), ("a delete of nothing", .delete, "A0", .malformed),
      ("a profile that says nothing", .profile, "A0", .good),
      ("a name of 128 bytes", .profile, "A1 01" + Self.text(128), .good),
      ("a name of 129 bytes", .profile, "A1 01" + Self.text(129), .malformed),
      ("a name that is null", .profile, "A1 01 F6", .malformed), ("a carry of nothing", .carry, "A0", .malformed),
      ("a message", .message, "FF", .unknown), ("kind 0", EventKind(rawValue: 0), "A0", .unknown),
      ("kind 200", EventKind(rawValue: 200), "", .unknown),
    ]
  }

  private var shortOnes: [Listed] {
    [
      listed("no bytes", .post, [], .malformed), listed("seven bytes of salt", .post, Array(0..<7), .malformed),
      listed("salt alone", .post, Array(0..<8), .malformed), listed("a message of no bytes", .message, [], .unknown),
    ]
  }

  private var carries: [Listed] {
    func carry(_ name: String, _ header: EventHeader, _ payload: [UInt8], _ verdict: Verdict = .malformed) -> Listed {
      listed(
        name, .carry, EventContent.carry(.init(header: header, payload: payload)).payload(salt: VectorLog.salt(1)),
        verdict)
    }
    let post = sample.events[1]
    let bytes = post.payload.bytes!
    var version = EventContent.carry(.init(header: post.header, payload: bytes)).payload(salt: VectorLog.salt(1))
    version[8 + 1 + 1 + 2] = 2
    var late = post.header
    late.sequence = .maximum + 1
    return [
      carry("a carried delete", sample.headers[5], sample.events[5].payload.bytes!, .good),
      carry("a carried follow", sample.headers[2], sample.events[2].payload.bytes!),
      carry("a carried carry", sample.headers[6], sample.events[6].payload.bytes!),
      carry("a carried post with another payload", post.header, bytes.dropLast() + [0]),
      carry("a carried post with a byte too many", post.header, bytes + [0]),
      carry("a carried header beyond the last sequence", late, bytes),
      listed("a carried header of version 2", .carry, version, .malformed),
    ]
  }

  private func listed(_ name: String, _ kind: EventKind, _ payload: [UInt8], _ verdict: Verdict) -> Listed {
    var found = Verdict.malformed
    var content: EventContent?
    do {
      content = try EventContent(kind, payload)
      found = content == nil ? .unknown : .good
    } catch {}
    #expect(found == verdict, "\(name)")
    return .table([
      ("name", .text(name)), ("kind", .number(Int(kind.rawValue))), ("payload", .hex(payload)),
      ("verdict", .text(verdict.rawValue)), ("content", content.map(Self.describe) ?? nil),
    ])
  }

  // MARK: Contents as JSON

  private static func describe(_ content: EventContent) -> Listed {
    func text(_ text: String?) -> Listed { text.map { .text($0) } ?? nil }
    func list(_ reference: Reference) -> Listed {
      .table([
        ("log", .hex(reference.log)), ("seq", .wide(reference.sequence.rawValue)), ("hash", .hex(reference.hash)),
      ])
    }
    func list(_ dot: EventContent.Dot) -> Listed {
      .table([("log", .hex(dot.log)), ("seq", .wide(dot.sequence.rawValue))])
    }
    switch content {
    case .post(let post):
      let source = post.source.map { Listed.table([("feed", .text($0.feed)), ("line", .hex($0.line))]) }
      return .table([
        ("text", .text(post.text)), ("replyTo", post.replyTo.map(list) ?? nil),
        ("mentions", .list(post.mentions.map { .hex($0) })),
        ("written", post.written.map { .wide($0.milliseconds) } ?? nil), ("source", source ?? nil),
      ])
    case .follow(let follow):
      return .table([("person", .hex(follow.person)), ("renews", follow.renews.map(list) ?? nil)])
    case .unfollow(let unfollow):
      return .table([("person", .hex(unfollow.person)), ("dots", .list(unfollow.dots.map(list)))])
    case .delete(let target): return .table([("target", list(target))])
    case .profile(let profile):
      return .table([("name", text(profile.name)), ("about", text(profile.about)), ("link", text(profile.link))])
    case .carry(let carry):
      return .table([("header", .hex(carry.header.encoded)), ("payload", .hex(carry.payload))])
    }
  }
}
