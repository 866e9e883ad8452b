import Primitives
import Terminal
import Testing

@Suite struct TimeTextTests {
  private let now = Timestamp(rfc3339: "2026-11-20T13:05:00Z")!

  @Test(
    "how long ago",
    arguments: [
      ("2026-11-20T13:04:30Z", "now"), ("2026-11-20T13:04:00Z", "1 min ago"), ("2026-11-20T12:05:30Z", "60 min ago"),
      ("2026-11-20T12:05:00Z", "1 h ago"), ("2026-11-19T13:05:01Z", "23 h ago"), ("2026-11-14T13:05:00Z", "6 d ago"),
      ("2026-11-13T13:05:00Z", "2026-11-13"), ("1987-02-03T00:00:00Z", "1987-02-03"),
      ("2026-11-20T13:09:00Z", "in 4 min"),
      ("2030-01-01T00:00:00Z", "2030-01-01"),
    ])
  func relative(time: String, text: String) {
    #expect(TimeText(utc: true).relative(Timestamp(rfc3339: time)!, now: now) == text)
  }

  @Test("absolute times")
  func absolute() {
    #expect(TimeText(utc: true).absolute(now) == "2026-11-20 13:05 UTC")
    #expect(TimeText(utc: true).absolute(Timestamp(milliseconds: -1)) == "1969-12-31 23:59 UTC")
    let local = TimeText(utc: false).absolute(now)
    #expect(local.wholeMatch(of: /2026-11-2[01] [0-9]{2}:[0-9]{2} [+-][0-9]{2}:[0-9]{2}/) != nil)
  }

  @Test("no time traps", arguments: [Int64.min, .max, 0, -62_167_219_200_000])
  func extremes(milliseconds: Int64) {
    for utc in [true, false] {
      let text = TimeText(utc: utc)
      _ = text.absolute(Timestamp(milliseconds: milliseconds))
      _ = text.relative(Timestamp(milliseconds: milliseconds), now: now)
      _ = text.relative(now, now: Timestamp(milliseconds: milliseconds))
    }
  }
}
