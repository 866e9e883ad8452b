import DHT
import Dispatch
import Glibc
import Identity
import Primitives
import Transport

/// Runs nodes of the DHT core on real sockets for the tests against foreign peers (tools/libtorrent-peers): commands come
/// as lines, results go out as JSON Lines. It is a tool for tests, and not what `tl` runs.
///
///     tl-dht [--paced] ADDRESS:PORT…          one node each, IPv4, without a network tag
///
///     NODE ID bootstrap ADDRESS:PORT…         NODE counts from 0; the result carries the ID
///     NODE ID ping ADDRESS:PORT
///     NODE ID find|peers|get HEX
///     NODE ID announce HEX [PORT]             without one that of our datagrams, as the storers see it (implied_port)
///     NODE ID put VALUE                       bytes in hexadecimal digits, bencoded
///     NODE ID get-mutable KEY SALT            "-" for no salt
///     NODE ID put-mutable SEED SALT SEQUENCE VALUE [COMPARE-AND-SWAP]
///     NODE ID sign SEED SALT SEQUENCE VALUE   gives key and signature, and sends nothing
///     NODE ID count
@main
enum TLDHT {
  static func main() {
    var arguments = Array(CommandLine.arguments.dropFirst())
    var settings = DHTSettings()
    if arguments.first == "--paced" {
      arguments.removeFirst()
      settings.sentPerSecond = 4
    }
    settings.replyBytesPerSecond = 10_000_000
    let endpoints = arguments.compactMap(endpoint)
    guard !endpoints.isEmpty, endpoints.count == arguments.count else { fail("usage: tl-dht [--paced] ADDRESS:PORT…") }
    let queue = DispatchQueue(label: "tl-dht")
    let runners = queue.sync { endpoints.map { Runner($0, settings, queue) } }
    while let line = readLine() {
      let words = line.split(separator: " ").map(String.init)
      queue.sync { () -> Void in
        guard words.count > 2, let index = Int(words[0]), runners.indices.contains(index), let id = UInt64(words[1]),
          runners[index].perform(id, words[2], Array(words.dropFirst(3)))
        else { fail("not understood: \(line)") }
      }
    }
    exit(0)
  }

  static func endpoint(_ text: String) -> Endpoint? {
    let parts = text.split(whereSeparator: { $0 == "." || $0 == ":" }).compactMap { UInt16($0) }
    guard parts.count == 5, parts[..<4].allSatisfy({ $0 < 256 }) else { return nil }
    return Endpoint(IPAddress(parts[..<4].map { UInt8($0) })!, port: parts[4])
  }

  static func fail(_ message: String) -> Never {
    write(Array((message + "\n").utf8), to: STDERR_FILENO)
    exit(2)
  }

  /// A line at once; a reader that is gone ends us.
  static func write(_ line: [UInt8], to descriptor: Int32) {
    if Glibc.write(descriptor, line, line.count) != line.count { exit(3) }
  }
}

/// One node and its socket, until the process ends. `@unchecked Sendable`: everything happens on the queue.
private final class Runner: @unchecked Sendable {
  private var node: DHTNode
  private var socket: UDPSocket?
  private let timer: any DispatchSourceTimer
  /// What the timer is set to: setting it again for each datagram would cost more than the datagram.
  private var wake = Int64.max
  private let name: String

  init(_ endpoint: Endpoint, _ settings: DHTSettings, _ queue: DispatchQueue) {
    name = "\(endpoint)"
    node = DHTNode(
      settings: settings, id: nil, secret: AuthenticationCode(SystemRandom.bytes(32))!,
      random: SeededRandom(seed: SystemRandom.bytes(8).reduce(0) { $0 << 8 | UInt64($1) }), at: Self.now())
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.setEventHandler { [self] in
      wake = .max
      input(.deadlineReached)
    }
    do {
      socket = try UDPSocket(on: endpoint, queue: queue) { [self] bytes, source in
        input(.received(bytes, from: source))
      }
    } catch {
      TLDHT.fail("\(error)")
    }
    timer.activate()
    input(.deadlineReached)
  }

