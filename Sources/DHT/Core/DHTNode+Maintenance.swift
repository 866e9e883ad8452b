import Primitives

// What a node does when nobody asks it to: keeps its table fresh, joins again, learns its address.
extension DHTNode {
  /// As often as libtorrent pings; what is done then depends on what is due.
  static let maintenanceInterval = Duration.seconds(5)
  /// Who has answered since needs no ping; after 15 min it would count for nothing (BEP 5).
  static let quietMaximum = Duration.seconds(600)
  /// A bucket without news is searched (BEP 5).
  static let bucketIdleMaximum = Duration.seconds(15 * 60)
  static let saveInterval = Duration.seconds(300)
  static let expiryInterval = Duration.seconds(60)
  static let bootstrapPauseMinimum = Duration.seconds(5)
  static let bootstrapPauseMaximum = Duration.seconds(300)

  mutating func maintain() {
    agenda.add(.maintenance, at: now.instant + Self.maintenanceInterval)
    if let due = bootstrapDue, due <= now.instant {
      bootstrapDue = nil
      bootstrap(nil)
    } else if bootstrapDue == nil, !isJoining, table.count == 0, !routers.isEmpty || !joinContacts.isEmpty {
      bootstrapDue = now.instant + bootstrapPause
    }
    if let stalest = table.stalest, now.instant - stalest.answered > Self.quietMaximum {
      ask(.ping, stalest.contact.endpoint, for: .verification)
    }
    checkHeard()
    if table.count > 0, let bucket = table.idleBucket(before: now.instant + (.zero - Self.bucketIdleMaximum)) {
      refresh(bucket)
    }
    if now.instant - expiredAt >= Self.expiryInterval {
      expiredAt = now.instant
      peers.expire(at: now.instant)
      items.expire(at: now.instant)
    }
    if now.instant - savedAt >= Self.saveInterval {
      savedAt = now.instant
      if table.count > 0 { effects.append(.saveContacts(savedContacts)) }
    }
    reconsiderState()
  }

  /// Takes note of contacts that might fill the table: the more of the network it knows, the fewer steps lookups take.
  mutating func hear(of contacts: [Contact]) {
    for contact in contacts where heard.count < Self.heardMaximum {
      if !table.contains(contact.endpoint), table.hasRoom(for: contact.id), !heard.contains(contact) {
        heard.append(contact)
      }
    }
  }

  /// Contacts named by others that wait for a ping, and pings at each maintenance: less than one a second, whoever names
  /// what.
  static let heardMaximum = 64
  static let heardAtOnceMaximum = 4

  private mutating func checkHeard() {
    for _ in 0..<Self.heardAtOnceMaximum {
      guard !heard.isEmpty else { return }
      let contact = heard.removeFirst()
      if !table.contains(contact.endpoint), table.hasRoom(for: contact.id) {
        let target = NodeID(random: &random)
        ask(.findNode(target: target, want: []), contact.endpoint, for: .exploration)
      }
    }
  }

  private mutating func refresh(_ bucket: Int) {
    table.touch(bucket, at: now.instant)
    start(.findNode(isBootstrap: false), id.neighbour(sharing: bucket, random: &random), nil)
  }

  mutating func bootstrapDone(found: Bool) {
    isJoining = false
    if found {
      bootstrapPause = Self.bootstrapPauseMinimum
      if state == .bootstrapping { become(.client) }
      // The walk to ourselves met those near us; the far buckets are filled by walks of their own.
      for bucket in 0..<table.bucketCount where bucket < Self.refreshedAtOnceMaximum { refresh(bucket) }
    } else {
      bootstrapDue = now.instant + bootstrapPause
      bootstrapPause = min(bootstrapPause * 2, Self.bootstrapPauseMaximum)
    }
    reconsiderState()
  }

  /// Lookups that follow a join.
  static let refreshedAtOnceMaximum = 8

  /// One of a bucket was not what it had said: whether the others are still there is asked.
  mutating func checkBucket(_ bucket: Int) {
    let entries = table.entries.filter { table.bucket(of: $0.contact.id) == bucket }
    for entry in entries.prefix(settings.k) { ask(.ping, entry.contact.endpoint, for: .verification) }
  }

  // MARK: Who we are to others

  mutating func addressChanged(_ address: IPAddress) {
    effects.append(.externalAddress(address))
    guard settings.provesReachability else { return }
    isReachable = false
    if !id.fits(address) {
      id = NodeID(for: address, random: &random)
      let entries = table.entries
      table = RoutingTable(own: id, options: settings.tableOptions, at: now.instant)
      for entry in entries where entry.failures == 0 { _ = table.answered(entry.contact, at: entry.answered) }
      peers.own = id
      items.own = id
      bootstrap(nil)
    }
    reconsiderState()
  }

  mutating func reconsiderState() {
    guard settings.provesReachability, !settings.isReadOnly else { return }
    switch state {
    case .bootstrapping: break
    case .client:
      if vote.address != nil, isReachable, now.instant - began >= Self.serverAge { become(.server) }
    case .server: if !isReachable { become(.client) }
    }
  }

  private mutating func become(_ state: State) {
    self.state = state
    effects.append(.stateChanged(state))
  }
}
