import Events
import Identity
import Primitives

/// The side that asks: digest → records → logs → evidence → wants → runs, then `done`.
extension Exchange {
  /// Where the pull stands, with only what that state may know.
  enum Pull: Sendable {
    /// Before the greeting.
    case waiting
    /// For a page of the peer's digest.
    case digest
    /// The store compares the page's persons.
    case persons(Message.Digest)
    /// For records of these persons; those of which a part came are in `parts`.
    case records(Message.Digest, missing: Set<PersonID>, parts: [PersonID: [UInt8]], merging: Int)
    /// The store compares the page's logs.
    case logs(Message.Digest)
    case evidence(Message.Digest, missing: Int, merging: Int)
    /// The store looks for open wants.
    case wants
    case fetching(Fetch)
    case done
  }

  /// Wants that were sent and the runs that answer them.
  struct Fetch: Sendable {
    var open: [UInt32: WantItem]
    /// Bodies that wait while the store is busy with those before them.
    var backlog: [[UInt8]] = []
    var backlogBytes = 0
    var storing = false
    var paused = false
    /// The wants of the running ingest and those after it; a body may speak of any of them.
    var known: [UInt32: WantItem]
    /// Wants of which the peer did not have all.
    var notHad: [WantItem] = []
    /// Logs of which stretches came that could not be taken, and may be another time.
    var untaken: Set<LogID> = []
  }

  mutating func receiveDigest(_ digest: Message.Digest) -> [Effect] {
    guard case .digest = pull else { return close(.fault("a digest nobody asked for"), saying: .fault) }
    let entries = digest.page.persons.count + digest.page.logs.count
    digestEntries += entries
    guard digestEntries <= MessageLimits.digestEntriesInAll, entries > 0 || digest.page.next == nil else {
      return close(.fault("a digest without an end"), saying: .fault)
    }
    report.tier = digest.tier == .changes ? .changes : .list
    report.logs += digest.page.logs.count
    for log in digest.page.logs { offered.insert(log) }
    if stands { for entry in digest.page.persons { offered.insert(person: entry.prefix, record: entry.record) } }
    guard !digest.page.persons.isEmpty else { return compareLogs(digest) }
    pull = .persons(digest)
    // The peer names persons by eight bytes; those we are not interested in are nothing to us.
    let interests = ours!.interests
    var compared: [PersonDigest] = []
    for entry in digest.page.persons {
      var index = interests.partitioningIndex { $0.prefix64 >= entry.prefix }
      while index < interests.count, interests[index].prefix64 == entry.prefix {
        compared.append(PersonDigest(person: interests[index], record: entry.record))
        index += 1
      }
    }
    return ask(.comparePersons(compared), for: .pull)
  }

  mutating func continuePull(_ reply: StoreReply) -> [Effect] {
    switch (pull, reply) {
    case (.persons(let digest), .persons(let wanted)):
      guard !wanted.isEmpty else { return compareLogs(digest) }
      report.roundTrips += 1
      pull = .records(digest, missing: Set(wanted), parts: [:], merging: 0)
      return stride(from: 0, to: wanted.count, by: MessageLimits.recordsPerMessage).flatMap { start in
        send(.recordWant(Array(wanted[start..<min(start + MessageLimits.recordsPerMessage, wanted.count)])))
      }
    case (.records(let digest, let missing, let parts, let merging), .merged(let valid)):
      guard valid else { return close(.fault("a person record that does not prove itself"), saying: .fault) }
      if missing.isEmpty, merging == 1 { return compareLogs(digest) }
      pull = .records(digest, missing: missing, parts: parts, merging: merging - 1)
      return []
    case (.logs(let digest), .compared(let evidence)):
      guard !evidence.isEmpty else { return digestDone(digest) }
      report.roundTrips += 1
      let wanted = Array(evidence.prefix(MessageLimits.evidencePerMessage))
      if wanted.count < evidence.count { evidenceLeft = true }
      pull = .evidence(digest, missing: wanted.count, merging: 0)
      return send(.evidenceWant(wanted))
    case (.evidence(let digest, let missing, let merging), .merged(let valid)):
      guard valid else { return close(.fault("evidence that proves nothing"), saying: .fault) }
      if missing == 0, merging == 1 { return evidenceDone(digest) }
      pull = .evidence(digest, missing: missing, merging: merging - 1)
      return []
    case (.wants, .wants(let items, let lacksPayloads)):
      report.lacksPayloads = report.lacksPayloads || lacksPayloads
      guard items.isEmpty else { return fetch(items) }
      return finishPull()
    default: return misfit(reply)
    }
  }

