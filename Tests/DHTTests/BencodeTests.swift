import DHT
import Primitives
import Testing

@Suite struct BencodeTests {
  static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test(
    "what is no bencoding is refused",
    arguments: [
      "", "i", "ie", "i-e", "i12", "i1x", "4:abc", "4", "4:", ":", "-1:a", "99999999999:a", "l", "d", "le1", "i1ei2e",
      "d1:ae", "di1ei2ee", "d1:ai1e", "x", "e", "dl1:aee", "i9223372036854775808e", "i-9223372036854775809e", "1:a ",
    ])
  func malformed(text: String) {
    #expect(throws: ByteError.self) { try Bencode(Self.bytes(text)) }
  }

  @Test(
    "what is bencoding is read, and said to be canonical or not",
    arguments: [
      ("i0e", true), ("i-1e", true), ("i-0e", false), ("i01e", false), ("i9223372036854775807e", true),
      ("i-9223372036854775808e", true), ("0:", true), ("01:a", false), ("le", true), ("de", true),
      ("d1:ai1e1:bi2ee", true),
      ("d1:bi1e1:ai2ee", false), ("d1:ai1e1:ai2ee", false), ("d0:le1:alee", true), ("d1:al1:b1:aee", true),
      ("ld1:bi1e1:ai1eee", false), ("d1:a1:x2:aa1:y1:b1:ze", true),
    ])
  func wellFormed(text: String, isCanonical: Bool) throws {
    #expect(try Bencode(Self.bytes(text)).isCanonical == isCanonical)
  }

  @Test("depth and number of values are bounded")
  func bounds() throws {
    let depth = Bencode.depthMaximum
    _ = try Bencode(Self.bytes(String(repeating: "l", count: depth) + String(repeating: "e", count: depth)))
    #expect(throws: ByteError.self) {
      try Bencode(Self.bytes(String(repeating: "l", count: depth + 1) + String(repeating: "e", count: depth + 1)))
    }
    #expect(throws: ByteError.self) { try Bencode(Self.bytes(String(repeating: "l", count: 400))) }
    let count = Bencode.tokensMaximum
    _ = try Bencode(Self.bytes("l" + String(repeating: "0:", count: count - 1) + "e"))
    #expect(throws: ByteError.self) { try Bencode(Self.bytes("l" + String(repeating: "0:", count: count) + "e")) }
  }

  @Test("a value is found with the bytes it was received as")
  func ranges() throws {
    let packet = try Bencode(Self.bytes("d1:ad1:vd1:bi02e1:ai1eee1:zi-7ee"))
    let inner = packet.value("a", in: packet.root)
    let value = try #require(packet.value("v", in: inner))
    #expect(packet.bytes[packet.range(of: value)].elementsEqual(Self.bytes("d1:bi02e1:ai1ee")))
    #expect(packet.integer(packet.value("z", in: packet.root)) == -7)
    #expect(packet.integer(packet.value("b", in: value)) == 2)
    #expect(packet.value("y", in: packet.root) == nil)
    #expect(packet.string(packet.value("z", in: packet.root)) == nil)
    #expect(packet.elements(of: packet.root).isEmpty)
  }

  @Test("what the writer makes is read again")
  func writer() throws {
    var writer = BencodeWriter()
    writer.beginDictionary()
    writer.key("a")
    writer.integer(.min)
    writer.key("l")
    writer.beginList()
    writer.string([UInt8](repeating: 7, count: 1234))
    writer.string([])
    writer.end()
    writer.end()
    let read = try Bencode(writer.bytes)
    #expect(read.isCanonical)
    #expect(read.integer(read.value("a", in: read.root)) == .min)
    #expect(read.elements(of: read.value("l", in: read.root)).map { read.string($0)?.count } == [1234, 0])
  }
}
