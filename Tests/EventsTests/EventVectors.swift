import Events
import Identity
import Primitives
import Testing

/// Makes `schemas/vectors/event.json`.
struct EventVectors {
  private let sample = VectorLog.sample

  var listed: Listed {
    .table([
      ("about", "schemas/event.md and schemas/event.cddl. 64-bit numbers are text, bytes are hexadecimal."),
      (
        "keys",
        .table([
          ("deviceSeed", .hex([UInt8](repeating: 1, count: 32))), ("log", .hex(sample.log)),
          ("rootSeed", .hex([UInt8](repeating: 3, count: 32))), ("root", .hex(VectorLog.root.publicKey)),
          ("recoverySeed", .hex([UInt8](repeating: 4, count: 32))), ("recovery", .hex(VectorLog.recovery.publicKey)),
          ("person", .hex(VectorLog.person)),
        ])
      ), ("events", .list(sample.events.map(event))), ("ids", .list(ids)), ("headers", .list(headers)),
      ("signatures", .list(signatures)), ("payloads", .list(PayloadVectors().cases)), ("chains", .list(chains)),
      ("expiry", .list(expiry)),
    ])
  }

  private func event(_ event: Event) -> Listed {
    let header = event.header
    let signature = header.sign(with: sample.key)
    #expect(header.isSigned(by: signature))
    return .table([
      ("kind", .number(Int(header.kind.rawValue))), ("name", .text(header.kind.name)),
      ("flags", .number(Int(header.flags))), ("place", .number(Int(header.place))),
      ("sequence", .wide(header.sequence.rawValue)), ("id", .wide(header.id.rawValue)),
      ("previous", .hex(header.previous)), ("payloadBytes", .number(Int(header.payloadBytes))),
      ("payloadHash", .hex(header.payloadHash)), ("ttl", .number(Int(header.ttl))),
      ("live", .number(Int(header.live))), ("floor", .wide(header.floor.rawValue)),
      ("header", .hex(header.encoded)), ("hash", .hex(header.hash)), ("signature", .hex(signature.bytes)),
      ("payload", .hex(event.payload.bytes!)),
    ])
  }

  private var ids: [Listed] {
    [0, 1, 265_316_152_320_000_000, 1 << 22, (1 << 63) - 1, (1 << 22) - 1].map { (raw: UInt64) in
      let id = EventID(rawValue: raw)
      return .table([
        ("id", .wide(raw)), ("milliseconds", .wide(id.time.milliseconds)), ("time", .text(id.time.rfc3339)),
        ("device", .number(Int(id.device.rawValue))), ("counter", .number(Int(id.counter))),
      ])
    }
  }

  private var headers: [Listed] {
    let good = sample.headers[1].encoded
    func changed(_ at: Int, _ value: UInt8) -> [UInt8] {
      var bytes = good
      bytes[at] = value
      return bytes
    }
    let cases: [(String, [UInt8], String)] = [
      ("a header", good, "good"), ("version 0", changed(0, 0), "laterVersion"),
      ("version 2", changed(0, 2), "laterVersion"), ("an unknown kind", changed(1, 250), "good"),
      ("unknown flags", changed(2, 0xFE), "good"), ("one byte too few", good.dropLast(), "malformed"),
      ("no bytes", [], "malformed"),
    ]
    return cases.map { name, bytes, verdict in
      #expect(((try? EventHeader(decoding: bytes)) != nil) == (verdict == "good"), "\(name)")
      return .table([("name", .text(name)), ("header", .hex(bytes)), ("verdict", .text(verdict))])
    }
  }

  private var signatures: [Listed] {
    let header = sample.headers[1]
    let signature = header.sign(with: sample.key).bytes
    var wrong = signature
    wrong[0] ^= 1
    let other = SigningKey(seed: [UInt8](repeating: 2, count: 32))!
    let domain = SignatureDomain.node.prefix + header.encoded
    let own: [(String, Bool, EventHeader, [UInt8])] = [
      ("an event of the sample log", true, header, signature), ("one bit of R changed", false, header, wrong),
      ("by another key", false, header, header.sign(with: other).bytes),
      ("of another event", false, sample.headers[2], signature),
      ("in another domain", false, header, sample.key.sign(raw: domain).bytes),
      ("without a domain", false, header, sample.key.sign(raw: header.encoded).bytes),
    ]
    let strict = StrictSignatures.cases.map { ($0.name, $0.isGood, $0.header, $0.signature.bytes) }
    return (own + strict).map { name, isGood, header, signature in
      #expect(header.isSigned(by: Signature(signature)!) == isGood, "\(name)")
      return .table([
        ("name", .text(name)), ("header", .hex(header.encoded)), ("signature", .hex(signature)),
        ("verdict", isGood ? "good" : "bad"),
      ])
    }
  }

  // MARK: Chains

