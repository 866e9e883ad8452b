import Primitives
import Testing

@Suite struct TextCodeTests {
  @Test(
    "RFC 4648 §10 base32 vectors",
    arguments: [
      ("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb"),
      ("foobar", "mzxw6ytboi"),
    ])
  func base32(plain: String, code: String) {
    #expect(Base32.encode(plain.utf8) == code)
    #expect(Base32.decode(code) == Array(plain.utf8))
  }

  @Test("left-over bits and foreign characters are refused", arguments: ["m", "mz1", "mzx!", "mb"])
  func base32Bad(code: String) { #expect(Base32.decode(code) == nil) }

  @Test func hexRoundTrip() {
    #expect(Hex.encode([0, 255, 16]) == "00ff10")
    #expect(Hex.decode("00FF10") == [0, 255, 16])
    #expect(Hex.decode("0") == nil)
    #expect(Hex.decode("0g") == nil)
  }
}

@Suite struct TimeTests {
  @Test(
    "RFC 3339 there and back",
    arguments: [
      (Int64(0), "1970-01-01T00:00:00.000Z"), (1_704_067_200_000, "2024-01-01T00:00:00.000Z"),
      (951_782_400_123, "2000-02-29T00:00:00.123Z"), (-1, "1969-12-31T23:59:59.999Z"),
    ])
  func rfc3339(milliseconds: Int64, text: String) {
    #expect(Timestamp(milliseconds: milliseconds).rfc3339 == text)
    #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
  }

  @Test("offsets and fractions")
  func offsets() {
    #expect(Timestamp(rfc3339: "2020-01-01T00:00:00+01:00")?.rfc3339 == "2019-12-31T23:00:00.000Z")
    #expect(Timestamp(rfc3339: "2020-01-01T00:00:00.123456-05:30")?.rfc3339 == "2020-01-01T05:30:00.123Z")
  }

  @Test(
    "malformed times are refused",
    arguments: [
      "", "2024-08-75T13:04:00Z", "a021-01-01T00:00:00Z", "2020-01-01T00:00:00", "2020-01-01T00:00:00:05:00",
      "2020-02-30T00:00:00Z", "2020-01-01T24:00:00Z", "2020-01-01", "2020-01-01T00:00:00.Z", "2020-01-01T00:00:00Zx",
    ])
  func malformed(text: String) { #expect(Timestamp(rfc3339: text) == nil) }
}

@Suite struct ByteTests {
  @Test("varints there and back", arguments: [UInt64(0), 1, 127, 128, 300, 1 << 32, .max])
  func varint(value: UInt64) throws {
    var writer = ByteWriter()
    writer.varint(value)
    var reader = ByteReader(writer.bytes)
    #expect(try reader.varint() == value)
    #expect(reader.isAtEnd)
  }

  @Test(
    "a varint over 64 bits or with superfluous bytes is refused",
    arguments: [
      [UInt8](repeating: 0xFF, count: 10), [0x80, 0x00], [UInt8](repeating: 0x80, count: 11), [0x80],
    ])
  func badVarint(bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    #expect(throws: ByteError.self) { try reader.varint() }
  }

  @Test func zigzagRoundTrip() {
    for value in [Int64.min, -2, -1, 0, 1, 2, .max] { #expect(unzigzag(zigzag(value)) == value) }
  }

  @Test("32 bytes compare bytewise")
  func order() {
    struct Role {}
    var low = [UInt8](repeating: 0, count: 32)
    low[0] = 1
    var high = [UInt8](repeating: 0, count: 32)
    high[31] = 255
    #expect(Bytes32<Role>(high)! < Bytes32<Role>(low)!)
    #expect(Bytes32<Role>(hex: Bytes32<Role>(low)!.hex) == Bytes32<Role>(low)!)
  }
}

@Suite struct CacheTests {
  @Test("the cache never costs more than its bound and keeps what was used last")
  func bound() {
    var cache = LeastRecentlyUsed<Int, Int>(costMaximum: 100)
    for key in 0..<1000 {
      cache.insert(key, for: key, cost: 7)
      _ = cache.value(0)
      #expect(cache.cost <= 100)
    }
    #expect(cache.value(0) == 0)
    #expect(cache.value(999) == 999)
    cache.insert(1, for: 1, cost: 101)
    #expect(cache.value(1) == nil)
  }
}
