import Events
import Identity
import Primitives
public import Store

extension TimelineReader {
  /// The events that listings left out since this was last asked, because their bytes are damaged or gone: ranges of each
  /// log, in order.
  public func takeLeftOut() -> [Damage] {
    var found: [Damage] = []
    for place in leftOut.sorted(by: { ($0.log, $0.sequence) < ($1.log, $1.sequence) }) {
      if let last = found.last, last.log == place.log, let range = last.range, range.upperBound + 1 == place.sequence {
        found[found.count - 1].range = range.lowerBound...place.sequence
      } else {
        found.append(Damage(log: place.log, range: place.sequence...place.sequence, message: "damaged"))
      }
    }
    leftOut = []
    return found
  }

  /// What `read` makes of the event at `place`; nil when that is damaged and to be left out.
  func unlessDamaged<Value>(_ place: EventPlace, _ read: () throws -> Value?) throws -> Value? {
    do {
      return try read()
    } catch let error as StoreError where error.code == .damaged && leavesOutDamage {
      leftOut.insert(place)
      return nil
    }
  }

  /// What the tables name is held, or it was lost.
  func expect<Value>(_ value: Value?, at place: EventPlace) throws -> Value {
    guard let value else {
      throw StoreError(.damaged, "event \(place.sequence) of log \(place.log) is missing", path: database.path)
    }
    return value
  }
}
