public import DHT
import Identity
import Primitives

/// What a command asks of the DHT, by way of the node that runs or of its own.
public enum LocalDHTRequest: Hashable, Sendable {
  /// The nodes nearest to a point → `.dhtReport`.
  case find(NodeID)
  /// Whether somebody answers at `host:port` → `.dhtReport`.
  case ping(address: String)
  /// Whom the node knows → `.dhtTable`.
  case table
  /// Stores a value → `.dhtStored`.
  case put(LocalDHTPut)
  /// Fetches a value → `.dhtValue`.
  case get(LocalDHTName)
}

/// What came of a search, and what it cost.
public struct LocalDHTReport: Hashable, Sendable {
  /// Whether anybody answered.
  public var isReached: Bool
  /// Who answered a ping.
  public var remote: NodeID?
  public var queries: Int
  public var timeouts: Int
  public var hops: Int
  public var duration: Duration
  /// The nearest first.
  public var closest: [Contact]

  public init(_ report: DHTNode.Report) {
    (isReached, remote) =
      switch report.outcome {
      case .answered(let id, _): (true, id)
      case .unreachable, .busy: (false, nil)
      case .nodes, .peers, .immutable, .mutable, .notFound, .stored, .superseded, .conflict: (true, nil)
      }
    queries = report.queries
    timeouts = report.timeouts
    hops = report.hops
    duration = report.duration
    closest = report.closest
  }
}

// MARK: Coding

extension LocalDHTRequest {
  func write(to writer: inout CBORWriter) {
    switch self {
    case .find(let target):
      writer.array(2)
      writer.unsigned(0)
      writer.byteString(target.bytes)
    case .ping(let address):
      writer.array(2)
      writer.unsigned(1)
      writer.text(address)
    case .table:
      writer.array(1)
      writer.unsigned(2)
    case .put(let put):
      writer.array(5)
      writer.unsigned(3)
      put.name.write(to: &writer)
      writer.byteString(put.value)
      writer.optional(put.lifetime) { $0.unsigned(UInt64($1)) }
      writer.optional(put.copies) { $0.count($1) }
    case .get(let name):
      writer.array(2)
      writer.unsigned(4)
      name.write(to: &writer)
    }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    let start = reader.offset
    let parts = try reader.arrayCount(atMost: 8)
    switch (try reader.unsigned(), parts) {
    case (0, 2): self = .find(try reader.nodeID())
    case (1, 2): self = .ping(address: try reader.text(atMost: LocalLimits.addressBytes))
    case (2, 1): self = .table
    case (3, 5):
      var put = LocalDHTPut(
        name: try LocalDHTName(from: &reader), value: try reader.bytes(atMost: StoredValue.byteCountMaximum))
      put.lifetime = try reader.optional { (reader) throws(ByteError) in try reader.number(UInt32.self) }
      put.copies = try reader.optional { (reader) throws(ByteError) in
        try reader.count(atMost: LocalDHTPut.copiesMaximum)
      }
      self = .put(put)
    case (4, 2): self = .get(try LocalDHTName(from: &reader))
    case (let kind, _): throw ByteError(at: start, "DHT request of kind \(kind) with \(parts) parts")
    }
  }
}

extension LocalDHTReport {
  func write(to writer: inout CBORWriter) {
    writer.array(7)
    writer.bool(isReached)
    writer.optional(remote) { $0.byteString($1.bytes) }
    for count in [queries, timeouts, hops] { writer.count(count) }
    writer.count(Int(duration / .nanoseconds(1)))
    writer.contacts(closest)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(7, of: "a report of the DHT")
    isReached = try reader.bool()
    remote = try reader.optional { (reader) throws(ByteError) in try reader.nodeID() }
    queries = try reader.count()
    timeouts = try reader.count()
    hops = try reader.count()
    duration = .nanoseconds(try reader.count())
    closest = try reader.contacts()
  }
}

extension DHTStatus {
  func write(to writer: inout CBORWriter) {
    writer.array(10)
    writer.count(family.rawValue)
    writer.byteString(id.bytes)
    writer.byteString(endpoint.compact)
    let states: [DHTNode.State] = [.bootstrapping, .client, .server]
    writer.count(states.firstIndex(of: state) ?? 0)
    writer.optional(externalAddress) { $0.byteString($1.bytes) }
    writer.optional(networkSize) { $0.count(Int($1.rounded())) }
    writer.contacts(contacts)
    writer.count(hashes)
    writer.count(items)
    let counts = [
      statistics.received, statistics.receivedBytes, statistics.sent, statistics.sentBytes, statistics.unheard,
      statistics.malformed, statistics.unmatched, statistics.unanswered, statistics.withheld, statistics.refused,
    ]
    writer.array(counts.count)
    for count in counts { writer.count(count) }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(10, of: "a table of the DHT")
    let start = reader.offset
    guard let family = NodeCore.DHTFamily(rawValue: try reader.count()) else {
      throw ByteError(at: start, "another address family")
    }
    self.family = family
    id = try reader.nodeID()
    endpoint = try reader.endpoint()
    state = [.bootstrapping, .client, .server][try reader.count(atMost: 2)]
    externalAddress = try reader.optional { (reader) throws(ByteError) in
      let start = reader.offset
      let bytes = try reader.bytes(atMost: 16)
      guard let address = IPAddress(bytes), address.bytes == bytes else { throw ByteError(at: start, "no address") }
      return address
    }
    networkSize = try reader.optional { (reader) throws(ByteError) in Double(try reader.count()) }
    contacts = try reader.contacts()
    hashes = try reader.count()
    items = try reader.count()
    statistics = DHTNode.Statistics()
    try reader.parts(10, of: "statistics of the DHT")
    statistics.received = try reader.count()
    statistics.receivedBytes = try reader.count()
    statistics.sent = try reader.count()
    statistics.sentBytes = try reader.count()
    statistics.unheard = try reader.count()
    statistics.malformed = try reader.count()
    statistics.unmatched = try reader.count()
    statistics.unanswered = try reader.count()
    statistics.withheld = try reader.count()
    statistics.refused = try reader.count()
  }
}

extension CBORWriter {
  mutating func contacts(_ contacts: [Contact]) {
    array(contacts.count)
    for contact in contacts { byteString(contact.id.bytes + contact.endpoint.compact) }
  }
}

extension CBORReader {
  mutating func nodeID() throws(ByteError) -> NodeID {
    let start = offset
    guard let id = NodeID(try bytes(atMost: NodeID.byteCount)) else {
      throw ByteError(at: start, "no point of the DHT")
    }
    return id
  }

  mutating func endpoint() throws(ByteError) -> Endpoint {
    let start = offset
    return try Self.endpoint(try bytes(atMost: 18)[...], at: start)
  }

  private static func endpoint(_ bytes: ArraySlice<UInt8>, at start: Int) throws(ByteError) -> Endpoint {
    // A mapped IPv4 address has a second form.
    guard let endpoint = Endpoint(compact: bytes), endpoint.compact.elementsEqual(bytes) else {
      throw ByteError(at: start, "no endpoint")
    }
    return endpoint
  }

  mutating func contacts() throws(ByteError) -> [Contact] {
    var found: [Contact] = []
    for _ in 0..<(try arrayCount(atMost: LocalLimits.contacts)) {
      let start = offset
      let bytes = try bytes(atMost: 38)
      guard let id = NodeID(bytes.prefix(NodeID.byteCount)) else { throw ByteError(at: start, "no contact") }
      found.append(Contact(id, at: try Self.endpoint(bytes.dropFirst(NodeID.byteCount), at: start)))
    }
    return found
  }
}
