public import Primitives

/// What showing the events of a stretch needs, read from its columns without working out the chain: about a tenth of
/// the cost of `StretchColumns.decode`. For bytes that were verified when they were stored.
public struct StretchOutline: Sendable {
  public let raw: [UInt8]
  public let ids: [EventID]
  public let kinds: Range<Int>
  public let flags: Range<Int>
  public let ttls: [UInt32]
  /// Where each payload lies in `raw`; nil when it is absent.
  public let payloads: [Range<Int>?]

  public var count: Int { ids.count }

  public init(_ raw: [UInt8], count: Int) throws(ByteError) {
    guard (1...HeaderJudge.chunkCountMaximum).contains(count) else {
      throw ByteError(at: 0, "\(count) events in a stretch")
    }
    var columns = ByteReader(raw)
    var id = try columns.integer(UInt64.self)
    _ = try columns.byte()
    kinds = try columns.take(count)
    flags = try columns.take(count)
    let presence = try columns.take(count)
    let lowMask: UInt64 = (1 << EventID.lowBits) - 1
    var times: [UInt64] = [id >> EventID.lowBits]
    times.reserveCapacity(count)
    for _ in 1..<max(1, count) {
      times.append(times[times.count - 1] &+ UInt64(bitPattern: unzigzag(try columns.varint())))
    }
    var ids: [EventID] = [EventID(rawValue: id)]
    ids.reserveCapacity(count)
    id &= lowMask
    for index in 1..<max(1, count) {
      id = (id &+ UInt64(bitPattern: unzigzag(try columns.varint()))) & lowMask
      ids.append(EventID(rawValue: times[index] << EventID.lowBits | id))
    }
    self.ids = ids
    var ttls: [UInt32] = []
    ttls.reserveCapacity(count)
    for _ in 0..<count { ttls.append(UInt32(truncatingIfNeeded: try columns.varint())) }
    self.ttls = ttls
    for _ in 0..<count { _ = try columns.varint() }
    var sizes: [Int] = []
    sizes.reserveCapacity(count)
    for _ in 0..<count { sizes.append(try columns.count(atMost: Int(UInt32.max))) }
    for index in presence where raw[index] != 0 { _ = try columns.take(32) }
    var payloads: [Range<Int>?] = []
    payloads.reserveCapacity(count)
    for index in 0..<count {
      payloads.append(raw[presence.lowerBound + index] == 0 ? try columns.take(sizes[index]) : nil)
    }
    try columns.expectEnd()
    self.payloads = payloads
    self.raw = raw
  }
}