  mutating func receiveRecord(_ person: PersonID, _ bytes: [UInt8], _ more: Bool) -> [Effect] {
    guard case .records(let digest, var missing, var parts, var merging) = pull, missing.contains(person) else {
      return close(.fault("a record nobody asked for"), saying: .fault)
    }
    let all = (parts.removeValue(forKey: person) ?? []) + bytes
    guard all.count <= MessageLimits.recordBytes, parts.count < 2 else {
      return close(.fault("a record over \(MessageLimits.recordBytes) bytes"), saying: .fault)
    }
    if more {
      parts[person] = all
      pull = .records(digest, missing: missing, parts: parts, merging: merging)
      return []
    }
    missing.remove(person)
    if all.isEmpty {
      pull = .records(digest, missing: missing, parts: parts, merging: merging)
      return missing.isEmpty && merging == 0 ? compareLogs(digest) : []
    }
    merging += 1
    pull = .records(digest, missing: missing, parts: parts, merging: merging)
    return ask(.mergeRecord(person, all), for: .pull)
  }

  private mutating func compareLogs(_ digest: Message.Digest) -> [Effect] { compare(digest.page.logs, of: digest) }

  private mutating func compare(_ logs: [LogDigest], of digest: Message.Digest) -> [Effect] {
    pull = .logs(digest)
    // A page before the last one names only a part of what changed: the cursor waits for the last.
    let advance =
      digest.page.next == nil && !evidenceLeft
      ? Cursor(instance: theirs!.instance, mark: digest.page.mark, interests: interestsHash) : nil
    return ask(.compareLogs(node: node, logs, advance: advance), for: .pull)
  }

  /// The cursor waited for the proofs, or a cut would have lost them.
  private mutating func evidenceDone(_ digest: Message.Digest) -> [Effect] {
    digest.page.next == nil ? compare([], of: digest) : digestDone(digest)
  }

  mutating func receiveEvidence(_ log: LogID, _ bytes: [UInt8]) -> [Effect] {
    guard case .evidence(let digest, let missing, let merging) = pull, missing > 0 else {
      return close(.fault("evidence nobody asked for"), saying: .fault)
    }
    if bytes.isEmpty {
      pull = .evidence(digest, missing: missing - 1, merging: merging)
      return missing == 1 && merging == 0 ? evidenceDone(digest) : []
    }
    pull = .evidence(digest, missing: missing - 1, merging: merging + 1)
    return ask(.mergeEvidence(log, bytes), for: .pull)
  }

  private mutating func digestDone(_ digest: Message.Digest) -> [Effect] {
    guard digest.page.next == nil else {
      pull = .digest
      report.roundTrips += 1
      return send(.digestNext)
    }
    return askWants()
  }

  // MARK: Wants and runs

  mutating func askWants() -> [Effect] {
    if let maximum = options.bytesMaximum, report.runBytes >= maximum {
      report.limited = true
      return finishPull()
    }
    pull = .wants
    return ask(
      .openWants(
        newest: options.newest, named: offered, excluding: serve.refused, payloads: !serve.askedPayloads,
        answered: serve.answered, itemsMaximum: MessageLimits.wantItems), for: .pull)
  }

  private mutating func fetch(_ items: [WantItem]) -> [Effect] {
    report.roundTrips += 1
    let first = serve.nextWant
    serve.nextWant += UInt32(items.count)
    var open: [UInt32: WantItem] = [:]
    var wire: [Message.Want.Item] = []
    for (index, var item) in items.enumerated() {
      item.chained = item.chained && !serve.unchained.contains(item.log)
      open[first + UInt32(index)] = item
      if item.isHeld { serve.askedPayloads = true }
      let name = LogName(item.log, whole: item.isNamedWhole || offered.isNamedWhole(item.log))
      wire.append(.init(log: name, from: item.from, to: item.to, chained: item.chained))
    }
    pull = .fetching(Fetch(open: open, known: open))
    return send(
      .want(.init(first: first, items: wire, bytesMaximum: options.bytesMaximum.map { $0 - report.runBytes })))
  }

  mutating func receiveRun(_ body: [UInt8]) -> [Effect] {
    guard case .fetching(var fetch) = pull else { return close(.fault("a run nobody asked for"), saying: .fault) }
    report.runBytes += body.count
    // The peer was told how much we take; what one read of its store gives may lie above it.
    if let maximum = options.bytesMaximum, report.runBytes > maximum + Self.overshootMaximum {
      return close(.fault("more bytes than asked for"), saying: .fault)
    }
    serve.barrenBytes += body.count
    if serve.barrenBytes > Self.barrenMaximum { return close(.trouble("the peer sends only what is held already")) }
    fetch.backlog.append(body)
    fetch.backlogBytes += body.count
    var effects: [Effect] = []
    if !fetch.paused, fetch.backlogBytes > options.backlogMaximum {
      fetch.paused = true
      effects.append(.pauseReading)
    }
    pull = .fetching(fetch)
    return effects + ingestBacklog()
  }

