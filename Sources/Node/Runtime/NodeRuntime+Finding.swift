public import DHT
import Identity
public import Primitives
import Transport

/// How a node takes part in the DHT; the program makes it from the profile.
public struct DHTConfiguration: Sendable {
  /// The family is the socket's.
  public var settings: DHTSettings
  /// Endpoints that are always there, of both families.
  public var routers: [Endpoint]
  /// Of the last run, by family.
  public var saved: [NodeCore.DHTFamily: SavedContacts]
  /// Keeps contacts for the next run. Called on the node's queue; it may take the time of a small file.
  public var save: (@Sendable (NodeCore.DHTFamily, SavedContacts) -> Void)?

  /// Whether it is everybody's network.
  var isPublic: Bool { settings.networkKey == nil }

  public init(
    settings: DHTSettings, routers: [Endpoint] = [], saved: [NodeCore.DHTFamily: SavedContacts] = [:],
    save: (@Sendable (NodeCore.DHTFamily, SavedContacts) -> Void)? = nil
  ) {
    self.settings = settings
    self.routers = routers
    self.saved = saved
    self.save = save
  }
}

/// What can be seen of one node of the DHT.
public struct DHTStatus: Hashable, Sendable {
  public var family: NodeCore.DHTFamily
  public var id: NodeID
  public var endpoint: Endpoint
  public var state: DHTNode.State
  /// Where others see us.
  public var externalAddress: IPAddress?
  /// Nodes that the network seems to have; nil before the first lookup.
  public var networkSize: Double?
  public var contacts: [Contact]
  /// Info-hashes and items that are stored for others.
  public var hashes: Int
  public var items: Int
  public var statistics: DHTNode.Statistics

  public init(
    family: NodeCore.DHTFamily, id: NodeID, endpoint: Endpoint, state: DHTNode.State, externalAddress: IPAddress?,
    networkSize: Double?, contacts: [Contact], hashes: Int, items: Int, statistics: DHTNode.Statistics
  ) {
    self.family = family
    self.id = id
    self.endpoint = endpoint
    self.state = state
    self.externalAddress = externalAddress
    self.networkSize = networkSize
    self.contacts = contacts
    self.hashes = hashes
    self.items = items
    self.statistics = statistics
  }
}

extension NodeRuntime {
  /// Binds what peers and, with `datagrams`, the DHT come in by: one number for TCP and UDP.
  func bind(
    _ address: PeerAddress, datagrams: Bool, onConnection: @escaping @Sendable (PeerConnection) -> PeerHandlers
  ) throws -> (PeerListener, [UDPSocket]) {
    for _ in 1..<Self.portAttemptsMaximum {
      let listener = try PeerListener(on: address, in: context, onConnection: onConnection)
      guard datagrams else { return (listener, []) }
      do { return (listener, try bindDatagrams(UDPSocket.endpoints(for: listener.address))) } catch {
        listener.close()
        // The port that the system picked for TCP can be taken for UDP.
        guard address.port == 0 else { throw error }
      }
    }
    throw TransportError(.address, "no port of \(address) is free for both TCP and UDP")
  }

  func bindDatagrams(_ endpoints: [Endpoint]) throws -> [UDPSocket] {
    var sockets: [UDPSocket] = []
    for endpoint in endpoints {
      do {
        sockets.append(
          try UDPSocket(on: endpoint, queue: context.queue) { [weak self] bytes, source in
            self?.assumeIsolated { $0.feed(.datagram(bytes, from: source)) }
          })
      } catch {
        // Every interface was asked for, and there is no IPv6.
        if endpoint.address == .v6(0, 0), !sockets.isEmpty { continue }
        for socket in sockets { socket.close() }
        throw error
      }
    }
    return sockets
  }

  /// Takes part in the DHT without letting peers in: what a command does for the time that it takes.
  public func startDHT(on endpoints: [Endpoint], _ configuration: DHTConfiguration) throws {
    startDHT(try bindDatagrams(endpoints), configuration)
  }

