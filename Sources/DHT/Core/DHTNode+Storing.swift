import Identity
import Primitives

// Storing: at all within the expected distance of the k nearest, with counted acknowledgements (PROTOCOLS 4.2).
extension DHTNode {
  /// A value that is stored again and again.
  struct Publication: Sendable {
    enum Value: Sendable {
      case peer(NodeID, port: UInt16?)
      case immutable(ImmutableItem)
      case mutable(MutableItem, signer: SigningKey?, compareAndSwap: Int64?)

      var target: NodeID {
        switch self {
        case .peer(let infoHash, _): infoHash
        case .immutable(let item): item.target
        case .mutable(let item, _, _): item.target
        }
      }

      var key: PublicationKey {
        switch self {
        case .peer(let infoHash, _): .announce(infoHash)
        case .immutable, .mutable: .item(target)
        }
      }
    }

    var value: Value
    var copies: Int?
    /// When it is due; an appointment of another time is an old one.
    var due: Instant?
  }

  /// One round of stores.
  struct Stores: Sendable {
    var waiting: [Endpoint] = []
    var slow: Set<Endpoint> = []
    var sent = 0
    var acknowledged: [Contact] = []
    var refusals: [KRPCError.Code: Int] = [:]
    var isHeldHere = false
  }

  static let attemptsMaximum = 3

  mutating func beginStores(_ number: UInt64) {
    guard let operation = operations[number], case .store(let value) = operation.kind else { return }
    var expected: Int64?
    if case .mutable(let item, _, let compareAndSwap) = value {
      expected = compareAndSwap
      if let newest = operation.newest {
        // Those that have nothing compare nothing; they must not take what the others will refuse.
        let isExpected = expected.map { $0 == newest.sequence || newest == item } ?? true
        if !isExpected || newest.sequence > item.sequence || isOther(newest, item) {
          return giveWay(number, to: newest)
        }
      }
    }
    if operation.id == nil, isWellKept(operation) {
      return finish(number, .stored(storage(operation, isWellKept: true)))
    }
    var stores = Stores()
    stores.isHeldHere = holdHere(value, operation.lookup)
    let storers = operation.lookup.storers
    operations[number]?.stores = stores
    for storer in storers {
      let token = storer.token ?? []
      let ask: KRPCQuery.Ask
      switch value {
      case .peer(let infoHash, let port): ask = .announcePeer(infoHash: infoHash, port: port, token: token)
      case .immutable(let item): ask = .putImmutable(item, token: token)
      case .mutable(let item, _, _):
        // Who has nothing has nothing to compare with.
        ask = .putMutable(item, token: token, compareAndSwap: storer.hasValue ? expected : nil)
      }
      if self.ask(ask, storer.endpoint, for: .store(number)) {
        operations[number]?.stores?.waiting.append(storer.endpoint)
        operations[number]?.stores?.sent += 1
      }
    }
    concludeStores(number)
  }

  private func isOther(_ newest: MutableItem, _ item: MutableItem) -> Bool {
    newest.sequence == item.sequence && newest.value != item.value
  }

  /// Others are beyond our number: with the key to sign, ours is raised.
  private mutating func giveWay(_ number: UInt64, to newest: MutableItem) {
    guard var operation = operations[number], case .store(.mutable(let item, let signer, let expected)) = operation.kind
    else { return }
    if expected != nil { return finish(number, .conflict(newest)) }
    guard let signer, newest.sequence < .max, operation.attempts < Self.attemptsMaximum else {
      return finish(number, .superseded(newest))
    }
    let raised = MutableItem(signing: item.value, salt: item.salt, sequence: newest.sequence + 1, with: signer)
    let value = Publication.Value.mutable(raised, signer: signer, compareAndSwap: nil)
    if let key = operation.publication { publications[key]?.value = value }
    operation.attempts += 1
    operation.kind = .store(value)
    operation.formerQueries += operation.lookup.queries + (operation.stores?.sent ?? 0)
    operation.formerTimeouts += operation.lookup.timeouts
    operation.stores = nil
    operation.lookup = newLookup(operation.kind, operation.lookup.target, copies: operation.copies)
    operations[number] = operation
    agenda.add(.lookupOver(number), at: now.instant + Lookup.durationMaximum)
    proceed(number)
  }

  /// More copies than nodes near it, and those have it: storing it again changes nothing (BEP 44).
  private func isWellKept(_ operation: Operation) -> Bool {
    let answered = operation.lookup.answered
    let newest: Int64
    switch operation.kind {
    case .store(.mutable(let item, _, _)): newest = item.sequence
    case .store(.immutable): newest = 0
    case .store(.peer), .findNode, .getPeers, .getImmutable, .getMutable: return false
    }
    return answered.count { $0.sequence == newest } > settings.k
      && answered.prefix(settings.k).allSatisfy { $0.sequence == newest }
  }

