import Identity
import Primitives
import Testing
import Transport

/// Two engines and the bytes between them.
struct EnginePair {
  let client: TLSEngine
  let server: TLSEngine

  init(
    client clientKey: SigningKey = SigningKey(), server serverKey: SigningKey = SigningKey(),
    expecting: PublicKey? = nil, clientWall: Timestamp? = nil, rekeyInterval: Int = 1 << 36
  ) throws {
    client = try TLSEngine(
      identity: TLSIdentity(clientKey), role: .client, expecting: expecting, wall: clientWall,
      rekeyInterval: rekeyInterval)
    server = try TLSEngine(
      identity: TLSIdentity(serverKey), role: .server, expecting: nil, wall: nil, rekeyInterval: rekeyInterval)
  }

  /// Carries bytes until neither side has any. Each drain passes through `change`.
  func shakeHands(_ change: ([UInt8]) -> [UInt8] = { $0 }) throws {
    _ = try client.handshake()
    while true {
      let out = change(client.drain())
      if !out.isEmpty { try server.feed(out) }
      _ = try server.handshake()
      let back = change(server.drain())
      if !back.isEmpty { try client.feed(back) }
      _ = try client.handshake()
      if back.isEmpty, client.outputByteCount == 0 { return }
    }
  }
}

/// Cuts TLS output at its records.
func tlsRecords(_ bytes: [UInt8]) -> [[UInt8]] {
  var records: [[UInt8]] = []
  var rest = bytes[...]
  while rest.count >= 5 {
    let length = Int(rest[rest.startIndex + 3]) << 8 | Int(rest[rest.startIndex + 4])
    records.append(Array(rest.prefix(5 + length)))
    rest = rest.dropFirst(5 + length)
  }
  return records
}

@Suite struct TLSEngineTests {
  @Test("each side learns the other's node key")
  func keys() throws {
    let (clientKey, serverKey) = (SigningKey(), SigningKey())
    let pair = try EnginePair(client: clientKey, server: serverKey, expecting: serverKey.publicKey)
    try pair.shakeHands()
    #expect(pair.client.isEstablished && pair.server.isEstablished)
    #expect(pair.client.peerKey == serverKey.publicKey && pair.server.peerKey == clientKey.publicKey)
    #expect(pair.client.handshakeBytesSent == pair.server.handshakeBytesReceived)
    #expect(pair.server.handshakeBytesSent == pair.client.handshakeBytesReceived)
    #expect((300...1_500).contains(pair.client.handshakeBytesSent))
  }

