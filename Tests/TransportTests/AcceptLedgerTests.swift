import Primitives
import Testing
import Transport

@Suite struct AcceptLedgerTests {
  private static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

  /// Comes, shakes hands and goes at once.
  private func visit(
    _ ledger: inout AcceptLedger, _ source: [UInt8], isRated: Bool = true, at milliseconds: Int64
  ) -> AcceptLedger.Refusal? {
    let now = Self.at(milliseconds)
    if let refusal = ledger.admit(source, isRated: isRated, at: now) { return refusal }
    ledger.handshakeOver(source)
    ledger.over(source, at: now)
    return nil
  }

  @Test("counts by source and in all")
  func counts() {
    var limits = PeerLimits()
    limits.handshakesTotal = 5
    var ledger = AcceptLedger(limits: limits)
    let now = Self.at(0)
    for _ in 0..<4 { #expect(ledger.admit([1], isRated: true, at: now) == nil) }
    #expect(ledger.admit([1], isRated: true, at: now) == .handshakesPerSource)
    #expect(ledger.admit([2], isRated: true, at: now) == nil)
    #expect(ledger.admit([3], isRated: true, at: now) == .handshakesTotal)
    for _ in 0..<4 { ledger.handshakeOver([1]) }
    for _ in 0..<4 {
      #expect(ledger.admit([1], isRated: true, at: now) == nil)
      ledger.handshakeOver([1])
    }
    #expect(ledger.admit([1], isRated: true, at: now) == .livePerSource)
    #expect(ledger.live == 9 && ledger.handshakes == 1)
    for _ in 0..<8 { ledger.over([1], at: now) }
    #expect(ledger.live == 1)
    #expect(ledger.admit([1], isRated: true, at: now) == nil)
  }

  @Test("12 new connections of a source in a second, and one more every twelfth of it")
  func second() {
    var ledger = AcceptLedger(limits: PeerLimits())
    for _ in 0..<12 { #expect(visit(&ledger, [1], at: 0) == nil) }
    #expect(visit(&ledger, [1], at: 0) == .newPerSource)
    #expect(visit(&ledger, [1], at: 83) == .newPerSource)
    #expect(visit(&ledger, [1], at: 84) == nil)
    #expect(visit(&ledger, [1], at: 84) == .newPerSource)
    #expect(visit(&ledger, [2], at: 84) == nil)
  }

  @Test("48 new connections of a source in a minute, however they are spread")
  func minute() {
    var ledger = AcceptLedger(limits: PeerLimits())
    // One in 100 ms: the bucket of 48 loses 10 a second and gains 0.8.
    let taken = (Int64(0)..<600).filter { visit(&ledger, [1], at: 100 * $0) == nil }
    #expect(taken.count == 48 + 47)
    #expect(taken.prefix(52) == ArraySlice(0..<52))
    #expect(visit(&ledger, [1], at: 120_000) == nil)
  }

  @Test("a source that is not rated may come as often as it likes")
  func unrated() {
    var ledger = AcceptLedger(limits: PeerLimits())
    for _ in 0..<1_000 { #expect(visit(&ledger, [127, 0, 0, 1], isRated: false, at: 0) == nil) }
    #expect(ledger.sourceCount == 0)
  }

  @Test("a refused connection uses up nothing")
  func refused() {
    var ledger = AcceptLedger(limits: PeerLimits())
    for _ in 0..<12 { #expect(visit(&ledger, [1], at: 0) == nil) }
    for milliseconds in Int64(1)..<84 { #expect(visit(&ledger, [1], at: milliseconds) == .newPerSource) }
    #expect(visit(&ledger, [1], at: 84) == nil)
  }

  @Test("the memory of sources is bounded, and the busiest stay in it")
  func memory() {
    var limits = PeerLimits()
    limits.idleSourcesMaximum = 10
    var ledger = AcceptLedger(limits: limits)
    for _ in 0..<12 { #expect(visit(&ledger, [9, 9], at: 0) == nil) }
    for source in UInt8(0)..<200 {
      #expect(visit(&ledger, [source], at: 0) == nil)
      #expect(ledger.sourceCount <= 10)
    }
    #expect(visit(&ledger, [9, 9], at: 0) == .newPerSource)
    // Whoever came once is forgotten as soon as that says nothing any more: after 60/48 s.
    for source in UInt8(0)..<11 { #expect(visit(&ledger, [200 + source], at: 2_000) == nil) }
    #expect(ledger.sourceCount <= 11)
    #expect(visit(&ledger, [9, 9], at: 2_000) == nil)
  }

  @Test("any interleaving leaves the counts at zero, and takes no more than the rates allow", arguments: UInt64(0)..<20)
  func model(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var ledger = AcceptLedger(limits: PeerLimits())
    var now: Int64 = 0
    var open: [(source: [UInt8], isShaking: Bool)] = []
    var admitted: [[UInt8]: [Int64]] = [:]
    for _ in 0..<3_000 {
      now += Int64.random(in: 0...60, using: &random)
      let source = [UInt8.random(in: 0..<5, using: &random)]
      switch Int.random(in: 0..<3, using: &random) {
      case 0:
        guard ledger.admit(source, isRated: true, at: Self.at(now)) == nil else { continue }
        open.append((source, true))
        admitted[source, default: []].append(now)
      case 1:
        guard let index = open.firstIndex(where: \.isShaking) else { continue }
        open[index].isShaking = false
        ledger.handshakeOver(open[index].source)
      default:
        guard let index = open.firstIndex(where: { !$0.isShaking }) else { continue }
        ledger.over(open.remove(at: index).source, at: Self.at(now))
      }
      #expect(ledger.live == open.count && ledger.handshakes == open.count(where: \.isShaking))
    }
    for times in admitted.values {
      // In a span t a bucket gives at most what it holds and what comes meanwhile.
      for first in times.indices {
        for last in first..<times.count {
          let span = Double(times[last] - times[first]) / 1_000
          let count = Double(last - first + 1)
          #expect(count <= 12 + 12 * span + 1e-6 && count <= 48 + 0.8 * span + 1e-6)
        }
      }
    }
  }
}
