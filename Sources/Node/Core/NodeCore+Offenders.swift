import Identity
import Primitives

// Who broke the rules, and until when nobody speaks with it.
extension NodeCore {
  func isBanned(_ node: PublicKey, _ now: Instant) -> Bool { offenders[node].map { now < $0.until } ?? false }

  mutating func ban(_ node: PublicKey, _ now: Instant) {
    let span = min(offenders[node].map { $0.ban * 2 } ?? limits.banFirst, limits.banMaximum)
    if offenders.count >= limits.offendersMaximum, offenders[node] == nil,
      let first = offenders.min(by: { ($0.value.until, $0.key) < ($1.value.until, $1.key) })
    {
      offenders[first.key] = nil
    }
    offenders[node] = (now + span, span)
  }
}
