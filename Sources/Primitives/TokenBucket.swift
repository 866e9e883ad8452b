/// How often something may happen: `count` times at once, and then evenly as many in each `period`.
public struct Rate: Hashable, Sendable {
  public let count: Int
  public let period: Duration

  /// - Precondition: both are above zero.
  public init(_ count: Int, per period: Duration) {
    precondition(count > 0 && period > .zero, "a rate of \(count) per \(period)")
    self.count = count
    self.period = period
  }

  /// The time in which one token comes back.
  var interval: Duration { period / count }
}

/// A token bucket for one rate, which the caller keeps: full at first, it loses a token with each event and fills up again
/// evenly. Held as the moment at which it will be full, so it costs eight bytes and needs no timer.
public struct TokenBucket: Hashable, Sendable {
  /// When every token will be back.
  public private(set) var fullAt: Instant

  public init(at now: Instant) { fullAt = now }

  /// Whether a token is left.
  public func allows(_ rate: Rate, at now: Instant) -> Bool { fullAt - now <= rate.period - rate.interval }

  /// Takes a token; one that is not there is owed.
  public mutating func take(_ rate: Rate, at now: Instant) { fullAt = max(fullAt, now) + rate.interval }
}
