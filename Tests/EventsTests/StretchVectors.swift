import Events
import Identity
import Primitives
import Testing

/// Makes `schemas/vectors/stretch.json`.
struct StretchVectors {
  private let sample = VectorLog.sample

  var listed: Listed {
    .table([
      ("about", "schemas/stretch.md. verdict: good, malformed, or laterVersion (nobody is at fault)."),
      ("log", .hex(sample.log)), ("person", .hex(VectorLog.person)), ("columns", .list(columns)),
      ("envelopes", .list(envelopes)),
    ])
  }

  // MARK: Columns

  private var columns: [Listed] {
    let strange = VectorLog.bare(3) { index, header in
      header.kind = EventKind(rawValue: 200 + UInt8(index))
      header.flags = [0, 0xFF, 1][index]
      header.place = UInt8(253 + index)
      header.sequence = SequenceNumber(1 << 40) + index
      header.id = EventID(rawValue: [.max, 0, 1 << 62][index])
      header.payloadBytes = [.max, 0, 65_537][index]
      header.payloadHash = Digest(hashing: [UInt8(index)])
      header.ttl = .max
      header.live = [.max, 0, 7][index]
    }
    let raw = StretchColumns.encode(sample.events)
    var long = raw
    long.append(0)
    // The first event alone: 9 bytes, kind, flag, presence, ttl in 3 bytes, live, size in 1 byte, payload.
    let one = StretchColumns.encode([sample.events[0]])
    func changed(_ at: Int, _ value: UInt8) -> [UInt8] {
      var bytes = one
      bytes[at] = value
      return bytes
    }
    return [
      good("one event", [sample.events[0]]),
      good("seven events", sample.events),
      good("the last three of seven", Array(sample.events[4...])),
      good("payloads absent for each reason", absent()),
      good("headers that no rule allows", strange.map { Event(header: $0, payload: .absent(.notHad)) }),
      good(
        "no payload at all is present with zero bytes",
        VectorLog.bare(2).map { Event(header: $0, payload: .present([])) }),
      malformed("one byte too many", long, 7), malformed("one byte too few", raw.dropLast(), 7),
      malformed("a count that is one too high", raw, 8), malformed("no bytes", [], 1),
      malformed("place beyond 255", [UInt8](raw[..<8]) + [250] + raw[9...], 7),
      malformed("unknown presence", changed(11, 5), 1),
      malformed("ttl with a superfluous byte", [UInt8](one[..<12]) + [0x80, 0x00] + one[16...], 1),
      malformed("ttl over 32 bits", [UInt8](one[..<12]) + [0x80, 0x80, 0x80, 0x80, 0x10] + one[16...], 1),
      malformed("a live below zero", changed(16, 1), 1),
      malformed("id milliseconds below zero", negativeTime, 2),
    ]
  }

  /// Whether the columns of the first event lie where the malformed cases change them.
  var isLaidOutAsAssumed: Bool {
    let one = StretchColumns.encode([sample.events[0]])
    return Array(one[9..<12]) == [5, 0, 0] && Array(one[12..<16]) == [0x80, 0xCE, 0xDA, 0x03] && one[16] == 0
  }

  private var negativeTime: [UInt8] {
    var writer = ByteWriter()
    writer.integer(UInt64(0))
    writer.byte(0)
    for byte: UInt8 in [1, 1, 0, 0, 0, 0] { writer.byte(byte) }
    writer.varint(zigzag(-1))
    writer.append([0, 0, 0, 0, 0, 0, 0])
    return writer.bytes
  }

  private func absent() -> [Event] {
    var events = sample.events
    for (index, reason) in [(0, Absence.expired), (1, .deleted), (3, .policy), (5, .notHad)] {
      events[index].payload = .absent(reason)
    }
    return events
  }

