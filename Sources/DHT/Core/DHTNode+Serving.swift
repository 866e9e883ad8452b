import Identity
import Primitives

// What comes in, and what others are answered (PROTOCOLS 2.1, 2.6, 4.3).
extension DHTNode {
  mutating func receive(_ bytes: [UInt8], from endpoint: Endpoint) {
    statistics.received += 1
    statistics.receivedBytes += bytes.count
    guard settings.accepts(endpoint),
      limits.admits(endpoint.address, byteCount: bytes.count, at: now.instant)
    else {
      statistics.unheard += 1
      return
    }
    switch KRPCMessage.decode(bytes, for: settings.networkKey, isStrict: settings.isStrict) {
    case .silence: statistics.malformed += 1
    case .refused(let transaction, let error):
      guard state == .server else {
        statistics.unanswered += 1
        return
      }
      refuse(transaction, error, endpoint)
    case .message(let message):
      switch message.body {
      case .query(let query):
        guard state == .server else {
          statistics.unanswered += 1
          return
        }
        if !message.isReadOnly { consider(Contact(query.id, at: endpoint)) }
        answer(query, message.transaction, endpoint)
      case .reply(let reply):
        guard let transaction = take(message.transaction, from: endpoint) else { return }
        answered(transaction, reply, message)
      case .error(let error):
        guard let transaction = take(message.transaction, from: endpoint) else { return }
        refused(transaction, error)
      }
    }
  }

  /// The query that a reply belongs to: id, address and port have to be those that were asked.
  private mutating func take(_ transaction: [UInt8], from endpoint: Endpoint) -> Transaction? {
    guard transaction.count == 4 else {
      statistics.unmatched += 1
      return nil
    }
    let number = transaction.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard let found = transactions[number], found.endpoint == endpoint else {
      statistics.unmatched += 1
      return nil
    }
    transactions[number] = nil
    limits.verified(endpoint.address, at: now.instant)
    return found
  }

  /// Somebody whom we do not know asked us something: if there is room, it is asked whether it is there.
  private mutating func consider(_ contact: Contact) {
    guard settings.passes(contact.endpoint, with: contact.endpoint.address), !table.contains(contact.endpoint),
      verifying.count < Self.verificationsMaximum, !verifying.contains(contact.endpoint),
      table.hasRoom(for: contact.id),
      limits.permitsReply(to: contact.endpoint.address, byteCount: Self.pingByteCountMaximum, at: now.instant)
    else { return }
    if ask(.ping, contact.endpoint, for: .verification) { verifying.insert(contact.endpoint) }
  }

  /// Pings to strangers under way; a flood of them gets no more.
  static let verificationsMaximum = 16
  /// A ping with all that we write into it. To a stranger it costs as much of the budget as a reply.
  static let pingByteCountMaximum = 100

  private mutating func refuse(_ transaction: [UInt8], _ error: KRPCError, _ endpoint: Endpoint) {
    statistics.refused += 1
    reply(KRPCMessage(transaction: transaction, body: .error(error)), endpoint)
  }

  private mutating func reply(_ message: KRPCMessage, _ endpoint: Endpoint) {
    var message = message
    message.version = settings.version
    message.observed = endpoint
    let allowance = limits.replyAllowance(for: endpoint.address, at: now.instant)
    let bytes = message.encoded(for: settings.networkKey, within: allowance ?? .max)
    guard limits.permitsReply(to: endpoint.address, byteCount: bytes.count, at: now.instant) else {
      statistics.withheld += 1
      return
    }
    send(bytes, to: endpoint)
  }

  private mutating func answer(_ query: KRPCQuery, _ transaction: [UInt8], _ endpoint: Endpoint) {
    do throws(KRPCError) {
      let answer = try reply(to: query, endpoint)
      reply(KRPCMessage(transaction: transaction, body: .reply(answer)), endpoint)
    } catch {
      refuse(transaction, error, endpoint)
    }
  }

  private mutating func reply(to query: KRPCQuery, _ endpoint: Endpoint) throws(KRPCError) -> KRPCReply {
    var answer = KRPCReply(id: id)
    func addNodes(_ target: NodeID, _ want: Families) {
      guard want.isEmpty || want.contains(settings.family) else { return }
      let nodes = table.closest(to: target, count: settings.k) {
        $0 != endpoint && settings.passes($0, with: endpoint.address)
      }
      if settings.family == .ipv4 { answer.nodes = nodes } else { answer.nodes6 = nodes }
    }
    switch query.ask {
    case .ping: break
    case .findNode(let target, let want): addNodes(target, want)
    case .unknown(let target, let want): if let target { addNodes(target, want) }
    case .getPeers(let infoHash, let want):
      addNodes(infoHash, want)
      if !peers.isFull(infoHash) {
        answer.token = tokens.token(for: endpoint.address, target: infoHash, at: now.instant)
      }
      answer.values = peers.peers(of: infoHash, at: now.instant, random: &random) { [settings] in
        settings.passes($0, with: endpoint.address)
      }
    case .announcePeer(let infoHash, let port, let token):
      try admitWrite(token, infoHash, endpoint)
      peers.announce(Endpoint(endpoint.address, port: port ?? endpoint.port), for: infoHash, at: now.instant)
    case .get(let target, let sequence, let want):
      addNodes(target, want)
      answer.token = tokens.token(for: endpoint.address, target: target, at: now.instant)
      switch items.item(target, at: now.instant) {
      case .immutable(let item)?: answer.value = item.value
      case .mutable(let item)?:
        answer.sequence = item.sequence
        if item.sequence > sequence ?? -1 {
          answer.key = item.key
          answer.signature = item.signature
          answer.value = item.value
        }
      case nil: break
      }
    case .putImmutable(let item, let token):
      try admitWrite(token, item.target, endpoint)
      items.put(item, from: endpoint.address, at: now.instant, random: &random)
    case .putMutable(let item, let token, let expected):
      try admitWrite(token, item.target, endpoint)
      guard items.holds(item, at: now.instant) || item.isSigned else {
        throw KRPCError(.signatureInvalid, "invalid signature")
      }
      try items.put(item, compareAndSwap: expected, from: endpoint.address, at: now, random: &random)
    case .sampleInfohashes(let target, let want):
      addNodes(target, want)
      answer.interval = Self.samplesInterval
      answer.count = Int64(peers.hashCount)
      answer.samples = peers.sample(Self.samplesMaximum, random: &random)
    }
    return answer
  }

  /// Hashes in one answer, and the seconds until asking again is welcome: the longest that BEP 51 allows.
  static let samplesMaximum = 20
  static let samplesInterval: Int64 = 21_600

  private mutating func admitWrite(_ token: [UInt8], _ target: NodeID, _ endpoint: Endpoint) throws(KRPCError) {
    guard tokens.accepts(token, from: endpoint.address, target: target, at: now.instant) else {
      throw KRPCError(.protocolViolation, "invalid token")
    }
    limits.verified(endpoint.address, at: now.instant)
    guard limits.permitsWrite(from: endpoint.address, at: now.instant) else {
      throw KRPCError(.server, "too many writes")
    }
  }
}
