import Dispatch
import Glibc
import Node
import Primitives
import Testing
import Transport

@Suite struct VoidphoneTests {
  static let key = [UInt8](0..<32)
  // Made anew each time: the leak sanitizer does not see through the enum to bytes that a constant keeps.
  static var messages: [VoidphoneMessage] {
    [
      .put(key: key, value: Array("hello".utf8), lifetime: 3600, copies: 3),
      .put(key: key, value: [], lifetime: 0, copies: 0), .get(key: key),
      .success(key: key, value: [UInt8](repeating: 7, count: VoidphoneMessage.valueByteCountMaximum)),
      .failure(key: key),
    ]
  }

  @Test("messages have the layout of the API")
  func layout() {
    let hex = Hex.encode(Self.key)
    #expect(Hex.encode(Self.messages[0].bytes) == "002d028a0e100300\(hex)68656c6c6f")
    #expect(Hex.encode(Self.messages[2].bytes) == "0024028b\(hex)")
    #expect(Hex.encode(Self.messages[4].bytes) == "0024028d\(hex)")
    #expect(Self.messages[3].bytes.prefix(4) == [0xFF, 0xFF, 0x02, 0x8C])
  }

  @Test("messages come out whole, in whatever pieces they arrive", arguments: [1, 3, 40, 100_000])
  func pieces(size: Int) {
    let stream = Self.messages.flatMap(\.bytes)
    var decoder = VoidphoneDecoder()
    var found: [VoidphoneMessage] = []
    for start in stride(from: 0, to: stream.count, by: size) {
      let (messages, fault) = decoder.append(Array(stream[start..<min(start + size, stream.count)]))
      #expect(fault == nil)
      found += messages
    }
    #expect(found == Self.messages)
  }

  @Test("a wrong size or type is refused as soon as it is seen, and what came before it counts")
  func malformed() {
    let bodies: [[UInt8]] = [
      [0, 0, 2, 0x8B], [0, 3, 2, 0x8B], [0, 36, 2, 0x89], [0, 36, 0, 0],
      [0, 35, 2, 0x8B] + [UInt8](repeating: 0, count: 31), [0, 37, 2, 0x8B] + [UInt8](repeating: 0, count: 33),
      [0, 39, 2, 0x8A] + [UInt8](repeating: 0, count: 35),
    ]
    for bytes in bodies {
      var decoder = VoidphoneDecoder()
      #expect(decoder.append(bytes).fault != nil)
      var after = VoidphoneDecoder()
      let (messages, fault) = after.append(Self.messages[0].bytes + bytes)
      #expect(messages == [Self.messages[0]] && fault != nil)
    }
  }

  @Test("the port is for this machine alone, and needs a network")
  func refused() async throws {
    let profile = try TestProfile()
    var options = NodeServer.Options(service: profile.options, listen: NetworkTests.anywhere, notifier: nil)
    options.voidphone = try PeerAddress("127.0.0.1:0", for: .listening)
    let alone = await #expect(throws: NodeError.self) {
      try await NodeServer.start(profile.directory, options: options)
    }
    #expect(alone?.code == .notFound)
    let node = try await ValueTests.node(profile, bootstrap: [])
    await node.stop()
    options.voidphone = try PeerAddress("0.0.0.0:0", for: .listening)
    let open = await #expect(throws: TransportError.self) {
      try await NodeServer.start(profile.directory, options: options)
    }
    #expect(open?.code == .address)
  }

  @Test("a get after a put of the same key finds it, and what is no request ends the connection")
  func served() async throws {
    let profile = try TestProfile()
    try await ValueTests.node(profile, bootstrap: []).stop()
    var options = NodeServer.Options(service: profile.options, listen: NetworkTests.anywhere, notifier: nil)
    options.voidphone = try PeerAddress("127.0.0.1:0", for: .listening)
    let node = try await NodeServer.start(profile.directory, options: options)
    let port = try #require(node.voidphone?.port)
    let long = [UInt8](repeating: 9, count: 3_000)
    let other = [UInt8](repeating: 1, count: 32)
    let asked =
      VoidphoneMessage.put(key: Self.key, value: long, lifetime: 60, copies: 200).bytes
      + VoidphoneMessage.get(key: Self.key).bytes + VoidphoneMessage.get(key: other).bytes
    let wanted: Set<VoidphoneMessage> = [.success(key: Self.key, value: long), .failure(key: other)]
    #expect(try await Self.talk(port, asked, answers: 2) == wanted)
    #expect(try await Self.talk(port, VoidphoneMessage.failure(key: other).bytes, answers: 1) == [])
    await node.stop()
  }

  @Test("of many requests in one piece 32 are under way at a time, all are answered, and then the connection ends")
  func crowd() async throws {
    let underWay = Locked((now: 0, most: 0))
    let queue = DispatchQueue(label: "port")
    let port = try await withCheckedThrowingContinuation { continuation in
      queue.async {
        continuation.resume(
          with: Result {
            try VoidphonePort(on: Endpoint(IPAddress(127, 0, 0, 1), port: 0), queue: queue) { message in
              guard case .get(let key) = message else { return nil }
              underWay.change {
                $0.now += 1
                $0.most = max($0.most, $0.now)
              }
              for _ in 0..<100 { await Task.yield() }
              underWay.change { $0.now -= 1 }
              return .failure(key: key)
            }
          })
      }
    }
    let keys: [[UInt8]] = (0..<200).map { [UInt8](repeating: UInt8($0), count: 32) }
    let requests: [VoidphoneMessage] = keys.map { .get(key: $0) }
    let asked: [UInt8] = requests.flatMap(\.bytes) + [0, 0, 0, 0]
    let answers = try await Self.talk(port.endpoint.port, asked, answers: 201)
    #expect(answers == Set(keys.map { VoidphoneMessage.failure(key: $0) }))
    #expect(underWay.value.most <= VoidphonePort.requestsMaximum)
    queue.async { port.close() }
  }

  /// What comes back until so many messages are there, or the end.
  static func talk(_ port: UInt16, _ bytes: [UInt8], answers: Int) async throws -> Set<VoidphoneMessage> {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue(label: "test").async {
        continuation.resume(with: Result { try blockingTalk(port, bytes, answers) })
      }
    }
  }

  private static func blockingTalk(_ port: UInt16, _ bytes: [UInt8], _ answers: Int) throws -> Set<VoidphoneMessage> {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = withUnsafeBytes(of: &address) {
      connect(
        descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    guard connected == 0, send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw TransportError(.refused, "nobody there")
    }
    var decoder = VoidphoneDecoder()
    var found: Set<VoidphoneMessage> = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while found.count < answers {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      found.formUnion(decoder.append(Array(buffer[..<count])).messages)
    }
    return found
  }
}
