import DHT
import Identity
import Primitives

/// A node to which the input happens: datagrams, answers to what it asked, commands, time. It never traps, sends nothing
/// too long or to where it must not, and always says when it wants to be called.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var script = Script(bytes: [UInt8](UnsafeBufferPointer(start: start, count: count)))
  var world = World(isPublic: script.byte() & 1 == 1)
  for _ in 0..<200 {
    guard !script.isOver else { break }
    let choice = script.byte()
    switch choice % 8 {
    case 0, 1: world.input(.received(script.rest(upTo: 400), from: world.remote(script.byte())))
    case 2, 3: world.answer(script.byte(), script.rest(upTo: 400))
    case 4: world.input(.command(.init(UInt64(choice)), script.command(world)))
    case 5: world.wait(.milliseconds(Int(script.byte()) * 20))
    case 6: world.wait(.seconds(Int(script.byte()) * 30))
    default: world.store(script.byte(), script.rest(upTo: 40))
    }
  }
  return 0
}

private struct Script {
  var bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var isOver: Bool { position >= bytes.count }

  mutating func byte() -> UInt8 {
    guard !isOver else { return 0 }
    position += 1
    return bytes[position - 1]
  }

  /// A length and so many bytes.
  mutating func rest(upTo maximum: Int) -> [UInt8] {
    let count = min(Int(byte()) << 1, maximum, bytes.count - position)
    position += count
    return Array(bytes[(position - count)..<position])
  }

  mutating func command(_ world: World) -> DHTNode.Command {
    let kind = byte()
    let target = world.target(byte())
    switch kind % 8 {
    case 0: return .bootstrap(contacts: [], routers: (0..<3).map { world.remote(kind &+ $0) })
    case 1: return .ping(world.remote(byte()))
    case 2: return .findNode(target)
    case 3: return .getPeers(target)
    case 4: return .announce(target, port: kind < 128 ? nil : 7)
    case 5: return .getImmutable(target)
    case 6: return .getMutable(World.key.publicKey, salt: [], known: kind < 128 ? nil : Int64(kind))
    default:
      let item = MutableItem(signing: Array("1:x".utf8), sequence: Int64(byte()), with: World.key)
      return .putMutable(
        item, signer: kind < 128 ? World.key : nil, compareAndSwap: kind & 8 == 8 ? 3 : nil,
        keeps: kind & 16 == 16)
    }
  }
}

private struct World {
  static let key = SigningKey(seed: [UInt8](repeating: 1, count: 32))!

  var node: DHTNode
  var now = Moment(
    instant: Instant(nanoseconds: 0), wall: Timestamp(milliseconds: 1_700_000_000_000))
  /// Queries that it sent and that have no answer, the newest last.
  var open: [(transaction: [UInt8], to: Endpoint)] = []
  let isPublic: Bool

  init(isPublic: Bool) {
    self.isPublic = isPublic
    var settings = isPublic ? DHTSettings.publicMainline : DHTSettings()
    settings.provesReachability = false
    node = DHTNode(
      settings: settings, id: nil, secret: AuthenticationCode(), random: SeededRandom(seed: 1),
      at: now)
  }

  func remote(_ number: UInt8) -> Endpoint {
    Endpoint(IPAddress(number | 1, number, number, 1), port: 6881)
  }

  func target(_ number: UInt8) -> NodeID {
    number < 128
      ? MutableItem.target(key: Self.key.publicKey, salt: [])
      : NodeID([UInt8](repeating: number, count: 20))!
  }

  mutating func wait(_ duration: Duration) {
    now.instant = now.instant + duration
    input(.deadlineReached)
  }

  mutating func input(_ input: DHTNode.Input) {
    for effect in node.handle(input, at: now) {
      guard case .send(let bytes, let endpoint) = effect else { continue }
      precondition(
        bytes.count <= KRPCMessage.sentByteCountMaximumWithLargeValue, "\(bytes.count) bytes")
      precondition(!isPublic || endpoint.address.addressClass == .global, "sent to \(endpoint)")
      guard case .message(let message) = KRPCMessage.decode(bytes) else {
        preconditionFailure("sent what it cannot read")
      }
      if case .query = message.body { open.append((message.transaction, endpoint)) }
    }
    precondition(node.nextDeadline != nil, "never wants to be called")
    precondition(node.contactCount <= 1_000 && node.storedCounts.items <= 2_000, "no bound")
    open.removeFirst(max(0, open.count - 50))
  }

  /// Answers one of the open queries with whatever fields the input has, in a frame that is right.
  mutating func answer(_ number: UInt8, _ fields: [UInt8]) {
    guard !open.isEmpty else { return }
    let (transaction, endpoint) = open.remove(at: Int(number) % open.count)
    let id = [UInt8](repeating: number, count: 20)
    let packet =
      Array("d1:rd2:id20:".utf8) + id + fields + Array("e1:t4:".utf8) + transaction
      + Array("1:y1:re".utf8)
    input(.received(packet, from: endpoint))
  }

  /// Stores something with a token that is good.
  mutating func store(_ number: UInt8, _ value: [UInt8]) {
    let source = remote(number)
    let item = MutableItem(
      signing: Array("\(value.count):".utf8) + value, salt: [number & 3], sequence: Int64(number),
      with: Self.key)
    let id = NodeID([UInt8](repeating: number, count: 20))!
    func packet(_ ask: KRPCQuery.Ask) -> [UInt8] {
      KRPCMessage(transaction: [0], body: .query(KRPCQuery(id: id, ask: ask))).encoded()
    }
    var token: [UInt8]?
    for effect in node.handle(
      .received(packet(.get(target: item.target, sequence: nil, want: [])), from: source), at: now)
    {
      if case .send(let bytes, _) = effect, case .message(let message) = KRPCMessage.decode(bytes),
        case .reply(let reply) = message.body
      {
        token = reply.token
      }
    }
    if let token {
      input(.received(packet(.putMutable(item, token: token, compareAndSwap: nil)), from: source))
    }
  }
}
