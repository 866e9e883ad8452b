import Identity
import Primitives

// Commands: a lookup, and for some a round of stores after it.
extension DHTNode {
  struct Operation: Sendable {
    enum Kind: Sendable {
      /// `isFirst`: by way of the routers, to join.
      case findNode(isBootstrap: Bool)
      case getPeers
      case getImmutable
      case getMutable(PublicKey, salt: [UInt8], known: Int64?)
      case store(Publication.Value)
    }

    /// Nil for what nobody waits for: refreshing a bucket, storing again.
    var id: OperationID?
    /// What is stored again by it.
    var publication: PublicationKey?
    var kind: Kind
    var lookup: Lookup
    var began: Instant
    /// See `Command.putImmutable`.
    var copies: Int?
    /// Nil while the lookup runs.
    var stores: Stores?
    /// Times a number was raised.
    var attempts = 0
    /// What former attempts cost.
    var formerQueries = 0
    var formerTimeouts = 0

    var peers: [Endpoint] = []
    var knownPeers: Set<Endpoint> = []
    var newest: MutableItem?
    /// Nodes that gave the newest, by their endpoints.
    var holders: [Endpoint] = []
  }

  /// Peers that one lookup collects.
  static let peersMaximum = 1_000

  mutating func begin(_ command: Command, _ id: OperationID) {
    guard operations.count < Self.operationsMaximum else { return finish(id, .busy) }
    switch command {
    case .bootstrap(let contacts, let routers):
      self.routers = Array(routers.filter(settings.accepts).prefix(Self.routersMaximum))
      joinContacts = Array(contacts.filter { settings.accepts($0.endpoint) }.prefix(SavedContacts.contactsMaximum))
      bootstrap(id)
    case .ping(let endpoint):
      if !settings.accepts(endpoint) || !ask(.ping, endpoint, for: .ping(id)) { finish(id, .unreachable) }
    case .findNode(let target): start(.findNode(isBootstrap: false), target, id)
    case .getPeers(let infoHash): start(.getPeers, infoHash, id)
    case .announce(let infoHash, let port): publish(.peer(infoHash, port: port), keeps: true, id)
    case .getImmutable(let target): start(.getImmutable, target, id)
    case .getMutable(let key, let salt, let known):
      start(.getMutable(key, salt: salt, known: known), MutableItem.target(key: key, salt: salt), id)
    case .putImmutable(let item, let keeps, let copies):
      publish(.immutable(item), keeps: keeps, copies: copies, id)
    case .putMutable(let item, let signer, let expected, let keeps, let copies):
      publish(.mutable(item, signer: signer, compareAndSwap: expected), keeps: keeps, copies: copies, id)
    }
  }

  private mutating func publish(
    _ value: Publication.Value, keeps: Bool, copies: Int? = nil, _ id: OperationID
  ) {
    let copies = copies.map { min(max($0, 1), Lookup.targetsMaximum) }
    if keeps {
      guard publications[value.key] != nil || publications.count < Self.publicationsMaximum else {
        return finish(id, .busy)
      }
      publications[value.key] = Publication(value: value, copies: copies)
    }
    start(.store(value), value.target, id, publication: keeps ? value.key : nil, copies: copies)
  }

  /// An end without a beginning.
  private mutating func finish(_ id: OperationID, _ outcome: Outcome) {
    effects.append(.finished(Report(id: id, outcome: outcome)))
  }

  /// Joins: looks for ourselves.
  mutating func bootstrap(_ id: OperationID?) {
    isJoining = true
    let known = table.closest(to: self.id, count: settings.k, includesFailing: true)
    let nearest = joinContacts.sorted { $0.id.distance(to: self.id) < $1.id.distance(to: self.id) }
    start(
      .findNode(isBootstrap: true), self.id, id,
      contacts: known + nearest.prefix(Lookup.candidatesMaximum - settings.k - Self.routersMaximum), routers: routers)
  }

  /// - Parameter contacts: where to begin; nil for the nearest in the table.
  mutating func start(
    _ kind: Operation.Kind, _ target: NodeID, _ id: OperationID?, publication: PublicationKey? = nil,
    contacts: [Contact]? = nil, routers: [Endpoint] = [], copies: Int? = nil
  ) {
    operationNumber += 1
    let lookup = newLookup(kind, target, contacts: contacts, routers: routers, copies: copies)
    operations[operationNumber] = Operation(
      id: id, publication: publication, kind: kind, lookup: lookup, began: now.instant, copies: copies)
    lookAtOwnStore(operationNumber)
    agenda.add(.lookupOver(operationNumber), at: now.instant + Lookup.durationMaximum)
    proceed(operationNumber)
  }

