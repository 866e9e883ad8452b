import DHT
import Identity
import Node
import Primitives
import Replication
import Simulator
import Testing
import Transport

/// Real sockets on loopback, and stores of plain sets.
@Suite struct NodeRuntimeTests {
  static let people: [PersonID] = (0..<20).map { PersonID(hashing: Array("person \($0)".utf8)) }

  struct Peer {
    let key = SigningKey()
    let worker: StoreWorker<ModelStore>
    let node: NodeRuntime<ModelStore>

    init(seed: UInt64, make: @escaping @Sendable (ModelStore) -> Void) throws {
      worker = try StoreWorker {
        let store = ModelStore(seed: seed)
        make(store)
        return store
      }
      node = NodeRuntime(identity: try TLSIdentity(key), store: worker)
    }
  }

  @Test("two nodes sync over TLS, and know it when they meet again")
  func sync() async throws {
    let people = Self.people
    let server = try Peer(seed: 1) { store in
      for person in people { store.author(person, events: 1..<500) }
    }
    let client = try Peer(seed: 2) { $0.follows = Set(people) }
    let address = try await server.node.listen(on: PeerAddress("127.0.0.1:0", for: .listening))
    let target = NodeCore.Target(address: address.description, node: server.key.publicKey)
    let first = await client.node.sync([target])
    #expect(first[0].end.failure == nil)
    #expect(first[0].end.report?.events == 20 * 499)
    #expect(first[0].end.report?.complete == true)
    let second = await client.node.sync([target, target])
    #expect(second.map { $0.end.report?.tier } == [.unchanged, .unchanged])
    #expect(second[0].traffic.bytesSent + second[0].traffic.bytesReceived < 250)
    let held = try await client.worker.perform { $0.digest }
    let origin = try await server.worker.perform { $0.digest }
    #expect(held == origin)
    await client.node.stop()
    await server.node.stop()
  }

  @Test("a peer that is not there, and one with another key, are told apart and do not stop the others")
  func failures() async throws {
    let server = try Peer(seed: 1) { $0.author(Self.people[0], events: 1..<5) }
    let client = try Peer(seed: 2) { $0.follows = [Self.people[0]] }
    let address = try await server.node.listen(on: PeerAddress("127.0.0.1:0", for: .listening)).description
    let outcomes = await client.node.sync([
      .init(address: "127.0.0.1:1"), .init(address: address, node: SigningKey().publicKey), .init(address: "nonsense"),
      .init(address: address),
    ])
    #expect(outcomes.map { $0.end.failure == nil } == [false, false, false, true])
    #expect(outcomes[3].end.report?.events == 4)
    await client.node.stop()
    await server.node.stop()
  }

  @Test("a device joins when the holder of the root key says yes, and is told when it says no")
  func join() async throws {
    let holder = try Peer(seed: 1) { _ in }
    let device = try Peer(seed: 2) { _ in }
    let address = try await holder.node.listen(on: PeerAddress("127.0.0.1:0", for: .listening)).description
    let target = NodeCore.Target(address: address, node: holder.key.publicKey)
    let key = SigningKey()
    let request = Message.JoinRequest(
      secret: [UInt8](repeating: 7, count: 16), device: key.publicKey, label: "laptop",
      consent: key.sign([1], in: .consent))
    await #expect(throws: NodeError.self) { try await device.node.join(target, request) }
    await holder.node.setCertifier { request in request.label == "laptop" ? [1, 2, 3] : nil }
    #expect(try await device.node.join(target, request) == [1, 2, 3])
    await device.node.stop()
    await holder.node.stop()
  }

  @Test("two nodes are in one DHT, on the ports at which they let peers in, and save whom they met")
  func dht() async throws {
    let settings = DHTSettings.privateNetwork(NetworkKey(AuthenticationCode(prefix64: 7)))
    let first = try Peer(seed: 1) { _ in }
    let second = try Peer(seed: 2) { _ in }
    let saved = Locked<[NodeCore.DHTFamily: SavedContacts]>([:])
    let anywhere = try PeerAddress("127.0.0.1:0", for: .listening)
    let address = try await first.node.listen(on: anywhere, dht: DHTConfiguration(settings: settings))
    let router = Endpoint(.v4(127 << 24 | 1), port: address.port)
    #expect(await first.node.dhtStatus.map(\.endpoint) == [router])
    let configuration = DHTConfiguration(settings: settings, routers: [router]) { family, contacts in
      saved.change { $0[family] = contacts }
    }
    _ = try await second.node.listen(on: anywhere, dht: configuration)
    let item = ImmutableItem(value: Array("5:hello".utf8))
    guard case .stored(let storage) = await second.node.ask(.putImmutable(item, keeps: false)).outcome else {
      Issue.record("not stored")
      return
    }
    #expect(storage.nodes.map(\.endpoint) == [router])
    #expect(await first.node.ask(.getImmutable(item.target)).outcome == .immutable(item))
    await second.node.stop()
    #expect(saved.value[.ipv4]?.contacts.map(\.endpoint) == [router])
    #expect(await second.node.ask(.getImmutable(item.target)).outcome == .unreachable)
    await first.node.stop()
  }
}
