public import Events
public import Identity
public import Primitives
import Store

extension TimelineReader {
  /// Every event of one log that is held, newest first. Those without content (deleted, expired, unknown) are there too.
  ///
  /// - Parameter before: only events below this sequence number.
  public func history(
    ofLog key: LogID, before: SequenceNumber? = nil, limit: Int, now: Timestamp
  ) throws -> [TimelineItem] {
    try database.snapshot {
      try forgetWhenChanged()
      guard let log = try log(key) else { return [] }
      let ranges = try heldRanges(log.lid)
      return try newest(of: log, in: ranges, below: before ?? (.maximum + 1), limit: limit).map {
        try item($0, of: log, now: now)
      }
    }
  }

  /// Every event of the person's logs that is held, of all kinds, newest first by (id, log).
  ///
  /// - Parameter before: only events below this id; of other logs with the same id those of a lower key.
  public func history(
    of person: PersonID, before: (id: EventID, log: LogID)? = nil, limit: Int, now: Timestamp
  ) throws -> [TimelineItem] {
    try database.snapshot {
      try forgetWhenChanged()
      var items: [TimelineItem] = []
      for log in try logs(of: person) {
        let ranges = try heldRanges(log.lid)
        var below = SequenceNumber.maximum + 1
        if let before {
          // Of the log itself and of greater keys the equal id is not older.
          let isAbove: (EventID) -> Bool = { log.log < before.log ? $0 > before.id : $0 >= before.id }
          below = try firstSequence(of: log, in: ranges, where: isAbove)
        }
        items += try newest(of: log, in: ranges, below: below, limit: limit).map {
          try item($0, of: log, now: now)
        }
      }
      items.sort { $0.id != $1.id ? $0.id > $1.id : $0.log > $1.log }
      return Array(items.prefix(max(0, limit)))
    }
  }

  private func newest(
    of log: LogIdentity, in ranges: [ClosedRange<SequenceNumber>], below: SequenceNumber, limit: Int
  ) throws -> [Event] {
    var events: [Event] = []
    let limit = min(limit, Self.limitMaximum)
    for range in ranges.reversed() where events.count < limit && range.lowerBound < below {
      var next = min(range.upperBound, below - 1)
      while events.count < limit, next >= range.lowerBound {
        let place = EventPlace(log, next)
        if let event = try unlessDamaged(place, { try expect(source.event(at: place), at: place) }) {
          events.append(event)
        }
        next = next - 1
      }
    }
    return events
  }

  /// The lowest held sequence number whose id fits; ids rise along a log, so the fitting ones are the last. One past the
  /// end when none fits.
  func firstSequence(
    of log: LogIdentity, in ranges: [ClosedRange<SequenceNumber>], where fits: (EventID) -> Bool
  ) throws -> SequenceNumber {
    for range in ranges {
      var low = range.lowerBound
      var high = range.upperBound + 1
      while low < high {
        let middle = low + (high - low) / 2
        if fits(try id(of: log, at: middle)) { high = middle } else { low = middle + 1 }
      }
      if low <= range.upperBound { return low }
    }
    return (ranges.last?.upperBound ?? SequenceNumber(0)) + 1
  }

  func id(of log: LogIdentity, at sequence: SequenceNumber) throws -> EventID {
    let place = EventPlace(log, sequence)
    return try expect(source.view(at: place), at: place).id
  }

  /// The event of the log that has this id.
  func event(of log: LogIdentity, id: EventID) throws -> Event? {
    let ranges = try heldRanges(log.lid)
    let sequence = try firstSequence(of: log, in: ranges) { $0 >= id }
    guard ranges.contains(where: { $0.contains(sequence) }),
      let event = try source.event(at: EventPlace(log, sequence)),
      event.header.id == id
    else { return nil }
    return event
  }
}