  /// Joins another network with the sockets that there are, or leaves the one it is in.
  public func changeDHT(_ configuration: DHTConfiguration?) {
    guard let configuration else { return feed(.stopDHT) }
    startDHT([], configuration)
  }

  func startDHT(_ sockets: [UDPSocket], _ configuration: DHTConfiguration) {
    for socket in sockets {
      // One socket for each family: the first that is bound speaks for the node.
      let family: NodeCore.DHTFamily = socket.endpoint.address.isIPv4 ? .ipv4 : .ipv6
      if self.sockets[family] == nil { self.sockets[family] = socket } else { socket.close() }
    }
    // What the network before has to save is not saved as this one's.
    feed(.stopDHT)
    if let port = listeners.first?.address.port { feed(.listening(port: port, isPublic: configuration.isPublic)) }
    saveContacts = configuration.save
    for family in NodeCore.DHTFamily.allCases where self.sockets[family] != nil {
      var settings = configuration.settings
      settings.family = family == .ipv4 ? .ipv4 : .ipv6
      joining.insert(family)
      feed(
        .startDHT(
          NodeCore.DHTStart(
            settings: settings, saved: configuration.saved[family], routers: configuration.routers,
            secret: AuthenticationCode(SystemRandom.bytes(AuthenticationCode.byteCount))!,
            random: SeededRandom(seed: SystemRandom.bytes(8).reduce(0) { $0 << 8 | UInt64($1) }))))
    }
  }

  func joined(_ family: NodeCore.DHTFamily) {
    joining.remove(family)
    guard joining.isEmpty else { return }
    for waiter in joinWaiters { waiter.resume() }
    joinWaiters = []
  }

  /// Returns when the first attempt to join is over: within 10 s, at once for who has nobody to ask.
  public func hasJoined() async {
    guard !joining.isEmpty else { return }
    await withCheckedContinuation { joinWaiters.append($0) }
  }

  /// Asks the DHT, once the node has joined it or failed to. Without a DHT the outcome is `.unreachable`, at once.
  public func ask(_ command: DHTNode.Command) async -> DHTNode.Report {
    await hasJoined()
    let id = NodeCore.DHTRequestID(take())
    return await withCheckedContinuation { continuation in
      dhtRequests[id] = continuation
      feed(.dht(id, command))
    }
  }

  /// Stores a value that is kept again until so much time has passed.
  /// - Parameter isShared: it may be part of more than one value, and is kept for the longest of them.
  public func keep(_ key: DHTNode.PublicationKey, for span: Duration, isShared: Bool = false) {
    feed(.keep(key, for: span, isShared: isShared))
  }

  /// Whether a value is kept for a time already.
  func keeps(_ key: DHTNode.PublicationKey) -> Bool { core.keeps(key) }

  /// Stores a value no longer; what others hold of it fades.
  public func withdraw(_ key: DHTNode.PublicationKey) { feed(.withdraw(key)) }

  public var isInDHT: Bool { NodeCore.DHTFamily.allCases.contains { core.dht($0) != nil } }

  /// One for each family that the node is in.
  public var dhtStatus: [DHTStatus] {
    NodeCore.DHTFamily.allCases.compactMap { family in
      guard let node = core.dht(family), let socket = sockets[family] else { return nil }
      return DHTStatus(
        family: family, id: node.id, endpoint: socket.endpoint, state: node.state,
        externalAddress: core.externalAddress(family), networkSize: node.networkSize, contacts: node.contacts,
        hashes: node.storedCounts.hashes, items: node.storedCounts.items, statistics: node.statistics)
    }
  }

  func stopDHT() {
    feed(.stopDHT)
    for socket in sockets.values { socket.close() }
    sockets = [:]
  }

  private static var portAttemptsMaximum: Int { 16 }
}
