import Glibc
public import Primitives

/// Times for people: numbers only, so that the locale does not matter. Data uses `Timestamp.rfc3339`.
public struct TimeText: Sendable {
  private let usesUTC: Bool

  public init(utc: Bool) { usesUTC = utc }

  /// `2026-11-20 14:05 +01:00` in the zone that TZ names, or `2026-11-20 13:05 UTC`.
  public func absolute(_ time: Timestamp) -> String {
    var (parts, offset) = parts(time)
    let clock = "\(day(&parts)) \(two(parts.tm_hour)):\(two(parts.tm_min))"
    if usesUTC { return "\(clock) UTC" }
    let minutes = abs(offset) / 60
    return "\(clock) \(offset < 0 ? "-" : "+")\(two(Int32(minutes / 60))):\(two(Int32(minutes % 60)))"
  }

  /// `now`, `4 min ago`, `3 h ago`, `2 d ago`, from a week on the day; what is ahead is `in 4 min`.
  public func relative(_ time: Timestamp, now: Timestamp) -> String {
    let (difference, overflow) = now.milliseconds.subtractingReportingOverflow(time.milliseconds)
    let seconds = overflow ? Int64.max : abs(difference / 1000)
    let span: String
    switch seconds {
    case ..<45: return "now"
    case ..<3600: span = "\(max(1, (seconds + 30) / 60)) min"
    case ..<86_400: span = "\(seconds / 3600) h"
    case ..<604_800: span = "\(seconds / 86_400) d"
    default:
      var (parts, _) = parts(time)
      return day(&parts)
    }
    return difference < 0 ? "in \(span)" : "\(span) ago"
  }

  private func day(_ parts: inout tm) -> String {
    let year = String(parts.tm_year + 1900)
    let padding = String(repeating: "0", count: max(0, 4 - year.count))
    return "\(padding)\(year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
  }

  /// The calendar in the zone, and the zone's seconds east of UTC. Times outside the years 0–9999 are clamped.
  private func parts(_ time: Timestamp) -> (tm, Int) {
    let clamped = min(
      max(time.milliseconds, -62_167_219_200_000 + dayMilliseconds), 253_402_300_799_999 - dayMilliseconds)
    var seconds = time_t(clamped / 1000 - (clamped % 1000 < 0 ? 1 : 0))
    var parts = tm()
    if usesUTC {
      gmtime_r(&seconds, &parts)
    } else {
      localtime_r(&seconds, &parts)
    }
    return (parts, parts.tm_gmtoff)
  }

  private func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : String(value) }

  private let dayMilliseconds: Int64 = 86_400_000
}
