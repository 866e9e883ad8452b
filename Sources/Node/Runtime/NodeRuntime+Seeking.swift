import DHT
import Primitives
public import Replication

extension NodeRuntime {
  /// Finds those who have what is wanted, and is found, from now on; or goes on under other settings.
  public func find(_ settings: Finder.Settings) { feed(.find(settings)) }

  /// Syncs with everybody who has what is wanted: authors first, then every other replica in turn, until every log is at
  /// the newest head known. Needs `find` before. When the task is cancelled the session at hand ends.
  public func search(
    options: Exchange.Options = .init(), progress: (@Sendable (SyncProgress) -> Void)? = nil
  ) async -> (SearchReport, [SyncOutcome]) {
    let id = NodeCore.SyncID(take())
    let outcomes = await syncing(id, progress) { $0.feed(.search(id, options)) }
    return (
      searchReports.removeValue(forKey: id) ?? SearchReport(logs: [], attempts: [], isNetworkThere: false), outcomes
    )
  }

  /// Tells the DHT that the node goes; returns when it is told, or did not answer for a second.
  public func farewell() async {
    guard core.finder != nil, !hasLeft else { return }
    await withCheckedContinuation { continuation in
      leavers.append(continuation)
      feed(.farewell)
    }
  }

  func left() {
    hasLeft = true
    for leaver in leavers { leaver.resume() }
    leavers = []
  }

  func survey() {
    let store = store
    Task { [weak self] in
      // A store that cannot be read is asked again when it changes.
      let survey = try? await store.perform { try ($0 as? any FindingStore)?.survey() }
      await self?.feed(.surveyed(survey ?? nil))
    }
  }

  func sign(_ head: HeadItem, after last: Int64?) {
    let store = store
    Task { [weak self] in
      let item = try? await store.perform { try ($0 as? any FindingStore)?.sign(head, after: last) }
      await self?.feed(.headSigned(item ?? nil))
    }
  }
}
