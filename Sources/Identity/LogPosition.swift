public import Primitives

/// The place of an event in its log, counted from 1.
@frozen
public struct SequenceNumber: Hashable, Comparable, Sendable {
  public let rawValue: UInt64

  @inlinable
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public static let first = SequenceNumber(1)

  /// Highest sequence number that is accepted; one that claims more is a bad header, not an overflow.
  public static let maximum = SequenceNumber(1 << 48)

  @inlinable
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// Saturates instead of overflowing, so a number that nobody has judged yet cannot trap.
  @inlinable
  public static func + (sequence: Self, distance: Int) -> Self {
    let size = UInt64(distance.magnitude)
    let (result, overflow) =
      distance < 0
      ? sequence.rawValue.subtractingReportingOverflow(size) : sequence.rawValue.addingReportingOverflow(size)
    return SequenceNumber(overflow ? (distance < 0 ? 0 : .max) : result)
  }

  @inlinable
  public static func - (sequence: Self, distance: Int) -> Self {
    sequence + (distance == .min ? .max : -distance)
  }

  /// Exact up to `maximum`; numbers above it may wrap.
  @inlinable
  public static func - (a: Self, b: Self) -> Int { Int(truncatingIfNeeded: a.rawValue &- b.rawValue) }
}

extension SequenceNumber: CustomStringConvertible {
  public var description: String { String(rawValue) }
}

public enum EventRole {}
/// BLAKE2b-256 of an event's 128 header bytes.
public typealias EventHash = Bytes32<EventRole>

/// Names one event for good: the log, the place in it, and the hash that fixes the content.
@frozen
public struct Reference: Hashable, Sendable {
  public var log: LogID
  public var sequence: SequenceNumber
  public var hash: EventHash

  @inlinable
  public init(log: LogID, sequence: SequenceNumber, hash: EventHash) {
    self.log = log
    self.sequence = sequence
    self.hash = hash
  }
}
