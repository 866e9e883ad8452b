import DHT

extension DHTNode.Report {
  /// The answers of two networks to one command as one: what either found, at the cost of both.
  func joined(with other: DHTNode.Report) -> DHTNode.Report {
    var both = self
    both.outcome = outcome.joined(with: other.outcome)
    both.queries += other.queries
    both.timeouts += other.timeouts
    both.hops = max(hops, other.hops)
    both.duration = max(duration, other.duration)
    both.closest += other.closest
    return both
  }
}

extension DHTNode.Outcome {
  fileprivate func joined(with other: DHTNode.Outcome) -> DHTNode.Outcome {
    switch (self, other) {
    case (.peers(let peers), .peers(let others)): .peers(peers + others)
    case (.mutable(let item, let copies), .mutable(let another, let others)):
      item == another
        ? .mutable(item, copies: copies + others) : item.sequence >= another.sequence ? self : other
    case (.stored(let storage), .stored(let another)): .stored(storage.joined(with: another))
    default: rank <= other.rank ? self : other
    }
  }

  /// What says more comes first: somebody else's newer value matters more than that ours was stored in the other network.
  private var rank: Int {
    switch self {
    case .superseded, .conflict: 0
    case .answered, .nodes, .peers, .immutable, .mutable, .stored: 1
    case .notFound: 2
    case .busy: 3
    case .unreachable: 4
    }
  }
}

extension DHTNode.Storage {
  fileprivate func joined(with other: DHTNode.Storage) -> DHTNode.Storage {
    var both = self
    both.nodes += other.nodes
    both.durability =
      both.nodes.count >= Self.durableMinimum ? .durable : both.nodes.isEmpty ? .failed : .weak
    both.isHeldHere = isHeldHere || other.isHeldHere
    for refusal in other.refusals {
      if let index = both.refusals.firstIndex(where: { $0.code == refusal.code }) {
        both.refusals[index].count += refusal.count
      } else {
        both.refusals.append(refusal)
      }
    }
    if let item = other.item, item.sequence > (both.item?.sequence ?? -1) { both.item = item }
    return both
  }
}
