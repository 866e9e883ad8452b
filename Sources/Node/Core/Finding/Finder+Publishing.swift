import DHT
import Identity
import Primitives

// What the DHT is told: who is here, how far one's own log goes, and what is known of persons.
extension Finder {
  // MARK: The head of one's own log

  mutating func surveyed(_ survey: Survey) {
    let before = persons
    persons = Dictionary(survey.persons.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    order = survey.persons.map(\.id)
    for id in order where pursuits[id] == nil { pursuits[id] = Pursuit(due: now.instant) }
    // The devices of somebody who was only an id say more than all the others.
    for id in order where persons[id]?.devices.isEmpty == false && before[id]?.devices.isEmpty == true { lookAgain(id) }
    for id in pursuits.keys.filter({ persons[$0] == nil }).sorted() {
      for endpoint in pursuits[id]!.candidates.keys.sorted(by: Self.precedes) { release(endpoint) }
      pursuits[id] = nil
      items[id] = nil
    }
    isStale = true
    headMayHaveChanged()
  }

  /// The address is one person's candidate no longer; without another it is forgotten, and its connection given up.
  func isUnused(_ endpoint: Endpoint) -> Bool { addresses[endpoint]?.uses == 0 }

  mutating func release(_ endpoint: Endpoint) {
    addresses[endpoint]?.uses -= 1
    guard isUnused(endpoint) else { return }
    if addresses[endpoint]!.state != .idle { outputs.append(.leave(endpoint)) }
    addresses[endpoint] = nil
  }

  mutating func networkLeft() {
    isJoined = false
    for endpoint in addresses.keys.sorted(by: Self.precedes) where addresses[endpoint]!.state != .idle {
      outputs.append(.leave(endpoint))
    }
    addresses = [:]
    for id in pursuits.keys { pursuits[id] = Pursuit(due: now.instant) }
    publications = [:]
    publicationOrder = []
    rotationDue = nil
    dialsDue = nil
    isStale = true
    head.published = nil
    head.pausedUntil = nil
    headMayHaveChanged()
  }

  static func precedes(_ a: Endpoint, _ b: Endpoint) -> Bool { a.compact.lexicographicallyPrecedes(b.compact) }

  /// Has the head published when it is another one: the first at once, the next after a pause.
  mutating func headMayHaveChanged() {
    guard let present = presentHead(leaving: false), differs(present, head.published) else { return }
    let earliest = max(now.instant, head.pausedUntil ?? now.instant)
    head.due = min(head.due ?? earliest, earliest)
  }

  /// Whether the difference is worth telling; the time of expiry alone is not.
  private func differs(_ a: HeadItem, _ b: HeadItem?) -> Bool {
    guard var b else { return true }
    b.expires = a.expires
    return a != b
  }

  private func presentHead(leaving: Bool) -> HeadItem? {
    guard let own = order.first.flatMap({ persons[$0] }), own.isOwn, let log = own.logs.first(where: \.isOwnDevice)
    else { return nil }
    let replicas = addresses.compactMap { endpoint, address -> HeadItem.Replica? in
      guard address.state == .connected, let node = address.node, settings.rules.allows(endpoint),
        pursuits[own.id]?.candidates[endpoint] != nil
      else { return nil }
      return .init(nodePrefix: node.prefix64, endpoint: endpoint)
    }.sorted { $0.nodePrefix < $1.nodePrefix }
    return HeadItem(
      flags: leaving || settings.port == nil && settings.sessionsMaximum == 0 ? .leaving : [], sequence: log.sequence,
      hash: log.hash, floor: log.floor,
      expires: now.wall.advanced(milliseconds: HeadItem.lifetimeMilliseconds),
      addresses: isAnnouncing ? settings.addresses.filter(settings.rules.allows) : [],
      replicas: replicas)
  }

  /// Whether others can find this node at all.
  private var isAnnouncing: Bool { settings.port != nil && (!settings.rules.isPublic || isReachable) }

  private mutating func publishHead() {
    guard !head.isSigning, let due = head.due, due <= now.instant else { return }
    guard let present = presentHead(leaving: false) else {
      head.due = nil
      return
    }
    head.due = now.instant + jittered(Self.headInterval)
    head.pausedUntil = now.instant + Self.headPause
    sign(present)
  }

  private mutating func sign(_ item: HeadItem) {
    head.published = item
    head.isSigning = true
    outputs.append(.sign(item, after: head.number))
  }

  mutating func signed(_ item: MutableItem?) {
    head.isSigning = false
    guard let item else {
      // The key is sealed. Somebody may log in.
      head.published = nil
      head.due = now.instant + Self.sealedPause
      if farewell != nil { farewell = now.instant }
      return
    }
    head.number = item.sequence
    head.item = item
    isStale = true
    if farewell != nil {
      return ask(.farewell, .putMutable(item, signer: nil, compareAndSwap: nil, keeps: false))
    }
    // It may have changed while it was being signed.
    headMayHaveChanged()
  }

  // MARK: All that is kept alive

  mutating func publish() {
    guard isJoined else { return }
    publishHead()
    if let due = rotationDue, due <= now.instant {
      rotation += Self.publicationsMaximum / 2
      isStale = true
    }
    if isStale { plan() }
    var running = publications.values.count(where: \.isRunning)
    for key in publicationOrder where running < Self.storesMaximum {
      guard let publication = publications[key], !publication.isRunning, let due = publication.due, due <= now.instant
      else { continue }
      running += 1
      publications[key]!.isRunning = true
      publications[key]!.due = nil
      ask(.publish(key), publication.command)
    }
  }

  /// Draws up what is to be kept alive, and withdraws what is not any more.
  private mutating func plan() {
    isStale = false
    var own: [(DHTNode.PublicationKey, Int64, DHTNode.Command)] = []
    var others = own
    if let item = head.item { own.append(Self.entry(item)) }
    for id in order {
      guard let person = persons[id] else { continue }
      if person.isOwn { own += entries(of: person) } else { others += entries(of: person) }
    }
    let room = max(0, Self.publicationsMaximum - own.count)
    if others.count > room {
      // Each in its turn.
      rotation %= others.count
      others = (0..<room).map { others[(rotation + $0) % others.count] }
      rotationDue = now.instant + jittered(Self.rotationInterval)
    } else {
      rotationDue = nil
    }
    var wanted: Set<DHTNode.PublicationKey> = []
    publicationOrder = []
    for (key, version, command) in own + others where wanted.insert(key).inserted {
      publicationOrder.append(key)
      if publications[key]?.version == version { continue }
      publications[key] = Publication(
        version: version, command: command, due: now.instant, isRunning: publications[key]?.isRunning ?? false)
    }
    for key in publications.keys.filter({ !wanted.contains($0) }).sorted(by: { $0.target < $1.target }) {
      publications[key] = nil
      outputs.append(.withdraw(key))
    }
  }

  private func entries(of person: Survey.Person) -> [(DHTNode.PublicationKey, Int64, DHTNode.Command)] {
    var entries: [(DHTNode.PublicationKey, Int64, DHTNode.Command)] = []
    // Whoever holds nothing yet says so too: an author whom nobody can dial finds the first replica here, and pushes.
    if isAnnouncing, let port = settings.port, person.isOwn || settings.announcesOthers {
      var hashes = [NodeID.swarm(of: person.id)]
      if let name = person.name, !name.isEmpty { hashes.append(.name(name)) }
      entries = hashes.map { (.announce($0), Int64(port), .announce($0, port: port)) }
    }
    // An item of somebody else, stored from here, says whom this node follows, as an announcement does.
    if person.isOwn || isAnnouncing && settings.announcesOthers, let item = items[person.id] ?? person.item {
      entries.append(Self.entry(item))
    }
    return entries
  }

  private static func entry(_ item: MutableItem) -> (DHTNode.PublicationKey, Int64, DHTNode.Command) {
    (.item(item.target), item.sequence, .putMutable(item, signer: nil, compareAndSwap: nil, keeps: true))
  }

  mutating func published(_ key: DHTNode.PublicationKey, _ outcome: DHTNode.Outcome) {
    guard var publication = publications[key] else { return }
    publication.isRunning = false
    // A newer value came in the meantime, and is due.
    defer { if publications[key] != nil { publications[key] = publication } }
    if publication.due != nil { return }
    switch outcome {
    case .superseded(let newer): supersededBy(newer)
    case .stored(let storage) where storage.durability == .durable:
      publication.due = nil
      publication.pause = Self.weakPauseMinimum
    case .stored, .unreachable, .busy, .answered, .nodes, .peers, .immutable, .mutable, .notFound, .conflict:
      // The DHT tries again by itself; a network that is only growing deserves it sooner.
      publication.due = now.instant + jittered(publication.pause)
      publication.pause = min(publication.pause * 2, Self.weakPauseMaximum)
    }
  }

  /// Somebody has a newer item: of ourselves, so we must outdo it; or of others, so it is what we pass on.
  private mutating func supersededBy(_ newer: MutableItem) {
    if newer.key == head.item?.key, newer.salt == HeadItem.salt {
      head.number = max(head.number ?? 0, newer.sequence)
      head.published = nil
      head.due = now.instant
    } else if let person = order.first(where: { persons[$0]?.root == newer.key }) {
      take(newer, of: person)
    }
  }

  /// Keeps a person item, to pass it on.
  mutating func take(_ item: MutableItem, of person: PersonID) {
    guard item.salt == PersonItem.salt, persons[person]?.root == item.key, (try? PersonItem(value: item.value)) != nil
    else { return }
    let held = [items[person], persons[person]?.item].compactMap { $0?.sequence }.max() ?? 0
    guard item.sequence > held else { return }
    items[person] = item
    isStale = true
  }

  // MARK: Leaving

  mutating func beginFarewell() {
    farewell = now.instant
    for key in publicationOrder { outputs.append(.withdraw(key)) }
    publications = [:]
    guard isJoined, head.item != nil, let present = presentHead(leaving: true) else { return }
    farewell = now.instant + Self.farewellPatience
    sign(present)
  }

  mutating func endFarewell() {
    guard let farewell, farewell <= now.instant, !hasLeft else { return }
    hasLeft = true
    outputs.append(.left)
  }

  /// Between two attempts to sign while the key is sealed.
  private static let sealedPause = Duration.seconds(60)

  mutating func ask(_ errand: Errand, _ command: DHTNode.Command) { outputs.append(.ask(errand, command)) }
}

extension DHTNode.PublicationKey {
  var target: NodeID {
    switch self {
    case .announce(let target), .item(let target): target
    }
  }
}
