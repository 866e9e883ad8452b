public import Identity
public import Primitives

/// What a device says of its log in the DHT: how far it goes, and where it can be had. A BEP 44 item under the device key,
/// with the salt `tl/h/1` (schemas/records.md).
public struct HeadItem: Hashable, Sendable {
  public struct Flags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The device's node has stopped: its own addresses are only good for when it comes back.
    public static let leaving = Flags(rawValue: 1)
  }

  /// A replica that holds the log up to the head, as the author believes.
  public struct Replica: Hashable, Sendable {
    /// First 8 bytes of its node key.
    public var nodePrefix: UInt64
    public var endpoint: Endpoint

    public init(nodePrefix: UInt64, endpoint: Endpoint) {
      self.nodePrefix = nodePrefix
      self.endpoint = endpoint
    }
  }

  public static let salt = Array("tl/h/1".utf8)
  public static let addressesMaximum = 4
  public static let replicasMaximum = 6
  /// How long addresses and replicas are believed: two missed publications, and some.
  public static let lifetimeMilliseconds: Int64 = 9_000_000
  static let version: UInt8 = 1

  /// Bits that this version does not know are kept and mean nothing to it.
  public var flags: Flags
  /// 0 for a log without events; its hash is then the person id.
  public var sequence: SequenceNumber
  public var hash: EventHash
  /// The lowest sequence number that the author still vouches for.
  public var floor: SequenceNumber
  /// After this, addresses and replicas mean nothing. That the log had this head stays true.
  public var expires: Timestamp
  public var addresses: [Endpoint]
  public var replicas: [Replica]

  /// Addresses and replicas beyond their bounds are left out.
  public init(
    flags: Flags = [], sequence: SequenceNumber, hash: EventHash, floor: SequenceNumber, expires: Timestamp,
    addresses: [Endpoint], replicas: [Replica]
  ) {
    self.flags = flags
    self.sequence = sequence
    self.hash = hash
    self.floor = floor
    self.expires = expires
    self.addresses = Array(addresses.prefix(Self.addressesMaximum))
    self.replicas = Array(replicas.prefix(Self.replicasMaximum))
  }

  /// Signs the item with the device key.
  /// - Parameter last: the number of the item before, if there is one.
  public func signed(by device: SigningKey, after last: Int64?, at now: Timestamp) -> MutableItem {
    MutableItem(signing: value, salt: Self.salt, sequence: ItemValue.sequence(after: last, at: now), with: device)
  }

  public var value: [UInt8] {
    var writer = ByteWriter(reserving: 320)
    writer.byte(Self.version)
    writer.byte(flags.rawValue)
    writer.integer(sequence.rawValue)
    writer.append(hash)
    writer.integer(floor.rawValue)
    writer.integer(UInt64(max(0, expires.milliseconds)))
    writer.byte(UInt8(addresses.count))
    for address in addresses { writer.endpoint(address) }
    writer.byte(UInt8(replicas.count))
    for replica in replicas {
      writer.integer(replica.nodePrefix)
      writer.endpoint(replica.endpoint)
    }
    return ItemValue.bencoded(writer.bytes)
  }

  /// Reads what `value` is. The signature is the DHT's to check, and the addresses are `AddressRules`'.
  /// - Throws: for another version, a number or count over its bound, a floor above the head, missing or further bytes.
  public init(value: [UInt8]) throws(ByteError) {
    var reader = try ItemValue.reader(value, version: Self.version)
    flags = Flags(rawValue: try reader.byte())
    sequence = try reader.sequence()
    hash = try reader.bytes32()
    floor = try reader.sequence()
    guard floor <= sequence else { throw ByteError(at: reader.offset - 8, "a floor above the head") }
    let expires: UInt64 = try reader.integer()
    guard expires <= UInt64(Int64.max) else { throw ByteError(at: reader.offset - 8, "a time over 63 bits") }
    self.expires = Timestamp(milliseconds: Int64(expires))
    addresses = []
    for _ in 0..<(try reader.byteCount(atMost: Self.addressesMaximum)) { addresses.append(try reader.endpoint()) }
    replicas = []
    for _ in 0..<(try reader.byteCount(atMost: Self.replicasMaximum)) {
      let prefix: UInt64 = try reader.integer()
      replicas.append(Replica(nodePrefix: prefix, endpoint: try reader.endpoint()))
    }
    try reader.expectEnd()
  }
}

extension ByteReader {
  fileprivate mutating func sequence() throws(ByteError) -> SequenceNumber {
    let sequence = SequenceNumber(try integer())
    guard sequence <= .maximum else {
      throw ByteError(at: offset - 8, "a sequence number over \(SequenceNumber.maximum)")
    }
    return sequence
  }
}
