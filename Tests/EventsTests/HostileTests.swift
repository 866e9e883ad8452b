import Events
import Identity
import Primitives
import Testing

/// Values that only a hostile or broken author signs. None of them may trap, and each has one verdict.
@Suite struct HostileTests {
  let log = SampleLog(seed: 40)

  @Test("no header bytes trap in any question that can be asked of a header")
  func headers() throws {
    var random = SeededRandom(seed: 41)
    for round in 0..<4_000 {
      var bytes = round % 4 == 0 ? [UInt8](repeating: 0xFF, count: 128) : random.bytes(128)
      bytes[0] = 1
      if round % 3 == 0 { bytes.replaceSubrange(4..<12, with: [UInt8](repeating: round % 2 == 0 ? 0 : 0xFF, count: 8)) }
      let header = try EventHeader(decoding: bytes)
      #expect(header.encoded == bytes)
      #expect(header.floor >= .first)
      _ = (header.isExpired(at: Timestamp(milliseconds: .min)), header.isExpired(at: Timestamp(milliseconds: .max)))
      _ = (header.id.time, header.id.device, header.id.counter, header.kind.name, header.sequence - .first)
      _ = (header.sequence + 1, header.sequence - 1, header.sequence - Int.min, header.sequence + Int.max)
      #expect(header.shownTime(written: Timestamp(milliseconds: .max)) == header.id.time)
      #expect(header.shownTime(written: Timestamp(milliseconds: .min)) == Timestamp(milliseconds: .min))
      var judge = HeaderJudge(person: log.person)
      _ = judge.judge(header)
    }
  }

  @Test("a floor never lies below 1 nor above the event")
  func floors() {
    var header = sample(sequence: 10)
    for (live, floor): (UInt32, UInt64) in [(0, 10), (9, 1), (10, 1), (.max, 1), (3, 7)] {
      header.live = live
      #expect(header.floor == SequenceNumber(floor))
    }
    header.sequence = SequenceNumber(0)
    #expect(header.floor == .first)
  }

  @Test("sequence arithmetic saturates")
  func saturation() {
    #expect(SequenceNumber(.max) + 1 == SequenceNumber(.max))
    #expect(SequenceNumber(0) - 1 == SequenceNumber(0))
    #expect(SequenceNumber(3) - Int.min == SequenceNumber(3 + (1 << 63) - 1))
    #expect(SequenceNumber(7) - SequenceNumber(9) == -2)
  }

  @Test("a signed header without payload but with a junk hash, or of a size over the limit, still travels")
  func strangeSizes() throws {
    for size: UInt32 in [0, 65_537, .max] {
      var header = sample(sequence: 1)
      header.payloadBytes = size
      header.payloadHash = Digest(hashing: [1, 2, 3])
      let event = Event(header: header, payload: .absent(.notHad))
      let stretch = try StretchColumns.decode(
        StretchColumns.encode([event]), log: header.log, first: .first, count: 1, previous: header.previous)
      #expect(stretch.events == [event])
    }
  }

