import Primitives
import Testing

@Suite struct CBORTests {
  @Test(
    "RFC 8949 appendix A, the examples within our subset",
    arguments: [
      (UInt64(0), "00"), (10, "0a"), (23, "17"), (24, "1818"), (100, "1864"), (1000, "1903e8"),
      (1_000_000, "1a000f4240"),
      (1_000_000_000_000, "1b000000e8d4a51000"), (.max, "1bffffffffffffffff"),
    ])
  func unsigned(value: UInt64, hex: String) throws {
    var writer = CBORWriter()
    writer.unsigned(value)
    #expect(Hex.encode(writer.bytes) == hex)
    var reader = CBORReader(writer.bytes)
    #expect(try reader.unsigned() == value)
  }

  @Test("a longer head than needed is refused", arguments: ["1817", "190017", "1a00000017", "1b0000000000000017"])
  func notShortest(hex: String) {
    var reader = CBORReader(Hex.decode(hex)!)
    #expect(throws: ByteError.self) { try reader.unsigned() }
  }

  @Test(
    "skip refuses what is not deterministic",
    arguments: [
      "9f00ff", "5f4100ff", "c000", "f90000", "a201000100", "a202000100", "a18000", "61ff", "82", "820",
      "5b7fffffffffffffff",
    ])
  func skipRefuses(hex: String) {
    var reader = CBORReader(Hex.decode(hex.count % 2 == 0 ? hex : hex + "0")!)
    #expect(throws: ByteError.self) {
      try reader.skip()
      try reader.expectEnd()
    }
  }

  @Test("skip steps over nested items without recursion and stops at the depth limit")
  func depth() throws {
    var writer = CBORWriter()
    for _ in 0..<32 { writer.array(1) }
    writer.unsigned(1)
    var reader = CBORReader(writer.bytes)
    try reader.skip()
    #expect(reader.isAtEnd)
    var deep = CBORReader([UInt8](repeating: 0x81, count: 65_536))
    #expect(throws: ByteError.self) { try deep.skip() }
    var empty = CBORReader(Hex.decode("8280a0")!)
    try empty.skip()
    #expect(empty.isAtEnd)
  }

  @Test("every prefix of a valid item is refused without a trap")
  func truncation() throws {
    var writer = CBORWriter()
    writer.map(2)
    writer.unsigned(1)
    writer.text("grüße")
    writer.unsigned(2)
    writer.array(2)
    writer.integer(-500)
    writer.byteString([1, 2, 3])
    for length in 0..<writer.bytes.count {
      var reader = CBORReader(Array(writer.bytes[..<length]))
      #expect(throws: ByteError.self) { try reader.skip() }
    }
  }
}
