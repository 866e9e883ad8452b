import DHT
import Identity
import Node
import Primitives
import Store
import Testing
import Transport

/// The network of a profile, and its DHT by way of the service.
@Suite struct NetworkTests {
  static let first = NetworkConfiguration(.privateNetwork(AuthenticationCode(prefix64: 1)), bootstrap: [])
  static let second = NetworkConfiguration(.privateNetwork(AuthenticationCode(prefix64: 2)), bootstrap: [])
  static let anywhere = [try! PeerAddress("127.0.0.1:0", for: .listening)]

  func server(_ profile: TestProfile) async throws -> NodeServer {
    try await NodeServer.start(
      profile.directory, options: .init(service: profile.options, listen: Self.anywhere, notifier: nil))
  }

  func find(_ service: any LocalService) async throws -> LocalDHTReport {
    guard case .dhtReport(let report) = try await service.perform(.dht(.find(NodeID(sha1: [1])))) else {
      throw NodeError(.refused, "another reply")
    }
    return report
  }

  @Test("another network is not taken up in passing; replacing it forgets whom one knew there")
  func replaced() async throws {
    let profile = try TestProfile()
    let service = try await profile.open()
    let file = profile.directory.path(of: .network)
    _ = try await service.perform(.setNetwork(Self.first.bytes, replaces: false))
    let contacts = SavedContacts(id: NodeID(sha1: [1]), contacts: [])
    try PrivateFile.write(contacts.bytes, to: profile.directory.path(of: .contacts))
    await #expect(throws: NodeError.self) {
      try await service.perform(.setNetwork(Self.second.bytes, replaces: false))
    }
    #expect(try NetworkConfiguration(in: profile.directory) == Self.first)
    var further = Self.first
    further.bootstrap = ["a:1"]
    _ = try await service.perform(.setNetwork(further.bytes, replaces: false))
    #expect(try NetworkConfiguration(in: profile.directory)?.bootstrap == ["a:1"])
    #expect(profile.directory.contains(.contacts))
    _ = try await service.perform(.setNetwork(Self.second.bytes, replaces: true))
    #expect(try NetworkConfiguration(in: profile.directory) == Self.second)
    #expect(!profile.directory.contains(.contacts))
    try PrivateFile.write(Array("rotten".utf8), to: file)
    #expect(throws: StoreError.self) { try NetworkConfiguration(in: profile.directory) }
    await #expect(throws: NodeError.self) { try await service.perform(.setNetwork(Self.first.bytes, replaces: false)) }
    _ = try await service.perform(.setNetwork(Self.first.bytes, replaces: true))
    #expect(try NetworkConfiguration(in: profile.directory) == Self.first)
    await service.close()
  }

  @Test("a profile in no network has no DHT, and says so")
  func without() async throws {
    let profile = try TestProfile()
    let service = try await profile.open()
    let error = await #expect(throws: NodeError.self) { try await find(service) }
    #expect(error?.code == .notFound)
    await service.close()
  }

  @Test("a running node takes a network up; a command without a node finds it there, and remembers it")
  func found() async throws {
    let host = try TestProfile()
    let node = try await server(host)
    await #expect(throws: NodeError.self) { try await find(node.service) }
    _ = try await node.service.perform(.setNetwork(Self.first.bytes, replaces: false))
    let guest = try TestProfile()
    let service = try await guest.open()
    let invited = NetworkConfiguration(Self.first.network, bootstrap: node.addresses.map(\.description))
    _ = try await service.perform(.setNetwork(invited.bytes, replaces: false))
    let report = try await find(service)
    #expect(report.isReached && report.closest.map { "\($0.endpoint)" } == invited.bootstrap)
    await service.close()
    let saved = try SavedContacts(
      PrivateFile.read(guest.directory.path(of: .contacts), atMost: SavedContacts.byteCountMaximum))
    #expect(saved.contacts.map { "\($0.endpoint)" } == invited.bootstrap)
    // Who only asked is in nobody's table.
    guard case .dhtTable(let tables) = try await node.service.perform(.dht(.table)) else { return }
    #expect(tables.map(\.contacts) == [[]])
    await node.stop()
  }

  @Test("who says that it stays out of the DHT does")
  func disabled() async throws {
    let profile = try TestProfile()
    profile.options.dht.isDisabled = true
    let node = try await server(profile)
    _ = try await node.service.perform(.setNetwork(Self.first.bytes, replaces: false))
    let error = await #expect(throws: NodeError.self) { try await find(node.service) }
    #expect(error?.code == .refused)
    await node.stop()
  }
}
