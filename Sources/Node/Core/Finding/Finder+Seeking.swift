import DHT
import Identity
import Primitives

// Looking for those who have what is wanted, and staying connected with some of them.
extension Finder {
  // MARK: Lookups

  /// Begins the lookups that are due: heads, person item and swarm of a person at the same time.
  mutating func look() {
    guard isJoined else { return }
    var running = pursuits.values.count { !$0.running.isEmpty }
    for person in order where running < Self.pursuitsMaximum {
      guard let pursuit = pursuits[person], pursuit.running.isEmpty, pursuit.due <= now.instant else { continue }
      running += 1
      begin(person)
    }
  }

  /// Has the next lookup begin now. One that is under way will do.
  mutating func lookAgain(_ person: PersonID) {
    guard let pursuit = pursuits[person], pursuit.running.isEmpty else { return }
    pursuits[person]!.due = now.instant
    pursuits[person]!.hasLooked = false
  }

  private mutating func begin(_ person: PersonID) {
    guard let held = persons[person] else { return }
    pursuits[person]!.isNetworkThere = false
    var devices = held.devices
    for device in items[person].flatMap({ try? PersonItem(value: $0.value) })?.devices ?? []
    where !devices.contains(device) {
      devices.append(device)
    }
    let own = Set(held.logs.filter(\.isOwnDevice).map(\.log))
    for device in devices.prefix(Self.devicesMaximum) where !own.contains(device) { lookUp(device, of: person) }
    if let root = held.root {
      seek(.personItem(person), .getMutable(root, salt: PersonItem.salt, known: nil), for: person)
    }
    seek(.replicas(person), .getPeers(.swarm(of: person)), for: person)
  }

  private mutating func lookUp(_ device: PublicKey, of person: PersonID) {
    seek(.head(person, device: device), .getMutable(device, salt: HeadItem.salt, known: nil), for: person)
  }

  private mutating func seek(_ errand: Errand, _ command: DHTNode.Command, for person: PersonID) {
    guard pursuits[person]?.running.insert(errand).inserted == true else { return }
    ask(errand, command)
  }

  mutating func finished(_ errand: Errand, _ outcome: DHTNode.Outcome) {
    switch errand {
    case .publish(let key): published(key, outcome)
    case .farewell: farewell = now.instant
    case .head(let person, _), .personItem(let person), .replicas(let person):
      if case .mutable(let item, _) = outcome { found(item, errand) }
      if case .peers(let endpoints) = outcome { found(endpoints, errand) }
      guard pursuits[person]?.running.remove(errand) != nil else { return }
      if outcome != .unreachable, outcome != .busy {
        pursuits[person]!.isNetworkThere = true
        hasMetNetwork = true
      }
      if pursuits[person]!.running.isEmpty { lookedUp(person) }
    }
  }

  /// Everything about a person was asked. Who is found is looked for again seldom, who is not ever less often.
  private mutating func lookedUp(_ person: PersonID) {
    guard var pursuit = pursuits[person] else { return }
    pursuit.hasLooked = true
    if isServed(person) {
      pursuit.pause = Self.lookupPauseMinimum
      pursuit.due = now.instant + jittered(Self.lookupInterval)
    } else {
      pursuit.due = now.instant + jittered(pursuit.pause)
      // A network that does not answer says nothing about the person.
      if pursuit.isNetworkThere { pursuit.pause = min(pursuit.pause * 2, Self.lookupPauseMaximum) }
    }
    pursuits[person] = pursuit
  }

  // MARK: Finds

  mutating func found(_ endpoints: [Endpoint], _ errand: Errand) {
    guard case .replicas(let person) = errand else { return }
    for endpoint in endpoints { add(endpoint, .announced, for: person) }
  }

  mutating func found(_ item: MutableItem, _ errand: Errand) {
    switch errand {
    case .head(let person, let device):
      guard item.key == device, let head = try? HeadItem(value: item.value) else { return }
      found(head, item.sequence, device, of: person)
    case .personItem(let person):
      take(item, of: person)
      let held = Set(persons[person]?.devices ?? [])
      for device in (try? PersonItem(value: item.value))?.devices ?? [] where !held.contains(device) {
        lookUp(device, of: person)
      }
    case .replicas, .publish, .farewell: break
    }
  }

  private mutating func found(_ head: HeadItem, _ number: Int64, _ log: LogID, of person: PersonID) {
    guard var pursuit = pursuits[person] else { return }
    // Never back to an older word: whoever stored it may only have kept it (PROTOCOLS 4.6).
    if let known = pursuit.known[log], known.item > number { return }
    if head.sequence >= pursuit.known[log]?.sequence ?? SequenceNumber(0) {
      pursuit.known[log] = .init(item: number, sequence: head.sequence, hash: head.hash)
    }
    pursuits[person] = pursuit
    guard head.expires > now.wall else { return }
    if !head.flags.contains(.leaving) { for address in head.addresses { add(address, .author, for: person) } }
    for replica in head.replicas { add(replica.endpoint, .preferred, for: person) }
  }

