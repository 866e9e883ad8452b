import Events
import Identity
import Primitives
import Testing

/// A log made by the rules, from a seed.
struct SampleLog {
  let key: SigningKey
  let person = PersonID(hashing: Array("a person".utf8))
  var events: [Event] = []
  var clock: HybridClock
  var random: SeededRandom

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    key = SigningKey(seed: random.bytes(32))!
    clock = HybridClock(device: DeviceNumber(rawValue: UInt16(seed % 1024))!, last: nil)
  }

  mutating func append(_ content: EventContent, ttl: UInt32 = 0, at milliseconds: Int64, newChunk: Bool = false) {
    let payload = content.payload(salt: random.bytes(8))
    let last = events.last?.header
    events.append(
      Event(
        header: EventHeader(
          kind: content.kind, place: newChunk || last == nil ? 0 : last!.place + 1,
          sequence: last.map { $0.sequence + 1 } ?? .first,
          id: clock.next(at: Timestamp(milliseconds: EventID.epochMilliseconds + milliseconds))!, log: key.publicKey,
          previous: last?.hash ?? person.cast(), payloadBytes: UInt32(payload.count),
          payloadHash: Digest(hashing: payload),
          ttl: ttl, live: last.map { $0.live + 1 } ?? 0), payload: .present(payload)))
  }

  mutating func appendPosts(_ count: Int) {
    for index in 0..<count {
      append(
        .post(.init(text: "post \(index) \(random.next())")), ttl: index % 3 == 0 ? 2_592_000 : 0,
        at: Int64(index * 977))
    }
  }
}

@Suite struct StretchTests {
  @Test("columns give back every header, hash and payload", arguments: [1, 2, 7, 256])
  func roundTrip(count: Int) throws {
    var log = SampleLog(seed: UInt64(count))
    log.appendPosts(count)
    let raw = StretchColumns.encode(log.events)
    let stretch = try StretchColumns.decode(
      raw, log: log.key.publicKey, first: .first, count: count, previous: log.person.cast())
    #expect(stretch.events == log.events)
    #expect(stretch.lastHash == log.events.last!.header.hash)
    #expect(stretch.isSigned(count - 1, by: log.events.last!.header.sign(with: log.key)))
  }

  @Test("an absent payload leaves the chain whole")
  func absent() throws {
    var log = SampleLog(seed: 5)
    log.appendPosts(10)
    var events = log.events
    events[3].payload = .absent(.deleted)
    events[9].payload = .absent(.expired)
    let stretch = try StretchColumns.decode(
      StretchColumns.encode(events), log: log.key.publicKey, first: .first, count: 10, previous: log.person.cast())
    #expect(stretch.events == events)
    #expect(stretch.hashes == log.events.map { $0.header.hash })
  }

  @Test("any signed header survives the columns, rule-abiding or not")
  func arbitraryHeaders() throws {
    var random = SeededRandom(seed: 9)
    for _ in 0..<200 {
      let key = SigningKey(seed: random.bytes(32))!
      let first = SequenceNumber(random.next() % (1 << 40) + 1)
      var previous = EventHash(random.bytes(32))!
      let start = previous
      var events: [Event] = []
      for index in 0..<Int(random.next() % 20 + 1) {
        let payload = random.bytes(Int(random.next() % 50))
        let header = EventHeader(
          kind: EventKind(rawValue: UInt8(truncatingIfNeeded: random.next())),
          flags: UInt8(truncatingIfNeeded: random.next()), place: UInt8(index + 3), sequence: first + index,
          id: EventID(rawValue: random.next()), log: key.publicKey, previous: previous,
          payloadBytes: UInt32(payload.count), payloadHash: Digest(hashing: payload),
          ttl: UInt32(truncatingIfNeeded: random.next()), live: UInt32(truncatingIfNeeded: random.next()))
        events.append(Event(header: header, payload: random.next() % 4 == 0 ? .absent(.policy) : .present(payload)))
        previous = header.hash
      }
      let stretch = try StretchColumns.decode(
        StretchColumns.encode(events), log: key.publicKey, first: first, count: events.count, previous: start)
      #expect(stretch.events == events)
    }
  }

