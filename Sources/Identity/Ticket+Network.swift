public import Primitives

extension Ticket {
  /// An invitation to a private network of the DHT. It holds the network's key: whoever has the ticket is in.
  ///
  ///     kind 3: 0: network id (8 bytes), 1: network key (32 bytes), 2: addresses of nodes to begin with
  public struct Network: Hashable, Sendable {
    public let key: AuthenticationCode
    public let addresses: [String]

    public init(key: AuthenticationCode, addresses: [String]) {
      self.key = key
      self.addresses = addresses
    }

    public static let idByteCount = 8

    /// What the network is called where its key must not be told: the first 8 bytes of
    /// BLAKE2b-256("tl-network-v1\0" ‖ key).
    public static func id(of key: AuthenticationCode) -> [UInt8] {
      Array(Digest(hashing: Array("tl-network-v1\0".utf8) + key.bytes).bytes.prefix(idByteCount))
    }

    func write(to writer: inout CBORWriter) {
      writer.map(3)
      writer.unsigned(0)
      writer.byteString(Self.id(of: key))
      writer.unsigned(1)
      writer.byteString(key)
      writer.unsigned(2)
      Ticket.write(addresses, to: &writer)
    }

    init(_ bytes: [UInt8], _ range: Range<Int>) throws(IdentityError) {
      self = try decoding("network ticket") { () throws(ByteError) in
        var reader = CBORReader(bytes, range)
        guard try reader.mapCount() == 3 else { throw ByteError(at: range.lowerBound, "not a map of 3") }
        try reader.key(0)
        let start = reader.offset
        let id = reader.array(try reader.byteString(atMost: Self.idByteCount))
        try reader.key(1)
        let key: AuthenticationCode = try reader.bytes32()
        guard id == Self.id(of: key) else { throw ByteError(at: start, "an id that is not the key's") }
        try reader.key(2)
        let addresses = try Ticket.addresses(&reader)
        try reader.expectEnd()
        return Network(key: key, addresses: addresses)
      }
    }
  }
}
