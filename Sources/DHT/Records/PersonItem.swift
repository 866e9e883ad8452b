public import Identity
public import Primitives

/// What the DHT says of a person: which record is theirs now, and which devices write. A BEP 44 item under the root in
/// force, with the salt `tl/p/1` (schemas/records.md).
///
/// It is signed when the record changes, while the root key is at hand, and passed on by anybody who holds it.
public struct PersonItem: Hashable, Sendable {
  public static let salt = Array("tl/p/1".utf8)
  /// More devices come with the record itself.
  public static let devicesMaximum = 8
  static let version: UInt8 = 1

  public var recordHash: Digest
  /// Bytes of the record.
  public var recordByteCount: UInt32
  /// Keys of devices that write, the newest first; at most 8.
  public var devices: [PublicKey]

  /// - Parameter newest: devices in the order in which they matter; those that the record does not certify, or
  ///   revokes, are left out, and the record's others follow.
  public init(of record: PersonRecord, newest: [PublicKey] = []) {
    recordHash = record.hash
    recordByteCount = UInt32(clamping: record.encoded.count)
    let active = record.devices.filter { $0.revocation == nil }.map(\.key)
    let first = newest.filter(active.contains)
    devices = Array((first + active.filter { !first.contains($0) }).prefix(Self.devicesMaximum))
  }

  /// Signs the item with the root key.
  /// - Parameter last: the number of the item before, if there is one.
  public func signed(by root: SigningKey, after last: Int64?, at now: Timestamp) -> MutableItem {
    MutableItem(signing: value, salt: Self.salt, sequence: ItemValue.sequence(after: last, at: now), with: root)
  }

  public var value: [UInt8] {
    var writer = ByteWriter(reserving: 320)
    writer.byte(Self.version)
    writer.append(recordHash)
    writer.integer(recordByteCount)
    writer.byte(UInt8(devices.count))
    for device in devices { writer.append(device) }
    return ItemValue.bencoded(writer.bytes)
  }

  /// Reads what `value` is. The signature is the DHT's to check.
  /// - Throws: for another version, a count over its bound, missing or further bytes.
  public init(value: [UInt8]) throws(ByteError) {
    var reader = try ItemValue.reader(value, version: Self.version)
    recordHash = try reader.bytes32()
    recordByteCount = try reader.integer()
    devices = []
    for _ in 0..<(try reader.byteCount(atMost: Self.devicesMaximum)) { devices.append(try reader.bytes32()) }
    try reader.expectEnd()
  }
}