  func newLookup(
    _ kind: Operation.Kind, _ target: NodeID, contacts: [Contact]? = nil, routers: [Endpoint] = [],
    copies: Int? = nil
  ) -> Lookup {
    var nearest = contacts ?? table.closest(to: target, count: Self.seedsMaximum)
    if nearest.count < Self.contactsMinimum, contacts == nil {
      nearest = table.closest(to: target, count: Self.seedsMaximum, includesFailing: true)
    }
    let region: Double
    switch kind {
    case .findNode: region = 0
    case .getPeers, .getImmutable, .getMutable, .store: region = size.expectedDistance(ofNearest: settings.k) ?? 0
    }
    var options = settings.lookupOptions
    if let copies {
      options.k = max(options.k, copies)
      options.copies = copies
    }
    return Lookup(
      target: target, own: id, options: options, region: copies == nil ? region : 0, contacts: nearest,
      routers: contacts == nil && nearest.count < Self.contactsMinimum ? self.routers : routers, at: now.instant)
  }

  /// Contacts of our own that a lookup begins from. More than k: those who crowd around a target name only each other, and
  /// we may know who else is there.
  static let seedsMaximum = Lookup.regionMaximum + 8

  /// With fewer to begin from, those that failed and those that are always there are asked as well.
  static let contactsMinimum = 3

  private mutating func lookAtOwnStore(_ number: UInt64) {
    guard let operation = operations[number], state == .server else { return }
    let target = operation.lookup.target
    switch (operation.kind, items.item(target, at: now.instant)) {
    case (.getPeers, _): found(peers.peers(of: target, at: now.instant, random: &random) { _ in true }, number)
    case (.getImmutable, .immutable(let item)?): finish(number, .immutable(item))
    case (.getMutable, .mutable(let item)?), (.store(.mutable), .mutable(let item)?): _ = found(item, nil, number)
    case (.findNode, _), (.getImmutable, _), (.getMutable, _), (.store, _): break
    }
  }

  // MARK: Going on

  /// Asks whom the lookup wants asked; when it is over, takes the next step.
  mutating func proceed(_ number: UInt64) {
    guard operations[number] != nil, operations[number]?.stores == nil else { return }
    while let wanted = operations[number]?.lookup.next(), !wanted.isEmpty {
      var isHeldUp = false
      for endpoint in wanted where !askStep(number, endpoint) {
        operations[number]?.lookup.failed(endpoint)
        isHeldUp = true
      }
      if !isHeldUp { break }
    }
    if operations[number]?.lookup.isDone(at: now.instant) == true { lookupDone(number) }
  }

  /// The question of one step.
  private mutating func askStep(_ number: UInt64, _ endpoint: Endpoint) -> Bool {
    // The operation itself is not held: it changes meanwhile, and would be copied with all its candidates.
    guard let (kind, target) = operations[number].map({ ($0.kind, $0.lookup.target) }) else { return false }
    let plain = KRPCQuery.Ask.findNode(target: target, want: [])
    switch kind {
    case .findNode: return ask(plain, endpoint, for: .lookup(number, isItem: false))
    case .getPeers, .store(.peer):
      return ask(.getPeers(infoHash: target, want: []), endpoint, for: .lookup(number, isItem: false))
    case .getImmutable, .getMutable, .store(.immutable), .store(.mutable):
      if withoutItems.contains(endpoint) { return ask(plain, endpoint, for: .lookup(number, isItem: false)) }
      return ask(
        .get(target: target, sequence: kind.sequenceAsked, want: []), endpoint, for: .lookup(number, isItem: true))
    }
  }

  private mutating func lookupDone(_ number: UInt64) {
    guard let operation = operations[number] else { return }
    let answered = operation.lookup.answered
    size.observe(answered.prefix(settings.k).map(\.distance.fraction))
    switch operation.kind {
    case .findNode(let isBootstrap):
      if isBootstrap { bootstrapDone(found: !answered.isEmpty) }
      finish(number, answered.isEmpty ? .unreachable : .nodes)
    case .getPeers:
      finish(number, !operation.peers.isEmpty ? .peers(operation.peers) : answered.isEmpty ? .unreachable : .notFound)
    case .getImmutable: finish(number, answered.isEmpty ? .unreachable : .notFound)
    case .getMutable:
      if let newest = operation.newest {
        finish(number, .mutable(newest, copies: operation.holders.count))
      } else {
        finish(number, answered.isEmpty ? .unreachable : .notFound)
      }
    case .store: beginStores(number)
    }
  }

