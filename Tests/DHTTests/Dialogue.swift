import DHT
import Identity
import Primitives

/// One node and a remote that a test speaks for.
struct Dialogue {
  var node: DHTNode
  var now = Moment(instant: Instant(nanoseconds: 0), wall: Timestamp(milliseconds: 1_700_000_000_000))
  var remote = Endpoint(IPAddress(9, 8, 7, 6), port: 6881)
  var remoteID = NodeID(Array("abcdefghij0123456789".utf8))!
  /// Effects that are not datagrams.
  var events: [DHTNode.Effect] = []

  /// Where others see the node.
  static let here = Endpoint(IPAddress(70, 1, 1, 1), port: 7000)
  static let own = NodeID(Array("ABCDEFGHIJ0123456789".utf8))!

  init(_ settings: DHTSettings = DHTSettings()) {
    node = DHTNode(
      settings: settings, id: Self.own, secret: AuthenticationCode([UInt8](repeating: 3, count: 32))!,
      random: SeededRandom(seed: 4), at: now)
  }

  mutating func wait(_ duration: Duration) {
    now.instant = now.instant + duration
    now.wall = now.wall.advanced(milliseconds: Int64(duration.components.seconds * 1000))
  }

  /// What goes out after an input, to whom.
  @discardableResult
  mutating func input(_ input: DHTNode.Input) -> [(bytes: [UInt8], to: Endpoint)] {
    var sent: [(bytes: [UInt8], to: Endpoint)] = []
    for effect in node.handle(input, at: now) {
      if case .send(let bytes, let endpoint) = effect { sent.append((bytes, endpoint)) } else { events.append(effect) }
    }
    return sent
  }

  /// What the remote gets for its bytes, but for queries of the node's own.
  mutating func answer(_ bytes: [UInt8], from endpoint: Endpoint? = nil) -> KRPCMessage? {
    let source = endpoint ?? remote
    for (bytes, to) in input(.received(bytes, from: source)) where to == source {
      guard case .message(let message) = KRPCMessage.decode(bytes, for: node.settings.networkKey) else { continue }
      if case .query = message.body { continue }
      return message
    }
    return nil
  }

  mutating func answer(_ text: String, from endpoint: Endpoint? = nil) -> KRPCMessage? {
    answer(Array(text.utf8), from: endpoint)
  }

  mutating func ask(_ ask: KRPCQuery.Ask, from endpoint: Endpoint? = nil) -> KRPCMessage? {
    let message = KRPCMessage(transaction: [1], body: .query(KRPCQuery(id: remoteID, ask: ask)))
    return answer(message.encoded(for: node.settings.networkKey), from: endpoint)
  }

  mutating func reply(_ ask: KRPCQuery.Ask, from endpoint: Endpoint? = nil) -> KRPCReply? {
    if case .reply(let reply)? = self.ask(ask, from: endpoint)?.body { reply } else { nil }
  }

  mutating func error(_ ask: KRPCQuery.Ask, from endpoint: Endpoint? = nil) -> Int? {
    if case .error(let error)? = self.ask(ask, from: endpoint)?.body { error.code.rawValue } else { nil }
  }

  mutating func token(_ target: NodeID, from endpoint: Endpoint? = nil) -> [UInt8] {
    reply(.get(target: target, sequence: nil, want: []), from: endpoint)?.token ?? []
  }

  /// Stores an item as the remote would; the code of the error, if it is refused.
  mutating func put(_ item: MutableItem, compareAndSwap: Int64? = nil, from endpoint: Endpoint? = nil) -> Int? {
    let token = token(item.target, from: endpoint)
    return error(.putMutable(item, token: token, compareAndSwap: compareAndSwap), from: endpoint)
  }
}
