import Events
import Identity
public import Primitives
import Replication

extension LocalReply {
  public var encoded: [UInt8] {
    switch self {
    case .done: LocalEnvelope.write(0, fields: 0)
    case .appended(let results):
      LocalEnvelope.write(1, fields: 1) { writer in
        writer.array(results.count)
        for result in results { result.write(to: &writer) }
      }
    case .merged(let changed): LocalEnvelope.write(2, fields: 1) { $0.bool(changed) }
    case .imported(let counts):
      LocalEnvelope.write(3, fields: 5) { writer in
        for count in [counts.lines, counts.persons, counts.events, counts.known, counts.bad] { writer.count(count) }
      }
    case .synced(let outcomes):
      LocalEnvelope.write(4, fields: 1) { writer in
        writer.array(outcomes.count)
        for outcome in outcomes { outcome.write(to: &writer) }
      }
    case .rebuilt(let events, let before, let after):
      LocalEnvelope.write(5, fields: 3) { writer in
        writer.count(events)
        writer.byteString(before)
        writer.byteString(after)
      }
    case .status(let status):
      LocalEnvelope.write(6, fields: 6) { writer in
        writer.unsigned(UInt64(UInt32(bitPattern: status.pid)))
        writer.bool(status.isNode)
        writer.array(status.addresses.count)
        for address in status.addresses { writer.text(address) }
        writer.count(status.sessions)
        writer.message(status.version)
        writer.optional(status.node) { $0.byteString($1) }
      }
    case .repaired(let places): LocalEnvelope.write(7, fields: 1) { $0.count(places) }
    case .foundNames(let names): LocalEnvelope.write(13, fields: 1) { names.write(to: &$0) }
    case .searched(let report, let outcomes):
      LocalEnvelope.write(12, fields: 2) { writer in
        report.write(to: &writer)
        writer.array(outcomes.count)
        for outcome in outcomes { outcome.write(to: &writer) }
      }
    case .dhtReport(let report): LocalEnvelope.write(8, fields: 1) { report.write(to: &$0) }
    case .dhtTable(let tables):
      LocalEnvelope.write(9, fields: 1) { writer in
        writer.array(tables.count)
        for table in tables { table.write(to: &writer) }
      }
    case .dhtStored(let stored): LocalEnvelope.write(10, fields: 1) { stored.write(to: &$0) }
    case .dhtValue(let value):
      LocalEnvelope.write(11, fields: 1) { writer in writer.optional(value) { $1.write(to: &$0) } }
    }
  }

  /// Reads what `encoded` writes, and nothing else.
  public init(decoding bytes: [UInt8]) throws(ByteError) {
    self = try LocalEnvelope.read(bytes) { (kind, fields, reader) throws(ByteError) in
      switch kind {
      case 0:
        try LocalEnvelope.expect(fields, 0)
        return .done
      case 1:
        try LocalEnvelope.expect(fields, 1)
        var results: [LocalAppend] = []
        for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.drafts)) {
          results.append(try LocalAppend(from: &reader))
        }
        return .appended(results)
      case 2:
        try LocalEnvelope.expect(fields, 1)
        return .merged(changed: try reader.bool())
      case 3:
        try LocalEnvelope.expect(fields, 5)
        var counts = LocalImport()
        counts.lines = try reader.count()
        counts.persons = try reader.count()
        counts.events = try reader.count()
        counts.known = try reader.count()
        counts.bad = try reader.count()
        return .imported(counts)
      case 4:
        try LocalEnvelope.expect(fields, 1)
        var outcomes: [SyncOutcome] = []
        for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.targets)) {
          outcomes.append(try SyncOutcome(from: &reader))
        }
        return .synced(outcomes)
      case 5:
        try LocalEnvelope.expect(fields, 3)
        let events = try reader.count()
        let before: Digest = try reader.bytes32()
        return .rebuilt(events: events, before: before, after: try reader.bytes32())
      case 6:
        try LocalEnvelope.expect(fields, 6)
        let pid = Int32(bitPattern: try reader.number(UInt32.self))
        let isNode = try reader.bool()
        var addresses: [String] = []
        for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.listeners)) {
          addresses.append(try reader.text(atMost: LocalLimits.addressBytes))
        }
        let sessions = try reader.count()
        let version = try reader.message()
        let node: PublicKey? = try reader.optional { (reader) throws(ByteError) in try reader.bytes32() }
        return .status(
          LocalStatus(
            pid: pid, isNode: isNode, addresses: addresses, sessions: sessions, version: version, node: node))
      case 7:
        try LocalEnvelope.expect(fields, 1)
        return .repaired(places: try reader.count())
      case 8:
        try LocalEnvelope.expect(fields, 1)
        return .dhtReport(try LocalDHTReport(from: &reader))
      case 9:
        try LocalEnvelope.expect(fields, 1)
        var tables: [DHTStatus] = []
        for _ in 0..<(try reader.arrayCount(atMost: NodeCore.DHTFamily.allCases.count)) {
          tables.append(try DHTStatus(from: &reader))
        }
        return .dhtTable(tables)
      case 10:
        try LocalEnvelope.expect(fields, 1)
        return .dhtStored(try LocalDHTStored(from: &reader))
      case 11:
        try LocalEnvelope.expect(fields, 1)
        return .dhtValue(try reader.optional { (reader) throws(ByteError) in try LocalDHTValue(from: &reader) })
      case 12:
        try LocalEnvelope.expect(fields, 2)
        let report = try SearchReport(from: &reader)
        var outcomes: [SyncOutcome] = []
        for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.targets)) {
          outcomes.append(try SyncOutcome(from: &reader))
        }
        return .searched(report, outcomes)
      case 13:
        try LocalEnvelope.expect(fields, 1)
        return .foundNames(try LocalNames(from: &reader))
      default: throw ByteError(at: 0, "reply of kind \(kind)")
      }
    }
  }
}

