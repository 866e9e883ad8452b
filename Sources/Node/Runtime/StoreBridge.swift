import Events
public import Identity
public import Primitives
public import Replication
public import Store

/// Answers a session's questions from an `EventStore`. Confined to the store's queue.
///
/// The two modules do not know each other: this is where the wire's short names meet the store's whole ones.
public final class StoreBridge: StoreAnswering {
  public let store: EventStore
  /// Whose logs this profile wants: its own person's, and everybody's whom it follows.
  private let interests: () throws -> [PersonID]
  /// The device's statement about the node key, while the device key is unlocked.
  private let statement: () -> [UInt8]?
  /// Who is called so; at most that many.
  private let find: (String, Int) throws -> [FoundPerson]
  private let now: () -> Timestamp
  /// That many unpredictable bytes.
  private let random: (Int) -> [UInt8]
  private var interestsNow: [PersonID] = []

  public init(
    store: EventStore, interests: @escaping () throws -> [PersonID], statement: @escaping () -> [UInt8]? = { nil },
    find: @escaping (String, Int) throws -> [FoundPerson] = { _, _ in [] }, now: @escaping () -> Timestamp,
    random: @escaping (Int) -> [UInt8] = SystemRandom.bytes
  ) {
    self.store = store
    self.interests = interests
    self.statement = statement
    self.find = find
    self.now = now
    self.random = random
  }

  public func answer(_ request: StoreRequest) -> StoreReply {
    do { return try reply(to: request) } catch { return .failed("\(error)") }
  }

  private func reply(to request: StoreRequest) throws -> StoreReply {
    switch request {
    case .open(let node): return try open(node)
    case .rememberInterests(let node, let persons):
      try remember(node) { memory in
        memory.interests = persons.flatMap(\.bytes)
        memory.interestsHash = Digest(hashing: memory.interests!)
      }
      return .done
    case .rememberStatement(let node, let bytes):
      // Kept in any case, so that it is not sent again; believed when the person's record bears it out.
      try remember(node) { $0.statement = bytes }
      guard let statement = try? NodeStatement(decoding: bytes), let record = try soundRecord(of: statement.person)
      else {
        return .merged(valid: false)
      }
      return .merged(valid: statement.isValid(for: node, in: record, at: now()))
    case .digest(let node, let start, let maximum): return try digest(node, start, maximum)
    case .comparePersons(let digests):
      return .persons(
        wanted: try digests.filter { try soundRecord(of: $0.person)?.hash.prefix64 != $0.record }.map(\.person))
    case .records(let persons): return .records(try persons.map { ($0, try soundRecord(of: $0)?.encoded ?? []) })
    case .mergeRecord(let person, let bytes):
      guard let record = try? PersonRecord(decoding: bytes), record.id == person else { return .merged(valid: false) }
      try store.merge(record)
      return .merged(valid: true)
    case .compareLogs(let node, let digests, let advance): return try compare(node, digests, advance)
    case .openWants(let newest, let named, let excluding, let payloads, let answered, let maximum):
      let wants = try store.openWants(
        of: interestsNow, limit: maximum, newestPerLog: newest, excluding: excluding,
        heldByPeer: { named.head(of: $0)?.sequence })
      guard wants.isEmpty else {
        return .wants(
          try withNames(
            wants.map {
              WantItem(log: $0.log, from: $0.range.lowerBound, to: $0.range.upperBound, chained: $0.holdsBelow)
            }), lacksPayloads: false)
      }
      return try missingPayloads(newest, answered, itemsMaximum: payloads ? maximum : 0)
    case .forgetWants(let digests):
      var heads: [LogID: LogHead] = [:]
      for digest in digests {
        guard let log = try resolve(digest.log) else { continue }
        heads[log] = LogHead(sequence: digest.sequence, hash: EventHash(prefix64: digest.hash))
      }
      try store.forgetWants(heads)
      return .done
    case .read(let wants, let bytesMaximum): return .read(try read(wants, bytesMaximum))
    case .ingest(let bodies, let wants): return .ingested(try ingest(bodies, wants))
    case .evidence(let names):
      return .evidence(
        try names.map { name in
          guard let log = try resolve(name) else { return (LogID(), []) }
          return (log, try store.evidence(of: log)?.encoded ?? [])
        })
    case .mergeEvidence(let log, let bytes):
      // Of a log that no record here certifies, a proof says nothing to us.
      guard let person = try store.identity(of: log)?.person else { return .merged(valid: true) }
      guard let evidence = try? Evidence(decoding: bytes, log: log, person: person) else {
        // That the first event names another person than the sender knows proves nothing to us, and is no lie.
        return .merged(valid: (try? Evidence(decoding: bytes, log: log, person: PersonID())) != nil)
      }
      _ = try store.ingest(evidence, log: log, person: person)
      return .merged(valid: true)
    case .find(let name, let maximum): return .found(try find(name, maximum))
    case .news(let node, let since, let maximum):
      return .news(
        try page(for: node, since: since, maximum),
        interests: Exchange.hash(of: Array(Set(try interests())).sorted()))
    }
  }
}