  private func good(_ name: String, _ events: [Event]) -> Listed {
    let raw = StretchColumns.encode(events)
    let first = events[0].header
    let stretch = try? StretchColumns.decode(
      raw, log: sample.log, first: first.sequence, count: events.count, previous: first.previous)
    #expect(stretch?.events == events, "\(name)")
    return .table([
      ("name", .text(name)), ("first", .wide(first.sequence.rawValue)), ("count", .number(events.count)),
      ("previous", .hex(first.previous)), ("raw", .hex(raw)), ("verdict", "good"),
      ("headers", .list(events.map { .hex($0.header.encoded) })),
      (
        "payloads",
        .list(
          events.map {
            switch $0.payload {
            case .present(let bytes): .hex(bytes)
            case .absent(let reason): .table([("absent", .text("\(reason)"))])
            }
          })
      ), ("lastHash", .hex(events.last!.header.hash)),
    ])
  }

  private func malformed(_ name: String, _ raw: some Collection<UInt8>, _ count: Int) -> Listed {
    #expect(throws: ByteError.self, "\(name)") {
      try StretchColumns.decode(
        Array(raw), log: sample.log, first: .first, count: count, previous: VectorLog.person.cast())
    }
    return .table([
      ("name", .text(name)), ("first", "1"), ("count", .number(count)), ("previous", .hex(VectorLog.person)),
      ("raw", .hex(raw)), ("verdict", "malformed"),
    ])
  }

  // MARK: Envelopes

  private var envelopes: [Listed] {
    let raw = StretchColumns.encode(sample.events)
    let part = StretchColumns.encode(Array(sample.events[4...]))
    let signatures = sample.headers.map { $0.sign(with: sample.key) }
    let whole = StretchEnvelope.Previous.whole(VectorLog.person.cast())
    let held = StretchEnvelope.Previous.prefix(sample.headers[4].previous.prefix64)
    func seven(_ proof: StretchEnvelope.Proof, compressed: Bool = false) -> StretchEnvelope {
      StretchEnvelope(
        first: .first, count: 7, previous: whole, proof: proof, rawBytes: compressed ? raw.count : nil,
        block: compressed ? SmallLZ4.compress(raw) : raw)
    }
    let plain = seven(.lastSignature(signatures[6]))
    let bytes = plain.encoded
    func changed(_ at: Int, _ value: UInt8) -> [UInt8] {
      var copy = bytes
      copy[at] = value
      return copy
    }
    let wide: [UInt8] = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]
    return [
      listed("signed at the end", plain), listed("compressed", seven(.lastSignature(signatures[6]), compressed: true)),
      listed("every event signed", seven(.everySignature(signatures))),
      listed(
        "the last part, for an asker that holds the first",
        StretchEnvelope(
          first: SequenceNumber(5), count: 3, previous: held, proof: .lastSignature(signatures[6]), rawBytes: nil,
          block: part)),
      listed("vouched for by the neighbour", seven(.neighbour)),
      listed("vouched for by a revocation", seven(.revocation)),
      listed("vouched for by evidence", seven(.evidence)),
      refused("version 2", changed(0, 2), "laterVersion"), refused("proof 5", changed(1, 5)),
      refused("bit 6 of the form", changed(1, 0x40)), refused("sequence 0", changed(2, 0)),
      refused("sequence 2^48 + 1", [UInt8](bytes[..<2]) + wide + bytes[3...]),
      refused("sequence with a superfluous byte", [UInt8](bytes[..<2]) + [0x81, 0x00] + bytes[3...]),
      refused("no events", changed(3, 0)), refused("257 events", [UInt8](bytes[..<3]) + [0x81, 0x02] + bytes[4...]),
      refused("cut in previous", Array(bytes[..<30])), refused("cut in the signature", Array(bytes[..<99])),
      refused("no bytes", []),
      refused(
        "raw length over the limit",
        [1, 0x12, 1, 1] + VectorLog.person.bytes
          + {
            var writer = ByteWriter()
            writer.varint(UInt64(StretchColumns.rawBytesMaximum + 1))
            return writer.bytes
          }()),
    ]
  }

  private func listed(_ name: String, _ envelope: StretchEnvelope) -> Listed {
    let bytes = envelope.encoded
    #expect((try? StretchEnvelope(decoding: bytes, 0..<bytes.count)) == envelope, "\(name)")
    var proof: [(String, Listed)] = []
    switch envelope.proof {
    case .lastSignature(let signature):
      proof = [("proof", "lastSignature"), ("signatures", .list([.hex(signature.bytes)]))]
    case .everySignature(let signatures):
      proof = [("proof", "everySignature"), ("signatures", .list(signatures.map { .hex($0.bytes) }))]
    case .neighbour: proof = [("proof", "neighbour"), ("signatures", .list([]))]
    case .revocation: proof = [("proof", "revocation"), ("signatures", .list([]))]
    case .evidence: proof = [("proof", "evidence"), ("signatures", .list([]))]
    }
    let previous: Listed
    switch envelope.previous {
    case .whole(let hash): previous = .hex(hash)
    case .prefix(let prefix): previous = .hex(withUnsafeBytes(of: prefix.bigEndian) { Array($0) })
    }
    let raw = envelope.rawBytes == nil ? envelope.block : SmallLZ4.decompress(envelope.block)
    #expect(envelope.rawBytes ?? raw.count == raw.count, "\(name)")
    return .table(
      [
        ("name", .text(name)), ("envelope", .hex(bytes)), ("verdict", "good"),
        ("first", .wide(envelope.first.rawValue)), ("count", .number(envelope.count)), ("previous", previous),
      ] + proof + [
        ("compressed", .flag(envelope.rawBytes != nil)), ("raw", .hex(raw)),
        ("lastHash", .hex(sample.headers[6].hash)),
      ])
  }

  private func refused(_ name: String, _ bytes: [UInt8], _ verdict: String = "malformed") -> Listed {
    do {
      _ = try StretchEnvelope(decoding: bytes, 0..<bytes.count)
      Issue.record("accepted: \(name)")
    } catch {
      #expect((error.reason == StretchEnvelope.unknownVersion) == (verdict == "laterVersion"), "\(name)")
    }
    return .table([("name", .text(name)), ("envelope", .hex(bytes)), ("verdict", .text(verdict))])
  }
}

