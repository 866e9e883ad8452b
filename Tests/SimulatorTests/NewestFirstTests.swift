import Events
import Identity
import Node
import Primitives
import Replication
import Simulator
import Store
import Testing

/// A session of two real stores that is cut when the reader has got so many bytes.
private struct CutSession {
  private let stores: [any StoreAnswering]
  private var exchanges: [Exchange]
  private var wires: [[Message]] = [[], []]
  /// What the reader has got, in frames.
  private(set) var bytes = 0

  /// - Parameter reader: dials; side 0.
  init(reader: SimulatedPeer, source: SimulatedPeer) {
    stores = [reader.open(), source.open()]
    let keys = [PublicKey(hashing: [0]), PublicKey(hashing: [1])]
    exchanges = [
      Exchange(role: .initiator, node: keys[1], options: .init(), at: Instant(nanoseconds: 0)),
      Exchange(role: .responder, node: keys[0], options: .init(), at: Instant(nanoseconds: 0)),
    ]
  }

  mutating func run(bytesMaximum: Int = .max) {
    for side in 0...1 { perform(exchanges[side].start(), side) }
    while let side = (0...1).first(where: { !wires[$0].isEmpty }) {
      let message = wires[side].removeFirst()
      if side == 0 {
        bytes += message.body.count + 5
        if bytes > bytesMaximum { return }
      }
      perform(exchanges[side].handle(.received(message), at: Instant(nanoseconds: 0)), side)
    }
  }

  private mutating func perform(_ effects: [Exchange.Effect], _ side: Int) {
    for effect in effects {
      switch effect {
      case .send(let message): wires[1 - side].append(message)
      case .store(let request):
        perform(exchanges[side].handle(.store(stores[side].answer(request)), at: Instant(nanoseconds: 0)), side)
      case .rest, .close, .pauseReading, .resumeReading: break
      }
    }
  }
}

@Suite struct NewestFirstTests {
  @Test(
    "a first sync that is cut at any part of its bytes has brought the newest of every log, and of each about as much")
  func cut() throws {
    var random = SeededRandom(seed: 6)
    let authors = try (0..<6).map { _ in try SimulatedAuthor(&random) }
    let persons = authors.map(\.record.id)
    let count = 300
    let source = SimulatedPeer(seed: 1, interests: persons)
    _ = source.open()
    for author in authors {
      try source.store.merge(author.record)
      // Long enough that the logs fill many frames, and nothing that packs well.
      let drafts = (0..<count).map { _ in
        Draft(.post(.init(text: Hex.encode(random.bytes(500)))), ttl: 0, salt: random.bytes(8))
      }
      _ = try source.store.append(drafts, by: author.author)
    }
    let whole = SimulatedPeer(seed: 2, interests: persons)
    var session = CutSession(reader: whole, source: source)
    session.run()
    let head = SequenceNumber(UInt64(count))
    #expect(try whole.store.logs().map(\.ranges) == authors.map { _ in [.first...head] })

    var before = 0
    for percent in stride(from: 20, to: 100, by: 10) {
      let reader = SimulatedPeer(seed: UInt64(100 + percent), interests: persons)
      var cut = CutSession(reader: reader, source: source)
      cut.run(bytesMaximum: session.bytes * percent / 100)
      let held = try reader.store.logs().map(\.ranges)
      #expect(
        held.allSatisfy { $0.isEmpty || $0.count == 1 && $0[0].upperBound == head }, "not the newest at \(percent) %")
      let counts = try reader.store.logs().map { Int($0.eventCount) }
      // A chunk of such posts has 32 KiB.
      #expect(counts.count == authors.count && counts.max()! - counts.min()! <= 32, "\(counts) at \(percent) %")
      let sum = counts.reduce(0, +)
      #expect(sum >= before && sum > 0, "\(percent) %")
      before = sum
    }
    #expect(before > authors.count * count / 2)
  }
}
