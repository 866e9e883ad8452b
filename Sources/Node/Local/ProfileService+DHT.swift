public import DHT
import Dispatch
import Primitives
public import Store
public import Transport

extension ProfileService {
  /// How this run takes part in the DHT, beside what the profile says.
  public struct DHTOptions: Sendable {
    public var isDisabled = false
    /// Further nodes that are always there.
    public var bootstrap: [PeerAddress] = []
    /// See `NodeCore.DHTStart`.
    public var announces = true
    /// Of `DHTSettings`; nil leaves what the network has.
    public var k: Int?
    public var alpha: Int?
    /// A network to take up at the start, for a profile that is in none.
    public var enters: NetworkConfiguration?

    public init() {}
  }

  /// What the service knows of its DHT.
  struct DHTPart {
    var isStarted = false
    var routers: [Endpoint] = []
    var contacts: [Contact] = []
    /// Addresses that are names, until they were looked up.
    var names: [PeerAddress] = []
    var isLookingUp = false
  }

  /// Where Mainline is entered by those who know nobody: run by BitTorrent, Transmission, libtorrent and pkarr.
  static let mainlineRouters = [
    "router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "dht.libtorrent.org:25401", "relay.pkarr.org:6881",
  ]

  /// Takes up a network, and leaves the one before for good. What is known of its nodes is forgotten with it.
  /// - Throws: `.refused` when the profile is in another network and that is not to be replaced.
  func setNetwork(_ fresh: NetworkConfiguration, replaces: Bool) async throws {
    let current: NetworkConfiguration?
    do {
      current = try NetworkConfiguration(in: directory)
    } catch let error as StoreError where error.code == .damaged {
      current = nil
    }
    let isOther = directory.contains(.network) && current?.network != fresh.network
    if isOther {
      guard replaces else {
        let name = current?.words ?? "a network whose file does not read"
        throw NodeError(.refused, "the profile is in \(name) already")
      }
    }
    var fresh = fresh
    if !isOther, let current {
      fresh = NetworkConfiguration(fresh.network, bootstrap: fresh.bootstrap + current.bootstrap)
    }
    // First what belongs to the old one: after a crash between the two there are too few contacts, and no wrong ones.
    if isOther { for item in Self.contactFiles.values { try PrivateFile.remove(directory.path(of: item)) } }
    try PrivateFile.write(fresh.bytes, to: directory.path(of: .network))
    guard options.isNode, !options.dht.isDisabled else { return }
    if dht.isStarted {
      await (try connected()).runtime.changeDHT(try dhtConfiguration(isClient: addresses.isEmpty))
      lookUpRouters()
      try await startFinding()
    } else {
      try await startDHT()
    }
  }

  /// Takes part in the profile's network as one who only asks, unless a listener does more already. Without a network
  /// nothing happens.
  func startDHT() async throws {
    if !dht.isStarted, var configuration = try dhtConfiguration(isClient: addresses.isEmpty) {
      let runtime = try await connected().runtime
      if !options.isNode {
        // A command cannot wait for a later attempt.
        for name in dht.names { configuration.routers += await Self.found(name) }
        dht.names = []
      }
      guard !dht.isStarted else { return }
      dht.isStarted = true
      if let first = addresses.first {
        try await runtime.startDHT(on: UDPSocket.endpoints(for: first), configuration)
      } else {
        try await runtime.startDHT(
          on: UDPSocket.endpoints(for: PeerAddress(host: "", port: 0)), configuration)
      }
    }
    if dht.isStarted {
      lookUpRouters()
      try await startFinding()
    }
  }

  /// How to take part in the profile's network; nil when there is none, or it is not wanted.
  func dhtConfiguration(isClient: Bool) throws -> DHTConfiguration? {
    guard !options.dht.isDisabled, let network = try NetworkConfiguration(in: directory) else { return nil }
    var settings = network.settings
    settings.isReadOnly = isClient
    if let k = options.dht.k { settings.k = k }
    if let alpha = options.dht.alpha { settings.alpha = alpha }
    var addresses = options.dht.bootstrap + (try network.bootstrap.map { try PeerAddress($0) })
    if addresses.isEmpty, network.network == .mainline {
      addresses = try Self.mainlineRouters.map { try PeerAddress($0) }
    }
    var routers: [Endpoint] = []
    dht.names = []
    for address in addresses {
      do { routers += try UDPSocket.resolve(address, numericOnly: true) } catch { dht.names.append(address) }
    }
    var configuration = DHTConfiguration(settings: settings, routers: routers)
    for (family, item) in Self.contactFiles where directory.contains(item) {
      let bytes = try PrivateFile.read(directory.path(of: item), atMost: SavedContacts.byteCountMaximum)
      // Contacts that do not read are found again by way of the others.
      do { configuration.saved[family] = try SavedContacts(bytes) } catch {}
    }
    dht.routers = routers
    dht.contacts = configuration.saved.values.flatMap(\.contacts)
    configuration.save = { [directory, known = configuration.saved] family, contacts in
      guard let item = Self.contactFiles[family] else { return }
      // Who only asks, for a moment, knows little of the network.
      if isClient, let known = known[family], known.contacts.count > contacts.contacts.count { return }
      do { try PrivateFile.write(contacts.bytes, to: directory.path(of: item)) } catch {
        // Without them the next start takes longer; nothing is lost.
      }
    }
    return configuration
  }