  @Test("the certificate is a function of the key, and keeps our own rules at any time")
  func certificate() throws {
    let key = try #require(SigningKey(seed: [UInt8](repeating: 7, count: 32)))
    let identity = try TLSIdentity(key)
    #expect(identity.certificate == (try TLSIdentity(key).certificate))
    for milliseconds: Int64 in [1_704_067_200_000, 1_800_000_000_000, 33_000_000_000_000] {
      #expect(
        try PeerCertificate.key(ofDER: identity.certificate, at: Timestamp(milliseconds: milliseconds)) == key.publicKey
      )
    }
  }

  @Test("every flipped bit of the certificate is refused, or leaves key and signature as they are")
  func certificateBits() throws {
    let key = SigningKey()
    let bytes = try TLSIdentity(key).certificate
    let now = Timestamp(milliseconds: 1_800_000_000_000)
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << bit
        if let read = try? PeerCertificate.key(ofDER: changed, at: now) { #expect(read == key.publicKey) }
      }
    }
    #expect(throws: TransportError.self) { try PeerCertificate.key(ofDER: bytes + [0], at: now) }
    for count in 0..<bytes.count {
      #expect(throws: TransportError.self) { try PeerCertificate.key(ofDER: Array(bytes[..<count]), at: now) }
    }
  }

  @Test("another key than the expected one is refused, and the other side is told")
  func unexpectedKey() throws {
    let pair = try EnginePair(expecting: SigningKey().publicKey)
    let error = #expect(throws: TransportError.self) { try pair.shakeHands() }
    #expect(error?.code == .handshake && error?.message.contains("another key") == true)
    #expect(!pair.client.isEstablished)
    try pair.server.feed(pair.client.drain())
    #expect(throws: TransportError.self) { try pair.server.handshake() }
  }

  @Test("bulk arrives as it was sent, in both directions, whatever the pieces; traffic keys change on the way")
  func bulk() throws {
    let pair = try EnginePair(rekeyInterval: 100_000)
    try pair.shakeHands()
    var random = SeededRandom(seed: 1)
    let sent = random.bytes(3_000_000)
    for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
      var received: [UInt8] = []
      var rest = sent[...]
      while !rest.isEmpty {
        let piece = Array(rest.prefix(Int.random(in: 1...200_000, using: &random)))
        rest = rest.dropFirst(piece.count)
        try from.write(piece)
        while from.outputByteCount > 0 {
          try to.feed(from.drain(atMost: Int.random(in: 1...50_000, using: &random)))
          received += try to.readAll()
        }
      }
      #expect(received == sent)
      #expect(from.applicationBytesSent == sent.count && to.applicationBytesReceived == sent.count)
    }
  }

  @Test("a change of any record of the handshake ends it")
  func tamperedHandshake() throws {
    var count = 0
    let probe = try EnginePair()
    try probe.shakeHands { bytes in
      count += tlsRecords(bytes).count
      return bytes
    }
    #expect(count >= 6)
    for target in 0..<count {
      let pair = try EnginePair()
      var index = 0
      #expect(throws: TransportError.self, "record \(target)") {
        try pair.shakeHands { bytes in
          tlsRecords(bytes).flatMap { record in
            defer { index += 1 }
            return index == target ? record.dropLast() + [record[record.count - 1] ^ 1] : record
          }
        }
        _ = try pair.client.readAll()
        _ = try pair.server.readAll()
      }
    }
  }

  @Test("a change, loss, repetition or swap of any record of the stream is noticed before its bytes are read")
  func tamperedStream() throws {
    let message = [UInt8](repeating: 0xAB, count: 60_000)
    for target in 0..<4 {
      for kind in 0..<4 {
        let pair = try EnginePair()
        try pair.shakeHands()
        try pair.client.write(message)
        var records = tlsRecords(pair.client.drain())
        #expect(records.count == 4)
        switch kind {
        case 0: records[target][100] ^= 0x40
        case 1: if target < 3 { records.remove(at: target) } else { continue }
        case 2: records.insert(records[target], at: target)
        default: if target < 3 { records.swapAt(target, target + 1) } else { continue }
        }
        try pair.server.feed(records.flatMap { $0 })
        var read = 0
        let error = #expect(throws: TransportError.self) {
          try withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) { buffer in
            while case .bytes(let count) = try pair.server.read(into: buffer) { read += count }
          }
        }
        #expect(error?.code == .protocolViolation)
        #expect(read <= 16_384 * (target + 1))
      }
    }
  }

  @Test("close_notify ends a stream, and only it does")
  func close() throws {
    let pair = try EnginePair()
    try pair.shakeHands()
    try pair.client.write([1, 2, 3])
    pair.client.close()
    pair.client.close()
    try pair.server.feed(pair.client.drain())
    #expect(try pair.server.readAll() == [1, 2, 3])
    #expect(pair.server.isPeerClosed)
    try pair.server.write([4])
    try pair.client.feed(pair.server.drain())
    #expect(try pair.client.readAll() == [4])
    #expect(!pair.client.isPeerClosed)
  }

  @Test("bytes that are not TLS, and a handshake without end, are refused")
  func garbage() throws {
    let server = try EnginePair().server
    try server.feed(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
    #expect(throws: TransportError.self) { try server.handshake() }
    #expect(throws: TransportError.self) { try server.handshake() }
    let other = try EnginePair().server
    let error = #expect(throws: TransportError.self) {
      for _ in 0..<100 { try other.feed([UInt8](repeating: 22, count: 1_000)) }
    }
    #expect(error?.code == .handshake)
  }

  @Test("a certificate's dates count, with a day of tolerance")
  func dates() throws {
    let begin: Int64 = 1_704_067_200_000  // notBefore of ours, 2024-01-01
    let day: Int64 = 86_400_000
    let bytes = try TLSIdentity(SigningKey()).certificate
    #expect(throws: Never.self) {
      try PeerCertificate.key(ofDER: bytes, at: Timestamp(milliseconds: begin - day + 2_000))
    }
    let error = #expect(throws: TransportError.self) {
      try PeerCertificate.key(ofDER: bytes, at: Timestamp(milliseconds: begin - day - 2_000))
    }
    #expect(error?.message.contains("not valid yet") == true)
    for extreme in [Int64.min, .max] {
      #expect(throws: TransportError.self) {
        try PeerCertificate.key(ofDER: bytes, at: Timestamp(milliseconds: extreme))
      }
    }
  }
}

extension TLSEngine {
  /// Everything that can be read now.
  fileprivate func readAll() throws(TransportError) -> [UInt8] {
    var all: [UInt8] = []
    var result = ReadResult.bytes(0)
    while case .bytes = result {
      var failure: TransportError?
      let part = [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
        do throws(TransportError) {
          result = try read(into: UnsafeMutableRawBufferPointer(buffer))
          if case .bytes(let read) = result { count = read }
        } catch { failure = error }
      }
      if let failure { throw failure }
      all += part
    }
    return all
  }
}
