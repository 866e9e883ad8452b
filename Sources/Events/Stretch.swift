public import Identity
public import Primitives

/// Consecutive events of one chunk, decoded: the headers rebuilt, the payloads where they lie in the raw bytes.
///
/// A stretch that was decoded is well formed; whether it is authentic shows when its last hash meets a proof.
public struct Stretch: Sendable {
  public let log: LogID
  public let first: SequenceNumber
  /// The hash of the event before the first.
  public let previous: EventHash
  /// `count` × 128 bytes.
  public let headerBytes: [UInt8]
  /// The hash of each event.
  public let hashes: [EventHash]
  /// The columns and payloads that `payloads` points into.
  public let raw: [UInt8]
  package let payloads: [PayloadSlot]

  package enum PayloadSlot: Hashable, Sendable {
    case present(Range<Int>)
    case absent(Absence)
  }

  public var count: Int { hashes.count }
  public var last: SequenceNumber { first + (count - 1) }
  public var lastHash: EventHash { hashes[count - 1] }

  public func header(_ index: Int) -> EventHeader {
    headerBytes.withUnsafeBytes {
      EventHeader(trusted: UnsafeRawBufferPointer(rebasing: $0[(index * 128)..<(index * 128 + 128)]))
    }
  }

  /// Where the payload of an event lies in `raw`; nil when it is absent.
  public func payloadRange(_ index: Int) -> Range<Int>? {
    if case .present(let range) = payloads[index] { range } else { nil }
  }

  public func payload(_ index: Int) -> Payload {
    switch payloads[index] {
    case .present(let range): .present(Array(raw[range]))
    case .absent(let reason): .absent(reason)
    }
  }

  public func event(_ index: Int) -> Event { Event(header: header(index), payload: payload(index)) }

  public func place(_ index: Int) -> UInt8 { headerBytes[index * 128 + 3] }
  public func kind(_ index: Int) -> EventKind { EventKind(rawValue: headerBytes[index * 128 + 1]) }
  public func id(_ index: Int) -> EventID {
    headerBytes.withUnsafeBytes {
      EventID(rawValue: UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: index * 128 + 12, as: UInt64.self)))
    }
  }

  /// Whether `signature` is the log key's over the header at `index`.
  public func isSigned(_ index: Int, by signature: Signature) -> Bool {
    log.verifies(signature, of: Array(headerBytes[(index * 128)..<(index * 128 + 128)]), in: .event)
  }

  /// The events themselves, for re-encoding.
  public var events: [Event] { (0..<count).map(event) }
}

/// The raw form of a stretch, before compression: what cannot be derived, in columns, then the payloads
/// (schemas/stretch.md). Sequence, log, `previous` and the hashes of present payloads are derived.
///
/// ```
/// id of the first u64 | place of the first u8 | kinds n × u8 | flags n × u8 | presence n × u8 (0, or why absent)
/// times (n−1) × zigzag varint of the milliseconds' difference | lows n−1 × zigzag varint of the low 22 bits' difference
/// ttls n × varint | lives n × zigzag varint of live − (live before + 1), before the first: sequence − 2
/// sizes n × varint | hashes 32 for each absent payload | payloads
/// ```
///
/// Any header a log key can sign has such a form, rule-abiding or not: a relay is never blamed for what an author signed.
public enum StretchColumns {
  /// Upper bound of the raw bytes of a stretch: the payloads of a chunk and every column at its longest.
  public static let rawBytesMaximum = Int(EventHeader.payloadBytesMaximum) + HeaderJudge.chunkCountMaximum * 70 + 9

  /// - Precondition: 1–256 events, sequence and place each one above the one before.
  public static func encode(_ events: [Event]) -> [UInt8] {
    precondition((1...HeaderJudge.chunkCountMaximum).contains(events.count), "\(events.count) events in a stretch")
    var writer = ByteWriter(reserving: events.reduce(64) { $0 + 24 + Int($1.header.payloadBytes) })
    writer.integer(events[0].header.id.rawValue)
    writer.byte(events[0].header.place)
    for event in events { writer.byte(event.header.kind.rawValue) }
    for event in events { writer.byte(event.header.flags) }
    for event in events {
      if case .absent(let reason) = event.payload { writer.byte(reason.rawValue) } else { writer.byte(0) }
    }
    for (before, event) in zip(events, events.dropFirst()) {
      precondition(
        event.header.sequence == before.header.sequence + 1 && event.header.place == before.header.place &+ 1
          && event.header.place != 0, "no stretch: \(before.header) then \(event.header)")
      writer.varint(zigzag(Int64(bitPattern: event.header.id.milliseconds &- before.header.id.milliseconds)))
    }
    for (before, event) in zip(events, events.dropFirst()) {
      writer.varint(zigzag(Int64(event.header.id.rawValue & lowMask) - Int64(before.header.id.rawValue & lowMask)))
    }
    for event in events { writer.varint(UInt64(event.header.ttl)) }
    var expected = Int64(bitPattern: events[0].header.sequence.rawValue) - 1
    for event in events {
      writer.varint(zigzag(Int64(event.header.live) - expected))
      expected = Int64(event.header.live) + 1
    }
    for event in events { writer.varint(UInt64(event.header.payloadBytes)) }
    for event in events {
      if case .absent = event.payload { writer.append(event.header.payloadHash) }
    }
    for event in events {
      guard case .present(let bytes) = event.payload else { continue }
      precondition(bytes.count == event.header.payloadBytes, "\(bytes.count) payload bytes for \(event.header)")
      writer.append(bytes)
    }
    return writer.bytes
  }