  private static func now() -> Moment {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let instant = Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    clock_gettime(CLOCK_REALTIME, &time)
    return Moment(
      instant: instant,
      wall: Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000))
  }

  private func input(_ input: DHTNode.Input) {
    let now = Self.now()
    for effect in node.handle(input, at: now) {
      switch effect {
      case .send(let bytes, let endpoint): socket?.send(bytes, to: endpoint)
      case .finished(let report): show(report)
      case .foundPeers, .foundItem, .republished, .externalAddress, .stateChanged, .saveContacts: break
      }
    }
    guard let deadline = node.nextDeadline, deadline.nanoseconds < wake else { return }
    wake = deadline.nanoseconds
    timer.schedule(deadline: .now() + .nanoseconds(max(0, Int(deadline.nanoseconds - now.instant.nanoseconds))))
  }

  /// False for a command that is none.
  func perform(_ id: UInt64, _ verb: String, _ words: [String]) -> Bool {
    func bytes(_ index: Int) -> [UInt8]? { words.indices.contains(index) ? Hex.decode(words[index]) : nil }
    func salt(_ index: Int) -> [UInt8] { bytes(index) ?? [] }
    let operation = DHTNode.OperationID(id)
    func run(_ command: DHTNode.Command) -> Bool {
      input(.command(operation, command))
      return true
    }
    switch (verb, words.count) {
    case ("bootstrap", 1...):
      return run(.bootstrap(contacts: [], routers: words.compactMap(TLDHT.endpoint)))
    case ("ping", 1):
      guard let endpoint = TLDHT.endpoint(words[0]) else { return false }
      return run(.ping(endpoint))
    case ("find", 1), ("peers", 1), ("get", 1):
      guard let target = NodeID(hex: words[0]) else { return false }
      return run(verb == "find" ? .findNode(target) : verb == "peers" ? .getPeers(target) : .getImmutable(target))
    case ("announce", 1), ("announce", 2):
      guard let hash = NodeID(hex: words[0]) else { return false }
      return run(.announce(hash, port: words.count == 2 ? UInt16(words[1]) : nil))
    case ("put", 1):
      guard let value = bytes(0), value.count <= MutableItem.valueByteCountMaximum else { return false }
      return run(.putImmutable(ImmutableItem(value: value), keeps: false))
    case ("get-mutable", 2):
      guard let key = PublicKey(hex: words[0]) else { return false }
      return run(.getMutable(key, salt: salt(1), known: nil))
    case ("put-mutable", 4), ("put-mutable", 5), ("sign", 4):
      guard let seed = bytes(0), let key = SigningKey(seed: seed), let number = Int64(words[2]), let value = bytes(3)
      else {
        return false
      }
      let item = MutableItem(signing: value, salt: salt(1), sequence: number, with: key)
      if verb == "put-mutable" {
        let expected = words.count == 5 ? Int64(words[4]) : nil
        return run(.putMutable(item, signer: nil, compareAndSwap: expected, keeps: false))
      }
      var line = object(id)
      line.add("key", item.key.hex)
      line.add("signature", Hex.encode(item.signature.bytes))
      show(line)
      return true
    case ("count", 0):
      let statistics = node.statistics
      var line = object(id)
      line.add("contacts", node.contactCount)
      line.add("network", Int(node.networkSize ?? 0))
      line.add("sent", statistics.sent)
      line.add("received", statistics.received)
      line.add("malformed", statistics.malformed)
      line.add("unmatched", statistics.unmatched)
      show(line)
      return true
    default: return false
    }
  }

  private func object(_ id: UInt64) -> JSONObject {
    var line = JSONObject()
    line.add("id", Int(id))
    line.add("node", name)
    return line
  }

  private func show(_ report: DHTNode.Report) {
    var line = object(report.id.rawValue)
    line.add("queries", report.queries)
    line.add("hops", report.hops)
    line.add("timeouts", report.timeouts)
    line.add("microseconds", Int(report.duration / .microseconds(1)))
    line.add("closest", report.closest.map { "\($0.endpoint)" })
    switch report.outcome {
    case .answered(let id, _):
      line.add("outcome", "answered")
      line.add("remote", id.hex)
    case .nodes: line.add("outcome", "nodes")
    case .peers(let peers):
      line.add("outcome", "peers")
      line.add("peers", peers.map(\.description))
    case .immutable(let item):
      line.add("outcome", "value")
      line.add("value", Hex.encode(item.value))
    case .mutable(let item, let copies):
      line.add("outcome", "value")
      line.add("value", Hex.encode(item.value))
      line.add("sequence", Int(item.sequence))
      line.add("copies", copies)
    case .notFound: line.add("outcome", "not found")
    case .stored(let storage):
      line.add("outcome", "stored")
      line.add("nodes", storage.nodes.count)
      line.add("refusals", storage.refusals.map { "\($0.code.rawValue)" })
    case .superseded(let item):
      line.add("outcome", "superseded")
      line.add("sequence", Int(item.sequence))
    case .conflict(let item):
      line.add("outcome", "conflict")
      line.add("sequence", Int(item?.sequence ?? -1))
    case .unreachable: line.add("outcome", "unreachable")
    case .busy: line.add("outcome", "busy")
    }
    show(line)
  }

  private func show(_ line: JSONObject) {
    // Not through stdio: its streams are locked while the main thread waits for a line.
    TLDHT.write(line.encoded + [UInt8(ascii: "\n")], to: STDOUT_FILENO)
  }
}
