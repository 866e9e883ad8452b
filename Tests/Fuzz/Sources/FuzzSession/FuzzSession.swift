import Identity
import Node
import Primitives
import Replication
import Store
import Timelines
import Transport

/// What a peer sends, from its first byte on: frames, sessions, the store behind them. What the node says is well formed,
/// nothing follows its farewell, and the store is never at fault. It forgets everything afterwards: most inputs are one
/// transaction that is rolled back, and one length in eight meets a fresh store, which commits what it takes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  var decoder = FrameDecoder()
  var frames: [Frame] = []
  try? bytes.withUnsafeBytes { try decoder.append($0.bytes, into: &frames) }
  if count % 8 == 7 {
    let fresh = makeBridge()
    talk(frames, with: fresh)
    do {
      let damage = try fresh.store.verify(full: true)
      precondition(damage.isEmpty, "\(damage)")
    } catch { preconditionFailure("\(error)") }
    return 0
  }
  do {
    try bridge.store.batch {
      talk(frames, with: bridge)
      throw Forget()
    }
  } catch {
    precondition(error is Forget, "\(error)")
  }
  return 0
}

private struct Forget: Error {}

/// Whose record is among the kept inputs.
private let followed = PersonID(text: "a95e94f51f8c8536d9a05e3970654cc940d8fa6c0a43868d6d620c3819b63a66")!

// One thread calls.
nonisolated(unsafe) private let bridge = makeBridge()

private func makeBridge() -> StoreBridge {
  let random: @Sendable (Int) -> [UInt8] = { [UInt8](repeating: 7, count: $0) }
  return StoreBridge(
    store: try! EventStore(
      writing: "store", authority: .alone,
      environment: StorageEnvironment(disk: MemoryDisk(), random: random, now: { time }),
      readModels: [TimelineModel()]),
    interests: { [followed] }, now: { time }, random: random)
}

private let time = Timestamp(milliseconds: 1_800_000_000_000)

private func talk(_ frames: [Frame], with bridge: StoreBridge) {
  var core = NodeCore(limits: .init(stands: true), node: PublicKey(hashing: [0]))
  let now = Moment(instant: Instant(nanoseconds: 0), wall: time)
  let peer = NodeCore.ConnectionID(1)
  var isOver = false
  func perform(_ effects: [NodeCore.Effect]) {
    for effect in effects {
      switch effect {
      case .store(let ticket, let request):
        let reply = bridge.answer(request)
        if case .failed(let reason) = reply { preconditionFailure("\(request): \(reason)") }
        perform(core.handle(.store(ticket, reply), at: now))
      case .send(_, let message):
        precondition(!isOver, "said \(message) after its farewell")
        let body = message.body
        precondition(body.count <= Frame.bodyMaximum, "too long to be sent")
        precondition((try? Message(type: message.type, body: body)) == message, "said what cannot be read")
        if case .bye = message { isOver = true }
      case .close: isOver = true
      case .certify(let id, _): perform(core.handle(.certified(id, nil), at: now))
      case .dial, .abandon, .pauseReading, .resumeReading, .sessionEnded, .syncEnded, .joined, .standingBegan,
        .standingEnded, .survey, .signHead, .left, .searchEnded, .foundPersons, .reachabilityChanged:
        break
      case .sendDatagram, .dhtJoined, .dhtFoundPeers, .dhtFoundItem, .dhtFinished, .saveContacts:
        preconditionFailure("\(effect) without a DHT")
      }
    }
  }
  perform(core.handle(.connected(peer, node: PublicKey(hashing: [1]), dialled: nil), at: now))
  for frame in frames { perform(core.handle(.received(peer, type: frame.type, body: frame.body), at: now)) }
  perform(core.handle(.disconnected(peer, nil), at: now))
  precondition(core.sessionCount == 0, "a session without a connection")
}
