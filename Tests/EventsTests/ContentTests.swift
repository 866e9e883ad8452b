import Events
import Identity
import Primitives
import Testing

/// schemas/event.cddl, beside the cases of the vectors: round trips, the larger limits, and payloads nobody wrote.
@Suite struct ContentTests {
  private static let salt: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

  private static func reference(_ random: inout SeededRandom) -> Reference {
    Reference(
      log: LogID(random.bytes(32))!, sequence: SequenceNumber(random.next() >> 16 + 1),
      hash: EventHash(random.bytes(32))!)
  }

  private static func text(_ random: inout SeededRandom, _ maximum: UInt64) -> String {
    var text = ""
    for _ in 0..<(random.next() % maximum) {
      let scalar = UnicodeScalar(UInt32(truncatingIfNeeded: random.next() % 0x11_0000)) ?? "é"
      text.unicodeScalars.append(random.next() % 3 == 0 ? scalar : "a")
    }
    return text
  }

  private static func dots(_ count: Int, _ random: inout SeededRandom) -> [EventContent.Dot] {
    (0..<count).map { _ in
      EventContent.Dot(log: LogID(random.bytes(32))!, sequence: SequenceNumber(random.next() >> 16 + 1))
    }.sorted()
  }

  /// A content of any kind with any of its parts.
  private static func content(_ random: inout SeededRandom) -> EventContent {
    switch random.next() % 6 {
    case 0:
      return .follow(
        .init(person: PersonID(random.bytes(32))!, renews: random.next() % 2 == 0 ? dots(1, &random)[0] : nil))
    case 1: return .unfollow(.init(person: PersonID(random.bytes(32))!, dots: dots(Int(random.next() % 5), &random)))
    case 2: return .delete(reference(&random))
    case 3:
      return .profile(
        .init(
          name: random.next() % 2 == 0 ? text(&random, 30) : nil,
          about: random.next() % 2 == 0 ? text(&random, 90) : nil, link: random.next() % 2 == 0 ? "l" : nil))
    case 4:
      let inner = EventContent.post(.init(text: text(&random, 60))).payload(salt: random.bytes(8))
      return .carry(
        .init(
          header: EventHeader(
            kind: .post, place: 3, sequence: SequenceNumber(9), id: EventID(rawValue: random.next() >> 1),
            log: LogID(random.bytes(32))!, previous: EventHash(random.bytes(32))!, payloadBytes: UInt32(inner.count),
            payloadHash: Digest(hashing: inner), ttl: 0, live: 2), payload: inner))
    default: return .post(post(&random))
    }
  }

  private static func post(_ random: inout SeededRandom) -> EventContent.Post {
    EventContent.Post(
      text: text(&random, 120), replyTo: random.next() % 2 == 0 ? reference(&random) : nil,
      mentions: (0..<(random.next() % 4)).map { _ in PersonID(random.bytes(32))! },
      written: random.next() % 2 == 0 ? Timestamp(milliseconds: Int64(bitPattern: random.next())) : nil,
      source: random.next() % 2 == 0 ? .init(feed: text(&random, 40), line: Digest(random.bytes(32))!) : nil)
  }

  @Test("every content comes back from its payload as it went in")
  func roundTrip() throws {
    var random = SeededRandom(seed: 31)
    for _ in 0..<3_000 {
      let content = Self.content(&random)
      #expect(try EventContent(content.kind, content.payload(salt: Self.salt)) == content)
    }
  }

  @Test("no prefix of a payload and no payload with a byte more is content")
  func everyLength() throws {
    var random = SeededRandom(seed: 32)
    for _ in 0..<60 {
      let content = Self.content(&random)
      let payload = content.payload(salt: Self.salt)
      for count in payload.indices {
        #expect(throws: ByteError.self) { try EventContent(content.kind, Array(payload[..<count])) }
      }
      for byte in UInt8.min...(.max) {
        #expect(throws: ByteError.self) { try EventContent(content.kind, payload + [byte]) }
      }
    }
  }

  @Test("a changed byte is refused, or read as content that is written in at most as many bytes")
  func deterministic() throws {
    var random = SeededRandom(seed: 33)
    for _ in 0..<40 {
      let original = Self.content(&random)
      let payload = original.payload(salt: Self.salt)
      for index in 8..<payload.count {
        var changed = payload
        changed[index] ^= 1 << UInt8(random.next() % 8)
        guard let content = try? EventContent(original.kind, changed) else { continue }
        // One encoding only, but for what was stepped over as unknown.
        let again = content.payload(salt: Self.salt)
        #expect(again == changed || again.count <= changed.count && Self.hasUnknownKey(changed))
      }
    }
  }

