import DHT
import Identity
import Primitives
import Testing

@Suite struct VectorTests {
  static func bytes(_ hex: String) -> [UInt8] { Hex.decode(hex)! }

  @Test(
    "the vectors of BEP 42",
    arguments: [
      (IPAddress(124, 31, 75, 21), "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
      (IPAddress(21, 75, 31, 124), "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
      (IPAddress(65, 23, 51, 170), "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
      (IPAddress(84, 124, 73, 14), "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
      (IPAddress(43, 213, 53, 83), "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
    ])
  func secureIDs(address: IPAddress, hex: String) throws {
    let id = try #require(NodeID(hex: hex))
    #expect(id.fits(address))
    var others = id.bytes
    others[2] ^= 0x08  // the last of the 21 bits
    #expect(!NodeID(others)!.fits(address))
    others = id.bytes
    others[2] ^= 0x04
    #expect(NodeID(others)!.fits(address))
  }

  @Test("an id made for an address fits it, and hardly another; local addresses take any")
  func ownIDs() throws {
    var random = SeededRandom(seed: 1)
    let v6 = try #require(IPAddress(Self.bytes("20010470000000000000000000000001")))
    for address in [IPAddress(8, 8, 8, 8), v6] {
      for _ in 0..<50 {
        let id = NodeID(for: address, random: &random)
        #expect(id.fits(address))
        #expect(!id.fits(IPAddress(9, 9, 9, 9)))
        #expect(id.fits(IPAddress(192, 168, 3, 4)) && id.fits(IPAddress(127, 0, 0, 1)))
      }
    }
  }

  // The private key of the BEP is an expanded one, from which libsodium does not sign; what is signed and the signature are
  // in the vectors.
  static let key = PublicKey(hex: "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")!

  @Test(
    "the vectors of BEP 44: mutable, without and with salt",
    arguments: [
      (
        "", "3:seqi1e1:v12:Hello World!", "4a533d47ec9c7d95b1ad75f576cffc641853b750",
        "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
          + "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"
      ),
      (
        "foobar", "4:salt6:foobar3:seqi1e1:v12:Hello World!", "411eba73b6f087ca51a3795d9c8c938d365e32c1",
        "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
          + "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"
      ),
    ])
  func mutable(salt: String, signed: String, target: String, signature: String) throws {
    var item = MutableItem(
      key: Self.key, salt: Array(salt.utf8), sequence: 1, value: Array("12:Hello World!".utf8),
      signature: try #require(Signature(Self.bytes(signature))))
    #expect(MutableItem.signedBytes(salt: item.salt, sequence: 1, value: item.value) == Array(signed.utf8))
    #expect(item.target.hex == target)
    #expect(item.isSigned)
    item.sequence = 2
    #expect(!item.isSigned)
  }

  @Test("the vector of BEP 44: immutable")
  func immutable() {
    #expect(
      ImmutableItem(value: Array("12:Hello World!".utf8)).target.hex == "e5f96f6f38320f0f33959cb4d3d656452117aadb")
  }

  @Test("no signature of ours can be taken for one of BEP 44, nor the other way round")
  func domains() {
    let begin = SignatureDomain.allCases.map { String(decoding: $0.prefix.prefix(3), as: UTF8.self) }
    #expect(Set(begin) == ["tl-"])
    #expect(MutableItem.signedBytes(salt: [], sequence: 1, value: []).starts(with: Array("3:seq".utf8)))
    #expect(MutableItem.signedBytes(salt: [1], sequence: 1, value: []).starts(with: Array("4:salt".utf8)))
  }

  @Test(
    "an address is of its class",
    arguments: [
      ("08080808", AddressClass.global), ("0a000001", .privateNetwork), ("ac1fffff", .privateNetwork),
      ("ac200000", .global), ("c0a80101", .privateNetwork), ("a9fe0101", .privateNetwork),
      ("64400001", .privateNetwork),
      ("64800001", .global), ("7f010203", .loopback), ("00000000", .martian), ("00010203", .martian),
      ("c0000201", .martian), ("c0000001", .martian), ("c6120001", .martian), ("c6130001", .martian),
      ("c6336401", .martian), ("cb007101", .martian), ("e0000001", .martian), ("ffffffff", .martian),
      ("00000000000000000000000000000000", .martian), ("00000000000000000000000000000001", .loopback),
      ("00000000000000000000ffff7f000001", .loopback), ("00000000000000000000ffff0a000001", .privateNetwork),
      ("00000000000000000000ffff08080808", .global), ("fc000000000000000000000000000001", .privateNetwork),
      ("fe800000000000000000000000000001", .privateNetwork), ("ff020000000000000000000000000001", .martian),
      ("20010db8000000000000000000000001", .martian), ("20010000000000000000000000000001", .martian),
      ("20014860000000000000000000008888", .global),
    ])
  func addressClasses(hex: String, kind: AddressClass) throws {
    #expect(try #require(IPAddress(Self.bytes(hex))).addressClass == kind)
  }

  @Test(
    "an address is written as people write it",
    arguments: [
      ("c0000201", "192.0.2.1:7"), ("20010db8000000000000000000000001", "[2001:db8::1]:7"),
      ("00000000000000000000000000000000", "[::]:7"), ("20010db8000000010001000100010001", "[2001:db8:0:1:1:1:1:1]:7"),
      ("20010000000000010000000000000001", "[2001:0:0:1::1]:7"),
    ])
  func addressText(hex: String, text: String) throws {
    let endpoint = Endpoint(try #require(IPAddress(Self.bytes(hex))), port: 7)
    #expect(endpoint.description == text)
    #expect(Endpoint(compact: endpoint.compact) == endpoint)
  }

  @Test("a neighbour shares exactly the bits it should", arguments: [0, 1, 63, 64, 65, 127, 128, 129, 158, 159])
  func neighbours(bits: Int) {
    var random = SeededRandom(seed: UInt64(bits))
    for _ in 0..<20 {
      let id = NodeID(random: &random)
      #expect(id.neighbour(sharing: bits, random: &random).sharedBits(with: id) == bits)
    }
  }
}
