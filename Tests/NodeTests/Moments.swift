import Primitives

extension Moment {
  /// Where both clocks of a dialogue begin.
  static let start = Moment(instant: Instant(nanoseconds: 0), wall: Timestamp(milliseconds: 1_700_000_000_000))

  static func + (moment: Self, span: Duration) -> Moment {
    Moment(
      instant: moment.instant + span,
      wall: moment.wall.advanced(milliseconds: Int64(span / .milliseconds(1))))
  }
}