/// The LZ4 block format, plain and slow: the vectors need one compressed block, and `Events` knows no LZ4.
enum SmallLZ4 {
  static func compress(_ input: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    var seen: [[UInt8]: Int] = [:]
    var literals = 0
    var index = 0
    func length(_ value: Int) -> [UInt8] {
      value < 15 ? [] : [UInt8](repeating: 255, count: (value - 15) / 255) + [UInt8((value - 15) % 255)]
    }
    while index + 12 < input.count {
      let four = Array(input[index..<(index + 4)])
      let match = seen[four]
      seen[four] = index
      guard let match, index - match < 65_536 else {
        index += 1
        continue
      }
      var count = 4
      while index + count < input.count - 5, input[match + count] == input[index + count] { count += 1 }
      output.append(UInt8(min(15, index - literals) << 4 | min(15, count - 4)))
      output += length(index - literals) + input[literals..<index]
      output += [UInt8((index - match) & 255), UInt8((index - match) >> 8)] + length(count - 4)
      index += count
      literals = index
    }
    output.append(UInt8(min(15, input.count - literals) << 4))
    return output + length(input.count - literals) + input[literals...]
  }

  /// Of a block that `compress` made.
  static func decompress(_ block: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    var index = 0
    func length(_ start: Int) -> Int {
      var value = start
      while start == 15 {
        value += Int(block[index])
        index += 1
        if block[index - 1] < 255 { break }
      }
      return value
    }
    while index < block.count {
      let token = block[index]
      index += 1
      let literals = length(Int(token >> 4))
      output += block[index..<(index + literals)]
      index += literals
      if index == block.count { break }
      let distance = Int(block[index]) | Int(block[index + 1]) << 8
      index += 2
      for _ in 0..<(length(Int(token & 15)) + 4) { output.append(output[output.count - distance]) }
    }
    return output
  }
}
