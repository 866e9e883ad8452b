import Identity
import Primitives
import Replication
import Transport

// How a session went, as it crosses the control socket.

extension SyncOutcome {
  func write(to writer: inout CBORWriter) {
    writer.array(7)
    writer.optional(end.sync) { $0.unsigned($1.rawValue) }
    writer.optional(end.target) { $1.write(to: &$0) }
    writer.optional(end.node) { $0.byteString($1) }
    writer.optional(end.connection) { $0.unsigned($1.rawValue) }
    writer.optional(end.report) { $1.write(to: &$0) }
    writer.optional(end.failure) { $0.message($1) }
    traffic.write(to: &writer)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(7, of: "an outcome")
    let sync = try reader.optional { (reader) throws(ByteError) in NodeCore.SyncID(try reader.unsigned()) }
    let target = try reader.optional { (reader) throws(ByteError) in try NodeCore.Target(from: &reader) }
    let node: PublicKey? = try reader.optional { (reader) throws(ByteError) in try reader.bytes32() }
    let connection = try reader.optional { (reader) throws(ByteError) in NodeCore.ConnectionID(try reader.unsigned()) }
    let report = try reader.optional { (reader) throws(ByteError) in try ExchangeReport(from: &reader) }
    let failure = try reader.optional { (reader) throws(ByteError) in try reader.message() }
    let end = NodeCore.SessionEnd(
      sync: sync, target: target, node: node, connection: connection, report: report, failure: failure)
    self.init(end: end, traffic: try Traffic(from: &reader))
  }
}

extension Traffic {
  func write(to writer: inout CBORWriter) {
    writer.array(8)
    for bytes in [sent, received] {
      writer.map(bytes.count)
      for (type, count) in bytes.sorted(by: { $0.key < $1.key }) {
        writer.unsigned(UInt64(type))
        writer.count(count)
      }
    }
    for counter in Self.counters { writer.count(counters[keyPath: counter]) }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(8, of: "traffic")
    self.init()
    sent = try Self.bytesByType(&reader)
    received = try Self.bytesByType(&reader)
    for counter in Self.counters { counters[keyPath: counter] = try reader.count() }
  }

  private static var counters: [WritableKeyPath<PeerCounters, Int>] {
    [
      \.handshakeBytesSent, \.handshakeBytesReceived, \.applicationBytesSent, \.applicationBytesReceived,
      \.wireBytesSent, \.wireBytesReceived,
    ]
  }

  private static func bytesByType(_ reader: inout CBORReader) throws(ByteError) -> [UInt8: Int] {
    var bytes: [UInt8: Int] = [:]
    var last: UInt8?
    for _ in 0..<(try reader.mapCount(atMost: 256)) {
      let start = reader.offset
      let type = try reader.number(UInt8.self)
      if let last, type <= last { throw ByteError(at: start, "frame types out of order") }
      last = type
      bytes[type] = try reader.count()
    }
    return bytes
  }
}

extension ExchangeReport {
  func write(to writer: inout CBORWriter) {
    writer.array(12)
    writer.optional(tier) { $0.text($1.rawValue) }
    for count in [events, logs, roundTrips] { writer.count(count) }
    writer.bool(complete)
    writer.bool(limited)
    writer.bool(lacksPayloads)
    for count in [notDelivered, runBytes] { writer.count(count) }
    writer.optional(device) { $0.byteString($1) }
    writer.optional(person) { $0.byteString($1) }
    writer.optional(ending) { $1.write(to: &$0) }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(12, of: "a report")
    self.init()
    let start = reader.offset
    if let name = try reader.optional({ (reader) throws(ByteError) in try reader.text(atMost: 16) }) {
      guard let known = Tier(rawValue: name) else { throw ByteError(at: start, "an unknown tier") }
      tier = known
    }
    events = try reader.count()
    logs = try reader.count()
    roundTrips = try reader.count()
    complete = try reader.bool()
    limited = try reader.bool()
    lacksPayloads = try reader.bool()
    notDelivered = try reader.count()
    runBytes = try reader.count()
    device = try reader.optional { (reader) throws(ByteError) in try reader.bytes32() }
    person = try reader.optional { (reader) throws(ByteError) in try reader.bytes32() }
    ending = try reader.optional { (reader) throws(ByteError) in try Exchange.Ending(from: &reader) }
  }
}

extension Exchange.Ending {
  func write(to writer: inout CBORWriter) {
    writer.array(2)
    switch self {
    case .finished:
      writer.unsigned(0)
      writer.null()
    case .farewell(let reason):
      writer.unsigned(1)
      writer.unsigned(reason.rawValue)
    case .fault(let what):
      writer.unsigned(2)
      writer.message(what)
    case .stalled:
      writer.unsigned(3)
      writer.null()
    case .trouble(let what):
      writer.unsigned(4)
      writer.message(what)
    }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(2, of: "an ending")
    let start = reader.offset
    switch try reader.unsigned() {
    case 0:
      try reader.null()
      self = .finished
    case 1:
      guard let reason = Message.Farewell(rawValue: try reader.unsigned()) else {
        throw ByteError(at: start, "an unknown farewell")
      }
      self = .farewell(reason)
    case 2: self = .fault(try reader.message())
    case 3:
      try reader.null()
      self = .stalled
    case 4: self = .trouble(try reader.message())
    default: throw ByteError(at: start, "an unknown ending")
    }
  }
}
