import Events
import Identity
import Primitives
import Store
import Testing

@Suite struct IngestTests {
  private func world(_ seed: UInt64, events: Int, chunkAbout: Int = 8) throws -> (TestPerson, TestLog, EventStore) {
    let person = TestPerson(seed: seed)
    var log = TestLog(key: person.devices[0], person: person.id, seed: seed)
    log.grow(events, chunkAbout: chunkAbout)
    let store = try EventStore.inMemory(readModels: [TestModel()])
    try store.merge(person.record)
    return (person, log, store)
  }

  @Test("of a valid stretch no single changed byte is taken, in any proof and place")
  func everyByte() throws {
    let (person, log, _) = try world(1, events: 40, chunkAbout: 6)
    let chunks = log.chunks
    let middle = chunks[1]
    let offers: [(ReceivedStretch, Bool)] = [
      (log.stretch(chunks[0]), false), (log.stretch(middle), true), (log.stretch(middle, short: true), true),
      (log.stretch(middle, .neighbour), true), (log.stretch(chunks.last!, .every), true),
    ]
    for (offer, hasBelow) in offers {
      let store = try EventStore.inMemory(readModels: [TestModel()])
      try store.merge(person.record)
      if hasBelow { _ = try store.ingest([log.stretch(chunks[0])]) }
      if case .neighbour = offer.envelope.proof { _ = try store.ingest([log.stretch(chunks[2])]) }
      let before = try store.held(log.log)
      let wire = offer.envelope.encoded
      let signatures: Range<Int>
      if case .everySignature(let all) = offer.envelope.proof {
        let start = wire.count - offer.envelope.block.count - all.count * 64
        signatures = start..<(start + (all.count - 1) * 64)
      } else {
        signatures = 0..<0
      }
      for position in wire.indices where !signatures.contains(position) {
        for bit in [UInt8(1), 0x80] {
          var bytes = wire
          bytes[position] ^= bit
          guard let envelope = try? StretchEnvelope(decoding: bytes, 0..<bytes.count) else { continue }
          let changed = ReceivedStretch(person: person.id, log: log.log, envelope: envelope)
          let outcome = try store.ingest([changed])[0]
          switch outcome {
          case .badBytes, .needsPrevious, .unproven: break
          case .duplicate where envelope == offer.envelope: break
          default: Issue.record("byte \(position) of \(offer.envelope.proof): \(outcome)")
          }
          if try store.held(log.log) != before {
            Issue.record("byte \(position) was stored")
            return
          }
        }
      }
      #expect(try store.ingest([offer])[0] == .stored(offer.envelope.count))
    }
  }