  private var chains: [Listed] {
    let empty = VectorLog.bare
    func id(_ milliseconds: UInt64, _ counter: UInt64 = 0) -> EventID {
      EventID(milliseconds: milliseconds, device: DeviceNumber(rawValue: 5)!, counter: counter)
    }
    func at(_ place: Int, _ change: @escaping (inout EventHeader) -> Void) -> [EventHeader] {
      empty(4) { index, header in if index == place { change(&header) } }
    }
    func sized(_ sizes: [UInt32], places: [UInt8]) -> [EventHeader] {
      empty(sizes.count) { index, header in
        header.payloadBytes = sizes[index]
        header.place = places[index]
      }
    }
    return [
      chain("the sample log", sample.headers), chain("four empty events", empty(4) { _, _ in }),
      chain("from the middle", Array(empty(4) { _, _ in }[2...])),
      chain(
        "sequence repeats",
        at(2) {
          $0.sequence = SequenceNumber(2)
          $0.live = 1
        }, 2, .sequence),
      chain("sequence skips", at(2) { $0.sequence = SequenceNumber(4) }, 2, .sequence),
      chain("sequence 0", [at(0) { $0.sequence = SequenceNumber(0) }[0]], 0, .sequence),
      chain(
        "sequence 2^48",
        [
          at(0) {
            $0.sequence = .maximum
            $0.previous = EventHash()
          }[0]
        ]),
      chain("sequence 2^48 + 1", [at(0) { $0.sequence = .maximum + 1 }[0]], 0, .sequence),
      chain("id equal to the one before", at(2) { $0.id = id(1_001) }, 2, .id),
      chain("id one higher than the one before", at(2) { $0.id = id(1_001, 1) }),
      chain("id falls", at(2) { $0.id = id(1_000) }, 2, .id),
      chain("id with the top bit", at(3) { $0.id = EventID(rawValue: 1 << 63) }, 3, .id),
      chain("the highest id", at(3) { $0.id = EventID(rawValue: (1 << 63) - 1) }),
      chain("place skips", at(2) { $0.place = 3 }, 2, .place),
      chain("place repeats", at(2) { $0.place = 1 }, 2, .place),
      chain("a new chunk at every event", empty(4) { _, header in header.place = 0 }),
      chain("place 1 at sequence 1", at(0) { $0.place = 1 }, 0, .place),
      chain(
        "the highest place",
        [
          empty(1) { _, header in
            header.place = 255
            header.sequence = SequenceNumber(300)
            header.previous = EventHash()
          }[0]
        ]),
      chain(
        "the largest payload",
        at(3) {
          $0.payloadBytes = 65_536
          $0.place = 0
        }),
      chain(
        "a payload over the limit",
        at(3) {
          $0.payloadBytes = 65_537
          $0.place = 0
        }, 3, .payloadBytes),
      chain("live as high as it may be", at(3) { $0.live = 3 }), chain("live falls to 0", at(3) { $0.live = 0 }),
      chain("live over what exists", at(3) { $0.live = 4 }, 3, .live),
      chain(
        "a floor that falls", empty(4) { index, header in header.live = [0, 1, 0, 2][index] }, 3, .live),
      chain(
        "a floor that stands", empty(4) { index, header in header.live = [0, 1, 0, 1][index] }),
      chain("a full chunk", sized([8_192, 8_192, 8_192, 8_192], places: [0, 1, 2, 3])),
      chain(
        "a chunk with one byte too many", sized([8_192, 8_192, 8_192, 8_193], places: [0, 1, 2, 3]), 3, .chunkBytes),
      chain("a large payload alone in its chunk", sized([8, 65_536, 8], places: [0, 0, 0])),
      chain("an empty event beside a large payload", sized([40_000, 0], places: [0, 1]), 1, .chunkBytes),
      chain(
        "a chunk that is not held from its start is not summed",
        Array(sized([30_000, 30_000, 2], places: [0, 1, 2])[1...])),
      chain("a stranger before the first event", at(0) { $0.previous = EventHash() }, 0, .origin),
      chain("the person before a later event", at(2) { $0.previous = VectorLog.person.cast() }, 2, .origin),
    ]
  }

  private func chain(_ name: String, _ headers: [EventHeader], _ index: Int? = nil, _ rule: RuleBreak? = nil) -> Listed
  {
    var judge = HeaderJudge(person: VectorLog.person)
    let found = headers.enumerated().lazy.compactMap { index, header in judge.judge(header).map { (index, $0) } }.first
    #expect(found?.0 == index && found?.1 == rule, "\(name): \(String(describing: found))")
    return .table([
      ("name", .text(name)),
      ("headers", .list(headers.map { .hex($0.encoded) })), ("breaks", rule.map { .text("\($0)") } ?? nil),
      ("at", index.map { .number($0) } ?? nil),
    ])
  }

  private var expiry: [Listed] {
    var header = sample.headers[1]
    let time = header.id.time
    return [(UInt32(0), Int64.max), (60, 120_000), (60, 120_001), (.max, 4_294_967_355_000), (.max, 4_294_967_355_001)]
      .map { ttl, age in
        header.ttl = ttl
        let now = time.advanced(milliseconds: age)
        let expected = ttl > 0 && age > Int64(ttl) * 1_000 + 60_000
        #expect(header.isExpired(at: now) == expected)
        return .table([
          ("id", .wide(header.id.rawValue)), ("ttl", .number(Int(ttl))), ("now", .wide(now.milliseconds)),
          ("expired", .flag(expected)),
        ])
      }
  }
}