  /// The last word about an operation.
  mutating func finish(_ number: UInt64, _ outcome: Outcome) {
    guard let operation = operations.removeValue(forKey: number) else { return }
    if let key = operation.publication { published(key, outcome, wasWaitedFor: operation.id != nil) }
    guard let id = operation.id else { return }
    var report = Report(id: id, outcome: outcome)
    report.queries = operation.formerQueries + operation.lookup.queries + (operation.stores?.sent ?? 0)
    report.timeouts = operation.formerTimeouts + operation.lookup.timeouts
    report.hops = operation.lookup.hops
    report.duration = now.instant - operation.began
    report.closest = operation.lookup.answered.prefix(settings.k).compactMap { candidate in
      candidate.id.map { Contact($0, at: candidate.endpoint) }
    }
    effects.append(.finished(report))
  }

  // MARK: Answers

  mutating func answered(_ transaction: Transaction, _ reply: KRPCReply, _ message: KRPCMessage) {
    let endpoint = transaction.endpoint
    let roundTrip = now.instant - transaction.sent
    times.observe(roundTrip)
    verifying.remove(endpoint)
    if !message.isReadOnly, settings.passes(endpoint, with: endpoint.address) {
      if case .changedID(let bucket) = table.answered(Contact(reply.id, at: endpoint), at: now.instant) {
        checkBucket(bucket)
      }
    }
    if let seen = message.observed, let address = vote.vote(seen.address, by: endpoint.address, at: now.instant) {
      addressChanged(address)
    }
    switch transaction.purpose {
    case .verification: break
    case .exploration: hear(of: nodes(reply, from: endpoint))
    case .ping(let id):
      var report = Report(id: id, outcome: .answered(reply.id, roundTrip: roundTrip))
      report.queries = 1
      report.hops = 1
      report.duration = roundTrip
      effects.append(.finished(report))
    case .lookup(let number, _): lookupAnswered(number, endpoint, reply)
    case .fallback(let number):
      if operations[number]?.lookup.state(of: endpoint) != .answered {
        if withoutItems.count >= Self.withoutItemsMaximum { withoutItems.removeFirst() }
        if !withoutItems.contains(endpoint) { withoutItems.append(endpoint) }
        lookupAnswered(number, endpoint, reply)
      }
    case .store(let number): stored(number, endpoint, reply.id, nil)
    }
  }

  static let withoutItemsMaximum = 1_024

  /// The nodes that a remote may name to us.
  private func nodes(_ reply: KRPCReply, from endpoint: Endpoint) -> [Contact] {
    let named = (settings.family == .ipv4 ? reply.nodes : reply.nodes6) ?? []
    return named.filter { settings.passes($0.endpoint, with: endpoint.address) }
  }

  private mutating func lookupAnswered(_ number: UInt64, _ endpoint: Endpoint, _ reply: KRPCReply) {
    guard let (kind, target) = operations[number].map({ ($0.kind, $0.lookup.target) }),
      operations[number]?.stores == nil
    else { return }
    let nodes = nodes(reply, from: endpoint)
    hear(of: nodes)
    var sequence: Int64?
    switch kind {
    case .findNode: break
    case .getPeers, .store(.peer):
      found(reply.values.filter { settings.passes($0, with: endpoint.address) }, number)
    case .getImmutable:
      if let value = reply.value, value.count <= MutableItem.valueByteCountMaximum {
        let item = ImmutableItem(value: value)
        if item.target == target {
          operations[number]?.lookup.answered(endpoint, id: reply.id, nodes: nodes, token: reply.token)
          return finish(number, .immutable(item))
        }
      }
    case .store(.immutable):
      // Who has it already counts as a copy when it is stored again.
      if let value = reply.value, NodeID(sha1: value) == target { sequence = 0 }
    case .getMutable(let key, let salt, _): sequence = mutable(reply, key, salt, endpoint, number)
    case .store(.mutable(let item, _, _)): sequence = mutable(reply, item.key, item.salt, endpoint, number)
    }
    operations[number]?.lookup.answered(
      endpoint, id: reply.id, nodes: nodes, token: reply.token, sequence: sequence, hasValue: sequence != nil)
    proceed(number)
  }

  /// The number of the item in a reply, if it is ours to look for and its signature holds.
  private mutating func mutable(
    _ reply: KRPCReply, _ key: PublicKey, _ salt: [UInt8], _ endpoint: Endpoint, _ number: UInt64
  ) -> Int64? {
    guard reply.key == key, let value = reply.value, let sequence = reply.sequence, let signature = reply.signature,
      sequence >= 0, value.count <= MutableItem.valueByteCountMaximum
    else { return nil }
    let item = MutableItem(key: key, salt: salt, sequence: sequence, value: value, signature: signature)
    return found(item, endpoint, number) ? sequence : nil
  }

