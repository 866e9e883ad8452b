import Events
import Identity
import Primitives
import Testing

/// Makes `schemas/vectors/evidence.json`.
struct EvidenceVectors {
  private let sample = VectorLog.sample

  var listed: Listed {
    .table([
      ("about", "schemas/evidence.md. verdict: good, or refused (bytes that prove nothing)."),
      ("log", .hex(sample.log)),
      ("person", .hex(VectorLog.person)), ("cases", .list(forks + ruleBreaks + refused)),
    ])
  }

  private func branch(_ headers: [EventHeader]) -> Evidence.Branch {
    Evidence.Branch(headers: headers, signature: headers.last!.sign(with: sample.key))
  }

  /// Five events, the header at `index` changed, and every later one linked to it.
  private func chain(_ at: Int, _ change: @escaping (inout EventHeader) -> Void) -> [EventHeader] {
    VectorLog.bare(5) { index, header in if index == at { change(&header) } }
  }

  private var forks: [Listed] {
    let left = chain(3) { _ in }
    let right = chain(3) { $0.ttl = 60 }
    let other = chain(0) { $0.ttl = 60 }
    return [
      fork("two events leave the third", [left[3]], [right[3]], cut: 4),
      fork("branches of unequal length up to their signatures", Array(left[3...]), [right[3]], cut: 4),
      fork("a log that begins twice", [left[0]], [other[0]], cut: 1),
      fork(
        "a log that begins twice, once for a stranger", [left[0]], [chain(0) { $0.previous = EventHash() }[0]], cut: 1),
    ]
  }

  private var ruleBreaks: [Listed] {
    func id(_ milliseconds: UInt64) -> EventID {
      EventID(milliseconds: milliseconds, device: DeviceNumber(rawValue: 5)!, counter: 0)
    }
    return [
      broken("id does not rise", Array(chain(3) { $0.id = id(1_002) }[2...3]), .id, cut: 4),
      broken("id with the top bit", [chain(3) { $0.id = EventID(rawValue: 1 << 63) }[3]], .id, cut: 4),
      broken("place skips one", Array(chain(3) { $0.place = 4 }[2...3]), .place, cut: 4),
      broken("place at sequence 1", [chain(0) { $0.place = 1 }[0]], .place, cut: 1),
      broken("live over sequence - 1", [chain(3) { $0.live = 4 }[3]], .live, cut: 4),
      broken(
        "floor falls",
        Array(VectorLog.bare(5) { index, header in header.live = [0, 1, 0, 2, 3][index] }[2...3]), .live, cut: 4),
      broken("payload over the limit", [chain(3) { $0.payloadBytes = 65_537 }[3]], .payloadBytes, cut: 4),
      broken(
        "chunk over its limit", Array(VectorLog.bare(5) { _, header in header.payloadBytes = 8_193 }[0...3]),
        .chunkBytes, cut: 4),
      broken(
        "sequence skips one", Array(chain(3) { $0.sequence = SequenceNumber(5) }[2...3]), .sequence, cut: 4),
      broken("another person before the first event", [chain(0) { $0.previous = EventHash() }[0]], .origin, cut: 1),
      broken(
        "the person before a later event", [chain(3) { $0.previous = VectorLog.person.cast() }[3]], .origin, cut: 1),
      broken("signed by a later event", Array(chain(3) { $0.live = 4 }[3...4]), .live, cut: 4),
    ]
  }

  private func fork(_ name: String, _ a: [EventHeader], _ b: [EventHeader], cut: Int) -> Listed {
    let evidence = Evidence(fork: branch(b), branch(a), log: sample.log, person: VectorLog.person)
    return good(name, evidence, rule: nil, cut: cut)
  }

  private func broken(_ name: String, _ headers: [EventHeader], _ rule: RuleBreak, cut: Int) -> Listed {
    var judge = HeaderJudge(person: VectorLog.person)
    #expect(headers.compactMap { judge.judge($0) }.first == rule, "\(name)")
    let evidence = Evidence(ruleBreak: branch(headers), log: sample.log, person: VectorLog.person)
    return good(name, evidence, rule: rule, cut: cut)
  }