  @Test("every single-byte change of a stretch is refused or meets no signature")
  func tampering() throws {
    var log = SampleLog(seed: 1)
    log.appendPosts(5)
    let signature = log.events[4].header.sign(with: log.key)
    let envelope = StretchEnvelope(
      first: .first, count: 5, previous: .whole(log.person.cast()), proof: .lastSignature(signature), rawBytes: nil,
      block: StretchColumns.encode(log.events))
    let bytes = envelope.encoded
    #expect(try StretchEnvelope(decoding: bytes, 0..<bytes.count) == envelope)
    var accepted = 0
    for index in bytes.indices {
      for bit: UInt8 in [1, 0x80, 0xFF] {
        var changed = bytes
        changed[index] ^= bit
        guard let other = try? StretchEnvelope(decoding: changed, 0..<changed.count), other.rawBytes == nil,
          case .whole(let previous) = other.previous, case .lastSignature(let signature) = other.proof,
          let stretch = try? StretchColumns.decode(
            other.block, log: log.key.publicKey, first: other.first, count: other.count, previous: previous)
        else { continue }
        if stretch.isSigned(stretch.count - 1, by: signature) { accepted += 1 }
      }
    }
    #expect(accepted == 0)
  }
}

@Suite struct HybridClockTests {
  @Test("a million ids under steps and a frozen clock never repeat and never fall")
  func million() {
    var clock = HybridClock(device: DeviceNumber(rawValue: 7)!, last: nil)
    var wall = Timestamp(milliseconds: 1_800_000_000_000)
    var last = EventID(rawValue: 0)
    for index in 0..<1_000_000 {
      if index == 200_000 { wall.milliseconds -= 3_600_000 }
      if index == 400_000 { wall.milliseconds += 31_536_000_000 }
      if index % 1000 == 0, index < 600_000 { wall.milliseconds += 1 }
      let id = clock.next(at: wall)!
      if id <= last { Issue.record("\(id) after \(last)") }
      last = id
    }
  }

  @Test("a reply sorts after its post even when the other clock is ahead, up to two seconds")
  func reply() {
    let wall = Timestamp(milliseconds: 1_800_000_000_000)
    var ahead = HybridClock(device: DeviceNumber(rawValue: 1023)!, last: nil)
    let near = ahead.next(at: wall.advanced(milliseconds: 1_900))!
    var clock = HybridClock(device: DeviceNumber(rawValue: 1)!, last: nil)
    #expect(clock.next(at: wall, after: near)! > near)
    let far = ahead.next(at: wall.advanced(milliseconds: 60_000))!
    #expect(clock.next(at: wall, after: far)! < far)
  }
}

@Suite struct EvidenceTests {
  @Test("two branches from one event are evidence in either order, and only for their log")
  func fork() throws {
    var a = SampleLog(seed: 3)
    a.appendPosts(4)
    var b = a
    a.append(.post(.init(text: "left")), at: 10_000)
    b.append(.post(.init(text: "right")), at: 10_000)
    func branch(_ log: SampleLog) -> Evidence.Branch {
      .init(headers: [log.events[4].header], signature: log.events[4].header.sign(with: log.key))
    }
    let one = try #require(Evidence(fork: branch(a), branch(b), log: a.key.publicKey, person: a.person))
    #expect(Evidence(fork: branch(b), branch(a), log: a.key.publicKey, person: a.person) == one)
    #expect(one.cut == SequenceNumber(5))
    #expect(one.previous == a.events[3].header.hash)
    #expect(try Evidence(decoding: one.encoded, log: a.key.publicKey, person: a.person) == one)
    #expect(Evidence(fork: branch(a), branch(a), log: a.key.publicKey, person: a.person) == nil)
    #expect(throws: ByteError.self) {
      try Evidence(decoding: one.encoded, log: SigningKey().publicKey, person: a.person)
    }
  }

  @Test("a signed header that breaks a rule is evidence, one that keeps them is not")
  func ruleBreak() throws {
    var log = SampleLog(seed: 4)
    log.appendPosts(3)
    var broken = log.events[2].header
    broken.live = 1
    let good = log.events[0...2].map(\.header)
    let bad = Array(log.events[0...1].map(\.header)) + [broken]
    let event = try #require(
      Evidence(
        ruleBreak: .init(
          headers: bad.map { header in
            var header = header
            if header == broken { header.place = 9 }
            return header
          },
          signature: {
            var header = broken
            header.place = 9
            return header.sign(with: log.key)
          }()), log: log.key.publicKey, person: log.person))
    #expect(event.cut == SequenceNumber(3))
    #expect(
      Evidence(
        ruleBreak: .init(headers: good, signature: good[2].sign(with: log.key)), log: log.key.publicKey,
        person: log.person)
        == nil)
  }
}
