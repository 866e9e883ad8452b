import Dispatch
import Events
import Identity
import Primitives

/// Signatures that wait to be checked, many at a time on all cores: at about 40 µs each they are nearly the whole cost of
/// verifying a store of many small logs.
struct SignatureChecks {
  enum Check: Sendable {
    case event(EventHeader, Signature)
    case record([UInt8], PersonID)

    /// What is wrong, if anything is.
    var damage: Damage? {
      switch self {
      case .event(let header, let signature):
        header.isSigned(by: signature)
          ? nil
          : Damage(
            log: header.log, range: header.sequence...header.sequence, message: "its signature does not hold")
      case .record(let bytes, let person):
        (try? PersonRecord(decoding: bytes)) != nil
          ? nil : Damage(log: nil, range: nil, message: "person \(person): the record does not prove itself")
      }
    }
  }

  private var waiting: [Check] = []

  /// Bounds the memory held, about 400 bytes a check.
  private static let waitingMaximum = 8_192
  private static let pieces = 32

  /// Takes a check; from time to time it does those that wait and returns what they found.
  mutating func add(_ check: Check) -> [Damage] {
    waiting.append(check)
    return waiting.count < Self.waitingMaximum ? [] : finish()
  }

  /// Does what waits.
  mutating func finish() -> [Damage] {
    let checks = waiting
    waiting = []
    guard checks.count > 1 else { return checks.compactMap(\.damage) }
    let found = Found()
    let length = (checks.count + Self.pieces - 1) / Self.pieces
    DispatchQueue.concurrentPerform(iterations: Self.pieces) { piece in
      let start = piece * length
      guard start < checks.count else { return }
      found.add(piece, checks[start..<min(start + length, checks.count)].compactMap(\.damage))
    }
    return found.inOrder
  }

  /// What the pieces found, in their order.
  /// `@unchecked Sendable`: the dictionary is touched on `queue` only.
  private final class Found: @unchecked Sendable {
    private let queue = DispatchQueue(label: "tl.store.signatures")
    private var pieces: [Int: [Damage]] = [:]

    func add(_ piece: Int, _ damage: [Damage]) {
      guard !damage.isEmpty else { return }
      queue.sync { pieces[piece] = damage }
    }

    var inOrder: [Damage] { queue.sync { pieces.sorted { $0.key < $1.key }.flatMap(\.value) } }
  }
}
