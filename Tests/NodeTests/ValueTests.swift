import DHT
import Identity
import Node
import Primitives
import Store
import Testing
import Transport

/// Values that people store, over real sockets on loopback.
@Suite struct ValueTests {
  static func node(_ profile: TestProfile, bootstrap: [String]) async throws -> NodeServer {
    let network = NetworkConfiguration(NetworkTests.first.network, bootstrap: bootstrap)
    try PrivateFile.write(network.bytes, to: profile.directory.path(of: .network))
    return try await NodeServer.start(
      profile.directory, options: .init(service: profile.options, listen: NetworkTests.anywhere, notifier: nil))
  }

  static func put(_ put: LocalDHTPut, at service: any LocalService) async throws -> LocalDHTStored {
    guard case .dhtStored(let stored) = try await service.perform(.dht(.put(put))) else {
      throw NodeError(.refused, "another reply")
    }
    return stored
  }

  static func get(_ name: LocalDHTName, at service: any LocalService) async throws -> LocalDHTValue? {
    guard case .dhtValue(let value) = try await service.perform(.dht(.get(name))) else {
      throw NodeError(.refused, "another reply")
    }
    return value
  }

  @Test("values of each kind and length are stored at one node and found by another")
  func storedAndFound() async throws {
    let profiles = try (0..<3).map { _ in try TestProfile() }
    let first = try await Self.node(profiles[0], bootstrap: [])
    let bootstrap = first.addresses.map(\.description)
    let second = try await Self.node(profiles[1], bootstrap: bootstrap)
    let third = try await Self.node(profiles[2], bootstrap: bootstrap)
    let key = Array("colour".utf8)
    let long = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 996) }

    let own = try await Self.put(.init(name: .own(key, of: []), value: Array("blue".utf8)), at: second.service)
    #expect(own.nodes == 2 && own.isHeldHere && own.isKept && own.durability == .weak && own.expires != nil)
    let blue = try await Self.get(.own(key, of: [profiles[1].device.publicKey]), at: third.service)
    #expect(blue?.value == Array("blue".utf8) && blue?.key == profiles[1].device.publicKey)
    #expect(try await Self.get(.own(key, of: []), at: second.service)?.value == Array("blue".utf8))
    #expect(try await Self.get(.own(key, of: []), at: third.service) == nil)
    // A second value replaces the first one.
    _ = try await Self.put(.init(name: .own(key, of: []), value: long), at: second.service)
    #expect(try await Self.get(.own(key, of: [profiles[1].device.publicKey]), at: first.service)?.value == long)

    let plain = try await Self.put(.init(name: .immutable(nil), value: Array("hello".utf8)), at: first.service)
    #expect(plain.target == ImmutableItem(value: Array("5:hello".utf8)).target && plain.expires == nil)
    #expect(try await Self.get(.immutable(plain.target), at: third.service)?.value == Array("hello".utf8))

    _ = try await Self.put(.init(name: .open(key), value: [1], copies: 1), at: first.service)
    _ = try await Self.put(.init(name: .open(key), value: [2], copies: 2), at: third.service)
    #expect(try await Self.get(.open(key), at: second.service)?.value == [2])
    #expect(try await Self.get(.open([9]), at: second.service) == nil)
    await #expect(throws: NodeError.self) {
      try await Self.put(.init(name: .open(Array("tl/h/1".utf8)), value: [1]), at: first.service)
    }
    for node in [third, second, first] { await node.stop() }
  }

  @Test("a value that has expired is not shown, and a command's own is not stored again")
  func expired() async throws {
    let host = try TestProfile()
    let node = try await Self.node(host, bootstrap: [])
    let guest = try TestProfile()
    let network = NetworkConfiguration(NetworkTests.first.network, bootstrap: node.addresses.map(\.description))
    try PrivateFile.write(network.bytes, to: guest.directory.path(of: .network))
    // A guest whose clock is two days behind stores what has expired for everybody else.
    guest.options.environment = StorageEnvironment(now: {
      StorageEnvironment.systemNow().advanced(milliseconds: -172_800_000)
    })
    let service = try await guest.open()
    let stored = try await Self.put(.init(name: .open([1]), value: [7]), at: service)
    #expect(stored.nodes == 1 && !stored.isKept && !stored.isHeldHere)
    #expect(try await Self.get(.open([1]), at: service)?.value == [7])
    #expect(try await Self.get(.open([1]), at: node.service) == nil)
    await service.close()
    await node.stop()
  }
}
