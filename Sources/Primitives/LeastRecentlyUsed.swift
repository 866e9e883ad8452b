/// A cache bounded by the sum of its entries' costs. The entry used longest ago goes first.
public struct LeastRecentlyUsed<Key: Hashable, Value> {
  public let costMaximum: Int
  public internal(set) var cost = 0
  @usableFromInline var entries: [Key: (value: Value, cost: Int, stamp: UInt64)] = [:]
  @usableFromInline var stamp: UInt64 = 0

  /// - Parameter costMaximum: upper bound of `cost`, in the unit of the costs given (bytes, mostly).
  @inlinable
  public init(costMaximum: Int) { self.costMaximum = costMaximum }

  @inlinable
  public mutating func value(_ key: Key) -> Value? {
    guard let index = entries.index(forKey: key) else { return nil }
    stamp += 1
    entries.values[index].stamp = stamp
    return entries.values[index].value
  }

  /// An entry dearer than the whole cache is not kept.
  public mutating func insert(_ value: Value, for key: Key, cost entryCost: Int) {
    remove(key)
    guard entryCost <= costMaximum else { return }
    stamp += 1
    entries[key] = (value, entryCost, stamp)
    cost += entryCost
    if cost > costMaximum { evict() }
  }

  public mutating func remove(_ key: Key) {
    if let entry = entries.removeValue(forKey: key) { cost -= entry.cost }
  }

  public mutating func removeAll() {
    entries.removeAll()
    cost = 0
  }

  public var count: Int { entries.count }

  // Evicts an eighth at a time, so that the sort is paid for by many insertions.
  private mutating func evict() {
    let goal = costMaximum - costMaximum / 8
    for (key, _) in entries.map({ ($0.key, $0.value.stamp) }).sorted(by: { $0.1 < $1.1 }) {
      if cost <= goal { break }
      remove(key)
    }
  }
}
