import Events
import Identity
import Primitives
import Testing

/// Evidence and stretches as bytes from strangers.
@Suite struct ProofTests {
  private let log = VectorLog.sample.log
  private let key = VectorLog.sample.key

  private func branch(_ headers: [EventHeader]) -> Evidence.Branch {
    Evidence.Branch(headers: headers, signature: headers.last!.sign(with: key))
  }

  @Test("a changed byte of evidence is refused or changes nothing in its meaning")
  func mutatedEvidence() throws {
    let left = VectorLog.bare(5)
    let right = VectorLog.bare(5) { index, header in if index == 3 { header.ttl = 60 } }
    let fallen = VectorLog.bare(4) { index, header in header.live = [0, 1, 0, 2][index] }
    let all = [
      Evidence(fork: branch([left[3]]), branch(Array(right[3...])), log: log, person: VectorLog.person),
      Evidence(ruleBreak: branch(Array(fallen[2...])), log: log, person: VectorLog.person),
    ]
    for evidence in all {
      let evidence = try #require(evidence)
      let bytes = evidence.encoded
      for index in bytes.indices {
        for change: UInt8 in [1, 2, 0x80, 0xFF] {
          var changed = bytes
          changed[index] ^= change
          guard let other = try? Evidence(decoding: changed, log: log, person: VectorLog.person) else { continue }
          #expect(other.cut == evidence.cut && other.previous == evidence.previous, "byte \(index)")
        }
      }
      for count in bytes.indices {
        #expect(throws: ByteError.self) {
          try Evidence(decoding: Array(bytes[..<count]), log: log, person: VectorLog.person)
        }
      }
    }
  }

  @Test("a chain that keeps the rules is no evidence, wherever a branch begins and ends")
  func noFalseEvidence() {
    let headers = VectorLog.bare(30) { index, header in
      header.payloadBytes = 8_000
      header.place = UInt8(index % 4)
      header.live = UInt32(index / 2)
    }
    for start in headers.indices {
      for end in start..<headers.count {
        let part = branch(Array(headers[start...end]))
        #expect(Evidence(ruleBreak: part, log: log, person: VectorLog.person) == nil)
      }
      let part = branch(Array(headers[start...]))
      #expect(Evidence(fork: part, branch([headers[start]]), log: log, person: VectorLog.person) == nil)
    }
  }

  @Test("evidence comes back from its bytes, for random forks and broken rules")
  func evidenceRoundTrip() throws {
    var random = SeededRandom(seed: 50)
    for _ in 0..<100 {
      let at = Int(random.next() % 6)
      let left = VectorLog.bare(8)
      let right = VectorLog.bare(8) { index, header in if index == at { header.ttl += 1 } }
      let end = at + Int(random.next() % UInt64(8 - at))
      let fork = try #require(
        Evidence(
          fork: branch(Array(left[at...end])), branch([right[at]]), log: log, person: VectorLog.person))
      #expect(fork.cut == .first + at)
      #expect(try Evidence(decoding: fork.encoded, log: log, person: VectorLog.person) == fork)
      let broken = VectorLog.bare(8) { index, header in if index == at { header.live = UInt32(index) + 1 } }
      let proof = try #require(
        Evidence(
          ruleBreak: branch(Array(broken[max(0, at - 2)...end])), log: log, person: VectorLog.person))
      #expect(proof.cut == .first + at)
      #expect(try Evidence(decoding: proof.encoded, log: log, person: VectorLog.person) == proof)
    }
  }

  @Test("random chains come back from columns and envelope, whole and in any last part")
  func chains() throws {
    var random = SeededRandom(seed: 51)
    for seed in 0..<60 {
      var sample = SampleLog(seed: UInt64(seed))
      sample.appendPosts(Int(random.next() % 40) + 1)
      for index in sample.events.indices where random.next() % 5 == 0 {
        sample.events[index].payload = .absent(Absence(rawValue: UInt8(random.next() % 4) + 1)!)
      }
      let start = Int(random.next() % UInt64(sample.events.count))
      let part = Array(sample.events[start...])
      let first = part[0].header
      let envelope = StretchEnvelope(
        first: first.sequence, count: part.count,
        previous: start % 2 == 0 ? .whole(first.previous) : .prefix(first.previous.prefix64),
        proof: start % 3 == 0
          ? .everySignature(part.map { $0.header.sign(with: sample.key) })
          : .lastSignature(part.last!.header.sign(with: sample.key)), rawBytes: nil, block: StretchColumns.encode(part))
      let bytes = [9] + envelope.encoded + [9]
      let read = try StretchEnvelope(decoding: bytes, 1..<(bytes.count - 1))
      #expect(read == envelope)
      let stretch = try StretchColumns.decode(
        read.block, log: sample.key.publicKey, first: read.first, count: read.count, previous: first.previous)
      #expect(stretch.events == part)
      #expect(stretch.last == part.last!.header.sequence)
      for index in part.indices {
        #expect(stretch.kind(index) == part[index].header.kind)
        #expect(stretch.id(index) == part[index].header.id)
        #expect(stretch.payload(index) == part[index].payload)
        #expect((stretch.payloadRange(index) == nil) == (part[index].payload.bytes == nil))
      }
    }
  }

  @Test("columns have one encoding: what decodes encodes to the same bytes")
  func canonicalColumns() throws {
    var random = SeededRandom(seed: 52)
    var sample = SampleLog(seed: 52)
    sample.appendPosts(6)
    sample.events[2].payload = .absent(.deleted)
    let raw = StretchColumns.encode(sample.events)
    var decoded = 0
    for _ in 0..<20_000 {
      var changed = raw
      for _ in 0...(random.next() % 3) {
        changed[Int(random.next() % UInt64(changed.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      guard
        let stretch = try? StretchColumns.decode(
          changed, log: sample.key.publicKey, first: .first, count: 6, previous: sample.person.cast())
      else { continue }
      decoded += 1
      if StretchColumns.encode(stretch.events) != changed { Issue.record("two encodings of one stretch") }
    }
    #expect(decoded > 1_000)
  }

  @Test("random bytes as columns, envelopes and evidence are read or refused, never worse")
  func noise() {
    var random = SeededRandom(seed: 53)
    for round in 0..<20_000 {
      var bytes = random.bytes(Int(random.next() % 120))
      if round % 2 == 0, bytes.count > 2 {
        bytes[0] = 1
        bytes[1] &= 0x33
      }
      _ = try? StretchEnvelope(decoding: bytes, 0..<bytes.count)
      _ = try? Evidence(decoding: bytes, log: log, person: VectorLog.person)
      _ = try? StretchColumns.decode(
        bytes, log: log, first: SequenceNumber(random.next() >> UInt64(random.next() % 64)),
        count: Int(random.next() % 258), previous: EventHash())
    }
  }
}