  @Test("a size larger than the bytes that follow is refused")
  func sizeBeyondEnd() throws {
    var log = log
    log.appendPosts(1)
    var raw = StretchColumns.encode(log.events)
    let size = Int(log.events[0].header.payloadBytes)
    raw.removeLast(size)
    raw[raw.count - 1] = 0xFF
    raw += [0xFF, 0xFF, 0xFF, 0x0F]
    #expect(throws: ByteError.self) {
      try StretchColumns.decode(
        raw, log: log.key.publicKey, first: .first, count: 1, previous: log.person.cast())
    }
  }

  @Test("evidence names a cut that a log can have, also when the header lies about its sequence number")
  func cuts() throws {
    var log = log
    log.appendPosts(4)
    for lie: UInt64 in [0, 4, 6, .max, 1 << 48, 1 << 63] {
      var broken = log.events[3].header
      broken.sequence = SequenceNumber(lie)
      broken.previous = log.events[3].header.hash
      broken.id = EventID(rawValue: broken.id.rawValue + 1)
      broken.place += 1
      broken.live = 0
      let signature = broken.sign(with: log.key)
      let evidence = try #require(
        Evidence(
          ruleBreak: .init(headers: [log.events[3].header, broken], signature: signature), log: log.key.publicKey,
          person: log.person))
      #expect(evidence.cut == SequenceNumber(5))
      #expect(evidence.previous == broken.previous)
      let alone = Evidence.Branch(headers: [broken], signature: signature)
      #expect(Evidence(ruleBreak: alone, log: log.key.publicKey, person: log.person) == nil)
      var other = broken
      other.ttl += 1
      let fork = Evidence(
        fork: alone, .init(headers: [other], signature: other.sign(with: log.key)), log: log.key.publicKey,
        person: log.person)
      #expect((fork != nil) == (1...(1 << 48)).contains(lie))
    }
  }

  @Test("a log that begins twice, or begins elsewhere, is cut at 1 with the person id before it")
  func origins() throws {
    let first = sample(sequence: 1)
    var stray = first
    stray.previous = EventHash(hashing: [9])
    var late = sample(sequence: 7)
    late.previous = log.person.cast()
    let branches = [first, stray, late].map {
      Evidence.Branch(headers: [$0], signature: $0.sign(with: log.key))
    }
    let all = [
      Evidence(fork: branches[0], branches[1], log: log.key.publicKey, person: log.person),
      Evidence(ruleBreak: branches[1], log: log.key.publicKey, person: log.person),
      Evidence(ruleBreak: branches[2], log: log.key.publicKey, person: log.person),
    ]
    for evidence in all {
      #expect(try #require(evidence).cut == .first)
      #expect(try #require(evidence).previous == log.person.cast())
    }
    #expect(Evidence(ruleBreak: branches[0], log: log.key.publicKey, person: log.person) == nil)
  }

  @Test("only a post, profile or delete with a header that a chain can hold is carried")
  func carries() throws {
    let payload = [UInt8](repeating: 0, count: 8) + [0xA1, 0x01, 0x60]
    func carry(_ change: (inout EventHeader) -> Void) throws -> EventContent? {
      var header = sample(sequence: 3)
      header.payloadBytes = UInt32(payload.count)
      header.payloadHash = Digest(hashing: payload)
      change(&header)
      return try EventContent(
        .carry, EventContent.carry(.init(header: header, payload: payload)).payload(salt: [0, 0, 0, 0, 0, 0, 0, 0]))
    }
    for kind: EventKind in [.post, .profile, .delete] { #expect(try carry { $0.kind = kind } != nil) }
    for kind: EventKind in [.carry, .follow, .unfollow, .message, .like, EventKind(rawValue: 200)] {
      #expect(throws: ByteError.self) { try carry { $0.kind = kind } }
    }
    #expect(throws: ByteError.self) { try carry { $0.sequence = SequenceNumber(0) } }
    #expect(throws: ByteError.self) { try carry { $0.sequence = SequenceNumber(.max) } }
    #expect(throws: ByteError.self) { try carry { $0.id = EventID(rawValue: 1 << 63) } }
    #expect(throws: ByteError.self) { try carry { $0.live = 3 } }
    #expect(throws: ByteError.self) { try carry { $0.payloadHash = Digest(hashing: []) } }
    #expect(throws: ByteError.self) { try carry { $0.payloadBytes += 1 } }
  }

  private func sample(sequence: UInt64) -> EventHeader {
    EventHeader(
      kind: .post, place: 0, sequence: SequenceNumber(sequence), id: EventID(rawValue: 1 << 40), log: log.key.publicKey,
      previous: sequence == 1 ? log.person.cast() : EventHash(hashing: [1]), payloadBytes: 0,
      payloadHash: Digest(hashing: []), ttl: 0, live: 0)
  }
}
