package import Primitives

/// How many nodes there are, from how near those lie that lookups find.
package struct NetworkSize: Sendable {
  /// Estimates of the last lookups. The median counts, so that a crowd around one target moves it little.
  private var estimates: [Double] = []
  private static let estimatesMaximum = 16

  package init() {}

  /// Takes the distances of the nearest nodes that answered, the nearest first, as parts of the whole space.
  ///
  /// With n nodes the i-th lies at about i/n; n is fitted by least squares.
  package mutating func observe(_ distances: [Double]) {
    guard !distances.isEmpty else { return }
    let squares = (1...distances.count).reduce(0.0) { $0 + Double($1 * $1) }
    let products = distances.enumerated().reduce(0.0) { $0 + Double($1.offset + 1) * $1.element }
    guard products > 0 else { return }
    estimates.append(max(Double(distances.count), squares / products))
    if estimates.count > Self.estimatesMaximum { estimates.removeFirst() }
  }

  /// Nil before the first lookup.
  package var nodes: Double? {
    guard !estimates.isEmpty else { return nil }
    return estimates.sorted()[estimates.count / 2]
  }

  /// How far, as a part of the space, the k-th nearest node to any point is expected.
  package func expectedDistance(ofNearest k: Int) -> Double? { nodes.map { Double(k) / ($0 + 1) } }
}

/// How long to wait for an answer before asking somebody else as well.
package struct RoundTripTimes: Sendable {
  private var samples: [Duration] = []
  private var next = 0
  private static let samplesMaximum = 64

  package static let patienceMinimum = Duration.milliseconds(150)
  package static let patienceMaximum = Duration.seconds(1)
  /// After this a query has failed (PROTOCOLS 4.2).
  package static let failure = Duration.seconds(4)

  /// 1.5 × the 95th percentile of the last 64 round trips, within 150 ms and 1 s; 1 s before there are any.
  package private(set) var patience = patienceMaximum

  package init() {}

  package mutating func observe(_ roundTrip: Duration) {
    if samples.count < Self.samplesMaximum {
      samples.append(roundTrip)
    } else {
      samples[next] = roundTrip
    }
    next = (next + 1) % Self.samplesMaximum
    // The percentile moves slowly; sorting each time would cost more than the packet.
    guard next % 8 == 0 || samples.count <= 8 else { return }
    let high = samples.sorted()[(samples.count * 95 - 1) / 100]
    patience = min(max(high * 3 / 2, Self.patienceMinimum), Self.patienceMaximum)
  }
}

/// Which address others see us at (BEP 42): one vote for each source, none for local addresses.
package struct ExternalAddressVote: Sendable {
  private var votes: [(address: IPAddress, count: Int)] = []
  private var voters: Set<IPAddress> = []
  private var began: Instant?
  /// What the votes made of it so far.
  package private(set) var address: IPAddress?

  /// A count ends after so many votes, or so long (libtorrent, ip_voter.cpp).
  package static let votesMaximum = 50
  package static let period = Duration.seconds(300)

  package init() {}

  /// Counts what a remote saw. Returns the address when it becomes another.
  package mutating func vote(_ seen: IPAddress, by voter: IPAddress, at now: Instant) -> IPAddress? {
    guard seen.addressClass == .global, seen.isIPv4 == voter.isIPv4 else { return nil }
    if let began, now - began > Self.period { restart() }
    guard voters.insert(voter).inserted else { return nil }
    if began == nil { began = now }
    if let place = votes.firstIndex(where: { $0.address == seen }) {
      votes[place].count += 1
    } else {
      votes.append((seen, 1))
    }
    let ranked = votes.sorted { $0.count > $1.count }
    let leads =
      ranked.count == 1
      ? ranked[0].count >= 2 : Double(ranked[0].count) > 1.5 * Double(ranked[1].count) && ranked[0].count >= 2
    if voters.count >= Self.votesMaximum { restart() }
    guard leads, ranked[0].address != address else { return nil }
    address = ranked[0].address
    return address
  }

  private mutating func restart() {
    votes = []
    voters = []
    began = nil
  }
}
