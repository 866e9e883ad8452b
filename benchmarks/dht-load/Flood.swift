import DHT
import Identity
import Primitives

/// Many questions at a time, from one remote to all nodes in turn.
struct Flood {
  let socket: Socket
  let endpoints: [Endpoint]
  let process: Int32
  private let id: NodeID
  private var random = SeededRandom(seed: 7)
  private var asked = 0

  init(socket: Socket, endpoints: [Endpoint], process: Int32) {
    self.socket = socket
    self.endpoints = endpoints
    self.process = process
    id = NodeID(random: &random)
  }

  /// Read-only (BEP 43): nobody is to ask back.
  private func packet(_ ask: KRPCQuery.Ask, _ number: Int) -> [UInt8] {
    let transaction = withUnsafeBytes(of: UInt32(number).bigEndian) { Array($0) }
    return KRPCMessage(transaction: transaction, body: .query(KRPCQuery(id: id, ask: ask)), isReadOnly: true).encoded()
  }

  private static func isReply(_ bytes: ArraySlice<UInt8>) -> Bool { bytes.suffix(7).elementsEqual("1:y1:re".utf8) }

  /// Sends all of them, so many unanswered at a time. Gives what came back, as far as it is looked at.
  private mutating func exchange(
    _ packets: [[UInt8]], until end: Instant? = nil, _ look: (ArraySlice<UInt8>, Endpoint) -> Void = { _, _ in }
  ) -> (answered: Int, refused: Int, lost: Int) {
    var (sent, open, answered, refused, lost) = (0, 0, 0, 0, 0)
    while true {
      let isOver = end.map { now().instant >= $0 } ?? (sent == packets.count)
      if isOver, open == 0 { return (answered, refused, lost) }
      while !isOver, open < DHTLoad.window, end != nil || sent < packets.count {
        socket.send(packets[sent % packets.count], to: endpoints[(asked + sent) % endpoints.count])
        sent += 1
        open += 1
      }
      guard let (bytes, source) = socket.receive(within: 200) else {
        lost += open
        open = 0
        continue
      }
      open -= 1
      if Self.isReply(bytes) {
        answered += 1
        look(bytes, source)
      } else {
        refused += 1
      }
    }
  }

  mutating func findNodes(for seconds: Double, isShown: Bool) {
    let packets = (0..<10_000).map { packet(.findNode(target: NodeID(random: &random), want: []), $0) }
    let before = (ProcessTime(of: process), now().instant)
    let (answered, refused, lost) = exchange(packets, until: before.1 + .seconds(seconds))
    let elapsed = (now().instant - before.1) / .seconds(1)
    guard isShown else { return }
    DHTLoad.show(
      "find_node/s", Double(answered) / elapsed, per: answered, ProcessTime(of: process).since(before.0),
      [("refused", Double(refused)), ("lost", Double(lost))])
  }

  /// Each of an item of its own, whose signature has to be checked.
  mutating func verifiedPuts(_ count: Int) {
    let key = SigningKey(seed: random.bytes(32))!
    let value = Array("100:".utf8) + [UInt8](repeating: 0x61, count: 100)
    let items = (0..<count).map { number in
      MutableItem(signing: value, salt: Array("\(number)".utf8), sequence: 1, with: key)
    }
    var tokens = [[UInt8]?](repeating: nil, count: count)
    asked = 0
    let gets = items.enumerated().map { packet(.get(target: $1.target, sequence: 0, want: []), $0) }
    var before = (ProcessTime(of: process), now().instant)
    let got = exchange(gets) { bytes, _ in
      guard case .message(let message) = KRPCMessage.decode(Array(bytes)), case .reply(let reply) = message.body else {
        return
      }
      tokens[message.transaction.reduce(0) { $0 << 8 | Int($1) }] = reply.token
    }
    DHTLoad.show(
      "get/s", Double(got.answered) / ((now().instant - before.1) / .seconds(1)), per: got.answered,
      ProcessTime(of: process).since(before.0), [("lost", Double(got.lost))])
    let puts = items.enumerated().map { number, item in
      packet(.putMutable(item, token: tokens[number] ?? [], compareAndSwap: nil), number)
    }
    before = (ProcessTime(of: process), now().instant)
    let put = exchange(puts)
    DHTLoad.show(
      "verified puts/s", Double(put.answered) / ((now().instant - before.1) / .seconds(1)), per: put.answered,
      ProcessTime(of: process).since(before.0), [("refused", Double(put.refused)), ("lost", Double(put.lost))])
  }
}