  mutating func add(_ endpoint: Endpoint, _ source: Source, for person: PersonID) {
    guard settings.rules.allows(endpoint), !settings.addresses.contains(endpoint), var pursuit = pursuits[person]
    else { return }
    if let known = pursuit.candidates[endpoint] {
      pursuit.candidates[endpoint] = min(known, source)
    } else {
      if settings.rules.isPublic, source >= .announced {
        // Whoever answers a lookup may name one victim's address a thousand times.
        let host = Self.site(of: endpoint.address)
        guard pursuit.candidates.keys.count(where: { Self.site(of: $0.address) == host }) < Self.candidatesPerHost
        else { return }
      }
      let share = Self.addressesMaximum / max(1, order.count)
      if pursuit.candidates.count >= max(Self.candidatesMinimum, min(Self.candidatesMaximum, share)) {
        guard let worst = worst(of: pursuit, below: source) else { return }
        pursuit.candidates[worst] = nil
        pursuits[person] = pursuit
        release(worst)
      }
      guard addresses[endpoint] != nil || addresses.count < Self.addressesMaximum else { return }
      if addresses[endpoint] == nil { addresses[endpoint] = Address(lot: random.next()) }
      addresses[endpoint]!.uses += 1
      pursuit.candidates[endpoint] = source
    }
    pursuits[person] = pursuit
  }

  /// An IPv4 address, or the /64 that one IPv6 host has for itself.
  private static func site(of address: IPAddress) -> UInt64 {
    switch address {
    case .v4(let value): UInt64(value)
    case .v6(let high, _): high
    }
  }

  /// Somebody who is not connected and no better than a newcomer; the one that failed most often.
  private func worst(of pursuit: Pursuit, below source: Source) -> Endpoint? {
    pursuit.candidates.filter { $0.value >= source && addresses[$0.key]?.state == .idle }.map(\.key).max { a, b in
      let (first, second) = (addresses[a]!, addresses[b]!)
      return first.failures == second.failures ? first.lot < second.lot : first.failures < second.failures
    }
  }

  // MARK: Connections

  func isServed(_ person: PersonID) -> Bool {
    pursuits[person]?.candidates.keys.contains { addresses[$0]?.state == .connected } ?? false
  }

  private func inUse(_ person: PersonID) -> Int {
    pursuits[person]?.candidates.keys.count { addresses[$0].map { $0.state != .idle } ?? false } ?? 0
  }

  /// Dials whoever is wanted: two for each person, the best first; more while all of them lack what the DHT knows of, or
  /// the author is not among them.
  mutating func connect() {
    guard settings.sessionsMaximum > 0 else { return }
    dialsDue = nil
    for person in order {
      guard let pursuit = pursuits[person] else { continue }
      let wanted = logsBehind(of: person).isEmpty ? Self.sessionsWanted : Self.sessionsPerPerson
      // Replicas are dialled when the author's own word is in, so that it goes first.
      let isHeadOpen = pursuit.running.contains { if case .head = $0 { true } else { false } }
      for (endpoint, source) in candidates(for: person) where source < .nearby {
        guard let address = addresses[endpoint], address.state == .idle, address.until ?? now.instant <= now.instant
        else {
          continue
        }
        let limit = source == .author ? Self.sessionsPerPerson : wanted
        guard inUse(person) < limit, source < .announced || !isHeadOpen else { continue }
        if settings.rules.isPublic, source >= .announced {
          guard strangerDials.allows(Self.strangerDials, at: now.instant) else {
            dialsDue = now.instant + .seconds(1)
            break
          }
        }
        // Others may still have a claim to a place.
        guard makeRoom(for: person) else { break }
        if settings.rules.isPublic, source >= .announced { strangerDials.take(Self.strangerDials, at: now.instant) }
        addresses[endpoint]!.state = .dialling
        outputs.append(.stand(endpoint))
      }
    }
  }

  /// Whether one more connection may be had: for somebody without one, another that is not the last of anybody gives way.
  private mutating func makeRoom(for person: PersonID) -> Bool {
    let used = addresses.filter { $0.value.state != .idle }
    guard used.count >= settings.sessionsMaximum else { return true }
    guard inUse(person) == 0 else { return false }
    let spare = used.keys.filter { endpoint in
      pursuits.allSatisfy { $0.value.candidates[endpoint] == nil || inUse($0.key) > 1 }
    }
    guard let victim = spare.max(by: { addresses[$0]!.lot < addresses[$1]!.lot }) else { return false }
    addresses[victim]!.state = .idle
    addresses[victim]!.until = now.instant + Self.dialPauseMaximum
    outputs.append(.leave(victim))
    return true
  }

  mutating func connected(_ endpoint: Endpoint, _ node: PublicKey) {
    guard addresses[endpoint] != nil else { return }
    addresses[endpoint]!.node = node
    addresses[endpoint]!.state = .connected
    addresses[endpoint]!.failures = 0
    addresses[endpoint]!.until = nil
    headMayHaveChanged()
  }

  /// It ended, or never came about: others are tried, and this one again after a while.
  mutating func disconnected(_ endpoint: Endpoint) {
    guard var address = addresses[endpoint], address.state != .idle else { return }
    let wasConnected = address.state == .connected
    address.state = .idle
    let pause = min(Self.dialPauseMinimum * (1 << min(address.failures, 16)), Self.dialPauseMaximum)
    address.failures += 1
    address.until = now.instant + jittered(pause)
    addresses[endpoint] = address
    outputs.append(.leave(endpoint))
    guard wasConnected else { return }
    headMayHaveChanged()
    // Whoever lost the last connection is looked for at once.
    for (person, pursuit) in pursuits where pursuit.candidates[endpoint] != nil && inUse(person) == 0 {
      pursuits[person]!.due = min(pursuit.due, now.instant + Self.lookupPauseMinimum)
    }
  }
}
