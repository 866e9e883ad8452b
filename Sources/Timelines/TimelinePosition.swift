public import Events
public import Identity
public import Primitives

/// Where a post stands in every timeline: by shown time, then id, then the bytes of the log key. Later is greater.
///
/// It is also the cursor of a page: what comes before it is older.
public struct TimelinePosition: Hashable, Comparable, Sendable {
  /// Never after the id's time.
  public let time: Timestamp
  public let id: EventID
  public let log: LogID

  /// - Parameter time: the shown time; a later one than the id's counts as the id's.
  public init(time: Timestamp, id: EventID, log: LogID) {
    self.time = PostRank.clamp(min(time, id.time))
    self.id = id
    self.log = log
  }

  public init(of header: EventHeader, written: Timestamp?) {
    self.init(time: header.shownTime(written: written), id: header.id, log: header.log)
  }

  public static func < (a: Self, b: Self) -> Bool {
    if a.time != b.time { return a.time < b.time }
    return a.id != b.id ? a.id < b.id : a.log < b.log
  }

  package var rank: PostRank { PostRank(time: time, id: id) }
}

/// Shown time and id as the two integers of the table `post`, whose order is the order of (shown time, id).
///
/// | shown time | `at` | `id` |
/// |---|---|---|
/// | the id's | the id | 0 |
/// | earlier, since 2024 | milliseconds since 2024 in the upper 42 bits, ones in the lower 22 | the id |
/// | before 2024 | milliseconds since 2024, negative | the id |
///
/// Proof. Times before 2024 give negative numbers that rise with the time, and all others give numbers from 0 on, whose
/// upper bits rise with the time; so `at` decides between different times. Of one time t since 2024, posts of the first
/// row have an id whose milliseconds are t, and posts of the second row an id of a later millisecond, so the second must
/// follow the first: their lower bits are ones, so `at` says so, or is equal when the first one's id ends in 22 ones, and
/// then `id` says so, 0 being less than any id of a later millisecond. Within the second row, and before 2024, `at` is
/// equal and `id` decides; within the first row `at` is the id.
package struct PostRank: Hashable, Comparable, Sendable {
  package var at: Int64
  package var id: Int64

  package init(at: Int64, id: Int64) {
    self.at = at
    self.id = id
  }

  /// - Precondition: `time` is a shown time: not after the id's, and clamped.
  package init(time: Timestamp, id: EventID) {
    let own = Int64(bitPattern: id.rawValue)
    let since = time.milliseconds - EventID.epochMilliseconds
    if time == id.time {
      self.init(at: own, id: 0)
    } else if since >= 0 {
      self.init(at: since << Int64(EventID.lowBits) | Self.lowMask, id: own)
    } else {
      self.init(at: since, id: own)
    }
  }

  package var time: Timestamp {
    Timestamp(milliseconds: (at < 0 ? at : at >> Int64(EventID.lowBits)) + EventID.epochMilliseconds)
  }

  package var eventID: EventID { EventID(rawValue: UInt64(bitPattern: at >= 0 && id == 0 ? at : id)) }

  package static func < (a: Self, b: Self) -> Bool { a.at != b.at ? a.at < b.at : a.id < b.id }

  /// Times so long ago that their distance from 2024 would not fit count as the earliest one that does.
  static func clamp(_ time: Timestamp) -> Timestamp {
    max(time, Timestamp(milliseconds: .min + EventID.epochMilliseconds))
  }

  private static let lowMask: Int64 = (1 << Int64(EventID.lowBits)) - 1
}