  /// Whether a key of the outermost map has no meaning here.
  private static func hasUnknownKey(_ payload: [UInt8]) -> Bool {
    var reader = CBORReader(payload, 8..<payload.count)
    var found = false
    try? reader.fields { key, value throws(ByteError) in
      if key == 0 || key > 2 { found = true }
      try value.skip()
    }
    return found
  }

  @Test("the largest of everything is taken, one more is refused")
  func limits() throws {
    var random = SeededRandom(seed: 34)
    let person = PersonID(hashing: [1])
    func isTaken(_ content: EventContent) -> Bool {
      (try? EventContent(content.kind, content.payload(salt: Self.salt))) == content
    }
    func post(_ bytes: Int) -> EventContent { .post(.init(text: String(repeating: "a", count: bytes))) }
    #expect(isTaken(post(ContentLimits.textBytes)))
    #expect(!isTaken(post(ContentLimits.textBytes + 1)))
    let mentions = (0...ContentLimits.mentions).map { _ in person }
    #expect(isTaken(.post(.init(text: "", mentions: Array(mentions.dropLast())))))
    #expect(!isTaken(.post(.init(text: "", mentions: mentions))))
    let dots = Self.dots(ContentLimits.dots + 1, &random)
    #expect(isTaken(.unfollow(.init(person: person, dots: Array(dots.dropLast())))))
    #expect(!isTaken(.unfollow(.init(person: person, dots: dots))))
    for (bytes, taken) in [(2_048, true), (2_049, false)] {
      let text = String(repeating: "a", count: bytes)
      #expect(isTaken(.profile(.init(about: text))) == taken)
      #expect(isTaken(.profile(.init(link: text))) == taken)
      #expect(isTaken(.post(.init(text: "", source: .init(feed: text, line: Digest())))) == taken)
    }
    for (bytes, taken) in [(128, true), (129, false)] {
      #expect(isTaken(.profile(.init(name: String(repeating: "a", count: bytes)))) == taken)
    }
    for (bytes, taken) in [(ContentLimits.carryBytes, true), (ContentLimits.carryBytes + 1, false)] {
      let payload = [UInt8](repeating: 0, count: bytes)
      let header = VectorLog.bare(1) { _, header in
        header.payloadBytes = UInt32(payload.count)
        header.payloadHash = Digest(hashing: payload)
      }[0]
      #expect(isTaken(.carry(.init(header: header, payload: payload))) == taken)
    }
  }

  @Test("the outline of a post and its content have one verdict and one meaning on 10,000 payloads")
  func outline() throws {
    var random = SeededRandom(seed: 35)
    var good = 0
    for round in 0..<10_000 {
      var payload = EventContent.post(Self.post(&random)).payload(salt: Self.salt)
      switch round % 4 {
      case 0: break
      case 1: payload[Int(random.next() % UInt64(payload.count))] = UInt8(truncatingIfNeeded: random.next())
      case 2: payload.removeLast(Int(random.next() % UInt64(payload.count + 1)))
      default: payload = Array(payload.prefix(9)) + random.bytes(Int(random.next() % 80))
      }
      // Somewhere inside other bytes, as it lies in a stretch.
      let bytes = [0xFF] + payload + [0xFF]
      let range = 1..<(1 + payload.count)
      let outline = try? PostOutline(bytes, range)
      let content = try? EventContent(.post, bytes, range)
      guard let outline, case .post(let post) = content else {
        #expect(outline == nil && content == nil, "round \(round)")
        continue
      }
      good += 1
      #expect(String(decoding: bytes[outline.text], as: UTF8.self) == post.text)
      #expect(outline.replyTo == post.replyTo)
      #expect(outline.mentions == post.mentions)
      #expect(outline.written == post.written)
      #expect((outline.source == nil) == (post.source == nil))
    }
    #expect((2_500...7_500).contains(good))
  }

  @Test("random bytes of every kind are read or refused, never worse")
  func noise() {
    var random = SeededRandom(seed: 36)
    for round in 0..<20_000 {
      let payload = random.bytes(Int(random.next() % 60))
      _ = try? EventContent(EventKind(rawValue: UInt8(round % 14)), payload)
    }
  }
}