// MARK: Peers

extension StoreBridge {
  /// The record of a person, unless it rotted here; then it is asked for, and not served.
  private func soundRecord(of person: PersonID) throws -> PersonRecord? {
    do { return try store.record(of: person) } catch let error as StoreError where error.code == .damaged { return nil }
  }
}

extension StoreBridge {
  private func open(_ node: PublicKey) throws -> StoreReply {
    interestsNow = Array(Set(try interests())).sorted()
    let cursor = try store.cursor()
    let memory = try store.peer(node)
    let hasOpenWants = try !store.isComplete(interestsNow)
    return .opened(
      SelfView(
        instance: cursor.instance, mark: ChangeMark(number: cursor.number, cookie: cursor.cookie),
        interests: interestsNow, statement: statement(), hasOpenWants: hasOpenWants),
      PeerMemory(
        cursor: memory.flatMap { memory in
          // The hash of our own interests at the time is kept beside the peer's cursor.
          memory.cursor.instance == 0
            ? nil
            : Cursor(
              instance: memory.cursor.instance,
              mark: ChangeMark(number: memory.cursor.number, cookie: memory.cursor.cookie),
              interests: memory.ownInterests)
        }, interests: memory?.interests == nil ? nil : memory!.interestsHash.prefix64,
        statement: memory?.statement.map { Exchange.hash(of: $0) }))
  }

  private func remember(_ node: PublicKey, _ change: (inout StoredPeer) -> Void) throws {
    var memory = try memory(of: node)
    change(&memory)
    try store.remember(memory)
  }

  private func memory(of node: PublicKey) throws -> StoredPeer {
    var memory =
      try store.peer(node)
      ?? StoredPeer(
        node: node, cursor: ChangeCursor(instance: 0, number: 0, cookie: 0), interestsHash: Digest(), lastSeen: now())
    memory.lastSeen = now()
    return memory
  }

  // MARK: Digests

  private func digest(_ node: PublicKey, _ start: DigestStart, _ maximum: Int) throws -> StoreReply {
    let since: UInt64
    var sinceCursor = false
    switch start {
    case .cursor(let mark):
      sinceCursor = try store.knows(
        ChangeCursor(instance: store.instance, number: mark.number, cookie: mark.cookie))
      since = sinceCursor ? mark.number : 0
    case .beginning: since = 0
    case .page(let number): since = number
    }
    return .digest(try page(for: node, since: since, maximum), sinceCursor: sinceCursor)
  }

