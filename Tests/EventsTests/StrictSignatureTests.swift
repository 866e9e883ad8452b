import Events
import Identity
import Primitives
import Testing

/// Signatures that sloppy verifiers accept (Chalkias, Garillot, Nikolaenko 2020, "Taming the many EdDSAs"), made for our
/// own headers by plain curve arithmetic, so that each meets the equation that its name says.
///
/// "Order 8" and "mixed" mean that the point has a part in the torsion group; a mixed key is accepted, because the
/// equation without cofactor decides about it in one way for everybody.
enum StrictSignatures {
  struct Case: Sendable {
    let name: String
    let isGood: Bool
    let header: EventHeader
    let signature: Signature

    init(_ name: String, isGood: Bool, ttl: UInt32, log: String, signature: String) {
      self.name = name
      self.isGood = isGood
      header = EventHeader(
        kind: .post, place: 0, sequence: .first, id: EventID(rawValue: 1 << 40), log: LogID(hex: log)!,
        previous: EventHash(hashing: Array("a person".utf8)), payloadBytes: 0, payloadHash: Digest(hashing: []),
        ttl: ttl, live: 0)
      self.signature = Signature(Hex.decode(signature)!)!
    }
  }

  static let cases = [
    Case(
      "key of order 8, R of order 8, S = 0", isGood: false, ttl: 5,
      log: "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      signature: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        + "0000000000000000000000000000000000000000000000000000000000000000"),
    Case(
      "key of order 8, mixed R", isGood: false, ttl: 19,
      log: "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      signature: "518d457eac46c897b4cc738a95cbac1f8cd362181518f6f75aa0c36291554834"
        + "3871d48880a98b699cd747801b38a639488d15e55097d8573ab066105a77060f"),
    Case(
      "mixed key, R of order 8", isGood: false, ttl: 29,
      log: "93e2ec2b0b5e8b8ceac5559a17afbc35db6ba8def16977bf0408722ebba5eb83",
      signature: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        + "2e20ad08ffe32934075af8d3d5d614e7fa1b23520f6222b72e6e14c108c61206"),
    Case(
      "mixed key, mixed R, equation holds without cofactor", isGood: true, ttl: 0,
      log: "93e2ec2b0b5e8b8ceac5559a17afbc35db6ba8def16977bf0408722ebba5eb83",
      signature: "518d457eac46c897b4cc738a95cbac1f8cd362181518f6f75aa0c36291554834"
        + "f26bc6fb99ada3bd304ad8bdd8e56956ce70c22746e3f7dca7d59387ca5b0b06"),
    Case(
      "mixed key, mixed R, equation holds only with cofactor", isGood: false, ttl: 1,
      log: "93e2ec2b0b5e8b8ceac5559a17afbc35db6ba8def16977bf0408722ebba5eb83",
      signature: "518d457eac46c897b4cc738a95cbac1f8cd362181518f6f75aa0c36291554834"
        + "6a9d9720cd10995edfa91b3651887af1cbab4ca03726e8fff94a9f38b8bf7306"),
    Case(
      "prime-order key, mixed R, equation holds only with cofactor", isGood: false, ttl: 0,
      log: "0ba4ee57af1a2c63253a1c8b07ed6d712a5ef724757f22ce489bc3fe70578168",
      signature: "518d457eac46c897b4cc738a95cbac1f8cd362181518f6f75aa0c36291554834"
        + "369df4b0c28a4a3086af0fe47b14b7c987bc3cf26c6cb7d1decc1cfb3675e404"),
    Case(
      "ordinary signature", isGood: true, ttl: 0,
      log: "0ba4ee57af1a2c63253a1c8b07ed6d712a5ef724757f22ce489bc3fe70578168",
      signature: "8e43bbaffd1cdb1e1fa924f6d94988ddbf6d8ed3126cf19c7624e9b1d83c860c"
        + "73da32fda9f1ac84df2cf85092ee7fcf57022a25293c497d57afa0b034d87406"),
    Case(
      "the same with S + L", isGood: false, ttl: 0,
      log: "0ba4ee57af1a2c63253a1c8b07ed6d712a5ef724757f22ce489bc3fe70578168",
      signature: "8e43bbaffd1cdb1e1fa924f6d94988ddbf6d8ed3126cf19c7624e9b1d83c860c"
        + "60ae285ac454bfdcb5c9eff370e85ee457022a25293c497d57afa0b034d87416"),
    Case(
      "the same with S + 15 L", isGood: false, ttl: 0,
      log: "0ba4ee57af1a2c63253a1c8b07ed6d712a5ef724757f22ce489bc3fe70578168",
      signature: "8e43bbaffd1cdb1e1fa924f6d94988ddbf6d8ed3126cf19c7624e9b1d83c860c"
        + "56459a6f35c0c0ad6e5d7add9d92900859022a25293c497d57afa0b034d874f6"),
    Case(
      "R is the neutral element", isGood: false, ttl: 0,
      log: "0ba4ee57af1a2c63253a1c8b07ed6d712a5ef724757f22ce489bc3fe70578168",
      signature: "0100000000000000000000000000000000000000000000000000000000000000"
        + "16b0244901bbc8a01ff3676c30c45f3af54ef5cebb670bbc47e7e13207d6a406"),
    Case(
      "R is the neutral element, not canonical", isGood: false, ttl: 0,
      log: "0ba4ee57af1a2c63253a1c8b07ed6d712a5ef724757f22ce489bc3fe70578168",
      signature: "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        + "1fea6887227cd4af406d11a591256e78d547b61989e5804c6909969b263fd80c"),
    Case(
      "key is the neutral element", isGood: false, ttl: 0,
      log: "0100000000000000000000000000000000000000000000000000000000000000",
      signature: "8e43bbaffd1cdb1e1fa924f6d94988ddbf6d8ed3126cf19c7624e9b1d83c860c"
        + "3871d48880a98b699cd747801b38a639488d15e55097d8573ab066105a77060f"),
    Case(
      "key is the neutral element, not canonical", isGood: false, ttl: 0,
      log: "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      signature: "8e43bbaffd1cdb1e1fa924f6d94988ddbf6d8ed3126cf19c7624e9b1d83c860c"
        + "3871d48880a98b699cd747801b38a639488d15e55097d8573ab066105a77060f"),
    Case(
      "key is the neutral element with the sign bit", isGood: false, ttl: 0,
      log: "0100000000000000000000000000000000000000000000000000000000000080",
      signature: "8e43bbaffd1cdb1e1fa924f6d94988ddbf6d8ed3126cf19c7624e9b1d83c860c"
        + "3871d48880a98b699cd747801b38a639488d15e55097d8573ab066105a77060f"),
  ]

  /// Every encoding of the eight points of small order, canonical or not.
  static let smallOrder = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  ]
}

@Suite struct StrictSignatureTests {
  @Test("each doubtful signature has the one verdict of the strict equation", arguments: StrictSignatures.cases)
  func doubtful(_ one: StrictSignatures.Case) {
    #expect(one.header.isSigned(by: one.signature) == one.isGood)
  }

