import Primitives
import Testing
import Transport

@Suite struct FrameTests {
  @Test("a frame is its length, its type and its body")
  func layout() {
    #expect(encodeFrame(Frame(type: 7, body: [1, 2])) == [0, 0, 0, 3, 7, 1, 2])
    #expect(encodeFrame(Frame(type: 255)) == [0, 0, 0, 1, 255])
  }

  @Test("frames survive a cut at every byte")
  func cuts() throws {
    let frames = [Frame(type: 1, body: [9, 8, 7]), Frame(type: 2), Frame(type: 3, body: [0]), Frame(type: 4)]
    let bytes = frames.flatMap(encodeFrame)
    for cut in 0...bytes.count {
      var decoder = FrameDecoder()
      let first = try decoder.append(Array(bytes[..<cut]))
      let second = try decoder.append(Array(bytes[cut...]))
      #expect(first + second == frames)
      #expect(decoder.isBetweenFrames && decoder.bufferedByteCount == 0)
    }
    var decoder = FrameDecoder()
    #expect(try bytes.flatMap { try decoder.append([$0]) } == frames)
  }

  @Test("random frames in random pieces", arguments: UInt64(0)..<20)
  func pieces(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let frames = (0..<60).map { _ in
      Frame(
        type: UInt8.random(in: 0...255, using: &random), body: random.bytes(Int.random(in: 0...3_000, using: &random)))
    }
    var rest = frames.flatMap(encodeFrame)[...]
    var decoder = FrameDecoder()
    var decoded: [Frame] = []
    while !rest.isEmpty {
      let piece = rest.prefix(Int.random(in: 1...5_000, using: &random))
      rest = rest.dropFirst(piece.count)
      decoded += try decoder.append(Array(piece))
    }
    #expect(decoded == frames)
  }

  @Test("the greatest length is taken, one more and zero are not, and stay refused")
  func limits() throws {
    let greatest = Frame(type: 1, body: [UInt8](repeating: 5, count: Frame.bodyMaximum))
    var decoder = FrameDecoder()
    #expect(try decoder.append(encodeFrame(greatest)) == [greatest])
    for length in [0, UInt32(Frame.lengthMaximum) + 1, 1 << 31, .max] {
      for split in [1, 2, 3, 4, 9] {
        let bytes = withUnsafeBytes(of: length.bigEndian) { Array($0) } + [1, 2, 3, 4, 5]
        var decoder = FrameDecoder()
        let error = #expect(throws: TransportError.self) {
          _ = try decoder.append(Array(bytes.prefix(split)))
          _ = try decoder.append(Array(bytes.dropFirst(split)))
        }
        #expect(error?.code == .protocolViolation)
        #expect(throws: TransportError.self) { try decoder.append([0, 0, 0, 1, 1]) }
        #expect(decoder.bufferedByteCount <= 9)
      }
    }
  }

  @Test("frames before a bad one are still handed out")
  func framesBeforeError() {
    var decoder = FrameDecoder()
    var frames: [Frame] = []
    let bytes: [UInt8] = [0, 0, 0, 2, 1, 1, 0, 0, 0, 0, 1]
    #expect(throws: TransportError.self) { try decoder.append(bytes.span.bytes, into: &frames) }
    #expect(frames == [Frame(type: 1, body: [1])])
  }

  @Test("arbitrary bytes never trap, and never hold more than one frame", arguments: UInt64(100)..<140)
  func fuzz(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var decoder = FrameDecoder()
    for _ in 0..<200 {
      var bytes = random.bytes(Int.random(in: 0...40, using: &random))
      if bytes.count > 4, Bool.random(using: &random) { bytes.replaceSubrange(0..<3, with: [0, 0, 0]) }
      guard (try? decoder.append(bytes)) != nil else { break }
      #expect(decoder.bufferedByteCount <= Frame.lengthMaximum + 4)
    }
  }
}

@Suite struct PeerAddressTests {
  @Test(
    "addresses that are read",
    arguments: [
      ("localhost:1", "localhost", UInt16(1)), ("192.0.2.1:4000", "192.0.2.1", 4_000), ("[::1]:65535", "::1", 65_535),
      ("[fe80::1%eth0]:4", "fe80::1%eth0", 4), ("a-b_c.example:0443", "a-b_c.example", 443),
    ])
  func reads(text: String, host: String, port: UInt16) throws {
    let address = try PeerAddress(text)
    #expect(address.host == host && address.port == port)
    #expect(try PeerAddress(address.description) == address)
  }

  @Test(
    "addresses that are refused",
    arguments: [
      "", ":", "host", "host:", ":4000", "host:0", "host:65536", "host:-1", "host:+1", "host:1x", "host: 1", "ho st:1",
      "::1:4000", "[::1]", "[::1]4000", "[::1", "[host]:1", "[]:1", "[::1%]:1", "host:123456", "hö.st:1", "a\u{0}b:1",
      "a/b:1", "a@b:1", "*:1", "[::1]:1:2", "http://host:1", String(repeating: "a", count: 254) + ":1",
    ])
  func refuses(text: String) {
    let error = #expect(throws: TransportError.self) { try PeerAddress(text) }
    #expect(error?.code == .address)
  }

  @Test("to listen, the host may be missing and the port zero", arguments: [":0", "*:0", "[::]:0", "127.0.0.1:0"])
  func listening(text: String) throws { #expect(try PeerAddress(text, for: .listening).port == 0) }

  @Test("arbitrary text never traps", arguments: UInt64(0)..<20)
  func fuzz(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let alphabet = Array("[]:%.*019afz-_ \u{7F}é")
    for _ in 0..<500 {
      let text = String(
        (0..<Int.random(in: 0...12, using: &random)).map { _ in alphabet.randomElement(using: &random)! })
      for use in [PeerAddress.Use.dialing, .listening] {
        guard let address = try? PeerAddress(text, for: use) else { continue }
        #expect((try? PeerAddress(address.description, for: .listening)) == address)
      }
    }
  }
}
