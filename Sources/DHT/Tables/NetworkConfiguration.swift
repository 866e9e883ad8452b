public import Identity
public import Primitives

/// Which network of the DHT somebody is in, and where it is entered: what a profile keeps of it (schemas/dht.md).
public struct NetworkConfiguration: Hashable, Sendable {
  public enum Network: Hashable, Sendable {
    case privateNetwork(AuthenticationCode)
    /// The Mainline DHT of everybody.
    case mainline
  }

  public var network: Network
  /// Nodes that are always there, as `host:port`; at most 8.
  public var bootstrap: [String]

  public static let bootstrapMaximum = 8
  /// The longest DNS name, brackets, colon and port.
  public static let addressByteMaximum = 261
  /// Of a file that is read: more is none of ours.
  public static let byteCountMaximum = 4_096

  /// Takes the first 8 endpoints, each once.
  public init(_ network: Network, bootstrap: [String]) {
    self.network = network
    var seen: Set<String> = []
    self.bootstrap = Array(bootstrap.filter { seen.insert($0).inserted }.prefix(Self.bootstrapMaximum))
  }

  /// How a node in this network behaves.
  public var settings: DHTSettings {
    switch network {
    case .privateNetwork(let key): .privateNetwork(NetworkKey(key))
    case .mainline: .publicMainline
    }
  }

  /// What a private network is called; nil for Mainline.
  public var id: [UInt8]? {
    switch network {
    case .privateNetwork(let key): Ticket.Network.id(of: key)
    case .mainline: nil
    }
  }

  /// Version u8 = 1 ‖ CBOR map ‖ the first 4 bytes of BLAKE2b-256 of all that.
  public var bytes: [UInt8] {
    var writer = CBORWriter(reserving: 64)
    switch network {
    case .privateNetwork(let key):
      writer.map(3)
      writer.unsigned(0)
      writer.unsigned(0)
      writer.unsigned(1)
      writer.byteString(key)
    case .mainline:
      writer.map(2)
      writer.unsigned(0)
      writer.unsigned(1)
    }
    writer.unsigned(2)
    writer.array(bootstrap.count)
    for address in bootstrap { writer.text(address) }
    let bytes = [Self.version] + writer.bytes
    return bytes + Digest(hashing: bytes).bytes.prefix(Self.checksumCount)
  }

  /// Reads what `bytes` wrote. Throws `ByteError` for anything else.
  public init(_ bytes: [UInt8]) throws(ByteError) {
    guard bytes.count <= Self.byteCountMaximum, bytes.count > 1 + Self.checksumCount else {
      throw ByteError(at: 0, "a network configuration of \(bytes.count) bytes")
    }
    let end = bytes.count - Self.checksumCount
    guard Digest(hashing: Array(bytes[..<end])).bytes.prefix(Self.checksumCount) == bytes[end...] else {
      throw ByteError(at: end, "the checksum does not hold")
    }
    guard bytes[0] == Self.version else { throw ByteError(at: 0, "version \(bytes[0])") }
    var reader = CBORReader(bytes, 1..<end)
    let count = try reader.mapCount(atMost: 3)
    try reader.key(0)
    let start = reader.offset
    let network: Network
    switch (try reader.unsigned(), count) {
    case (0, 3):
      try reader.key(1)
      network = .privateNetwork(try reader.bytes32())
    case (1, 2): network = .mainline
    case (let kind, _): throw ByteError(at: start, "network of kind \(kind) with \(count) fields")
    }
    try reader.key(2)
    var bootstrap: [String] = []
    for _ in 0..<(try reader.arrayCount(atMost: Self.bootstrapMaximum)) {
      let start = reader.offset
      let address = try reader.text(atMost: Self.addressByteMaximum)
      guard address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !bootstrap.contains(address) else {
        throw ByteError(at: start, "not an address, or one twice")
      }
      bootstrap.append(address)
    }
    try reader.expectEnd()
    self.init(network, bootstrap: bootstrap)
  }

  private static let version: UInt8 = 1
  private static let checksumCount = 4
}

extension CBORReader {
  fileprivate mutating func key(_ wanted: UInt64) throws(ByteError) {
    let start = offset
    guard try unsigned() == wanted else { throw ByteError(at: start, "not the field \(wanted)") }
  }
}