  mutating func receiveEnd(_ codes: [UInt32: EndCode]) -> [Effect] {
    guard case .fetching(var fetch) = pull else { return close(.fault("an end of nothing"), saying: .fault) }
    for (number, code) in codes.sorted(by: { $0.key < $1.key }) {
      guard let item = fetch.open.removeValue(forKey: number) else {
        return close(.fault("an end of want \(number), which is not open"), saying: .fault)
      }
      let isNamed = offered.head(of: item.log).map { item.from <= $0.sequence } ?? false
      if code == .complete || code == .damaged || code == .notHad && isNamed {
        serve.answered.insert(item.from...item.to, of: item.log)
      }
      // Held events may come once more without anything new, as far as they were asked for.
      if item.isHeld { serve.barrenBytes = max(0, serve.barrenBytes - Self.heldBytesMaximum) }
      switch code {
      case .complete: break
      case .budget: report.limited = true
      case .notHad:
        fetch.notHad.append(item)
        refuse(item)
      case .damaged: refuse(item)
      }
    }
    pull = .fetching(fetch)
    return ingestBacklog() + fetchedIfDone()
  }

  /// Hands everything that has come so far to the store at once: batches grow while the store is busy.
  private mutating func ingestBacklog() -> [Effect] {
    guard case .fetching(var fetch) = pull, !fetch.storing, !fetch.backlog.isEmpty else { return [] }
    let bodies = fetch.backlog
    fetch.backlog = []
    fetch.backlogBytes = 0
    fetch.storing = true
    var effects: [Effect] = []
    if fetch.paused {
      fetch.paused = false
      effects.append(.resumeReading)
    }
    pull = .fetching(fetch)
    return effects + ask(.ingest(bodies, wants: fetch.known), for: .ingest)
  }

  mutating func ingested(_ reply: StoreReply) -> [Effect] {
    guard case .ingested(let result) = reply, case .fetching(var fetch) = pull else { return misfit(reply) }
    report.events += result.events
    if result.bad { return close(.fault("a run that meets no proof"), saying: .fault) }
    // A log that hangs on another event than ours is asked for once more with the whole hash, and then given up.
    let refused = result.unchained.intersection(serve.unchained)
    serve.unchained.formUnion(result.unchained)
    for item in fetch.known.values where refused.contains(item.log) { refuse(item) }
    for log in result.postponed { serve.refused.insert(log) }
    serve.answered.formUnion(result.brought)
    fetch.untaken.formUnion(result.unchained)
    fetch.untaken.formUnion(result.postponed)
    if result.events > 0 {
      serve.fetchedNothing = 0
      serve.barrenBytes = fetch.backlogBytes
    }
    fetch.storing = false
    pull = .fetching(fetch)
    return ingestBacklog() + fetchedIfDone()
  }

  private mutating func fetchedIfDone() -> [Effect] {
    guard case .fetching(let fetch) = pull, fetch.open.isEmpty, fetch.backlog.isEmpty, !fetch.storing else { return [] }
    // A peer that ends every want without a single new event must not make us ask for ever. Payloads are asked for once.
    if fetch.known.values.contains(where: { !$0.isHeld }) { serve.fetchedNothing += 1 }
    if serve.fetchedNothing > 3 {
      for (_, item) in fetch.known.sorted(by: { $0.key < $1.key }) { refuse(item) }
    }
    let forgetting = forgetNotHad(fetch)
    if report.limited { return forgetting + finishPull() }
    return forgetting + askWants()
  }

  /// A head that the peer named, was asked for and does not have is no longer wanted, or a stranger could plant a want
  /// that nobody ever meets. Heads that others named stay.
  private mutating func forgetNotHad(_ fetch: Fetch) -> [Effect] {
    let heads = fetch.notHad.compactMap { item -> LogDigest? in
      guard !item.isHeld, !fetch.untaken.contains(item.log), var head = offered.head(of: item.log),
        item.from <= head.sequence, head.sequence <= item.to
      else { return nil }
      head.log = LogName(item.log, whole: true)
      return head
    }
    return heads.isEmpty ? [] : ask(.forgetWants(heads), for: .note)
  }

  /// Bytes above `--max-bytes` that one answer may bring.
  private static let overshootMaximum = 2 * MessageLimits.runBytes + 1_048_576
  /// Bytes of RUN without a new event after which a session ends: more than any backlog that holds some.
  private static let barrenMaximum = 64 << 20
  /// Bytes of them that are forgiven for a range of held events with missing payloads.
  private static let heldBytesMaximum = 1 << 20

  /// Gives a log up for this session. It counts against `complete` only when this peer had named what is missing. Nobody
  /// named a missing payload, and a log that lacks one is not given up.
  private mutating func refuse(_ item: WantItem) {
    guard !item.isHeld else { return }
    serve.refused.insert(item.log)
    if let head = offered.head(of: item.log), item.from <= head.sequence, serve.undelivered.insert(item.log).inserted {
      report.notDelivered += 1
    }
  }

  mutating func finishPull() -> [Effect] {
    pull = .done
    saidDone = true
    report.complete =
      !report.limited && report.notDelivered == 0 && !report.lacksPayloads && options.newest == nil
    return judgeStatement() + send(.done) + closeIfDone()
  }
}

extension Array {
  /// The first index whose element satisfies the predicate, in an array where all that do come last.
  func partitioningIndex(where predicate: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