  private func page(for node: PublicKey, since: UInt64, _ maximum: Int) throws -> DigestPage {
    var reader = ByteReader(try store.peer(node)?.interests ?? [])
    var wanted: Set<PersonID> = []
    while !reader.isAtEnd { wanted.insert(try reader.bytes32()) }
    let page = try store.digest(of: wanted, since: since, limit: maximum)
    return DigestPage(
      persons: page.persons.map { ($0.person.prefix64, $0.recordHash.prefix64) },
      logs: try page.logs.map { digest in
        let name = LogName(digest.log, whole: try isAmbiguous(digest.log))
        switch digest.state {
        case .head(let head):
          return LogDigest(log: name, state: .open, sequence: head.sequence, hash: head.hash.prefix64)
        case .cut(let cut, let previous):
          return LogDigest(log: name, state: .frozen, sequence: cut, hash: previous.prefix64)
        }
      }, next: page.hasMore ? page.cursor.number : nil,
      mark: ChangeMark(number: page.cursor.number, cookie: page.cursor.cookie))
  }

  private func compare(_ node: PublicKey, _ digests: [LogDigest], _ advance: Cursor?) throws -> StoreReply {
    var logs: [LogStanding] = []
    for digest in digests where digest.sequence >= .first {
      // A log that no record here certifies is none of ours.
      guard let log = try resolve(digest.log), let person = try store.identity(of: log)?.person else { continue }
      let hash = EventHash(prefix64: digest.hash)
      logs.append(
        LogStanding(
          log: log, person: person,
          state: digest.state == .open
            ? .head(LogHead(sequence: digest.sequence, hash: hash)) : .cut(digest.sequence, previous: hash)))
    }
    var memory: StoredPeer?
    if let advance {
      memory = try self.memory(of: node)
      memory!.cursor = ChangeCursor(
        instance: advance.instance, number: advance.mark.number, cookie: advance.mark.cookie)
      memory!.ownInterests = advance.interests
    }
    // Where the peer holds two logs of these eight bytes, it understands only the whole name.
    let wholes = Set(digests.compactMap(\.log.whole))
    return .compared(
      evidenceWanted: try store.reconcile(logs, remembering: memory).map { log in
        LogName(log, whole: try wholes.contains(log) || isAmbiguous(log))
      })
  }

  /// Whether eight bytes of the log's key mean two logs here.
  private func isAmbiguous(_ log: LogID) throws -> Bool { try store.logs(startingWith: log.prefix64).count > 1 }

  /// - Parameter items: those of one log follow each other.
  private func withNames(_ items: [WantItem]) throws -> [WantItem] {
    var items = items
    for index in items.indices {
      items[index].isNamedWhole =
        index > 0 && items[index - 1].log == items[index].log
        ? items[index - 1].isNamedWhole : try isAmbiguous(items[index].log)
    }
    return items
  }

  private func resolve(_ name: LogName) throws -> LogID? {
    if let whole = name.whole { return whole }
    let found = try store.logs(startingWith: name.prefix)
    return found.count == 1 ? found[0] : nil
  }

  // MARK: Runs

  /// Rows that lie beside each other are asked for as one range, up to the length of a chunk: each of the ranges goes to
  /// the end of the peer's chunk, whose signature proves it. Each of too many is taken with the same chance: an author
  /// who withholds much hides no others for long.
  ///
  /// - Parameter itemsMaximum: 0 when nothing is to be asked for.
  private func missingPayloads(_ newest: Int?, _ answered: LogRanges, itemsMaximum: Int) throws -> StoreReply {
    var items: [WantItem] = []
    var count = 0
    var lacks = false
    var chance = SeededRandom(seed: random(8).reduce(0) { $0 << 8 | UInt64($1) })
    func take(_ item: WantItem?) {
      guard let item else { return }
      count += 1
      if items.count < itemsMaximum {
        items.append(item)
      } else {
        let index = Int.random(in: 0..<count, using: &chance)
        if index < itemsMaximum { items[index] = item }
      }
    }
    var last: WantItem?
    try store.forEachMissingPayload(of: interestsNow, newestPerLog: newest) { row in
      if answered.overlaps(row.range, of: row.log) {
        lacks = true
      } else if itemsMaximum > 0 {
        if let item = last, item.log == row.log, row.range.upperBound + 1 == item.from,
          item.to - row.range.lowerBound < HeaderJudge.chunkCountMaximum
        {
          last!.from = row.range.lowerBound
        } else {
          take(last)
          last = WantItem(
            log: row.log, from: row.range.lowerBound, to: row.range.upperBound, chained: false, isHeld: true)
        }
      }
      return itemsMaximum > 0 || !lacks
    }
    take(last)
    // As WANT has them, newest first in each log.
    if count > items.count { items.sort { ($0.log, $0.from) > ($1.log, $1.from) } }
    return .wants(try withNames(items), lacksPayloads: lacks || count > items.count)
  }

