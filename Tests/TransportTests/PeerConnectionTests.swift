import Dispatch
import Glibc
import Identity
import Primitives
import Testing
import Transport

/// Real sockets share descriptors and ports, so one after the other.
@Suite(.serialized, .timeLimit(.minutes(1))) struct PeerConnectionTests {
  @Test("two peers learn each other's keys, exchange frames and part cleanly")
  func exchange() async throws {
    let (server, client) = (try Station(), try Station())
    let (listener, accepted) = try await server.listen()
    #expect(listener.address.port != 0)
    let (connection, events) = try await client.connect(to: listener.address, expecting: server.key.publicKey)
    let hello = [Frame(type: 1, body: [1, 2, 3]), Frame(type: 2)]
    try await client.on { try connection.send(hello) }  // before it stands
    let (remote, remoteEvents) = try #require(await accepted.first())
    #expect(await events.ready() == server.key.publicKey)
    #expect(await remoteEvents.ready() == client.key.publicKey)
    #expect(await remoteEvents.frames(2) == hello)
    let answer = Frame(type: 9, body: [UInt8](repeating: 3, count: Frame.bodyMaximum))
    try await server.on { try remote.send([answer]) }
    #expect(await events.frames(1) == [answer])
    try await client.on { connection.close() }
    #expect(await remoteEvents.end() == nil)
    #expect(await events.end() == nil)
    let (mine, theirs) = (try await client.on { connection.counters }, try await server.on { remote.counters })
    #expect(mine.applicationBytesSent == 13 && theirs.applicationBytesReceived == 13)
    #expect(theirs.applicationBytesSent == answer.encodedByteCount)
    #expect(mine.handshakeBytesSent == theirs.handshakeBytesReceived && mine.handshakeBytesSent > 300)
    #expect(mine.handshakeBytesReceived == theirs.handshakeBytesSent)
    #expect(mine.wireBytesReceived == theirs.wireBytesSent)
    #expect(throws: TransportError.self) { try client.queue.sync { try connection.send([Frame(type: 1)]) } }
    try await server.on { listener.close() }
  }

  @Test("fifty megabytes go both ways at once, with pauses, in order and within the bounds of the queue")
  func bulk() async throws {
    let (server, client) = (try Station(), try Station())
    let (listener, accepted) = try await server.listen()
    let (connection, events) = try await client.connect(to: listener.address)
    let (remote, remoteEvents) = try #require(await accepted.first())
    async let upward: Void = exchange(connection, client, events)
    async let downward: Void = exchange(remote, server, remoteEvents)
    _ = try await (upward, downward)
    try await client.on { connection.close() }
    #expect(await remoteEvents.end() == nil)
    try await server.on { listener.close() }
  }

  /// Sends 800 frames of 64 KiB as room is made, and checks those that arrive.
  private func exchange(_ connection: PeerConnection, _ station: Station, _ events: PeerEvents) async throws {
    let count = 800
    var sent = 0
    var received = 0
    func fill() async throws {
      let from = sent
      sent = try await station.on {
        var next = from
        while next < count, connection.pendingBytes < 3_000_000 {
          let stamp = withUnsafeBytes(of: UInt32(next).bigEndian) { Array($0) }
          try connection.send([Frame(type: 1, body: stamp + [UInt8](repeating: UInt8(next % 251), count: 65_532))])
          next += 1
        }
        #expect(connection.pendingBytes <= connection.context.limits.pendingMaximum)
        return next
      }
    }
    try await fill()
    for await event in events.stream {
      switch event {
      case .frames(let frames):
        for frame in frames {
          let stamp = frame.body.prefix(4).reduce(0) { $0 << 8 | Int($1) }
          #expect(stamp == received && frame.body.count == 65_536 && frame.body.last == UInt8(received % 251))
          received += 1
        }
        if received % 97 == 0 {
          try await station.on { connection.pauseReading() }
          try await station.on { connection.resumeReading() }
        }
      case .drained: try await fill()
      case .ready: break
      case .closed(let error): Issue.record("closed: \(String(describing: error))")
      }
      if received == count, sent == count { break }
    }
    #expect(received == count)
  }

  @Test("a peer that never reads costs a bounded queue and is let go after the stall time")
  func neverReads() async throws {
    let server = try Station { $0.stallTimeout = .milliseconds(300) }
    let client = try Station()
    let (listener, accepted) = try await server.listen()
    let (connection, events) = try await client.connect(to: listener.address)
    try await client.on { connection.pauseReading() }
    let (remote, remoteEvents) = try #require(await accepted.first())
    #expect(await remoteEvents.ready() != nil)
    let refused = try await server.on {
      let frame = Frame(type: 1, body: [UInt8](repeating: 0, count: 1_000_000))
      for _ in 0..<100 {
        do { try remote.send([frame]) } catch { return (remote.pendingBytes, error as? TransportError) }
      }
      return (remote.pendingBytes, nil)
    }
    #expect(refused.0 <= 4_194_304 && refused.1?.code == .resources)
    // The kernel's buffers take some of it; what is left after that has nowhere to go.
    let error = try await fillUntilEnd(remote, server, remoteEvents)
    #expect(error?.code == .timedOut)
    try await client.on {
      connection.resumeReading()
    }
    #expect(await events.end()?.code == .closed)
    try await server.on { listener.close() }
  }

  private func fillUntilEnd(
    _ connection: PeerConnection, _ station: Station, _ events: PeerEvents
  ) async throws -> TransportError? {
    for await event in events.stream {
      if case .closed(let error) = event { return error }
      guard case .drained = event else { continue }
      try await station.on {
        let frame = Frame(type: 1, body: [UInt8](repeating: 0, count: 1_000_000))
        while connection.isOpen, connection.pendingBytes < 3_000_000 { try connection.send([frame]) }
      }
    }
    return nil
  }

  @Test("everything sent before a close arrives, also at a peer that was not reading then")
  func closeAfterSending() async throws {
    let (server, client) = (try Station(), try Station())
    let (listener, accepted) = try await server.listen()
    let (connection, events) = try await client.connect(to: listener.address)
    try await client.on { connection.pauseReading() }
    let (remote, remoteEvents) = try #require(await accepted.first())
    #expect(await remoteEvents.ready() != nil)
    let frames = (0..<60).map { Frame(type: $0, body: [UInt8](repeating: $0, count: 65_000)) }
    try await server.on {
      try remote.send(frames)
      remote.close()
      remote.close()
    }
    try await client.on { connection.resumeReading() }
    #expect(await events.frames(60) == frames)
    #expect(await events.end() == nil)
    #expect(await remoteEvents.end() == nil)
    try await server.on { listener.close() }
  }

  @Test("one send of any size is taken below the low-water mark, and none that passes the maximum above it")
  func sendLimits() async throws {
    let server = try Station()
    let (listener, accepted) = try await server.listen()
    let client = try Station {
      $0.lowWater = 1_000
      $0.pendingMaximum = 4_000
    }
    let (connection, events) = try await client.connect(to: listener.address)
    let codes = try await client.on {
      // Nothing leaves while this runs: it is one turn of the queue.
      try connection.send([Frame(type: 1, body: [UInt8](repeating: 0, count: 990))])
      try connection.send([Frame(type: 2, body: [UInt8](repeating: 0, count: 9_000))])
      return (0..<2).map { _ in
        do { try connection.send([Frame(type: 3)]) } catch { return (error as? TransportError)?.code }
        return nil
      }
    }
    #expect(codes == [.resources, .resources])
    let (_, remoteEvents) = try #require(await accepted.first())
    #expect(await remoteEvents.frames(2).map(\.type) == [1, 2])
    var drained = 0
    try await client.on { connection.close() }
    for await event in events.stream { if case .drained = event { drained += 1 } }
    #expect(drained == 1)
    try await server.on { listener.close() }
  }

  @Test("a connection that does not shake hands is let go in time")
  func handshakeTimeout() async throws {
    let server = try Station { $0.handshakeTimeout = .milliseconds(100) }
    let (listener, accepted) = try await server.listen()
    var iterator = accepted.makeAsyncIterator()
    let silent = plainConnect(listener.address.port)
    defer { Glibc.close(silent) }
    let (_, events) = try #require(await iterator.next())
    #expect(await events.end()?.code == .timedOut)
    #expect(waitForEnd(silent))
    #expect(try await server.on { listener.connectionCounts } == (0, 0))
    try await server.on { listener.close() }
  }

  @Test("a frame that no peer would take is refused before it is queued, and the connection goes on")
  func largeFrame() async throws {
    let server = try Station()
    let (listener, accepted) = try await server.listen()
    let client = try Station()
    let (connection, events) = try await client.connect(to: listener.address)
    #expect(await events.ready() != nil)
    let (_, remote) = try #require(await accepted.first())
    let error = await #expect(throws: TransportError.self) {
      try await client.on {
        try connection.send([Frame(type: 2, body: [UInt8](repeating: 0, count: Frame.bodyMaximum + 1))])
      }
    }
    #expect(error?.code == .resources)
    try await client.on { try connection.send([Frame(type: 3, body: [1])]) }
    #expect(await remote.frames(1) == [Frame(type: 3, body: [1])])
    try await client.on { connection.close() }
    try await server.on { listener.close() }
  }

  @Test("a listener that closes ends the handshakes under way, and leaves the connections that stand")
  func closesHandshakes() async throws {
    let server = try Station()
    let (listener, accepted) = try await server.listen()
    var iterator = accepted.makeAsyncIterator()
    let client = try Station()
    let (connection, events) = try await client.connect(to: listener.address)
    #expect(await events.ready() != nil)
    let (_, standing) = try #require(await iterator.next())
    #expect(await standing.ready() != nil)
    let silent = plainConnect(listener.address.port)
    defer { Glibc.close(silent) }
    let (_, waiting) = try #require(await iterator.next())
    try await server.on { listener.close() }
    #expect(await waiting.end() == nil)
    #expect(waitForEnd(silent))
    #expect(try await server.on { listener.connectionCounts } == (1, 0))
    try await client.on { try connection.send([Frame(type: 3, body: [1])]) }
    #expect(await standing.frames(1) == [Frame(type: 3, body: [1])])
    try await client.on { connection.close() }
  }

  @Test("bytes that are not TLS end a connection at once")
  func notTLS() async throws {
    let server = try Station()
    let (listener, accepted) = try await server.listen()
    let babbling = plainConnect(listener.address.port)
    defer { Glibc.close(babbling) }
    Glibc.send(babbling, "GET / HTTP/1.0\r\n\r\n", 18, Int32(MSG_NOSIGNAL))
    let (_, events) = try #require(await accepted.first())
    #expect(await events.end()?.code == .handshake)
    #expect(try await server.on { listener.connectionCounts } == (0, 0))
    try await server.on { listener.close() }
  }

  @Test("limits on accepting: handshakes of one source, live connections of one source; room comes back")
  func acceptLimits() async throws {
    let server = try Station {
      $0.livePerSource = 3
      $0.handshakesPerSource = 2
    }
    let (listener, accepted) = try await server.listen()
    var iterator = accepted.makeAsyncIterator()
    let waiting = [plainConnect(listener.address.port), plainConnect(listener.address.port)]
    let first = try #require(await iterator.next())
    let second = try #require(await iterator.next())
    let third = plainConnect(listener.address.port)
    #expect(waitForEnd(third))
    Glibc.close(third)
    #expect(try await server.on { listener.connectionCounts } == (2, 2))
    for descriptor in waiting { Glibc.close(descriptor) }
    #expect(await first.1.end()?.code == .handshake)
    #expect(await second.1.end()?.code == .handshake)

    let client = try Station()
    var live: [(PeerConnection, PeerEvents)] = []
    for _ in 0..<3 {
      let (connection, events) = try await client.connect(to: listener.address)
      #expect(await events.ready() != nil)
      let remote = try #require(await iterator.next())
      #expect(await remote.1.ready() != nil)
      live.append((connection, events))
    }
    let (_, refused) = try await client.connect(to: listener.address)
    let refusal = await refused.end()
    #expect([.handshake, .refused].contains(refusal?.code), "\(String(describing: refusal))")
    #expect(try await server.on { listener.refusedCount } == 2)
    for (connection, events) in live {
      try await client.on { connection.close() }
      #expect(await events.end() == nil)
    }
    try await server.on { listener.close() }
  }

  @Test("nobody there, another key than expected, no such name")
  func dialErrors() async throws {
    let (server, client) = (try Station(), try Station())
    let (listener, _) = try await server.listen()
    let (_, unexpected) = try await client.connect(to: listener.address, expecting: client.key.publicKey)
    #expect(await unexpected.end()?.code == .handshake)
    try await server.on { listener.close() }
    let (_, refused) = try await client.connect(to: listener.address)
    #expect(await refused.end()?.code == .refused)
    let (_, nameless) = try await client.connect(to: PeerAddress("name.invalid:1"))
    #expect(await nameless.end()?.code == .address)
    let events = PeerEvents()
    try await client.on {
      let address = PeerAddress(host: "192.0.2.1", port: 9)
      PeerConnector.connect(to: address, in: client.context, handlers: events.handlers).close()
    }
    #expect(await events.end() == nil)
    let taken = try await server.listen()
    await #expect(throws: TransportError.self) {
      try await server.on { [server] in
        _ = try PeerListener(on: taken.listener.address, in: server.context) { _ in PeerHandlers() }
      }
    }
    try await server.on { taken.listener.close() }
  }

  @Test("what does not keep to the framing is a bad peer")
  func badFrames() async throws {
    let (server, client) = (try Station(), try Station())
    let (listener, accepted) = try await server.listen()
    let descriptor = plainConnect(listener.address.port)
    defer { Glibc.close(descriptor) }
    let engine = try TLSEngine(identity: client.context.identity, role: .client)
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while try !engine.handshake() {
      let out = engine.drain()
      if !out.isEmpty { Glibc.send(descriptor, out, out.count, Int32(MSG_NOSIGNAL)) }
      let count = recv(descriptor, &buffer, buffer.count, 0)
      try engine.feed(Array(buffer.prefix(max(0, count))))
    }
    try engine.write(encodeFrame(Frame(type: 5)) + [0, 0, 0, 0])
    let out = engine.drain()
    Glibc.send(descriptor, out, out.count, Int32(MSG_NOSIGNAL))
    let (_, events) = try #require(await accepted.first())
    #expect(await events.ready() == client.key.publicKey)
    #expect(await events.frames(1) == [Frame(type: 5)])
    #expect(await events.end()?.code == .protocolViolation)
    #expect(waitForEnd(descriptor))
    try await server.on { listener.close() }
  }

  @Test("closed connections, listeners and dials leave neither objects nor descriptors")
  func leaks() async {
    // In a process of its own, where nobody else opens descriptors.
    await #expect(processExitsWith: .success) { try await leaveNothing() }
  }
}

