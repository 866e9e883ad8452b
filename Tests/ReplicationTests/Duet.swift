import Events
import Identity
import Primitives
import Replication
import Simulator

/// Two sessions and their stores, joined by two queues that a test can cut.
struct Duet {
  var exchanges: [Exchange]
  let stores: [ModelStore]
  var wires: [[(UInt8, [UInt8])]] = [[], []]
  var endings: [Exchange.Ending?] = [nil, nil]
  var bytes = [0, 0]
  var now = Instant(nanoseconds: 0)

  init(_ a: ModelStore, _ b: ModelStore, options: Exchange.Options = .init()) {
    stores = [a, b]
    exchanges = [
      Exchange(role: .initiator, node: b.node, options: options, at: now),
      Exchange(role: .responder, node: a.node, options: options, at: now),
    ]
  }

  /// Runs until nothing moves, or until `cut` messages were delivered.
  mutating func run(cutAfter cut: Int = .max) throws {
    for side in 0...1 { try perform(exchanges[side].start(), side) }
    var delivered = 0
    while let side = (0...1).first(where: { !wires[$0].isEmpty }), delivered < cut {
      let (type, body) = wires[side].removeFirst()
      delivered += 1
      let message = try Message(type: type, body: body)!
      try perform(exchanges[side].handle(.received(message), at: now), side)
    }
  }

  private mutating func perform(_ effects: [Exchange.Effect], _ side: Int) throws {
    for effect in effects {
      switch effect {
      case .send(let message):
        bytes[side] += message.body.count + 5
        wires[1 - side].append((message.type, message.body))
      case .store(let request):
        try perform(exchanges[side].handle(.store(stores[side].answer(request)), at: now), side)
      case .close(let ending): endings[side] = ending
      case .rest: endings[side] = .finished
      case .pauseReading, .resumeReading: break
      }
    }
  }
}
