import Identity
import Primitives
import Replication

/// Syncs that somebody asked for: their targets one after the other, and how each went.
extension NodeCore {
  mutating func nextTarget(of sync: SyncID) -> [Effect] {
    guard let running = syncs[sync] else { return [] }
    guard let target = running.rest.first else {
      if seeking.searches[sync] != nil { return searchSessionEnded(sync, Moment(instant: clock, wall: wall)) }
      syncs[sync] = nil
      return [.syncEnded(sync, running.ends)]
    }
    syncs[sync]!.rest.removeFirst()
    syncs[sync]!.refusals = 0
    return dial(.sync(sync, target), target)
  }

  mutating func dial(_ dial: Dial, _ target: Target) -> [Effect] {
    let id = DialID(nextDial)
    nextDial += 1
    dials[id] = dial
    return [.dial(id, target)]
  }

  mutating func dialFailed(_ id: DialID, _ reason: String) -> [Effect] {
    switch dials.removeValue(forKey: id) {
    case nil: return []
    case .join(let sync, _, _): return [.joined(sync, record: nil, reason: reason)]
    case .sync(let sync, let target): return notReached(target, of: sync, reason)
    case .stand(let target): return unmet(target, by: id, reason)
    case .find(let sync, _, _): return [.foundPersons(sync, nil, from: nil, reason: reason)]
    case .back(let asker): return tell(asker, .notReached)
    }
  }

  mutating func notReached(_ target: Target, of sync: SyncID, _ reason: String) -> [Effect] {
    syncs[sync]?.ends.append(
      SessionEnd(sync: sync, target: target, node: nil, connection: nil, report: nil, failure: reason))
    return nextTarget(of: sync)
  }

  /// Ends the session or the dial under way; what came before is kept. A dial ends when the transport says so.
  mutating func cancel(_ sync: SyncID) -> [Effect] {
    guard syncs[sync] != nil else { return [] }
    syncs[sync]!.rest = []
    syncs[sync]!.isCancelled = true
    for (id, connection) in connections {
      if case .exchange(_, sync) = connection.session {
        return [.send(id, .bye(.finished))] + end(id, Self.cancelled)
      }
    }
    for (id, dial) in dials { if case .sync(sync, _) = dial { return [.abandon(id)] } }
    // A search that waits for its lookups has neither.
    return nextTarget(of: sync)
  }

  static let cancelled = "the sync was given up"
  /// How often a peer is dialled again that had no room before it greeted.
  static let retryMaximum = 3

  static func words(for ending: Exchange.Ending) -> String? {
    switch ending {
    case .finished: nil
    case .farewell(let reason): "the peer ended the session: \(reason)"
    case .fault(let what): "the peer broke the protocol: \(what)"
    case .stalled: "nothing moved for too long"
    case .trouble(let what): what
    }
  }
}
