/// Counts the connections that were accepted, by source, and says which one is too many. Pure.
package struct AcceptLedger: Sendable {
  package enum Refusal: Hashable, Sendable { case livePerSource, handshakesTotal, handshakesPerSource }

  private struct Count {
    var live = 0
    var handshakes = 0
  }

  private let limits: PeerLimits
  private var counts: [[UInt8]: Count] = [:]
  package private(set) var live = 0
  package private(set) var handshakes = 0

  package init(limits: PeerLimits) { self.limits = limits }

  /// Counts a new connection, or says why it is not taken.
  package mutating func admit(_ source: [UInt8]) -> Refusal? {
    let count = counts[source] ?? Count()
    if count.live >= limits.livePerSource { return .livePerSource }
    if handshakes >= limits.handshakesTotal { return .handshakesTotal }
    if count.handshakes >= limits.handshakesPerSource { return .handshakesPerSource }
    counts[source] = Count(live: count.live + 1, handshakes: count.handshakes + 1)
    live += 1
    handshakes += 1
    return nil
  }

  /// The handshake of an admitted connection is over, well or not.
  package mutating func handshakeOver(_ source: [UInt8]) {
    counts[source]?.handshakes -= 1
    handshakes -= 1
  }

  /// An admitted connection is gone.
  package mutating func over(_ source: [UInt8]) {
    live -= 1
    guard var count = counts[source] else { return }
    count.live -= 1
    counts[source] = count.live == 0 ? nil : count
  }

  /// Sources that are remembered: only those with a live connection.
  package var sourceCount: Int { counts.count }
}