/// Traps when something is left over.
private func leaveNothing() async throws {
  let before = openSockets()
  let left = try await openAndClose()
  // Dispatch closes descriptors a little after the last handler; the time limit of the suite ends this if it does not.
  while openSockets() != before || left.contains(where: { $0.object != nil }) { await Task.yield() }
}

private struct WeakReference: @unchecked Sendable {  // read when nobody else holds it any more
  weak var object: AnyObject?
}

private func openAndClose() async throws -> [WeakReference] {
  let (server, client) = (try Station(), try Station())
  let (listener, accepted) = try await server.listen()
  let (connection, events) = try await client.connect(to: listener.address)
  guard let (remote, remoteEvents) = await accepted.first() else { preconditionFailure("nothing accepted") }
  let keys = [await events.ready(), await remoteEvents.ready()]
  precondition(keys == [server.key.publicKey, client.key.publicKey])
  let dialEvents = PeerEvents()
  let dialled = try await client.on {
    let address = PeerAddress(host: "192.0.2.1", port: 9)
    let dialled = PeerConnector.connect(to: address, in: client.context, handlers: dialEvents.handlers)
    for _ in 0..<2 {
      connection.close()
      dialled.close()
    }
    return dialled
  }
  let ends = [await events.end(), await remoteEvents.end(), await dialEvents.end()]
  precondition(ends == [nil, nil, nil], "\(ends)")
  try await server.on {
    listener.close()
    listener.close()
    remote.abort()
  }
  let objects: [AnyObject] = [connection, remote, dialled, listener, server.context, client.context]
  return objects.map { WeakReference(object: $0) }
}
