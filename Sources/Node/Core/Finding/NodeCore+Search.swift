import DHT
import Identity
import Primitives
import Replication

// A sync with whoever has what is wanted: the lookups go on together, the sessions one after the other.
extension NodeCore {
  struct Search: Sendable {
    let options: Exchange.Options
    /// When no lookup is waited for any longer.
    let patience: Instant
    /// What is held is not known yet, or not any more.
    var isSurveyDue = true
    /// A target is being dialled or talked to.
    var isBusy = false
    var hasSought = false
    var attempts: [SearchReport.Attempt] = []
    /// Persons for whom somebody was met.
    var met: Set<PersonID> = []
    /// Sessions that ended well, by the persons for whom their address was named.
    var completed: [PersonID: Int] = [:]
    var reachedAuthor: Set<PersonID> = []

    var nextDeadline: Instant? { isBusy || isSurveyDue ? nil : patience }
  }

  /// How long lookups are waited for.
  static let searchPatience = Duration.seconds(10)
  /// Of somebody whose newest head nobody knows, so many replicas are asked.
  static let searchSessions = 3

  mutating func search(_ sync: SyncID, _ options: Exchange.Options, _ moment: Moment) -> [Effect] {
    syncs[sync] = RunningSync(rest: [], options: options)
    seeking.searches[sync] = Search(options: options, patience: moment.instant + Self.searchPatience)
    seeking.surveyedAt = nil
    return survey(moment)
  }

  mutating func searchesGoOn(_ moment: Moment, surveyed: Bool = false) -> [Effect] {
    seeking.searches.keys.sorted { $0.rawValue < $1.rawValue }.flatMap { sync -> [Effect] in
      if surveyed { seeking.searches[sync]?.isSurveyDue = false }
      return goOn(sync, moment)
    }
  }

  /// A session of a search is over, or did not come about.
  mutating func searchSessionEnded(_ sync: SyncID, _ moment: Moment) -> [Effect] {
    guard let search = seeking.searches[sync], let finder = seeking.finder else { return [] }
    seeking.searches[sync]!.isBusy = false
    if let end = syncs[sync]?.ends.last, end.failure == nil, let report = end.report,
      let endpoint = search.attempts.last?.endpoint
    {
      for person in finder.order {
        guard let source = finder.source(of: endpoint, for: person) else { continue }
        seeking.searches[sync]!.met.insert(person)
        // A limit that the user set, or content that nobody has, is not this peer's doing.
        guard report.complete || report.limited || report.lacksPayloads else { continue }
        seeking.searches[sync]!.completed[person, default: 0] += 1
        if source == .author { seeking.searches[sync]!.reachedAuthor.insert(person) }
      }
    }
    if syncs[sync]?.isCancelled == true { return finishSearch(sync) }
    // What came changes what is still wanted.
    seeking.searches[sync]!.isSurveyDue = true
    seeking.surveyedAt = nil
    return survey(moment)
  }

  private mutating func goOn(_ sync: SyncID, _ moment: Moment) -> [Effect] {
    guard var search = seeking.searches[sync], !search.isBusy, !search.isSurveyDue, let finder = seeking.finder else {
      return []
    }
    if syncs[sync]?.isCancelled == true { return finishSearch(sync) }
    var effects: [Effect] = []
    if !search.hasSought {
      search.hasSought = true
      seeking.searches[sync] = search
      effects = tellFinder(.seek(finder.order), moment)
      if seeking.searches[sync]?.isBusy != false { return effects }
    }
    let isPatient = moment.instant < search.patience
    if let attempt = nextAttempt(search, isPatient) {
      seeking.searches[sync]!.attempts.append(attempt)
      seeking.searches[sync]!.isBusy = true
      syncs[sync]!.rest = [Target(address: attempt.endpoint.description)]
      return effects + nextTarget(of: sync)
    }
    let isWaiting = seeking.finder.map { finder in
      !finder.isJoined || finder.order.contains { finder.isLooking(for: $0) && !isSatisfied($0, search) }
    }
    if isPatient, isWaiting == true { return effects }
    return effects + finishSearch(sync)
  }

  /// Of the addresses that were not tried, the best of somebody of whom there may be more. Replicas wait for the author's
  /// own word.
  private func nextAttempt(_ search: Search, _ isPatient: Bool) -> SearchReport.Attempt? {
    guard let finder = seeking.finder else { return nil }
    let tried = Set(search.attempts.map(\.endpoint))
    var best: SearchReport.Attempt?
    for person in finder.order where !isSatisfied(person, search) {
      let isHeadOpen = isPatient && finder.isLookingForHead(of: person)
      for (endpoint, source) in finder.candidates(for: person) where !tried.contains(endpoint) {
        guard source == .author || !isHeadOpen else { break }
        if best.map({ source < $0.source }) ?? true {
          best = SearchReport.Attempt(person: person, endpoint: endpoint, source: source)
        }
        break
      }
    }
    return best
  }

  private func isSatisfied(_ person: PersonID, _ search: Search) -> Bool {
    guard let finder = seeking.finder, finder.logsBehind(of: person).isEmpty else { return false }
    let completed = search.completed[person] ?? 0
    if completed >= Self.searchSessions || search.reachedAuthor.contains(person) { return true }
    return completed > 0 && finder.knowsHead(of: person)
  }

  private mutating func finishSearch(_ sync: SyncID) -> [Effect] {
    guard let search = seeking.searches.removeValue(forKey: sync), let running = syncs.removeValue(forKey: sync) else {
      return []
    }
    return [.searchEnded(sync, report(search)), .syncEnded(sync, running.ends)]
  }

  private func report(_ search: Search) -> SearchReport {
    guard let finder = seeking.finder else { return SearchReport(logs: [], attempts: [], isNetworkThere: false) }
    var logs: [SearchReport.Log] = []
    for person in finder.order {
      let held = finder.heldLogs(of: person)
      let own = Set(held.filter(\.isOwnDevice).map(\.log))
      let wasMet = search.met.contains(person)
      for log in Set(held.map(\.log) + finder.logsBehind(of: person)).subtracting(own).sorted() {
        let mine = held.first { $0.log == log }
        let sequence = mine?.sequence ?? SequenceNumber(0)
        let newest = [finder.newestKnown(log, of: person)?.sequence, mine?.wanted].compactMap { $0 }.max()
        let state: SearchReport.Log.State =
          if let newest, sequence < newest { .partial } else if newest != nil || wasMet { .upToDate } else {
            .nobodyFound
          }
        logs.append(.init(person: person, log: log, state: state, held: sequence, newest: newest))
      }
      if held.isEmpty, finder.logsBehind(of: person).isEmpty, !finder.isOwn(person) {
        logs.append(
          .init(
            person: person, log: nil, state: wasMet && finder.hasRecord(of: person) ? .upToDate : .nobodyFound,
            held: SequenceNumber(0), newest: nil))
      }
    }
    return SearchReport(logs: logs, attempts: search.attempts, isNetworkThere: finder.hasMetNetwork)
  }
}