  @Test("no key of small order signs anything, and no signature has an R of small order")
  func smallOrder() throws {
    let key = SigningKey(seed: [UInt8](repeating: 7, count: 32))!
    for encoding in StrictSignatures.smallOrder.compactMap({ LogID(hex: $0) }) {
      for second in StrictSignatures.smallOrder.compactMap({ Hex.decode($0) }) {
        let signature = try #require(Signature(second + [UInt8](repeating: 0, count: 32)))
        for ttl: UInt32 in 0..<16 {
          var header = StrictSignatures.cases[0].header
          header.log = encoding
          header.ttl = ttl
          #expect(!header.isSigned(by: signature))
          header.log = key.publicKey
          #expect(!header.isSigned(by: signature))
        }
      }
    }
  }

  @Test("no change of one bit of header, key or signature verifies")
  func mutations() throws {
    var random = SeededRandom(seed: 77)
    for _ in 0..<100 {
      let key = SigningKey(seed: random.bytes(32))!
      var bytes = [1] + random.bytes(127)
      bytes.replaceSubrange(20..<52, with: key.publicKey.bytes)
      let signature = try EventHeader(decoding: bytes).sign(with: key)
      #expect(try EventHeader(decoding: bytes).isSigned(by: signature))
      let both = bytes + signature.bytes
      for index in both.indices {
        var changed = both
        changed[index] ^= 1 << UInt8(random.next() % 8)
        guard let header = try? EventHeader(decoding: changed) else { continue }
        #expect(!header.isSigned(by: Signature(changed[128...])!), "byte \(index)")
      }
    }
  }
}
