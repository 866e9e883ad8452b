import DHT
import Glibc
public import Identity
public import Primitives
import Replication
public import Store
public import Transport

/// Does the work in this process, which holds the profile's write lock: a node for as long as it runs, or a command
/// while no node does.
///
/// The network is touched only when somebody asks for it, so that an append costs no TLS.
public actor ProfileService: LocalService {
  public struct Options: Sendable {
    /// Where `tl login` leaves the device key; nil where there is no such place.
    public var runtimeDirectory: String?
    /// Whether this is a node, for `status`.
    public var isNode = false
    /// What `status` calls this program.
    public var version = ""
    public var environment = StorageEnvironment()
    public var store = EventStore.Options()
    public var limits = NodeCore.Limits(stands: true)
    public var peerLimits = PeerLimits()
    public var dht = DHTOptions()

    public init(runtimeDirectory: String? = nil) { self.runtimeDirectory = runtimeDirectory }
  }

  public nonisolated let directory: ProfileDirectory
  nonisolated let worker: StoreWorker<ProfileStore>
  nonisolated let keys: ProfileKeys
  nonisolated let options: Options
  private var network: Task<Network, any Error>?
  private var isClosed = false
  private(set) var addresses: [PeerAddress] = []
  var dht = DHTPart()
  private var joins = JoinDesk()

  /// What talks to peers, once it is needed.
  struct Network: Sendable {
    let runtime: NodeRuntime<ProfileStore>
    let node: PublicKey
  }

  /// Opens the profile's store for writing.
  /// - Throws: `NodeError` `.notFound` for a profile without a device key; `StoreError`; `IdentityError`.
  public init(_ directory: ProfileDirectory, lock: WriteLock, options: Options = Options()) throws {
    let keys = ProfileKeys(store: KeyStore(directory), runtimeDirectory: options.runtimeDirectory)
    let device = try keys.devicePart()
    self.directory = directory
    self.options = options
    self.keys = keys
    var storeOptions = options.store
    // One command after the other would empty the write-ahead log only to begin a new one.
    if !options.isNode { storeOptions.database.logLeftBytes = 1 << 20 }
    worker = try StoreWorker { [storeOptions] in
      try ProfileStore(
        directory, device: device, keys: keys, lock: lock, environment: options.environment, options: storeOptions)
    }
  }

  public func perform(
    _ request: LocalRequest, progress: @escaping @Sendable (LocalProgress) -> Void
  ) async throws -> LocalReply {
    switch request {
    case .append(let drafts):
      let keys = keys
      let appended = try await worker.perform { try $0.append(drafts, by: try keys.device(at: $0.environment.now())) }
      await tellPeers()
      return .appended(appended)
    case .mergeRecord(let bytes):
      let record = try PersonRecord(decoding: bytes)
      let changed = try await worker.perform { try $0.merge(record).changed }
      await tellPeers()
      return .merged(changed: changed)
    case .importExport(let path):
      let imported = try await importExport(path, progress)
      await tellPeers()
      return .imported(imported)
    case .sync(let targets, let options):
      let network = try await connected()
      try await renewStatement()
      return .synced(await network.runtime.sync(targets, options: options) { progress(.syncing($0)) })
    case .rebuild: return try await worker.perform { try $0.rebuild(progress: progress) }
    case .repair: return try await worker.perform { try $0.repair() }
    case .offerJoin(let offer):
      try await offerJoin(offer, progress)
      return .done
    case .answerJoin(let number, let record):
      try await answerJoin(number, record)
      return .done
    case .status: return .status(try await status())
    case .setNetwork(let bytes, let replaces):
      try await setNetwork(try NetworkConfiguration(bytes), replaces: replaces)
      return .done
    case .dht(let request): return try await perform(request)
    case .findName(let name): return try await findName(name)
    case .search(let options): return try await search(options, progress)
    }
  }

  /// Ends every session and closes the store in order; the write lock is free when this returns.
  public func close() async {
    guard !isClosed else { return }
    isClosed = true
    joins.end(throwing: NodeError(.closed, "the service was closed"))
    if let network {
      do {
        let runtime = try await network.value.runtime
        // Who stays for a while tells the DHT that it goes.
        if options.isNode { await runtime.farewell() }
        await runtime.stop()
      } catch {
        // It never came about, so there is nothing to stop.
      }
    }
    do { try await worker.perform { $0.store.close() } } catch {
      // Only a store that is closed already refuses.
    }
    worker.close()
  }

  // MARK: Peers

  /// Accepts peers at `address`; returns the address that is bound.
  public func listen(on address: PeerAddress) async throws -> PeerAddress {
    let configuration = addresses.isEmpty ? try dhtConfiguration(isClient: false) : nil
    let bound = try await connected().runtime.listen(on: address, dht: configuration)
    addresses.append(bound)
    if configuration != nil { dht.isStarted = true }
    try await startFinding()
    return bound
  }

  /// The key by which peers know this database.
  public func nodeKey() async throws -> PublicKey { try await connected().node }

  /// Signs the device's statement about the node key anew if it needs to be and the key can be had.
  func renewStatement() async throws {
    guard let network else { return }
    let node = try await network.value.node
    let keys = keys
    try await worker.perform { try $0.renewStatement(node: node, keys) }
  }

  /// Makes this device one of the person's: asks the node that gave the ticket out for a certificate, at each of its
  /// addresses in turn, and keeps the record that comes back.
  public func join(_ ticket: Ticket.Join, label: String) async throws -> PersonRecord {
    let device = try keys.device(at: options.environment.now()).key
    let request = Message.JoinRequest(
      secret: ticket.secret.withUnsafeBytes { Array($0) }, device: device.publicKey, label: label,
      consent: device.consent(to: ticket.person))
    let runtime = try await connected().runtime
    var failure: any Error = NodeError(.refused, "the ticket has no address")
    for address in ticket.addresses {
      let bytes: [UInt8]
      do {
        bytes = try await runtime.join(NodeCore.Target(address: address, node: ticket.node), request)
      } catch {
        failure = error
        continue
      }
      let record = try PersonRecord(decoding: bytes)
      guard record.id == ticket.person, record.isActive(device.publicKey) else {
        throw IdentityError(.verification, "the record that came does not certify this device", in: "join")
      }
      return try await worker.perform { try $0.merge(record).record }
    }
    throw failure
  }

  /// Keeps a connection to a peer, so that new events travel at once. Only a node does.
  public func stand(_ target: NodeCore.Target) async throws { await (try connected()).runtime.stand(target) }

  /// Whoever is connected hears of what is new in the store.
  private func tellPeers() async {
    do { await (try await network?.value)?.runtime.storeChanged() } catch {
      // No network came about, so there is nobody to tell.
    }
  }

  func connected() async throws -> Network {
    guard !isClosed else { throw NodeError(.closed, "the service was closed") }
    if let network { return try await network.value }
    let making = Task { [worker, keys, options] in
      let key = try await worker.perform { try $0.nodeKey(keys) }
      var limits = options.limits
      if !options.isNode { limits.standingMaximum = 0 }
      return Network(
        runtime: NodeRuntime(
          identity: try TLSIdentity(key), store: worker, limits: limits, peerLimits: options.peerLimits),
        node: key.publicKey)
    }
    network = making
    do { return try await making.value } catch {
      network = nil
      throw error
    }
  }

  private func status() async throws -> LocalStatus {
    var sessions = 0
    var node: PublicKey?
    if let network = try await network?.value {
      sessions = await network.runtime.sessionCount
      node = network.node
    }
    return LocalStatus(
      pid: getpid(), isNode: options.isNode, addresses: addresses.map(\.description), sessions: sessions,
      version: options.version, node: node)
  }

  // MARK: Devices that join

  private func offerJoin(_ offer: LocalJoinOffer, _ progress: @escaping @Sendable (LocalProgress) -> Void) async throws
  {
    let now = options.environment.now()
    guard offer.notAfter > now else { throw JoinDesk.ranOut }
    let ends = try joins.open(offer, progress)
    defer { joins.close() }
    let network = try await connected()
    await network.runtime.setCertifier { [weak self] request in await self?.certify(request) ?? nil }
    let result: Result<Void, NodeError>?
    do {
      if addresses.isEmpty { _ = try await listen(on: try PeerAddress(offer.listen ?? "*:0", for: .listening)) }
      for address in addresses { progress(.listening(address: address.description, node: network.node)) }
      let timer = Task { [weak self] in
        let latest = now.advanced(milliseconds: Self.offerMilliseconds)
        let left = min(offer.notAfter, latest).milliseconds - now.milliseconds
        try await Task.sleep(for: .milliseconds(left))
        await self?.ranOut()
      }
      defer { timer.cancel() }
      result = await ends.first { _ in true }
    } catch {
      await network.runtime.setCertifier(nil)
      throw error
    }
    await network.runtime.setCertifier(nil)
    guard let result else { throw CancellationError() }
    try result.get()
    // A command ends now: the certificate must have left before. A node goes on, and has other peers.
    if !options.isNode { await network.runtime.drained() }
  }

  /// Longest time that a ticket is out: a day, for it is meant for a device that is at hand.
  private static let offerMilliseconds: Int64 = 86_400_000

  private func ranOut() { joins.end(throwing: JoinDesk.ranOut) }

  private func certify(_ request: Message.JoinRequest) async -> [UInt8]? {
    guard let number = joins.admit(request) else { return nil }
    let record = await withCheckedContinuation { joins.wait(for: number, $0) }
    if record != nil { joins.end(throwing: nil) }
    return record
  }

  private func answerJoin(_ number: UInt32, _ bytes: [UInt8]?) async throws {
    guard let bytes else { return try joins.answer(number, nil) }
    let record = try PersonRecord(decoding: bytes)
    try joins.take(number)
    do {
      // Durable before told: a certificate that is out cannot be forgotten here.
      try joins.answer(number, try await worker.perform { try $0.merge(record).record.encoded })
      await tellPeers()
    } catch {
      joins.giveBack(number)
      throw error
    }
  }

  // MARK: Import

  private func importExport(
    _ path: String, _ progress: @escaping @Sendable (LocalProgress) -> Void
  ) async throws -> LocalImport {
    guard path.utf8.first == UInt8(ascii: "/") else {
      throw NodeError(.refused, "the path of an import must be absolute: \(path)")
    }
    let job = try await worker.perform { try ImportJob(path, into: $0.store) }
    while true {
      if let counts = try await worker.perform({ _ in try job.step(progress) }) { return counts }
      // What is taken already stays: another import of the file goes on from there.
      try Task.checkCancellation()
    }
  }
}
