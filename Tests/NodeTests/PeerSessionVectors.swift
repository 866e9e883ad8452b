import Identity
import Node
import Primitives
import Replication
import Simulator
import Testing
import Transport

extension PeerVectors {
  /// What a node hears from one that dialled it. The node holds nothing, is interested in nobody and met the other never.
  /// Each with the farewell that the last message brings, and why; nil where it brings none.
  private func dialogues() -> [(name: String, messages: [Message], farewell: Message.Farewell?)] {
    let both = [Self.ada, Self.bob].sorted()
    let hello = Self.hello()
    let stranger = Message.statement([0x80])
    let endless = Message.Digest(
      tier: .list, page: DigestPage(persons: [], logs: [], next: 1, mark: ChangeMark(number: 2, cookie: 0)))
    let wants = { (first: UInt32, count: Int) in
      Message.want(
        .init(
          first: first,
          items: (0..<count).map {
            let sequence = SequenceNumber(UInt64(count - $0))
            return Message.Want.Item(log: LogName(Self.log), from: sequence, to: sequence, chained: false)
          }, bytesMaximum: nil))
    }
    return [
      (
        "a session",
        [
          Self.hello(both), stranger, .interests([both[0]], more: true), .interests([both[1]], more: false),
          .digest(Self.nothing), .recordWant([Self.ada]), wants(0, 2), wants(2, 1), .evidenceWant([LogName(Self.log)]),
          .done, .bye(.finished),
        ], nil
      ),
      ("a name before the greeting", [.find("ada"), .find("bob"), Self.hello(both)], nil),
      ("a name in a session", [hello, .find("ada")], .fault), ("names that nobody asked for", [.found([])], .fault),
      ("a port to dial before the greeting", [.dialBack(port: 7001)], .fault),
      ("a port to dial in a session", [hello, .dialBack(port: 7001)], .fault),
      ("a sign of life in a session", [hello, .alive], .fault),
      ("a message before the greeting", [.done], .fault), ("a farewell before the greeting", [.bye(.busy)], nil),
      ("two greetings", [hello, hello], .fault),
      ("a greeting of a later version", [Self.hello(version: 2)], .version),
      ("two statements", [hello, stranger, stranger], .fault),
      ("a join in a session", [hello, .join(Self.request)], .fault),
      ("a record of a join in a session", [hello, .joined([], more: false)], .fault),
      ("interests other than those greeted with", [hello, .interests([Self.ada], more: false)], .fault),
      ("interests out of order", [Self.hello(both.reversed()), .interests(both.reversed(), more: false)], .fault),
      (
        "a person twice among the interests",
        [Self.hello([Self.ada, Self.ada]), .interests([Self.ada, Self.ada], more: false)], .fault
      ),
      (
        "interests told again count for nothing", [hello, .interests([], more: false), .interests(both, more: false)],
        nil
      ),
      ("a second digest", [hello, .digest(Self.nothing), .digest(Self.nothing)], .fault),
      ("a page without entries that is not the last", [hello, .digest(endless)], .fault),
      ("a page wanted that nobody spoke of", [hello, .interests([], more: false), .digestNext], .fault),
      ("a record nobody asked for", [hello, .record(Self.ada, [], more: false)], .fault),
      ("evidence nobody asked for", [hello, .evidence(Self.log, [])], .fault),
      ("a run nobody asked for", [hello, .run([0])], .fault),
      ("an end of nothing", [hello, .end([0: .complete])], .fault),
      ("wants that begin at 1", [hello, wants(1, 1)], .fault),
      ("wants that leave a gap", [hello, wants(0, 1), wants(2, 1)], .fault),
    ]
  }

  static let request = Message.JoinRequest(
    secret: [UInt8](repeating: 0, count: 16), device: PublicKey(hashing: [1]), label: "",
    consent: Signature([UInt8](repeating: 0, count: 64))!)

  func sessions() -> [JSON] {
    dialogues().map { name, messages, farewell in
      for count in 0..<messages.count {
        #expect(farewells(to: messages[..<count]) == [], "\(name)")
      }
      #expect(farewells(to: messages[...]) == (farewell.map { [$0] } ?? []), "\(name)")
      return .table([
        ("name", .string(name)),
        ("frames", .array(messages.map { .hex(encodeFrame(Frame(type: $0.type, body: $0.body))) })),
        ("farewell", farewell.map { .integer(Int64($0.rawValue)) } ?? .null),
      ])
    }
  }

  /// What a fresh node says in farewell, but for the end of a good session.
  private func farewells(to messages: ArraySlice<Message>) -> [Message.Farewell] {
    let store = ModelStore(seed: 1)
    var core = NodeCore()
    let now = Moment.start
    let peer = NodeCore.ConnectionID(1)
    var effects = core.handle(.connected(peer, node: PublicKey(hashing: [9]), dialled: nil), at: now)
    var said: [Message.Farewell] = []
    var inputs = messages.map { NodeCore.Input.received(peer, type: $0.type, body: $0.body) }[...]
    while !effects.isEmpty || !inputs.isEmpty {
      guard !effects.isEmpty else {
        effects = core.handle(inputs.removeFirst(), at: now)
        continue
      }
      switch effects.removeFirst() {
      case .store(let ticket, let request): effects += core.handle(.store(ticket, store.answer(request)), at: now)
      case .send(_, .bye(let reason)): said.append(reason)
      default: break
      }
    }
    return said
  }
}
