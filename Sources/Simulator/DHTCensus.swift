public import DHT
internal import Primitives

/// Who is in a simulated network, sorted: what lookups find is held against it.
public struct DHTCensus: Sendable {
  public let contacts: [Contact]

  /// All that are alive and honest.
  public init(_ network: DHTNetwork) {
    contacts = network.members.compactMap { member in
      member.isAlive && !member.isSybil ? Contact(member.node.id, at: member.endpoint) : nil
    }.sorted { $0.id < $1.id }
  }

  /// The nodes nearest to a point, the nearest first.
  public func nearest(to target: NodeID, count: Int, except own: NodeID? = nil) -> [Contact] {
    let wanted = count + 1
    let place = position(of: target)
    var range = place..<place
    // Whoever shares a number of leading bits with the target lies in one piece around its place.
    var bits = NodeID.bitCount
    while range.count < wanted, range.count < contacts.count {
      let below = range.lowerBound > 0 ? contacts[range.lowerBound - 1].id.sharedBits(with: target) : -1
      let above = range.upperBound < contacts.count ? contacts[range.upperBound].id.sharedBits(with: target) : -1
      bits = min(bits, max(below, above))
      range = grown(range, sharing: bits, with: target)
    }
    return Array(
      contacts[range].filter { $0.id != own }
        .sorted { $0.id.distance(to: target) < $1.id.distance(to: target) }.prefix(count))
  }

  /// Those whose ids share exactly so many leading bits with an id: whom its bucket of that number may hold.
  func bucket(_ bits: Int, of id: NodeID) -> Range<Int> {
    let wide = range(sharing: bits, with: id)
    let narrow = range(sharing: bits + 1, with: id)
    // The others of the wide range all lie on one side of the narrow one.
    return wide.lowerBound < narrow.lowerBound
      ? wide.lowerBound..<narrow.lowerBound : narrow.upperBound..<wide.upperBound
  }

  func range(sharing bits: Int, with id: NodeID) -> Range<Int> {
    let place = position(of: id)
    return grown(place..<place, sharing: bits, with: id)
  }

  private func position(of target: NodeID) -> Int {
    var range = 0..<contacts.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      range = contacts[middle].id < target ? (middle + 1)..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound
  }

  /// By bisection: bucket 0 has half of the network.
  private func grown(_ range: Range<Int>, sharing bits: Int, with target: NodeID) -> Range<Int> {
    func isShared(_ index: Int) -> Bool { contacts[index].id.sharedBits(with: target) >= bits }
    var (lower, upper) = (0..<range.lowerBound, range.upperBound..<contacts.count)
    while !lower.isEmpty {
      let middle = lower.lowerBound + lower.count / 2
      lower = isShared(middle) ? lower.lowerBound..<middle : (middle + 1)..<lower.upperBound
    }
    while !upper.isEmpty {
      let middle = upper.lowerBound + upper.count / 2
      upper = isShared(middle) ? (middle + 1)..<upper.upperBound : upper.lowerBound..<middle
    }
    return lower.lowerBound..<upper.lowerBound
  }
}

extension DHTNetwork {
  /// Adds nodes that have known each other for long: each has in every bucket as many of those who belong there as it
  /// holds, chosen at random. Joining one by one gives the same tables (benchmarks/dht-scale proves it on a thousand), and
  /// takes hours for a hundred thousand.
  public mutating func addWarm(_ count: Int) {
    let first = members.count
    for _ in 0..<count {
      add()
      // Their timers are spread as those of nodes that began one by one.
      run(for: .nanoseconds(5_000_000_000 / count))
    }
    let census = DHTCensus(self)
    for index in first..<members.count { warm(index, census) }
  }

  private mutating func warm(_ index: Int, _ census: DHTCensus) {
    let id = members[index].node.id
    let settings = members[index].node.settings
    var contacts: [Contact] = []
    var bits = 0
    while true {
      let bucket = census.bucket(bits, of: id)
      let wanted = bits < settings.firstBucketSizes.count ? settings.firstBucketSizes[bits] : settings.k
      contacts += choice(bucket, wanted).map { census.contacts[$0] }
      bits += 1
      if census.range(sharing: bits, with: id).count <= 1 { break }
    }
    var targets = (0..<4).map { _ in NodeID(random: &random) }
    targets.append(id)
    let distances = targets.map { target in
      census.nearest(to: target, count: settings.k, except: id).map { $0.id.distance(to: target).fraction }
    }
    assume(index, contacts, distances)
  }

  /// So many of a range, each as likely as another, in ascending order.
  private mutating func choice(_ range: Range<Int>, _ count: Int) -> [Int] {
    guard range.count > count else { return Array(range) }
    var chosen: Set<Int> = []
    while chosen.count < count { chosen.insert(Int.random(in: range, using: &random)) }
    return chosen.sorted()
  }
}