  @Test("a false signature inside a tail is found in idle time, and nothing ends on it")
  func pendingSignatures() throws {
    let (person, log, store) = try world(2, events: 9, chunkAbout: 1 << 40)
    var signatures = log.signatures
    signatures[4] = log.signatures[5]
    var offer = log.stretch(1...9, .every)
    offer.envelope.proof = .everySignature(signatures)
    #expect(try store.ingest([offer]) == [.stored(9)])
    let request = StretchRequest(log: log.log, range: .first...SequenceNumber(5))
    let run = try store.read(request, budget: .max)
    let replica = try EventStore.inMemory()
    try replica.merge(person.record)
    for envelope in run.stretches {
      #expect(
        try replica.ingest([ReceivedStretch(person: person.id, log: log.log, envelope: envelope)])
          == [.stored(envelope.count)])
    }
    #expect(try replica.held(log.log).count >= 5)
    #expect(try store.verifyPending(limit: 100) == 8)
    var found: [Bool] = []
    try store.forEachEvent(log.log, .first...SequenceNumber(9)) { event, _, signature in
      found.append(signature.map { event.header.isSigned(by: $0) } ?? false)
    }
    #expect(found == [true, true, true, true, false, true, true, true, true])
    #expect(try store.verify(full: true).isEmpty)
  }

  @Test("blocks that lie about their length, or would grow beyond the limit, are bad bytes")
  func bombs() throws {
    let (_, log, store) = try world(3, events: 6, chunkAbout: 1 << 40)
    let good = log.stretch(1...6)
    // A run of zeros: LZ4 token 0x1F, one literal 0, match offset 1, length bytes 255…
    let bomb: [UInt8] = [0x1F, 0, 1, 0] + [UInt8](repeating: 255, count: 60_000) + [0, 0x50, 0, 0, 0, 0, 0]
    for (raw, block): (Int?, [UInt8]) in [
      (StretchColumns.rawBytesMaximum, bomb), (StretchColumns.rawBytesMaximum + 1, bomb), (.max, bomb), (1, bomb),
      (0, bomb), (-1, bomb), (good.envelope.block.count, []), (nil, []),
      (nil, [UInt8](repeating: 0, count: StretchColumns.rawBytesMaximum + 1)),
      (good.envelope.block.count + 1, good.envelope.block), (good.envelope.block.count, good.envelope.block),
    ] {
      var bad = good
      bad.envelope.rawBytes = raw
      bad.envelope.block = block
      let outcome = try store.ingest([bad])[0]
      guard case .badBytes = outcome else {
        Issue.record("\(raw ?? -2): \(outcome)")
        continue
      }
    }
    #expect(try store.log(log.log)?.eventCount == 0)
    #expect(try store.ingest([good]) == [.stored(6)])
  }

  @Test("who may bring what: strangers' logs, foreign persons and the future are told apart")
  func outcomes() throws {
    let (person, log, store) = try world(4, events: 10, chunkAbout: 1 << 40)
    let stranger = TestPerson(seed: 99)
    var foreign = TestLog(key: stranger.devices[0], person: person.id, seed: 5)
    foreign.grow(3)
    #expect(try store.ingest([foreign.stretch(1...1)]) == [.notAuthorized])
    var other = log.stretch(1...10)
    other.person = stranger.id
    #expect(try store.ingest([other]) == [.notAuthorized])
    #expect(try store.ingest([log.stretch(4...10, .neighbour)]) == [.unproven])
    #expect(try store.ingest([log.stretch(4...10, .evidence)]) == [.unproven])
    #expect(try store.ingest([log.stretch(4...10, .revocation)]) == [.unproven])
    #expect(try store.ingest([log.stretch(4...10, short: true)]) == [.needsPrevious])
    #expect(try store.ingest([log.stretch(1...10), log.stretch(3...7)]) == [.stored(10), .duplicate])
    let early = try EventStore.inMemory(now: TestLog.time.advanced(milliseconds: -90_000_000))
    try early.merge(person.record)
    let outcome = try early.ingest([log.stretch(1...10)])[0]
    guard case .notYet(let due?) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(due.milliseconds > TestLog.time.milliseconds - 90_000_000)
    #expect(try early.held(log.log).isEmpty)
  }

  @Test("what chains to another branch than ours is nobody's fault; an answer that contradicts itself is its sender's")
  func otherBranches() throws {
    let (_, log, store) = try world(5, events: 20, chunkAbout: 1 << 40)
    var other = log.fork(at: 4, seed: 77)
    other.grow(16, chunkAbout: 1 << 40)
    #expect(try store.ingest([log.stretch(11...20)]) == [.stored(10)])
    #expect(try store.ingest([other.stretch(6...10, .neighbour)]) == [.unproven])
    // With a header that proves it, the other branch is followed down to the fork, though nothing of it is stored.
    #expect(try store.ingest([other.stretch(13...20)]) == [.secondSegment(stored: 0)])
    #expect(try store.ingest([other.stretch(8...12, .neighbour)]) == [.secondSegment(stored: 0)])
    #expect(try store.ingest([log.stretch(3...10, .neighbour)]) == [.stored(8)])
    #expect(try store.ingest([other.stretch(3...7, .neighbour)]) == [.fork(stored: 0)])
    #expect(try store.log(log.log)?.end == .frozen(cut: SequenceNumber(5), previous: log.hashes[3]))
    let (_, sound, second) = try world(6, events: 20, chunkAbout: 1 << 40)
    var third = sound.fork(at: 4, seed: 78)
    third.grow(16, chunkAbout: 1 << 40)
    let outcomes = try second.ingest([sound.stretch(11...20), third.stretch(6...10, .neighbour)])
    guard outcomes[0] == .stored(10), case .badBytes = outcomes[1] else {
      Issue.record("\(outcomes)")
      return
    }
  }

  @Test("eight equal bytes of two persons, or of two events, are nobody's fault: all 32 are asked for")
  func equalEightBytes() throws {
    let (person, log, store) = try world(7, events: 20, chunkAbout: 1 << 40)
    let twin = PersonID(Array(person.id.bytes[..<8]) + [UInt8](repeating: 7, count: 24))!
    var foreign = TestLog(key: person.devices[0], person: twin, seed: 3)
    foreign.grow(4)
    for proof in [TestLog.ProofKind.last, .every] {
      var offer = foreign.stretch(1...4, proof, short: true)
      offer.person = person.id
      #expect(try store.ingest([offer]) == [.needsPrevious])
    }
    #expect(try store.ingest([log.stretch(1...5)]) == [.stored(5)])
    var other = log.fork(at: 4, seed: 79)
    other.grow(16, chunkAbout: 1 << 40)
    var below = other.stretch(6...10, .neighbour)
    below.envelope.previous = .prefix(log.hashes[4].prefix64)
    #expect(try store.ingest([other.stretch(11...20), below]) == [.stored(10), .needsPrevious])
    #expect(try store.ingest([below]) == [.needsPrevious])
  }

  @Test("pieces in any cut, newest first, with gaps, overlaps and repeats, give the naive twin's log and rows")
  func pieces() throws {
    for seed in 0..<UInt64(25) {
      var random = SeededRandom(seed: seed)
      let (person, log, store) = try world(seed + 50, events: 60, chunkAbout: 10)
      var held: Set<Int> = []
      for _ in 0..<60 {
        let chunk = log.chunks[Int(random.next() % UInt64(log.chunks.count))]
        let low = chunk.lowerBound + Int(random.next() % UInt64(chunk.count))
        let high = low + Int(random.next() % UInt64(chunk.upperBound - low + 1))
        let proof: TestLog.ProofKind =
          held.contains(high + 1) && random.next() % 2 == 0 ? .neighbour : random.next() % 2 == 0 ? .last : .every
        let outcome = try store.ingest([
          log.stretch(low...high, proof, short: held.contains(low - 1) && random.next() % 2 == 0)
        ])[0]
        let new = Set(low...high).subtracting(held)
        #expect(outcome == (new.isEmpty ? .duplicate : .stored(new.count)), "seed \(seed)")
        held.formUnion(low...high)
        let expected = Dictionary(uniqueKeysWithValues: held.map { (UInt64($0), log.hashes[$0 - 1]) })
        #expect(try store.held(log.log) == expected, "seed \(seed)")
        if random.next() % 8 == 0 { _ = try store.verifyPending(limit: 5) }
      }
      #expect(try store.verify(full: true).isEmpty, "seed \(seed)")
      // What it serves convinces a replica that knows nothing, piece by piece.
      let replica = try EventStore.inMemory()
      try replica.merge(person.record)
      var rest: ClosedRange<SequenceNumber>? = .first...SequenceNumber(UInt64(log.count))
      var rounds = 0
      while let range = rest, rounds < 200 {
        let run = try store.read(StretchRequest(log: log.log, range: range), budget: 1)
        for envelope in run.stretches {
          let outcome = try replica.ingest([ReceivedStretch(person: person.id, log: log.log, envelope: envelope)])[0]
          switch outcome {
          case .stored, .duplicate: break
          default: Issue.record("seed \(seed): served \(envelope.first) +\(envelope.count): \(outcome)")
          }
        }
        rest = run.rest
        rounds += 1
      }
      #expect(try replica.held(log.log) == store.held(log.log), "seed \(seed)")
      let before = try store.readModelDigest()
      try store.rebuild()
      #expect(try store.readModelDigest() == before)
      // One author's chunk held whole is one row.
      _ = try store.ingest(log.closedStretches)
      #expect(try store.held(log.log).count == log.count)
      let statistics = try store.statistics()
      #expect(statistics.events == log.count)
    }
  }
}
