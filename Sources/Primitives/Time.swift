/// Wall time in an event, in whole milliseconds since 1970-01-01T00:00:00Z.
@frozen
public struct Timestamp: Hashable, Comparable, Sendable {
  public var milliseconds: Int64

  @inlinable
  public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  @inlinable
  public static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }

  /// Saturates instead of overflowing, so hostile times cannot trap.
  @inlinable
  public func advanced(milliseconds delta: Int64) -> Timestamp {
    let (sum, overflow) = milliseconds.addingReportingOverflow(delta)
    return Timestamp(milliseconds: overflow ? (delta > 0 ? .max : .min) : sum)
  }
}

/// Monotonic time in a core: nanoseconds since an arbitrary start. It is handed in, never read.
@frozen
public struct Instant: Hashable, Comparable, Sendable {
  public var nanoseconds: Int64

  @inlinable
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  @inlinable
  public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

  @inlinable
  public static func + (instant: Self, span: Duration) -> Instant {
    let (seconds, attoseconds) = span.components
    return Instant(nanoseconds: instant.nanoseconds + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }

  @inlinable
  public static func - (a: Self, b: Self) -> Duration { .nanoseconds(a.nanoseconds - b.nanoseconds) }
}

/// Both clocks read at one moment. The shell makes it; cores receive it.
@frozen
public struct Moment: Hashable, Sendable {
  public var instant: Instant
  public var wall: Timestamp

  @inlinable
  public init(instant: Instant, wall: Timestamp) {
    self.instant = instant
    self.wall = wall
  }
}
