package import Primitives

/// Who announced what to us (BEP 5): unsigned hints that fade.
package struct PeerStore: Sendable {
  package struct Limits: Sendable {
    /// As libtorrent. When all are taken the least useful gives way.
    package var hashesMaximum = 2_000
    /// When a hash has so many, no token is given for it, and announces go on to the next node.
    package var peersMaximum = 200
    /// Ports of one address under one hash, against one host that fills a list alone; nil for no bound.
    package var portsPerAddressMaximum: Int? = 4
    /// Announced every 15 min, mostly; three misses end it (libtorrent: 30 min × 1.5).
    package var lifetime = Duration.seconds(45 * 60)

    package init() {}
  }

  /// Values in one reply: 80 of IPv4 fit 1024 bytes with token and id.
  package static let returnedMaximum = 80

  struct Peer: Sendable {
    var endpoint: Endpoint
    var announced: Instant
  }

  package var own: NodeID
  private let limits: Limits
  private var peers: [NodeID: [Peer]] = [:]
  /// The hashes in the order of their first announce.
  private var hashes: [NodeID] = []

  package init(own: NodeID, limits: Limits) {
    self.own = own
    self.limits = limits
  }

  package var hashCount: Int { hashes.count }

  package func isFull(_ hash: NodeID) -> Bool { peers[hash]?.count ?? 0 >= limits.peersMaximum }

  package mutating func announce(_ endpoint: Endpoint, for hash: NodeID, at now: Instant) {
    guard var list = peers[hash] else {
      if hashes.count >= limits.hashesMaximum { evict(at: now) }
      hashes.append(hash)
      peers[hash] = [Peer(endpoint: endpoint, announced: now)]
      return
    }
    list.removeAll { $0.endpoint == endpoint || $0.announced + limits.lifetime <= now }
    if let maximum = limits.portsPerAddressMaximum,
      list.count(where: { $0.endpoint.address == endpoint.address }) >= maximum,
      let oldest = list.firstIndex(where: { $0.endpoint.address == endpoint.address })
    {
      list.remove(at: oldest)
    }
    if list.count >= limits.peersMaximum { list.removeFirst() }
    list.append(Peer(endpoint: endpoint, announced: now))
    peers[hash] = list
  }

  /// Peers of a hash that fit, at most 80, a random choice if there are more.
  package func peers(
    of hash: NodeID, at now: Instant, random: inout SeededRandom, where fits: (Endpoint) -> Bool
  ) -> [Endpoint] {
    guard let list = peers[hash] else { return [] }
    var found = list.compactMap { $0.announced + limits.lifetime > now && fits($0.endpoint) ? $0.endpoint : nil }
    if found.count > Self.returnedMaximum {
      for index in 0..<Self.returnedMaximum { found.swapAt(index, Int.random(in: index..<found.count, using: &random)) }
      found.removeLast(found.count - Self.returnedMaximum)
    }
    return found
  }

  /// A random choice of the hashes (BEP 51).
  package func sample(_ count: Int, random: inout SeededRandom) -> [NodeID] {
    guard hashes.count > count else { return hashes }
    var chosen = hashes
    for index in 0..<count { chosen.swapAt(index, Int.random(in: index..<chosen.count, using: &random)) }
    return Array(chosen.prefix(count))
  }

  /// Drops what has faded.
  package mutating func expire(at now: Instant) {
    for hash in hashes {
      peers[hash]?.removeAll { $0.announced + limits.lifetime <= now }
      if peers[hash]?.isEmpty == true { peers[hash] = nil }
    }
    hashes.removeAll { peers[$0] == nil }
  }

  private mutating func evict(at now: Instant) {
    expire(at: now)
    guard hashes.count >= limits.hashesMaximum,
      let place = hashes.indices.max(by: { worth(hashes[$0]) > worth(hashes[$1]) })
    else { return }
    peers[hashes.remove(at: place)] = nil
  }

  private func worth(_ hash: NodeID) -> Int { storedWorth(announcers: peers[hash]?.count ?? 0, hash, own) }
}

/// What decides who stays when a store is full: how many want it kept, and how near it lies to us (libtorrent).
func storedWorth(announcers: Int, _ target: NodeID, _ own: NodeID) -> Int {
  announcers / 5 + own.sharedBits(with: target)
}