  /// One stretch of each want in turn, so that the newest of every log comes before the older of any.
  private func read(_ wants: [NumberedWant], _ bytesMaximum: Int) throws -> ReadResult {
    var body = RunBody()
    var result = ReadResult(body: nil, ended: [:], rest: [])
    var later: [NumberedWant] = []
    for (index, want) in wants.enumerated() {
      guard body.byteCount < bytesMaximum else {
        result.rest = Array(wants[index...])
        break
      }
      let range = want.item.from...want.item.to
      guard let log = try resolve(want.item.log) else {
        result.ended[want.number] = .notHad
        continue
      }
      let run = try store.read(StretchRequest(log: log, range: range, holdsBelow: want.item.chained), budget: 1)
      for stretch in run.stretches { body.append(stretch, for: want.number) }
      if let rest = run.rest {
        var item = want.item
        item.from = rest.lowerBound
        item.to = rest.upperBound
        later.append(NumberedWant(number: want.number, item: item))
      } else if !run.damaged.isEmpty {
        result.ended[want.number] = .damaged
      } else {
        // Stretches come newest first without a gap where nothing is missing.
        let lowest = run.stretches.last?.first
        let highest = run.stretches.first?.last
        let isWhole = lowest.map { $0 <= range.lowerBound } ?? false && highest.map { $0 >= range.upperBound } ?? false
        result.ended[want.number] = isWhole ? .complete : .notHad
      }
    }
    result.rest += later
    if body.byteCount > 0 { result.body = body.encoded }
    return result
  }

  /// A row that rotted is taken out, so that it is missing and comes again, and the stretches are offered once more.
  private func ingestPastDamage(_ received: [ReceivedStretch]) throws -> [IngestOutcome] {
    do {
      return try store.ingest(received)
    } catch let error as StoreError where error.code == .damaged {
      guard try !store.discardDamage().isEmpty else { throw error }
      return try store.ingest(received)
    }
  }

  private func ingest(_ bodies: [[UInt8]], _ wants: [UInt32: WantItem]) throws -> IngestResult {
    var received: [ReceivedStretch] = []
    var answered: [WantItem] = []
    var result = IngestResult(events: 0, bad: false)
    for body in bodies {
      guard let parts = try? RunBody.decode(body) else {
        result.bad = true
        break
      }
      for (number, envelope) in parts {
        guard let want = wants[number], let person = try store.identity(of: want.log)?.person else {
          result.bad = true
          break
        }
        received.append(ReceivedStretch(person: person, log: want.log, envelope: envelope))
        answered.append(want)
        result.brought.insert(envelope.first...envelope.last, of: want.log)
      }
    }
    for ((stretch, want), outcome) in zip(zip(received, answered), try ingestPastDamage(received)) {
      switch outcome {
      case .stored(let count), .ruleBreak(_, let count), .fork(let count), .secondSegment(let count):
        result.events += count
      case .filled(let count): result.events += count
      case .badBytes: result.bad = true
      case .needsPrevious where stretch.envelope.first > .first && !want.chained:
        // Eight bytes where all 32 were asked for.
        result.bad = true
      case .needsPrevious: result.unchained.insert(stretch.log)
      case .notYet: result.postponed.insert(stretch.log)
      case .duplicate, .notAuthorized, .unproven, .beyondEnd: break
      }
    }
    return result
  }
}
