import Events
import Identity

/// The side that is asked. It holds at most one read of the store open and reads on only while the transport keeps up,
/// so that a peer that asks for everything and reads nothing costs one body.
extension Exchange {
  struct Serve: Sendable {
    enum Digest: Hashable, Sendable {
      case awaitingInterests
      /// To be made as soon as the transport allows.
      case due(DigestStart)
      case making
      /// The peer may ask for the next page.
      case paused(next: UInt64)
      case sent
    }

    var digest = Digest.awaitingInterests
    /// Where the walk of our digest began; each of its pages says so.
    var tier: Message.Digest.Tier?
    /// Our mark when the last page of our digest was made.
    var told: ChangeMark?
    /// The cursor the peer showed, when it names this database.
    var cursor: ChangeMark?
    var wants: [NumberedWant] = []
    /// Wants that have no end yet: those above, and those that the store is reading.
    var wantsOpen = 0
    /// Whether a question of this side is with the store.
    var isReading = false
    var records: [PersonID] = []
    var evidence: [LogName] = []
    var unsent = 0
    /// RUN bytes the peer will still take; nil for as many as it asked for.
    var budget: Int?
    var nextWantFromPeer: UInt32 = 0

    // The asking side's memory over its rounds.
    var nextWant: UInt32 = 0
    /// Logs the peer could not give in this session.
    var refused: Set<LogID> = []
    /// Those of them of which it had named what is missing.
    var undelivered: Set<LogID> = []
    var unchained: Set<LogID> = []
    /// What the peer sent, or said that it holds: a payload that is still missing there it does not have.
    var answered = LogRanges()
    /// Whether it was asked for missing payloads: once a session, in one WANT, however many are missing.
    var askedPayloads = false
    var fetchedNothing = 0
    /// RUN bytes since the last new event.
    var barrenBytes = 0

    var isIdle: Bool {
      if case .due = digest { return false }
      if case .making = digest { return false }
      return wants.isEmpty && !isReading && records.isEmpty && evidence.isEmpty
    }
  }

  mutating func serve(_ message: Message) -> [Effect] {
    switch message {
    case .digestNext:
      guard case .paused(let next) = serve.digest else { return close(.fault("no digest to continue"), saying: .fault) }
      serve.digest = .due(.page(next))
    case .recordWant(let persons):
      guard serve.records.count + persons.count <= MessageLimits.interestsMaximum else {
        return close(.fault("too many records wanted"), saying: .fault)
      }
      serve.records += persons
    case .evidenceWant(let logs):
      guard serve.evidence.count + logs.count <= MessageLimits.evidencePerMessage else {
        return close(.fault("too much evidence wanted"), saying: .fault)
      }
      serve.evidence += logs
    case .want(let want):
      guard want.first == serve.nextWantFromPeer, serve.wantsOpen == 0 else {
        return close(.fault("wants out of order, or while others are open"), saying: .fault)
      }
      serve.wantsOpen = want.items.count
      serve.nextWantFromPeer += UInt32(want.items.count)
      serve.budget = want.bytesMaximum
      for (index, item) in want.items.enumerated() {
        serve.wants.append(NumberedWant(number: want.first + UInt32(index), item: item))
      }
    default: preconditionFailure("\(message) is not served")
    }
    return continueServing()
  }

  mutating func continueServing() -> [Effect] {
    guard state == .running, !serve.isReading, serve.unsent <= options.unsentMaximum else { return [] }
    if case .due(let start) = serve.digest {
      serve.digest = .making
      serve.isReading = true
      return ask(.digest(node: node, from: start, entriesMaximum: MessageLimits.digestEntries), for: .serve)
    }
    if !serve.records.isEmpty {
      // One at a time: a record may have two megabytes, and several would pass what may wait unsent.
      let part = Array(serve.records.prefix(1))
      serve.records.removeFirst(part.count)
      serve.isReading = true
      return ask(.records(part), for: .serve)
    }
    if !serve.evidence.isEmpty {
      let part = Array(serve.evidence.prefix(8))
      serve.evidence.removeFirst(part.count)
      serve.isReading = true
      return ask(.evidence(part), for: .serve)
    }
    if !serve.wants.isEmpty {
      if let budget = serve.budget, budget <= 0 {
        let codes = Dictionary(uniqueKeysWithValues: serve.wants.map { ($0.number, EndCode.budget) })
        serve.wantsOpen -= serve.wants.count
        serve.wants = []
        return send(.end(codes)) + closeIfDone()
      }
      let wants = serve.wants
      serve.wants = []
      serve.isReading = true
      return ask(.read(wants, bytesMaximum: min(serve.budget ?? .max, MessageLimits.runBytes)), for: .serve)
    }
    return closeIfDone()
  }

  mutating func continueServing(_ reply: StoreReply) -> [Effect] {
    serve.isReading = false
    var effects: [Effect] = []
    switch reply {
    case .digest(let page, let sinceCursor):
      serve.digest = page.next.map { .paused(next: $0) } ?? .sent
      if page.next == nil { serve.told = page.mark }
      let tier = serve.tier ?? (sinceCursor ? .changes : .list)
      serve.tier = tier
      effects = send(.digest(.init(tier: tier, page: page)))
    case .records(let records):
      for (person, bytes) in records {
        effects += Message.parts(of: bytes).flatMap { send(.record(person, $0.part, more: $0.more)) }
      }
    case .evidence(let proofs):
      for (log, bytes) in proofs { effects += send(.evidence(log, bytes)) }
    case .read(let result):
      if let body = result.body {
        serve.budget = serve.budget.map { $0 - body.count }
        effects += send(.run(body))
      }
      if !result.ended.isEmpty { effects += send(.end(result.ended)) }
      serve.wantsOpen -= result.ended.count
      serve.wants = result.rest + serve.wants
    default: return misfit(reply)
    }
    return effects + continueServing()
  }
}
