import Identity
import Primitives
import Testing

@Suite struct NodeStatementTests {
  private let now = Timestamp(milliseconds: 1_763_600_000_000)

  @Test("a statement of an active device holds for its node, until it is over")
  func validity() throws {
    var record = try People.record(devices: [3, 4])
    let node = People.key(9).publicKey
    let statement = NodeStatement(node: node, person: record.id, now: now, device: People.key(3))
    let read = try NodeStatement(decoding: statement.encoded)
    #expect(read == statement && read.notAfter == now.advanced(milliseconds: 30 * 86_400_000))
    #expect(read.isValid(for: node, in: record, at: now))
    #expect(read.isValid(for: node, in: record, at: read.notAfter))
    #expect(!read.isValid(for: node, in: record, at: read.notAfter.advanced(milliseconds: 1)))
    #expect(!read.isValid(for: People.key(8).publicKey, in: record, at: now))
    let other = PersonRecord(creating: People.key(5), recovery: People.key(2).publicKey)
    #expect(!read.isValid(for: node, in: other, at: now))
    #expect(read.isValid(for: node, in: record, at: now.advanced(milliseconds: -86_400_000)))
    #expect(!read.isValid(for: node, in: record, at: now.advanced(milliseconds: -86_400_001)))
    try record.revoke(device: People.key(3).publicKey, lastGood: .init(1), hash: People.hash(1), with: People.key(1))
    #expect(!read.isValid(for: node, in: record, at: now))
    let stranger = NodeStatement(node: node, person: record.id, now: now, device: People.key(7))
    #expect(!stranger.isValid(for: node, in: record, at: now))
  }

  @Test("every change of one byte and every cut is refused")
  func tampering() throws {
    let statement = NodeStatement(
      node: People.key(9).publicKey, person: try People.record().id, now: now, device: People.key(3))
    let bytes = statement.encoded
    for index in bytes.indices {
      for mask: UInt8 in [1, 0x20, 0xFF] {
        var changed = bytes
        changed[index] ^= mask
        #expect(throws: IdentityError.self, "byte \(index)") { try NodeStatement(decoding: changed) }
      }
      #expect(throws: IdentityError.self) { try NodeStatement(decoding: Array(bytes[..<index])) }
    }
    #expect(throws: IdentityError.self) { try NodeStatement(decoding: bytes + [0]) }
  }
}