  /// Rebuilds headers and hashes. Bytes that are no stretch throw; wrong but well-formed bytes give a stretch whose last
  /// hash meets no proof.
  ///
  /// - Parameter count: 1–256, as the envelope says.
  public static func decode(
    _ raw: [UInt8], log: LogID, first: SequenceNumber, count: Int, previous: EventHash
  ) throws(ByteError) -> Stretch {
    guard (1...HeaderJudge.chunkCountMaximum).contains(count) else {
      throw ByteError(at: 0, "\(count) events in a stretch")
    }
    guard first >= .first, first <= .maximum else { throw ByteError(at: 0, "sequence \(first)") }
    var columns = ByteReader(raw)
    var id = try columns.integer(UInt64.self)
    let place = Int(try columns.byte())
    guard place + count <= HeaderJudge.chunkCountMaximum else { throw ByteError(at: 8, "place beyond the chunk's end") }
    let kinds = try columns.take(count)
    let flags = try columns.take(count)
    let presence = try columns.take(count)

    var headers = [UInt8](repeating: 0, count: count * EventHeader.byteCount)
    var ids = [UInt64](repeating: 0, count: count)
    ids[0] = id
    for index in 1..<max(1, count) {
      let milliseconds = (id >> 22) &+ UInt64(bitPattern: unzigzag(try columns.varint()))
      guard milliseconds < 1 << 42 else { throw ByteError(at: columns.offset, "id over 64 bits") }
      id = milliseconds << 22
      ids[index] = id
    }
    var low = Int64(ids[0] & lowMask)
    for index in 1..<max(1, count) {
      let (sum, overflow) = low.addingReportingOverflow(unzigzag(try columns.varint()))
      guard !overflow, sum >= 0, sum <= Int64(lowMask) else {
        throw ByteError(at: columns.offset, "id fields out of range")
      }
      low = sum
      ids[index] |= UInt64(low)
    }
    for index in 0..<count {
      let ttl = try columns.varint()
      guard ttl <= UInt64(UInt32.max) else { throw ByteError(at: columns.offset, "ttl over 32 bits") }
      store(UInt32(ttl), in: &headers, at: index * 128 + 120)
    }
    var expected = Int64(bitPattern: first.rawValue) - 1
    for index in 0..<count {
      let (live, overflow) = expected.addingReportingOverflow(unzigzag(try columns.varint()))
      guard !overflow, live >= 0, live <= Int64(UInt32.max) else {
        throw ByteError(at: columns.offset, "live over 32 bits")
      }
      store(UInt32(live), in: &headers, at: index * 128 + 124)
      expected = live + 1
    }
    var sizes = [Int](repeating: 0, count: count)
    for index in 0..<count {
      sizes[index] = try columns.count(atMost: Int(UInt32.max))
      store(UInt32(sizes[index]), in: &headers, at: index * 128 + 84)
    }
    var slots: [Stretch.PayloadSlot] = []
    slots.reserveCapacity(count)
    for index in 0..<count {
      let state = raw[presence.lowerBound + index]
      if state == 0 {
        slots.append(.present(0..<0))
      } else if let reason = Absence(rawValue: state) {
        slots.append(.absent(reason))
        put(try columns.bytes32(), in: &headers, at: index * 128 + 88)
      } else {
        throw ByteError(at: presence.lowerBound + index, "unknown presence \(state)")
      }
    }
    for index in 0..<count {
      guard case .present = slots[index] else { continue }
      slots[index] = .present(try columns.take(sizes[index]))
    }
    try columns.expectEnd()

    var hashes: [EventHash] = []
    hashes.reserveCapacity(count)
    var before = previous
    headers.withUnsafeMutableBytes { target in
      raw.withUnsafeBytes { source in
        for index in 0..<count {
          let header = UnsafeMutableRawBufferPointer(rebasing: target[(index * 128)..<(index * 128 + 128)])
          header[0] = EventHeader.version
          header[1] = source[kinds.lowerBound + index]
          header[2] = source[flags.lowerBound + index]
          header[3] = UInt8(place + index)
          header.storeBytes(of: (first.rawValue + UInt64(index)).bigEndian, toByteOffset: 4, as: UInt64.self)
          header.storeBytes(of: ids[index].bigEndian, toByteOffset: 12, as: UInt64.self)
          header.storeBytes(of: log, toByteOffset: 20, as: LogID.self)
          header.storeBytes(of: before, toByteOffset: 52, as: EventHash.self)
          if case .present(let range) = slots[index] {
            header.storeBytes(
              of: Digest(hashing: UnsafeRawBufferPointer(rebasing: source[range])), toByteOffset: 88, as: Digest.self)
          }
          before = EventHash(hashing: UnsafeRawBufferPointer(header))
          hashes.append(before)
        }
      }
    }
    return Stretch(
      log: log, first: first, previous: previous, headerBytes: headers, hashes: hashes, raw: raw, payloads: slots)
  }

  private static let lowMask: UInt64 = (1 << EventID.lowBits) - 1

  private static func store(_ value: UInt32, in bytes: inout [UInt8], at offset: Int) {
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self) }
  }

  private static func put(_ value: Digest, in bytes: inout [UInt8], at offset: Int) {
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: Digest.self) }
  }
}
