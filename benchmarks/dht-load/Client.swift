import DHT
import Identity
import Primitives

/// A node of ours that wants one thing after the other of the network, whosever it is.
struct Client {
  private var node: DHTNode
  private let socket: Socket
  private let process: Int32
  private var operation: UInt64 = 0
  private var report: DHTNode.Report?
  private var random = SeededRandom(seed: 9)

  init(_ endpoints: [Endpoint], process: Int32) {
    var settings = DHTSettings()
    settings.isReadOnly = true
    socket = Socket(on: Endpoint(IPAddress(127, 250, 2, 1), port: 0))
    self.process = process
    node = DHTNode(
      settings: settings, id: nil, secret: AuthenticationCode([UInt8](repeating: 1, count: 32))!,
      random: SeededRandom(seed: 8), at: now())
    _ = perform(.bootstrap(contacts: [], routers: Array(endpoints.prefix(16))))
    for endpoint in endpoints { _ = perform(.ping(endpoint)) }
  }

  private mutating func input(_ input: DHTNode.Input) {
    for effect in node.handle(input, at: now()) {
      switch effect {
      case .send(let bytes, let endpoint): socket.send(bytes, to: endpoint)
      case .finished(let finished): if finished.id.rawValue == operation { report = finished }
      case .foundPeers, .foundItem, .republished, .externalAddress, .stateChanged, .saveContacts: break
      }
    }
  }

  private mutating func perform(_ command: DHTNode.Command) -> DHTNode.Report? {
    operation += 1
    report = nil
    input(.command(DHTNode.OperationID(operation), command))
    while report == nil {
      let left = node.nextDeadline.map { ($0 - now().instant) / .milliseconds(1) } ?? 100
      if let (bytes, source) = socket.receive(within: Int32(max(1, min(100, left)))) {
        input(.received(Array(bytes), from: source))
      } else {
        input(.deadlineReached)
      }
    }
    return report
  }

  mutating func measure(_ count: Int) {
    let key = SigningKey(seed: random.bytes(32))!
    let items = (0..<count).map { number in
      MutableItem(signing: Array("5:value".utf8), salt: Array("\(number)".utf8), sequence: 1, with: key)
    }
    time("mutable put ms", items) {
      .putMutable($0, signer: nil, compareAndSwap: nil, keeps: false)
    } holds: {
      if case .stored(let storage) = $0 { storage.durability == .durable } else { false }
    }
    time("mutable get ms", items) {
      .getMutable($0.key, salt: $0.salt, known: nil)
    } holds: {
      if case .mutable = $0 { true } else { false }
    }
  }

  /// The median of single ones.
  private mutating func time(
    _ name: String, _ items: [MutableItem], _ command: (MutableItem) -> DHTNode.Command,
    holds: (DHTNode.Outcome) -> Bool
  ) {
    var times: [Double] = []
    var queries = 0
    var failed = 0
    let before = (ProcessTime(of: process), node.statistics)
    for item in items {
      let began = now().instant
      let report = perform(command(item))
      times.append((now().instant - began) / .milliseconds(1))
      queries += report?.queries ?? 0
      if report.map({ holds($0.outcome) }) != true { failed += 1 }
    }
    times.sort()
    let packets = node.statistics.sent - before.1.sent + node.statistics.received - before.1.received
    DHTLoad.show(
      name, times[times.count / 2], per: items.count, ProcessTime(of: process).since(before.0),
      [
        ("p99", times[times.count * 99 / 100]), ("queries", Double(queries) / Double(items.count)),
        ("packets", Double(packets) / Double(items.count)), ("failed", Double(failed)),
      ])
  }
}
