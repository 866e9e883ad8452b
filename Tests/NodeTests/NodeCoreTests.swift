import Identity
import Node
import Primitives
import Replication
import Testing

@Suite struct NodeCoreTests {
  @Test(
    "the record that answers a join comes whole, however many frames it takes", arguments: [0, 5, 524_288, 2_200_000])
  func longRecord(count: Int) {
    let record = [UInt8](repeating: 1, count: count / 2) + [UInt8](repeating: 2, count: count - count / 2)
    let request = PeerVectors.request
    let now = Moment.start
    let peer = NodeCore.ConnectionID(1)
    var holder = NodeCore()
    _ = holder.handle(.connected(peer, node: PublicKey(hashing: [1]), dialled: nil), at: now)
    let asked = holder.handle(
      .received(peer, type: Message.join(request).type, body: Message.join(request).body), at: now)
    #expect(asked == [.certify(peer, request)])
    var answer = holder.handle(.certified(peer, record), at: now)
    #expect(answer.popLast() == .close(peer))

    var device = NodeCore()
    let sync = NodeCore.SyncID(7)
    guard case .dial(let dial, _)? = device.handle(.join(sync, .init(address: "a:1"), request), at: now).first else {
      Issue.record("no dial")
      return
    }
    #expect(
      device.handle(.connected(peer, node: PublicKey(hashing: [2]), dialled: dial), at: now) == [
        .send(peer, .join(request))
      ])
    var isJoined = false
    for (index, effect) in answer.enumerated() {
      guard case .send(_, let message) = effect else { continue }
      let effects = device.handle(.received(peer, type: message.type, body: message.body), at: now)
      #expect(
        effects == (index + 1 < answer.count ? [] : [.joined(sync, record: record, reason: nil), .close(peer)]))
      isJoined = effects.first == .joined(sync, record: record, reason: nil)
    }
    #expect(isJoined)
  }

  @Test("a record that does not end is given up")
  func endlessRecord() throws {
    let now = Moment.start
    let peer = NodeCore.ConnectionID(1)
    var device = NodeCore()
    _ = device.handle(.join(NodeCore.SyncID(7), .init(address: "a:1"), PeerVectors.request), at: now)
    _ = device.handle(.connected(peer, node: PublicKey(hashing: [2]), dialled: NodeCore.DialID(0)), at: now)
    let part = Message.joined([UInt8](repeating: 0, count: MessageLimits.recordPartBytes), more: true)
    let effects = (0..<5).map { _ in device.handle(.received(peer, type: part.type, body: part.body), at: now) }
    #expect(effects.dropLast() == [[], [], [], []])
    #expect(effects.last?.first == .close(peer))
  }

  @Test("a peer that has no room before it greets is dialled again, three times")
  func crowdedPeer() {
    let now = Moment.start
    var core = NodeCore()
    let sync = NodeCore.SyncID(7)
    var effects = core.handle(.sync(sync, [.init(address: "a:1")], .init()), at: now)
    for round in 0..<4 {
      guard case .dial(let dial, let target)? = effects.last else {
        Issue.record("no dial in round \(round): \(effects)")
        return
      }
      #expect(target.address == "a:1")
      let peer = NodeCore.ConnectionID(UInt64(round))
      _ = core.handle(.connected(peer, node: PublicKey(hashing: [2]), dialled: dial), at: now)
      let farewell = Message.bye(.busy)
      effects = core.handle(.received(peer, type: farewell.type, body: farewell.body), at: now)
    }
    guard case .syncEnded(sync, let ends)? = effects.last else {
      Issue.record("not ended: \(effects)")
      return
    }
    #expect(ends.count == 1 && ends[0].report?.ending == .farewell(.busy) && ends[0].failure != nil)
  }
}