  private func good(_ name: String, _ evidence: Evidence?, rule: RuleBreak?, cut: Int) -> Listed {
    guard let evidence else {
      Issue.record("no evidence: \(name)")
      return nil
    }
    #expect(evidence.cut == SequenceNumber(UInt64(cut)), "\(name)")
    #expect((try? Evidence(decoding: evidence.encoded, log: sample.log, person: VectorLog.person)) == evidence)
    return .table([
      ("name", .text(name)), ("evidence", .hex(evidence.encoded)), ("verdict", "good"),
      ("kind", .text(evidence.kind == .fork ? "fork" : "ruleBreak")), ("rule", rule.map { .text("\($0)") } ?? nil),
      ("cut", .wide(evidence.cut.rawValue)), ("previous", .hex(evidence.previous)),
    ])
  }

  private var refused: [Listed] {
    let left = chain(3) { _ in }
    let right = chain(3) { $0.ttl = 60 }
    func bytes(_ kind: UInt8, _ branches: [(headers: [EventHeader], signature: Signature)], version: UInt8 = 1)
      -> [UInt8]
    {
      var writer = ByteWriter()
      writer.byte(version)
      writer.byte(kind)
      for branch in branches {
        writer.integer(UInt16(branch.headers.count))
        for header in branch.headers { writer.append(header.encoded) }
        writer.append(branch.signature.bytes)
      }
      return writer.bytes
    }
    func signed(_ headers: [EventHeader]) -> (headers: [EventHeader], signature: Signature) {
      (headers, headers.last!.sign(with: sample.key))
    }
    let lone = chain(3) { $0.sequence = SequenceNumber(5) }[3]
    let elsewhere = chain(3) { $0.previous = EventHash() }[3]
    let stranger = chain(3) { $0.log = SigningKey(seed: [UInt8](repeating: 2, count: 32))!.publicKey }[3]
    let pair = bytes(1, [signed([left[3]]), signed([right[3]])])
    var wrong = pair
    wrong[2 + 2 + 128] ^= 1
    let cases: [(String, [UInt8])] = [
      ("one event twice", bytes(1, [signed([left[3]]), signed([left[3]])])),
      ("two events after different ones", bytes(1, [signed([left[3]]), signed([elsewhere])])),
      ("two events of different sequence", bytes(1, [signed([left[3]]), signed([left[4]])])),
      ("a bad signature", wrong),
      ("a branch that is not linked", bytes(1, [signed([left[3], right[4]]), signed([right[3]])])),
      ("a header of another log", bytes(1, [signed([left[3]]), signed([stranger])])),
      ("no rule broken", bytes(2, [signed(Array(left[0...4]))])),
      ("no rule broken by one header from the middle", bytes(2, [signed([left[3]])])),
      ("a place that cannot be told", bytes(2, [signed([chain(3) { $0.sequence = SequenceNumber(0) }[3]])])),
      ("a skipped sequence without the event before it", bytes(2, [signed([lone])])),
      ("a branch of no headers", [1, 2, 0, 0] + left[0].sign(with: sample.key).bytes),
      ("version 2", bytes(1, [signed([left[3]]), signed([right[3]])], version: 2)),
      ("kind 3", bytes(3, [signed([left[3]]), signed([right[3]])])), ("one byte too many", pair + [0]),
      ("one byte too few", pair.dropLast()), ("one branch of a fork", bytes(1, [signed([left[3]])])), ("no bytes", []),
    ]
    return cases.map { name, bytes in
      #expect(throws: ByteError.self, "\(name)") {
        try Evidence(decoding: bytes, log: sample.log, person: VectorLog.person)
      }
      return .table([("name", .text(name)), ("evidence", .hex(bytes)), ("verdict", "refused")])
    }
  }
}
