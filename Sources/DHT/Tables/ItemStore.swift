internal import Identity
package import Primitives

/// The items that we hold for others (BEP 44).
package struct ItemStore: Sendable {
  package struct Limits: Sendable {
    package var itemsMaximum = 2_000
    /// Values and salts together.
    package var bytesMaximum = 8_388_608
    /// An item that nobody stores again lives so long, and up to a tenth more (BEP 44: 2 h).
    package var lifetime = Duration.seconds(2 * 3600)
    /// A number that is further ahead of our clock than this, read as µs since 1970, is refused: it would lock the key's
    /// owner out, and on an open key everybody (PROTOCOLS 2.5). Nil takes any.
    package var sequenceAheadMaximum: Duration? = .seconds(60)

    package init() {}
  }

  package enum Item: Hashable, Sendable {
    case immutable(ImmutableItem)
    case mutable(MutableItem)

    var byteCount: Int {
      switch self {
      case .immutable(let item): item.value.count
      case .mutable(let item): item.value.count + item.salt.count
      }
    }
  }

  private struct Entry: Sendable {
    var item: Item
    var expires: Instant
    /// Addresses that stored it, up to a number from which on it is safe anyway.
    var announcers: [IPAddress]
  }

  private static let announcersMaximum = 25

  package var own: NodeID
  private let limits: Limits
  private var entries: [NodeID: Entry] = [:]
  /// In the order of their first arrival.
  private var targets: [NodeID] = []
  package private(set) var byteCount = 0

  package init(own: NodeID, limits: Limits) {
    self.own = own
    self.limits = limits
  }

  package var count: Int { targets.count }

  package func item(_ target: NodeID, at now: Instant) -> Item? {
    guard let entry = entries[target], entry.expires > now else { return nil }
    return entry.item
  }

  /// Whether exactly this is stored: then its signature has been checked.
  package func holds(_ item: MutableItem, at now: Instant) -> Bool { self.item(item.target, at: now) == .mutable(item) }

  package mutating func put(
    _ item: ImmutableItem, from address: IPAddress, at now: Instant, random: inout SeededRandom
  ) {
    store(.immutable(item), at: item.target, from: address, at: now, random: &random)
  }

  /// Stores an item whose signature holds. The rules of BEP 44, and that one number never stands for two values.
  ///
  /// - Throws: 301 if another number is stored than expected, 302 for a lower one or the same with another value, 203 for
  ///   one from the future.
  package mutating func put(
    _ item: MutableItem, compareAndSwap expected: Int64?, from address: IPAddress, at now: Moment,
    random: inout SeededRandom
  ) throws(KRPCError) {
    let target = item.target
    if case .mutable(let held)? = self.item(target, at: now.instant) {
      if let expected, expected != held.sequence {
        throw KRPCError(.compareAndSwapMismatch, "CAS mismatch")
      }
      if item.sequence < held.sequence {
        throw KRPCError(.sequenceTooLow, "old sequence number")
      }
      if item.sequence == held.sequence, item.value != held.value {
        throw KRPCError(.sequenceTooLow, "another value has this sequence number")
      }
    }
    if let ahead = limits.sequenceAheadMaximum {
      let (microseconds, overflow) = now.wall.milliseconds.multipliedReportingOverflow(by: 1000)
      let margin = ahead.components.seconds * 1_000_000
      guard overflow || item.sequence <= microseconds &+ margin else {
        throw KRPCError(.protocolViolation, "sequence number from the future")
      }
    }
    store(.mutable(item), at: target, from: address, at: now.instant, random: &random)
  }

  /// Drops what nobody stored again.
  package mutating func expire(at now: Instant) {
    for target in targets {
      guard let entry = entries[target], entry.expires <= now else { continue }
      byteCount -= entry.item.byteCount
      entries[target] = nil
    }
    targets.removeAll { entries[$0] == nil }
  }

  private mutating func store(
    _ item: Item, at target: NodeID, from address: IPAddress, at now: Instant, random: inout SeededRandom
  ) {
    // Those stored together must not fade together.
    let expires = now + limits.lifetime * Int.random(in: 100...110, using: &random) / 100
    if var entry = entries[target] {
      byteCount += item.byteCount - entry.item.byteCount
      entry.item = item
      entry.expires = expires
      if !entry.announcers.contains(address), entry.announcers.count < Self.announcersMaximum {
        entry.announcers.append(address)
      }
      entries[target] = entry
    } else {
      if targets.count >= limits.itemsMaximum || byteCount + item.byteCount > limits.bytesMaximum { expire(at: now) }
      while !targets.isEmpty, targets.count >= limits.itemsMaximum || byteCount + item.byteCount > limits.bytesMaximum {
        evict()
      }
      targets.append(target)
      entries[target] = Entry(item: item, expires: expires, announcers: [address])
      byteCount += item.byteCount
    }
  }

  private mutating func evict() {
    func worth(_ target: NodeID) -> Int { storedWorth(announcers: entries[target]?.announcers.count ?? 0, target, own) }
    guard let place = targets.indices.max(by: { worth(targets[$0]) > worth(targets[$1]) }) else { return }
    let target = targets.remove(at: place)
    byteCount -= entries[target]?.item.byteCount ?? 0
    entries[target] = nil
  }
}
