import Events
import Identity
import Primitives
import Testing

/// DESIGN §4, "the header rules, complete": each limit exactly, and one beyond it.
@Suite struct HeaderRuleTests {
  private func verdicts(_ headers: [EventHeader], person: PersonID? = VectorLog.person) -> [RuleBreak?] {
    var judge = HeaderJudge(person: person)
    return headers.map { judge.judge($0) }
  }

  /// Two good events and a third that `change` may break.
  private func third(_ change: @escaping (inout EventHeader) -> Void) -> RuleBreak? {
    let headers = VectorLog.bare(3) { index, header in if index == 2 { change(&header) } }
    let found = verdicts(headers)
    #expect(found[0] == nil && found[1] == nil)
    return found[2]
  }

  @Test("sequence = previous + 1")
  func sequence() {
    for (sequence, rule) in [(3, nil), (2, .sequence), (4, .sequence), (0, .sequence)] as [(UInt64, RuleBreak?)] {
      #expect(
        third {
          $0.sequence = SequenceNumber(sequence)
          $0.live = 0
        } == rule)
    }
  }

  @Test("sequence numbers run from 1 to 2^48")
  func sequenceBounds() {
    for (sequence, rule) in [(1 << 48, nil), (1 << 48 + 1, .sequence), (.max, .sequence)] as [(UInt64, RuleBreak?)] {
      let header = VectorLog.bare(1) { _, header in
        header.sequence = SequenceNumber(sequence)
        header.previous = EventHash()
      }
      #expect(verdicts(header) == [rule])
    }
    let atEnd = (0...1).map { index in
      VectorLog.bare(1) { _, header in
        header.sequence = .maximum + index
        header.id = EventID(rawValue: UInt64(index + 1))
        header.previous = EventHash()
      }[0]
    }
    #expect(verdicts(atEnd) == [nil, .sequence])
  }

  @Test("id rises, top bit 0")
  func id() {
    let before = VectorLog.bare(2)[1].id.rawValue
    #expect(third { $0.id = EventID(rawValue: before + 1) } == nil)
    #expect(third { $0.id = EventID(rawValue: before) } == .id)
    #expect(third { $0.id = EventID(rawValue: before - 1) } == .id)
    #expect(third { $0.id = EventID(rawValue: .max >> 1) } == nil)
    #expect(third { $0.id = EventID(rawValue: .max >> 1 + 1) } == .id)
  }

  @Test("place is 0 or the previous place + 1, and 0 at sequence 1")
  func place() {
    #expect(third { $0.place = 0 } == nil)
    #expect(third { $0.place = 2 } == nil)
    for place: UInt8 in [1, 3, 255] { #expect(third { $0.place = place } == .place) }
    #expect(verdicts(VectorLog.bare(1) { $1.place = 1 }) == [.place])
  }

  @Test("a chunk has at most 256 events: after place 255 comes 0")
  func chunkCount() {
    let full = VectorLog.bare(257) { index, header in header.place = UInt8(index % 256) }
    #expect(verdicts(full).allSatisfy { $0 == nil })
    let wrapped = VectorLog.bare(257) { index, header in header.place = index == 256 ? 255 : UInt8(index) }
    #expect(verdicts(wrapped).last == .some(.place))
    #expect(HeaderJudge.nextPlace(after: full[255], chunkBytes: 0, adding: 0) == 0)
    #expect(HeaderJudge.nextPlace(after: full[254], chunkBytes: 32_000, adding: 768) == 255)
    #expect(HeaderJudge.nextPlace(after: full[254], chunkBytes: 32_000, adding: 769) == 0)
  }

  @Test("payloadBytes ≤ 65,536")
  func payloadBytes() {
    for (bytes, rule) in [(65_536, nil), (65_537, .payloadBytes), (.max, .payloadBytes)] as [(UInt32, RuleBreak?)] {
      #expect(
        third {
          $0.place = 0
          $0.payloadBytes = bytes
        } == rule)
    }
  }

  @Test("live ≤ sequence − 1 and ≤ previous live + 1")
  func live() {
    #expect(third { $0.live = 2 } == nil)
    #expect(third { $0.live = 0 } == nil)
    #expect(third { $0.live = 3 } == .live)
    #expect(third { $0.live = .max } == .live)
    let risen = VectorLog.bare(4) { index, header in header.live = [0, 0, 0, 1][index] }
    #expect(verdicts(risen) == [nil, nil, nil, nil])
    let fallen = VectorLog.bare(4) { index, header in header.live = [0, 0, 0, 2][index] }
    #expect(verdicts(fallen) == [nil, nil, nil, .live])
  }

  @Test("the payloads of a chunk of more than one event sum to ≤ 32,768 bytes")
  func chunkBytes() {
    func sizes(_ sizes: [UInt32], places: [UInt8]? = nil) -> [RuleBreak?] {
      verdicts(
        VectorLog.bare(sizes.count) { index, header in
          header.payloadBytes = sizes[index]
          header.place = places?[index] ?? UInt8(index)
        })
    }
    #expect(sizes([32_760, 8]) == [nil, nil])
    #expect(sizes([32_760, 9]) == [nil, .chunkBytes])
    #expect(sizes([32_769, 0]) == [nil, .chunkBytes])
    #expect(sizes([65_536, 65_536], places: [0, 0]) == [nil, nil])
    #expect(sizes([32_768, 32_768, 1], places: [0, 0, 1]) == [nil, nil, .chunkBytes])
  }

  @Test("previous is the person id at sequence 1 and only there, where the person is known")
  func origin() {
    let stranger = VectorLog.bare(1) { $1.previous = EventHash() }
    #expect(verdicts(stranger) == [.origin])
    #expect(verdicts(stranger, person: nil) == [nil])
    #expect(third { $0.previous = VectorLog.person.cast() } == .origin)
  }

  @Test("unknown kinds and flags, any ttl and any payload hash break no rule")
  func free() {
    #expect(
      third {
        $0.kind = EventKind(rawValue: 255)
        $0.flags = 0xFF
        $0.ttl = .max
        $0.payloadHash = Digest(hashing: [7])
      } == nil)
  }

  @Test("a judge that resumes anywhere has the verdict of one that began at the start")
  func resumed() {
    var random = SeededRandom(seed: 99)
    var broken = 0
    for _ in 0..<1_000 {
      let headers = Self.randomChain(&random)
      var whole = HeaderJudge(person: VectorLog.person)
      var sums: [Int?] = []
      var expected: (index: Int, rule: RuleBreak)?
      for (index, header) in headers.enumerated() {
        if let rule = whole.judge(header) {
          expected = (index, rule)
          break
        }
        sums.append(whole.runningChunkBytes)
      }
      if expected != nil { broken += 1 }
      for split in sums.indices {
        var judge = HeaderJudge(person: VectorLog.person, after: headers[split], chunkBytes: sums[split])
        var found: (index: Int, rule: RuleBreak)?
        for index in (split + 1)..<max(headers.count, split + 1) {
          guard let rule = judge.judge(headers[index]) else { continue }
          found = (index, rule)
          break
        }
        if found?.index != expected?.index || found?.rule != expected?.rule {
          Issue.record("after \(split): \(String(describing: found)), not \(String(describing: expected))")
        }
      }
    }
    // The chains are worth the test only if many of them break and many do not.
    #expect((300...900).contains(broken))
  }

  /// Up to 40 events with payloads of all sizes; every second chain breaks one rule somewhere.
  private static func randomChain(_ random: inout SeededRandom) -> [EventHeader] {
    let count = Int(random.next() % 40) + 1
    let broken = random.next() % 2 == 0 ? Int(random.next() % UInt64(count)) : -1
    let way = random.next() % 7
    var sum = 0
    var place: UInt8 = 0
    var live: UInt32 = 0
    var numbers = random
    defer { random = numbers }
    return VectorLog.bare(count) { index, header in
      let size = Int(numbers.next() % 6) == 0 ? Int(numbers.next() % 65_537) : Int(numbers.next() % 3_000)
      let isNew = index == 0 || numbers.next() % 8 == 0 || sum + size > HeaderJudge.chunkBytesMaximum
      place = isNew ? 0 : place + 1
      sum = isNew ? size : sum + size
      live = index == 0 ? 0 : UInt32(numbers.next() % UInt64(live + 2))
      header.place = place
      header.payloadBytes = UInt32(size)
      header.live = live
      guard index == broken else { return }
      switch way {
      case 0: header.sequence = header.sequence + 1
      case 1: header.id = EventID(rawValue: 0)
      case 2: header.place = place &+ 2
      case 3: header.payloadBytes = 65_537
      case 4: header.live = UInt32(index) + 1
      case 5: header.payloadBytes = 32_769
      default: header.previous = EventHash()
      }
    }
  }
}