  /// Whether we are among the nearest ourselves, and keep it then.
  private mutating func holdHere(_ value: Publication.Value, _ lookup: Lookup) -> Bool {
    guard state == .server else { return false }
    let nearest = lookup.answered.prefix(settings.k)
    if nearest.count == settings.k, let last = nearest.last, id.distance(to: lookup.target) > last.distance {
      return false
    }
    let here: IPAddress = settings.family == .ipv4 ? .v4(0) : .v6(0, 0)
    switch value {
    case .peer: return false  // our own address is for others to see
    case .immutable(let item): items.put(item, from: here, at: now.instant, random: &random)
    case .mutable(let item, _, let expected):
      do throws(KRPCError) {
        try items.put(item, compareAndSwap: expected, from: here, at: now, random: &random)
      } catch {
        return false
      }
    }
    return true
  }

  /// - Parameter id: of who stored it; nil if it did not.
  mutating func stored(_ number: UInt64, _ endpoint: Endpoint, _ id: NodeID?, _ error: KRPCError?) {
    guard operations[number]?.stores != nil else { return }
    operations[number]?.stores?.waiting.removeAll { $0 == endpoint }
    operations[number]?.stores?.slow.remove(endpoint)
    if let id { operations[number]?.stores?.acknowledged.append(Contact(id, at: endpoint)) }
    if let error { operations[number]?.stores?.refusals[error.code, default: 0] += 1 }
    concludeStores(number)
  }

  mutating func isSlowToStore(_ number: UInt64, _ endpoint: Endpoint) {
    operations[number]?.stores?.slow.insert(endpoint)
    concludeStores(number)
  }

  private mutating func concludeStores(_ number: UInt64) {
    guard let operation = operations[number], let stores = operation.stores, case .store(let value) = operation.kind
    else { return }
    let isDurable = stores.acknowledged.count >= Storage.durableMinimum
    guard stores.waiting.isEmpty || isDurable && stores.waiting.allSatisfy(stores.slow.contains) else { return }
    if case .mutable(let item, let signer, let expected) = value {
      let conflicts =
        stores.refusals[.compareAndSwapMismatch, default: 0] + stores.refusals[.sequenceTooLow, default: 0]
      if conflicts > stores.acknowledged.count {
        if expected != nil { return finish(number, .conflict(operation.newest)) }
        // Somebody was faster than our lookup; the next one sees it.
        if signer != nil { return giveWay(number, to: operation.newest ?? item) }
      }
    }
    if operation.lookup.answered.isEmpty, !stores.isHeldHere { return finish(number, .unreachable) }
    finish(number, .stored(storage(operation, isWellKept: false)))
  }

  private func storage(_ operation: Operation, isWellKept: Bool) -> Storage {
    let stores = operation.stores ?? Stores()
    let holders = operation.lookup.answered.filter(\.hasValue)
    let nodes =
      isWellKept
      ? holders.compactMap { candidate in candidate.id.map { Contact($0, at: candidate.endpoint) } }
      : stores.acknowledged
    let durability: Storage.Durability =
      nodes.count >= Storage.durableMinimum ? .durable : nodes.isEmpty ? .failed : .weak
    let refusals = stores.refusals.map { Storage.Refusal(code: $0.key, count: $0.value) }.sorted {
      $0.count == $1.count ? $0.code.rawValue < $1.code.rawValue : $0.count > $1.count
    }
    var item: MutableItem?
    if case .store(.mutable(let stored, _, _)) = operation.kind { item = stored }
    return Storage(
      durability: durability, nodes: nodes, isHeldHere: stores.isHeldHere, refusals: refusals, item: item)
  }

  // MARK: Again

  /// A value that is kept was stored, or was not: when it is stored next.
  mutating func published(_ key: PublicationKey, _ outcome: Outcome, wasWaitedFor: Bool) {
    guard let publication = publications[key] else { return }
    var interval = settings.weakRepublishInterval
    switch outcome {
    case .stored(let storage) where storage.durability == .durable:
      interval = if case .announce = key { settings.announceInterval } else { settings.republishInterval }
    case .superseded, .conflict: publications[key] = nil
    case .stored, .unreachable, .busy, .answered, .nodes, .peers, .immutable, .mutable, .notFound: break
    }
    if publications[key] != nil {
      if case .mutable(let item, _, _) = publication.value {
        // To compare and to outdo others was for once: stored again, an old value must not win over a newer one.
        publications[key]?.value = .mutable(item, signer: nil, compareAndSwap: nil)
      }
      // ± 10 %, so that what was published together does not stay together.
      let due = now.instant + interval * Int.random(in: 90...110, using: &random) / 100
      publications[key]?.due = due
      agenda.add(.publish(key), at: due)
    }
    if !wasWaitedFor { effects.append(.republished(key, outcome)) }
  }

  mutating func republish(_ key: PublicationKey) {
    guard let publication = publications[key], let due = publication.due, due <= now.instant else { return }
    publications[key]?.due = nil
    start(.store(publication.value), publication.value.target, nil, publication: key, copies: publication.copies)
  }
}
