package import Primitives

/// Counts the connections that were accepted, by source, and says which one is too many. Pure.
package struct AcceptLedger: Sendable {
  package enum Refusal: Hashable, Sendable {
    case livePerSource, handshakesTotal, handshakesPerSource
    /// Too many new ones in the last second, or the last minute.
    case newPerSource
  }

  private struct Entry {
    var live = 0
    var handshakes = 0
    /// One for each of `PeerLimits.newPerSource`.
    var buckets: [TokenBucket]
    /// When nothing is left to be remembered, once no connection lives.
    var fullAt: Instant { buckets.map(\.fullAt).max() ?? Instant(nanoseconds: .min) }
  }

  private let limits: PeerLimits
  private var entries: [[UInt8]: Entry] = [:]
  /// Sources without a live connection.
  private var idleCount = 0
  package private(set) var live = 0
  package private(set) var handshakes = 0

  package init(limits: PeerLimits) { self.limits = limits }

  /// Counts a new connection, or says why it is not taken. A refused one uses up nothing.
  ///
  /// - Parameter isRated: false for a source that may come as often as it likes.
  package mutating func admit(_ source: [UInt8], isRated: Bool, at now: Instant) -> Refusal? {
    let known = entries[source]
    var entry = known ?? Entry(buckets: limits.newPerSource.map { _ in TokenBucket(at: now) })
    if entry.live >= limits.livePerSource { return .livePerSource }
    if isRated {
      guard zip(entry.buckets, limits.newPerSource).allSatisfy({ $0.allows($1, at: now) }) else { return .newPerSource }
    }
    if handshakes >= limits.handshakesTotal { return .handshakesTotal }
    if entry.handshakes >= limits.handshakesPerSource { return .handshakesPerSource }
    if isRated {
      for (index, rate) in limits.newPerSource.enumerated() { entry.buckets[index].take(rate, at: now) }
    }
    if known?.live == 0 { idleCount -= 1 }
    entry.live += 1
    entry.handshakes += 1
    entries[source] = entry
    live += 1
    handshakes += 1
    return nil
  }

  /// The handshake of an admitted connection is over, well or not.
  package mutating func handshakeOver(_ source: [UInt8]) {
    entries[source]?.handshakes -= 1
    handshakes -= 1
  }

  /// An admitted connection is gone. Its source stays known until its buckets are full again.
  package mutating func over(_ source: [UInt8], at now: Instant) {
    live -= 1
    guard var entry = entries[source] else { return }
    entry.live -= 1
    entries[source] = entry
    guard entry.live == 0 else { return }
    idleCount += 1
    if entry.fullAt <= now {
      forget(source)
    } else if idleCount > limits.idleSourcesMaximum {
      makeRoom(now)
    }
  }

  /// Sources that are remembered.
  package var sourceCount: Int { entries.count }

  private mutating func forget(_ source: [UInt8]) {
    entries[source] = nil
    idleCount -= 1
  }

  /// Forgets what says nothing any more, else the source that could come again soonest. The table is walked as a whole,
  /// after a connection that cost a handshake, a thousand times as much.
  private mutating func makeRoom(_ now: Instant) {
    let idle = entries.filter { $0.value.live == 0 }
    let full = idle.filter { $0.value.fullAt <= now }
    if full.isEmpty {
      let soonest = idle.min {
        $0.value.fullAt == $1.value.fullAt
          ? $0.key.lexicographicallyPrecedes($1.key) : $0.value.fullAt < $1.value.fullAt
      }
      if let soonest { forget(soonest.key) }
    } else {
      for source in full.keys { forget(source) }
    }
  }
}
