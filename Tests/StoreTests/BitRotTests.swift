import Events
import Identity
import Primitives
import Store
import Testing

/// RELIABILITY A5: every byte of a small store in turn; a few hundred of them in a normal run, all with TL_LONG=1.
@Suite struct BitRotTests {
  /// Used bytes densely, the zeros of empty space now and then; one seeded bit of each.
  private static func flips(_ bytes: [UInt8], every used: Int, zeros: Int) -> [(position: Int, bit: UInt8)] {
    var random = SeededRandom(seed: 11)
    let used = TestSize.isSmall ? 5 * used : used
    let zeros = TestSize.isSmall ? 5 * zeros : zeros
    var usedSeen = 0
    var zerosSeen = 0
    return bytes.indices.compactMap { position in
      let bit = UInt8(1) << UInt8(random.next() % 8)
      if bytes[position] == 0 { zerosSeen += 1 } else { usedSeen += 1 }
      let isChosen =
        TestSize.isLong || (bytes[position] == 0 ? zerosSeen.isMultiple(of: zeros) : usedSeen.isMultiple(of: used))
      return isChosen ? (position, bit) : nil
    }
  }

  @Test("a flipped bit anywhere in the file is found, or changes nothing that is shown")
  func database() throws {
    let small = try SmallStore()
    let bytes = try #require(small.files.database)
    for (position, bit) in Self.flips(bytes, every: 307, zeros: 4001) {
      var files = small.files
      files.database![position] ^= bit
      let what = "byte \(position), page \(position / 4096 + 1), bit \(bit)"
      if case .sound(let shown) = small.outcome(files, what) { #expect(shown == small.listing, "\(what): not found") }
      if case .sound(let shown) = small.inspected(files, what) {
        #expect(shown.events == small.listing.events, "\(what): not found by the inspector")
      }
    }
  }

  @Test("a flipped bit in the write-ahead log is found, or loses no more than the last transaction")
  func writeAheadLog() throws {
    let small = try SmallStore(keepsLog: true)
    let bytes = try #require(small.files.writeAheadLog)
    let whole = try #require(small.inspectedCount(small.files))
    for (position, bit) in Self.flips(bytes, every: 401, zeros: 2003) {
      var files = small.files
      files.writeAheadLog![position] ^= bit
      let what = "byte \(position) of the log, bit \(bit)"
      if case .sound(let shown) = small.outcome(files, what) {
        // A transaction at the very end that is not whole may also be one that never ended.
        #expect(shown.events.count >= whole - 2, "\(what): not found")
      }
      if case .sound(let shown) = small.inspected(files, what) {
        #expect(shown.events.count >= whole - 2, "\(what): not found by the inspector")
      }
    }
  }
}

extension SmallStore {
  func inspectedCount(_ files: Files) -> Int? {
    guard case .sound(let shown) = inspected(files, "as it was") else { return nil }
    return shown.events.count
  }
}
