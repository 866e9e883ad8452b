package import Primitives

/// The contacts that answered us, by the bits they share with our id (BEP 5; Kademlia §2.4).
///
/// A bucket is a list of its own number of leading bits shared; the last one holds all that share more, and is split when
/// it is full. Nobody enters without having answered a query of ours, so a liar costs us one packet and no place.
package struct RoutingTable: Sendable {
  package struct Options: Sendable {
    /// Contacts in a bucket (BEP 5).
    package var bucketSize = 8
    /// Contacts in the first buckets, which hold most of the network: more of them save hops (libtorrent).
    package var firstBucketSizes = [128, 64, 32, 16]
    /// One contact per address, and one per site (/24, /64) and bucket: against one operator with many ids.
    package var isSpread = false

    package init() {}
  }

  package struct Entry: Hashable, Sendable {
    package var contact: Contact
    /// When it last answered us.
    package var answered: Instant
    /// Queries that it did not answer since.
    package var failures = 0
  }

  struct Bucket: Sendable {
    var live: [Entry] = []
    /// Answered too, and found no room; the newest last.
    var spare: [Entry] = []
    /// When a contact was last added or a lookup last went there.
    var touched: Instant
  }

  package enum Change: Hashable, Sendable {
    case added, updated, spared
    /// Our own id, another's place, or one too many of its address.
    case refused
    /// The endpoint went by another id; that one is gone, and its bucket should be asked again.
    case changedID(bucket: Int)
  }

  /// More never fill: beyond it two ids are nearer to each other than any of the largest network.
  package static let bucketsMaximum = 50
  /// A contact without replacement is kept through an outage of our own (libtorrent keeps it as long).
  package static let failuresMaximum = 20

  package let own: NodeID
  package let options: Options
  private(set) var buckets: [Bucket]
  private var byEndpoint: [Endpoint: NodeID] = [:]
  private var addresses: [IPAddress: Int] = [:]
  /// Contacts with a place, spare ones not counted.
  package private(set) var count = 0

  package init(own: NodeID, options: Options, at now: Instant) {
    self.own = own
    self.options = options
    buckets = [Bucket(touched: now)]
  }

  package var bucketCount: Int { buckets.count }

  /// How many a bucket may hold.
  package func capacity(_ bucket: Int) -> Int {
    bucket < options.firstBucketSizes.count ? options.firstBucketSizes[bucket] : options.bucketSize
  }

  package func bucket(of id: NodeID) -> Int { min(own.sharedBits(with: id), buckets.count - 1) }

  /// Whether somebody with this id would get a place, at the cost of nobody who answers.
  package func hasRoom(for id: NodeID) -> Bool {
    guard id != own else { return false }
    let index = bucket(of: id)
    return buckets[index].live.count < capacity(index) || buckets[index].live.contains { $0.failures > 0 }
      || index == buckets.count - 1 && buckets.count < Self.bucketsMaximum
  }

  package func contains(_ endpoint: Endpoint) -> Bool { byEndpoint[endpoint] != nil }

  /// The id that an endpoint is known by.
  package func id(at endpoint: Endpoint) -> NodeID? { byEndpoint[endpoint] }

  // MARK: What happened

  /// A contact answered a query of ours.
  package mutating func answered(_ contact: Contact, at now: Instant) -> Change {
    guard contact.id != own else { return .refused }
    if let known = byEndpoint[contact.endpoint], known != contact.id {
      let bucket = bucket(of: known)
      remove(contact.endpoint)
      return .changedID(bucket: bucket)
    }
    let index = bucket(of: contact.id)
    let entry = Entry(contact: contact, answered: now)
    if let place = buckets[index].live.firstIndex(where: { $0.contact.id == contact.id }) {
      let held = buckets[index].live[place]
      if held.contact.endpoint == contact.endpoint {
        buckets[index].live[place] = entry
        return .updated
      }
      // Another endpoint with this id: only if who has it is silent.
      guard held.failures > 0 else { return .refused }
      remove(held.contact.endpoint)
      return insert(entry)
    }
    if let place = buckets[index].spare.firstIndex(where: { $0.contact.id == contact.id }) {
      guard buckets[index].spare[place].contact.endpoint == contact.endpoint else { return .refused }
      buckets[index].spare.remove(at: place)
      forget(contact.endpoint)
    }
    return insert(entry)
  }

  /// A contact did not answer. Whoever waits for its place gets it.
  package mutating func failed(_ endpoint: Endpoint) {
    guard let id = byEndpoint[endpoint] else { return }
    let index = bucket(of: id)
    if let place = buckets[index].spare.firstIndex(where: { $0.contact.endpoint == endpoint }) {
      buckets[index].spare.remove(at: place)
      return forget(endpoint)
    }
    guard let place = buckets[index].live.firstIndex(where: { $0.contact.endpoint == endpoint }) else { return }
    buckets[index].live[place].failures += 1
    if let next = buckets[index].spare.popLast() {
      buckets[index].live[place] = next
      forget(endpoint)
    } else if buckets[index].live[place].failures >= Self.failuresMaximum {
      buckets[index].live.remove(at: place)
      forget(endpoint)
      count -= 1
    }
  }

  /// A lookup goes into the bucket.
  package mutating func touch(_ bucket: Int, at now: Instant) { buckets[bucket].touched = now }

  // MARK: Places

  private mutating func insert(_ entry: Entry) -> Change {
    let contact = entry.contact
    if options.isSpread, addresses[contact.endpoint.address, default: 0] > 0 { return .refused }
    while true {
      let index = bucket(of: contact.id)
      if options.isSpread {
        let site = contact.endpoint.address.site
        func isNeighbour(_ other: Entry) -> Bool {
          other.contact.endpoint.address.site == site
            && other.contact.endpoint.address.isIPv4 == contact.endpoint.address.isIPv4
        }
        if buckets[index].live.contains(where: isNeighbour) || buckets[index].spare.contains(where: isNeighbour) {
          return .refused
        }
      }
      if buckets[index].live.count < capacity(index) {
        buckets[index].live.append(entry)
        buckets[index].touched = entry.answered
        count += 1
        remember(contact)
        return .added
      }
      if index == buckets.count - 1, buckets.count < Self.bucketsMaximum {
        split(at: entry.answered)
        continue
      }
      if let place = indexOfWeakest(in: index, for: contact) {
        forget(buckets[index].live[place].contact.endpoint)
        buckets[index].live[place] = entry
        remember(contact)
        return .added
      }
      if buckets[index].spare.count >= options.bucketSize {
        forget(buckets[index].spare.removeFirst().contact.endpoint)
      }
      buckets[index].spare.append(entry)
      remember(contact)
      return .spared
    }
  }

  /// Who gives way: the one that failed most; in a spread table also one whose id does not fit its address (BEP 42), for
  /// one whose does.
  private func indexOfWeakest(in bucket: Int, for contact: Contact) -> Int? {
    let live = buckets[bucket].live
    if let most = live.indices.max(by: { live[$0].failures < live[$1].failures }), live[most].failures > 0 {
      return most
    }
    guard options.isSpread, contact.id.fits(contact.endpoint.address) else { return nil }
    return live.firstIndex { !$0.contact.id.fits($0.contact.endpoint.address) }
  }

  /// Halves the last bucket. The new last one may have been narrower than what it gets: it is split in its turn when the
  /// next one comes, and nobody near to us is left waiting in between.
  private mutating func split(at now: Instant) {
    let old = buckets.removeLast()
    let depth = buckets.count
    func isNear(_ entry: Entry) -> Bool { own.sharedBits(with: entry.contact.id) > depth }
    buckets.append(
      Bucket(live: old.live.filter { !isNear($0) }, spare: old.spare.filter { !isNear($0) }, touched: old.touched))
    buckets.append(Bucket(live: old.live.filter(isNear), spare: old.spare.filter(isNear), touched: old.touched))
    for index in [depth, depth + 1] {
      while buckets[index].live.count < capacity(index), let next = buckets[index].spare.popLast() {
        buckets[index].live.append(next)
        count += 1
      }
    }
  }

  private mutating func remove(_ endpoint: Endpoint) {
    guard let id = byEndpoint[endpoint] else { return }
    let index = bucket(of: id)
    if let place = buckets[index].live.firstIndex(where: { $0.contact.endpoint == endpoint }) {
      if let next = buckets[index].spare.popLast() {
        buckets[index].live[place] = next
      } else {
        buckets[index].live.remove(at: place)
        count -= 1
      }
    } else {
      buckets[index].spare.removeAll { $0.contact.endpoint == endpoint }
    }
    forget(endpoint)
  }

  private mutating func remember(_ contact: Contact) {
    byEndpoint[contact.endpoint] = contact.id
    if options.isSpread { addresses[contact.endpoint.address, default: 0] += 1 }
  }

  private mutating func forget(_ endpoint: Endpoint) {
    byEndpoint[endpoint] = nil
    guard options.isSpread, let left = addresses[endpoint.address] else { return }
    addresses[endpoint.address] = left > 1 ? left - 1 : nil
  }

  // MARK: What is known

  /// The contacts nearest to a point, the nearest first.
  ///
  /// - Parameter includesFailing: also those that did not answer last time; they are told to nobody else.
  package func closest(
    to target: NodeID, count wanted: Int, includesFailing: Bool = false, where fits: (Endpoint) -> Bool = { _ in true }
  ) -> [Contact] {
    var found = NearestList(capacity: wanted)
    func add(_ bucket: Int) {
      for entry in buckets[bucket].live where includesFailing || entry.failures == 0 {
        let distance = entry.contact.id.distance(to: target)
        if found.takes(distance), fits(entry.contact.endpoint) { found.insert(entry.contact, distance) }
      }
    }
    // Who shares more bits with us than the target does is as far from the target as any of them; who shares fewer is
    // farther, the fewer the farther.
    let home = bucket(of: target)
    add(home)
    if found.contacts.count < wanted { for bucket in buckets.indices where bucket > home { add(bucket) } }
    var bucket = home - 1
    while bucket >= 0, found.contacts.count < wanted {
      add(bucket)
      bucket -= 1
    }
    return found.contacts
  }

  /// All with a place, bucket by bucket.
  package var entries: [Entry] { buckets.flatMap(\.live) }

  /// Who answered longest ago, and when.
  package var stalest: Entry? {
    var stalest: (bucket: Int, place: Int, answered: Instant)?
    for bucket in buckets.indices {
      for (place, entry) in buckets[bucket].live.enumerated()
      where entry.answered < stalest?.answered ?? Instant(nanoseconds: .max) {
        stalest = (bucket, place, entry.answered)
      }
    }
    return stalest.map { buckets[$0.bucket].live[$0.place] }
  }

  /// The bucket that saw nothing for longest, if that is before `limit`.
  package func idleBucket(before limit: Instant) -> Int? {
    guard let index = buckets.indices.min(by: { buckets[$0].touched < buckets[$1].touched }),
      buckets[index].touched < limit
    else { return nil }
    return index
  }
}

/// The nearest of the contacts it is given.
struct NearestList {
  let capacity: Int
  private(set) var contacts: [Contact] = []
  private var distances: [Distance] = []

  init(capacity: Int) {
    self.capacity = capacity
    contacts.reserveCapacity(capacity + 1)
    distances.reserveCapacity(capacity + 1)
  }

  /// Whether something at this distance belongs to the nearest so far.
  func takes(_ distance: Distance) -> Bool {
    guard distances.count == capacity, let last = distances.last else { return true }
    return distance < last
  }

  mutating func insert(_ contact: Contact, _ distance: Distance) {
    var place = distances.count
    while place > 0, distance < distances[place - 1] { place -= 1 }
    distances.insert(distance, at: place)
    contacts.insert(contact, at: place)
    if distances.count > capacity {
      distances.removeLast()
      contacts.removeLast()
    }
  }
}
