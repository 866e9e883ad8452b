public import Primitives

/// A Snowflake id: 0 | 41-bit milliseconds since 2024-01-01T00:00:00Z | 10-bit device number | 12-bit counter.
///
/// Ids strictly rise within a log. The device number makes collisions between logs rare and proves nothing.
@frozen
public struct EventID: Hashable, Comparable, Sendable {
  public let rawValue: UInt64

  /// 2024-01-01T00:00:00Z in milliseconds since 1970.
  public static let epochMilliseconds: Int64 = 1_704_067_200_000
  /// Largest count of milliseconds that fits: the year 2093.
  public static let millisecondsMaximum: UInt64 = (1 << 41) - 1
  public static let counterMaximum: UInt64 = (1 << 12) - 1
  /// The bits below the milliseconds.
  public static let lowBits: UInt64 = 22

  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// - Precondition: each part fits its field.
  public init(milliseconds: UInt64, device: DeviceNumber, counter: UInt64) {
    precondition(
      milliseconds <= Self.millisecondsMaximum && counter <= Self.counterMaximum, "\(milliseconds) \(counter)")
    rawValue = milliseconds << 22 | UInt64(device.rawValue) << 12 | counter
  }

  /// The smallest id of a moment; moments before 2024 give id 0.
  public init(floorOf time: Timestamp) {
    let (since, overflow) = time.milliseconds.subtractingReportingOverflow(Self.epochMilliseconds)
    let milliseconds = overflow || since < 0 ? 0 : min(UInt64(since), Self.millisecondsMaximum)
    rawValue = milliseconds << 22
  }

  /// Milliseconds since 2024-01-01T00:00:00Z.
  @inlinable
  public var milliseconds: UInt64 { rawValue >> 22 }
  public var device: DeviceNumber { DeviceNumber(rawValue: UInt16(rawValue >> 12 & 1023))! }
  public var counter: UInt64 { rawValue & Self.counterMaximum }

  /// The time of appending.
  @inlinable
  public var time: Timestamp { Timestamp(milliseconds: Int64(milliseconds) + 1_704_067_200_000) }

  @inlinable
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension EventID: CustomStringConvertible {
  public var description: String { String(rawValue) }
}

/// The machine field of a device's ids, 0–1023, picked at random among those that no unrevoked device uses.
@frozen
public struct DeviceNumber: Hashable, Sendable {
  public let rawValue: UInt16
  public static let maximum: UInt16 = 1023

  public init?(rawValue: UInt16) {
    guard rawValue <= Self.maximum else { return nil }
    self.rawValue = rawValue
  }
}

/// Makes the ids of one device: a hybrid logical clock (Kulkarni et al. 2014) in a Snowflake.
///
/// The milliseconds never fall below the device's last id. A burst of more than 4,096 ids in one millisecond, or a wall
/// clock that stands still or steps back, borrows from the next milliseconds instead of repeating an id.
public struct HybridClock: Hashable, Sendable {
  public let device: DeviceNumber
  public private(set) var last: EventID

  /// How far a replied-to event may lie ahead of the wall clock and still move this clock, in ms (DESIGN §6).
  public static let mergeAheadMaximum: Int64 = 2_000

  /// - Parameter last: the id of the device's newest event, or nil before the first.
  public init(device: DeviceNumber, last: EventID?) {
    self.device = device
    self.last = last ?? EventID(rawValue: 0)
  }

  /// The next id, above the last one and, when the post replies to a shown event, above that event's.
  ///
  /// - Returns: nil when the 41-bit clock has run out (the year 2093).
  public mutating func next(at wall: Timestamp, after seen: EventID? = nil) -> EventID? {
    var floor = last
    if let seen, seen > floor,
      seen.time.milliseconds <= wall.advanced(milliseconds: Self.mergeAheadMaximum).milliseconds
    {
      floor = seen
    }
    var milliseconds = max(EventID(floorOf: wall).milliseconds, floor.milliseconds)
    var counter: UInt64 = 0
    if milliseconds == floor.milliseconds, floor.rawValue > 0 {
      let fields = UInt64(device.rawValue) << 12
      let low = floor.rawValue & ((1 << EventID.lowBits) - 1)
      if low >= fields, low < fields + EventID.counterMaximum {
        counter = low - fields + 1
      } else if low >= fields {
        milliseconds += 1
      }
    }
    guard milliseconds <= EventID.millisecondsMaximum else { return nil }
    last = EventID(milliseconds: milliseconds, device: device, counter: counter)
    return last
  }

}