extension LocalAppend {
  func write(to writer: inout CBORWriter) {
    guard case .appended(let reference, let id) = self else { return writer.null() }
    writer.array(2)
    reference.write(to: &writer)
    writer.unsigned(id.rawValue)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    let appended: (Reference, EventID)? = try reader.optional { (reader) throws(ByteError) in
      try reader.parts(2, of: "an appended event")
      let reference = try Reference(from: &reader)
      return (reference, EventID(rawValue: try reader.unsigned()))
    }
    self = appended.map { .appended($0.0, $0.1) } ?? .skipped
  }
}

extension LocalProgress {
  public var encoded: [UInt8] {
    switch self {
    case .syncing(let progress):
      LocalEnvelope.write(0, fields: 2) { writer in
        writer.count(progress.events)
        writer.count(progress.bytesReceived)
      }
    case .importing(let lines, let events):
      LocalEnvelope.write(1, fields: 2) { writer in
        writer.count(lines)
        writer.count(events)
      }
    case .badLines(let lines, let reason):
      LocalEnvelope.write(2, fields: 3) { writer in
        writer.count(lines.lowerBound)
        writer.count(lines.upperBound)
        writer.message(reason)
      }
    case .rebuilding(let events): LocalEnvelope.write(3, fields: 1) { $0.count(events) }
    case .listening(let address, let node):
      LocalEnvelope.write(4, fields: 2) { writer in
        writer.text(address)
        writer.byteString(node)
      }
    case .joinRequest(let number, let request):
      LocalEnvelope.write(5, fields: 2) { writer in
        writer.unsigned(UInt64(number))
        writer.byteString(Message.join(request).body)
      }
    }
  }

  /// Reads what `encoded` writes, and nothing else.
  public init(decoding bytes: [UInt8]) throws(ByteError) {
    self = try LocalEnvelope.read(bytes) { (kind, fields, reader) throws(ByteError) in
      switch kind {
      case 0:
        try LocalEnvelope.expect(fields, 2)
        let events = try reader.count()
        return .syncing(SyncProgress(events: events, bytesReceived: try reader.count()))
      case 1:
        try LocalEnvelope.expect(fields, 2)
        let lines = try reader.count()
        return .importing(lines: lines, events: try reader.count())
      case 2:
        try LocalEnvelope.expect(fields, 3)
        let first = try reader.count()
        let last = try reader.count()
        guard first <= last else { throw ByteError(at: reader.offset, "lines \(first) to \(last)") }
        return .badLines(first...last, reason: try reader.message())
      case 3:
        try LocalEnvelope.expect(fields, 1)
        return .rebuilding(events: try reader.count())
      case 4:
        try LocalEnvelope.expect(fields, 2)
        let address = try reader.text(atMost: LocalLimits.addressBytes)
        return .listening(address: address, node: try reader.bytes32())
      case 5:
        try LocalEnvelope.expect(fields, 2)
        let number = try reader.number(UInt32.self)
        let start = reader.offset
        let body = try reader.bytes(atMost: LocalLimits.messageBytes)
        guard case .join(let request)? = try Message(type: Self.joinType, body: body) else {
          throw ByteError(at: start, "no request to join")
        }
        return .joinRequest(number: number, request)
      default: throw ByteError(at: 0, "progress of kind \(kind)")
      }
    }
  }

  /// `Message.join`'s frame type.
  private static let joinType: UInt8 = 15
}