  /// Takes note of an item, if it holds; only the newest counts, and of two with one number the first.
  private mutating func found(_ item: MutableItem, _ endpoint: Endpoint?, _ number: UInt64) -> Bool {
    guard operations[number] != nil else { return false }
    if let newest = operations[number]?.newest, newest.sequence >= item.sequence {
      // A copy of what is known needs no second check of its signature.
      let isCopy = newest == item
      if isCopy, let endpoint { operations[number]?.holders.append(endpoint) }
      return isCopy || item.isSigned
    }
    guard item.isSigned else { return false }
    operations[number]?.newest = item
    operations[number]?.holders = endpoint.map { [$0] } ?? []
    if case .getMutable(_, _, let known)? = operations[number]?.kind {
      if let known, item.sequence <= known {
        operations[number]?.newest = nil
      } else if let id = operations[number]?.id {
        effects.append(.foundItem(id, item))
      }
    }
    return true
  }

  private mutating func found(_ endpoints: [Endpoint], _ number: UInt64) {
    guard case .getPeers? = operations[number]?.kind else { return }
    let known = operations[number]?.peers.count ?? 0
    var fresh: [Endpoint] = []
    for endpoint in endpoints where known + fresh.count < Self.peersMaximum {
      if operations[number]?.knownPeers.insert(endpoint).inserted == true { fresh.append(endpoint) }
    }
    guard !fresh.isEmpty else { return }
    operations[number]?.peers += fresh
    if let id = operations[number]?.id { effects.append(.foundPeers(id, fresh)) }
  }

  // MARK: No answers

  /// The remote is there, and does not want to.
  mutating func refused(_ transaction: Transaction, _ error: KRPCError) {
    let endpoint = transaction.endpoint
    verifying.remove(endpoint)
    switch transaction.purpose {
    case .verification, .exploration: break
    case .ping(let id): finish(id, .unreachable)
    case .lookup(let number, let isItem):
      if isItem, askPlainly(number, endpoint) { return }
      operations[number]?.lookup.failed(endpoint)
      proceed(number)
    case .fallback(let number):
      operations[number]?.lookup.failed(endpoint)
      proceed(number)
    case .store(let number): stored(number, endpoint, nil, error)
    }
  }

  /// Old nodes answer no `get`, but know nodes.
  private mutating func askPlainly(_ number: UInt64, _ endpoint: Endpoint) -> Bool {
    guard let target = operations[number]?.lookup.target, !withoutItems.contains(endpoint) else { return false }
    guard ask(.findNode(target: target, want: []), endpoint, for: .fallback(number)) else { return false }
    operations[number]?.lookup.countQuery()
    return true
  }

  mutating func isSlow(_ number: UInt32) {
    guard let transaction = transactions[number] else { return }
    switch transaction.purpose {
    case .verification, .exploration, .ping: break
    case .lookup(let operation, let isItem):
      if isItem, settings.asksOldNodes, askPlainly(operation, transaction.endpoint) { return }
      operations[operation]?.lookup.slow(transaction.endpoint)
      proceed(operation)
    case .fallback(let operation):
      operations[operation]?.lookup.slow(transaction.endpoint)
      proceed(operation)
    case .store(let operation): isSlowToStore(operation, transaction.endpoint)
    }
  }

  mutating func hasFailed(_ number: UInt32) {
    guard let transaction = transactions.removeValue(forKey: number) else { return }
    let endpoint = transaction.endpoint
    verifying.remove(endpoint)
    if !withoutItems.contains(endpoint) { table.failed(endpoint) }
    switch transaction.purpose {
    case .verification, .exploration: break
    case .ping(let id): finish(id, .unreachable)
    case .lookup(let number, _), .fallback(let number):
      operations[number]?.lookup.failed(endpoint)
      proceed(number)
    case .store(let number): stored(number, endpoint, nil, nil)
    }
  }
}

extension DHTNode.Operation.Kind {
  /// The number that a `get` carries. A mutable one always has one: libtorrent can be made to give a forged value to those
  /// that send none (PROTOCOLS 2.5).
  fileprivate var sequenceAsked: Int64? {
    switch self {
    case .findNode, .getPeers, .getImmutable, .store(.peer), .store(.immutable): nil
    case .getMutable(_, _, let known): max(0, known ?? 0)
    // One less than the one that counts, so that those who have it prove it.
    case .store(.mutable(let item, _, let expected)): max(0, min(item.sequence, expected ?? .max) - 1)
    }
  }
}
