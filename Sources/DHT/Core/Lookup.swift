package import Primitives

/// One walk towards a point: ask the nearest that are known for nearer ones, until the nearest have all answered
/// (Kademlia §2.3, PROTOCOLS 4.2). It says whom to ask; who asks tells it what came of it.
package struct Lookup: Sendable {
  package struct Options: Sendable {
    /// Answers that make a set of nearest nodes complete.
    package var k = 8
    /// Queries in flight.
    package var alpha = 4
    /// One candidate per site (/24, /64).
    package var isSpread = false
    /// Nodes to store at; nil for all within the region.
    package var copies: Int?

    package init() {}
  }

  /// Candidates remembered; the farthest are forgotten first.
  package static let candidatesMaximum = 100
  package static let queriesMaximum = 64
  package static let durationMaximum = Duration.seconds(10)
  /// Within the expected distance of the k-th node all are asked, a crowd next to the target included, up to this many:
  /// 20 more than k.
  package static let regionMaximum = 28

  package enum State: Hashable, Sendable {
    case waiting, asked
    /// No answer within the short time; its place is free, and an answer still counts.
    case slow
    case answered, failed
  }

  package struct Candidate: Hashable, Sendable {
    /// Nil for an endpoint of which only the address is known.
    package var id: NodeID?
    package var endpoint: Endpoint
    package var distance: Distance
    package var state = State.waiting
    /// Packets it took to reach it: 1 for a contact of our own.
    package var hop: Int
    package var token: [UInt8]?
    /// What it said about a mutable item.
    package var sequence: Int64?
    package var hasValue = false
  }

  package let target: NodeID
  package let own: NodeID
  package let options: Options
  /// As a part of the space; what lies within is asked even when k nearer ones have answered.
  package let region: Double
  package let began: Instant
  package private(set) var candidates: [Candidate] = []
  package private(set) var queries = 0
  package private(set) var timeouts = 0
  private var sites: Set<Site> = []

  private struct Site: Hashable {
    var isIPv4: Bool
    var site: UInt64
  }

  package init(
    target: NodeID, own: NodeID, options: Options, region: Double = 0, contacts: [Contact], routers: [Endpoint] = [],
    at now: Instant
  ) {
    self.target = target
    self.own = own
    self.options = options
    self.region = region
    began = now
    for contact in contacts { add(contact, hop: 1) }
    for endpoint in routers where !candidates.contains(where: { $0.endpoint == endpoint }) {
      candidates.append(Candidate(id: nil, endpoint: endpoint, distance: .maximum, hop: 1))
    }
  }

  // MARK: What happened

  /// Takes note of a contact that somebody named.
  package mutating func add(_ contact: Contact, hop: Int) {
    guard contact.id != own else { return }
    let distance = contact.id.distance(to: target)
    if candidates.count >= Self.candidatesMaximum, let last = candidates.last, distance >= last.distance { return }
    guard !candidates.contains(where: { $0.endpoint == contact.endpoint || $0.id == contact.id }) else { return }
    if options.isSpread,
      !sites.insert(Site(isIPv4: contact.endpoint.address.isIPv4, site: contact.endpoint.address.site)).inserted
    {
      return
    }
    insert(Candidate(id: contact.id, endpoint: contact.endpoint, distance: distance, hop: hop))
    if candidates.count > Self.candidatesMaximum,
      let last = candidates.lastIndex(where: { $0.state == .waiting || $0.state == .failed })
    {
      candidates.remove(at: last)
    }
  }

  private mutating func insert(_ candidate: Candidate) {
    let place = candidates.firstIndex { candidate.distance < $0.distance } ?? candidates.count
    candidates.insert(candidate, at: place)
  }

  /// A candidate answered, and named others. What it calls itself now is its id.
  package mutating func answered(
    _ endpoint: Endpoint, id: NodeID, nodes: [Contact], token: [UInt8]?, sequence: Int64? = nil, hasValue: Bool = false
  ) {
    guard let index = candidates.firstIndex(where: { $0.endpoint == endpoint }) else { return }
    var candidate = candidates[index]
    candidate.state = .answered
    candidate.token = token
    candidate.sequence = sequence
    candidate.hasValue = hasValue
    if candidate.id == id {
      candidates[index] = candidate
    } else {
      candidates.remove(at: index)
      // Ourselves, or a second place of somebody who has one.
      if id == own || candidates.contains(where: { $0.id == id && $0.state == .answered }) { return }
      candidates.removeAll { $0.id == id && $0.state != .asked }
      candidate.id = id
      candidate.distance = id.distance(to: target)
      insert(candidate)
    }
    for contact in nodes { add(contact, hop: candidate.hop + 1) }
  }

  /// The short time is over.
  package mutating func slow(_ endpoint: Endpoint) {
    guard let index = candidates.firstIndex(where: { $0.endpoint == endpoint && $0.state == .asked }) else { return }
    candidates[index].state = .slow
    timeouts += 1
  }

  /// It did not answer, answered with an error, or could not be asked.
  package mutating func failed(_ endpoint: Endpoint) {
    guard let index = candidates.firstIndex(where: { $0.endpoint == endpoint && $0.state != .answered }) else { return }
    candidates[index].state = .failed
  }

  /// Another query went to a candidate.
  package mutating func countQuery() { queries += 1 }

  // MARK: What is to be done

  /// Whom to ask now; they count as asked. None when enough are in flight, or all that matter have answered.
  package mutating func next() -> [Endpoint] {
    var wanted: [Endpoint] = []
    // Those that are asked count as if they had answered: nobody is asked for nothing.
    var hopeful = 0
    var inFlight = candidates.count { $0.state == .asked }
    for index in candidates.indices {
      let candidate = candidates[index]
      guard isOpen(candidate, hopeful) else { break }
      switch candidate.state {
      case .answered, .asked: hopeful += 1
      case .waiting:
        guard inFlight < options.alpha, queries < Self.queriesMaximum else { return wanted }
        candidates[index].state = .asked
        inFlight += 1
        hopeful += 1
        queries += 1
        wanted.append(candidate.endpoint)
      case .slow, .failed: break
      }
    }
    return wanted
  }

  /// Whether nothing more is to be expected: the nearest that are alive have answered, and all within the region. The slow
  /// ones are waited for only while nobody has answered.
  package func isDone(at now: Instant) -> Bool {
    if now - began >= Self.durationMaximum { return true }
    var answered = 0
    var isSomebodySlow = false
    for candidate in candidates {
      guard isOpen(candidate, answered) else { return true }
      switch candidate.state {
      case .answered: answered += 1
      case .asked: return false
      case .waiting: if queries < Self.queriesMaximum { return false }
      case .slow: isSomebodySlow = true
      case .failed: break
      }
    }
    return answered > 0 || !isSomebodySlow
  }

  private func isOpen(_ candidate: Candidate, _ answered: Int) -> Bool {
    answered < options.k || candidate.distance.fraction <= region && answered < Self.regionMaximum
  }

  package func state(of endpoint: Endpoint) -> State? { candidates.first { $0.endpoint == endpoint }?.state }

  /// Those that answered, the nearest first.
  package var answered: [Candidate] { candidates.filter { $0.state == .answered } }

  /// Packets it took to reach the nearest; 0 when nobody answered.
  package var hops: Int { candidates.first { $0.state == .answered }?.hop ?? 0 }

  // MARK: Where to store

  package static let targetsMaximum = 20
  package static let regionsMinimum = 6

  /// Where to store: the k nearest that gave a token, all others within the region, at most 20. Of more than that the
  /// farthest first, because who crowds around the target is near, and of those one of each part of the address space. Whoever
  /// said how many copies there are to be gets the nearest.
  package var storers: [Candidate] {
    let tokens = answered.filter { $0.token != nil }
    if let copies = options.copies { return Array(tokens.prefix(copies)) }
    var chosen = Array(tokens.prefix(options.k))
    var rest = tokens.dropFirst(options.k).filter { $0.distance.fraction <= region }
    // Too few parts of the address space: go on beyond the region for others, as far as they were met.
    var regions = Set(chosen.map(\.endpoint.address.region))
    rest += tokens.dropFirst(options.k).filter { candidate in
      candidate.distance.fraction > region && regions.count < Self.regionsMinimum
        && regions.insert(candidate.endpoint.address.region).inserted
    }
    if chosen.count + rest.count > Self.targetsMaximum {
      var seen = Set(chosen.map(\.endpoint.address.region))
      let outward = Array(rest.reversed())
      let fresh = outward.filter { seen.insert($0.endpoint.address.region).inserted }
      let others = outward.filter { !fresh.contains($0) }
      rest = Array((fresh + others).prefix(Self.targetsMaximum - chosen.count))
    }
    chosen += rest
    return chosen
  }
}