  /// Looks up those nodes by name that have not been found yet, and joins by way of them. It is tried again each minute.
  func lookUpRouters() {
    guard !dht.names.isEmpty, !dht.isLookingUp else { return }
    dht.isLookingUp = true
    let names = dht.names
    // The resolver blocks, so it gets a thread of its own.
    DispatchQueue(label: "tl.names").async { [weak self] in
      var found: [Endpoint] = []
      var missing: [PeerAddress] = []
      for name in names {
        do { found += try UDPSocket.resolve(name) } catch { missing.append(name) }
      }
      Task { [found, missing] in await self?.lookedUp(names, found, missing) }
    }
  }

  private func lookedUp(_ names: [PeerAddress], _ found: [Endpoint], _ missing: [PeerAddress]) async {
    dht.isLookingUp = false
    // Of another network, meanwhile.
    guard names == dht.names else { return lookUpRouters() }
    dht.names = missing
    dht.routers += found
    guard !found.isEmpty else { return }
    do {
      _ = try await connected().runtime.ask(.bootstrap(contacts: dht.contacts, routers: dht.routers))
    } catch {
      // The service was closed meanwhile.
    }
  }

  private static func found(_ name: PeerAddress) async -> [Endpoint] {
    do { return try await lookUp(name) } catch { return [] }
  }

  static let contactFiles: [NodeCore.DHTFamily: ProfileDirectory.Item] = [.ipv4: .contacts, .ipv6: .contactsIPv6]

  // MARK: Requests

  /// The runtime, in the DHT: a command without a node joins for as long as it takes.
  func dhtRuntime() async throws -> NodeRuntime<ProfileStore> {
    guard !options.dht.isDisabled else { throw NodeError(.refused, "this node runs without the DHT") }
    guard directory.contains(.network) else {
      throw NodeError(
        .notFound, "this profile is in no network: tl join enters one, tl invite begins one; tl sync ADDR needs none")
    }
    try await startDHT()
    let runtime = try await connected().runtime
    if await !runtime.isInDHT { throw NodeError(.refused, "the DHT could not be started") }
    return runtime
  }

  func perform(_ request: LocalDHTRequest) async throws -> LocalReply {
    let runtime = try await dhtRuntime()
    switch request {
    case .find(let target): return .dhtReport(LocalDHTReport(await runtime.ask(.findNode(target))))
    case .ping(let address):
      let endpoints = try await Self.lookUp(try PeerAddress(address))
      guard let endpoint = endpoints.first else { throw NodeError(.unreachable, "no address for \(address)") }
      return .dhtReport(LocalDHTReport(await runtime.ask(.ping(endpoint))))
    case .table:
      await runtime.hasJoined()
      return .dhtTable(await runtime.dhtStatus)
    case .put(let put): return .dhtStored(try await store(put, runtime))
    case .get(let name): return .dhtValue(try await fetch(name, runtime))
    }
  }

  private static func lookUp(_ address: PeerAddress) async throws -> [Endpoint] {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue(label: "tl.names").async {
        continuation.resume(with: Result { try UDPSocket.resolve(address) })
      }
    }
  }
}

extension NetworkConfiguration {
  /// The network that a profile is in; nil for none.
  /// - Throws: `StoreError`, `.damaged` for a file that does not read.
  public init?(in directory: ProfileDirectory) throws {
    guard directory.contains(.network) else { return nil }
    let path = directory.path(of: .network)
    let bytes = try PrivateFile.read(path, atMost: Self.byteCountMaximum)
    do { try self.init(bytes) } catch {
      throw StoreError(.damaged, "is no network configuration: \(error)", path: path)
    }
  }

  /// What it is called for people.
  public var words: String {
    switch id {
    case let id?: "the private network \(Hex.encode(id))"
    case nil: "the public Mainline DHT"
    }
  }
}
