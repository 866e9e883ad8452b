import DHT
import Dispatch
public import Identity
public import Primitives
public import Store
public import Transport

/// What `tl node` runs: the profile's only writer, which peers and commands talk to until `stop`.
public actor NodeServer {
  public struct Options: Sendable {
    public var service: ProfileService.Options
    /// Where peers may come in; none for a node that only serves commands.
    public var listen: [PeerAddress]
    /// Whom to keep a connection to.
    public var peers: [NodeCore.Target]
    /// Where programs of this machine find the voidphone API; an address of loopback.
    public var voidphone: PeerAddress?
    /// Told of start and stop; see `ServiceNotifier`.
    public var notifier: ServiceNotifier?
    /// How long to wait for a command that has the profile.
    public var patience = WriteLock.patience
    /// Between two turns of housekeeping.
    public var idleInterval = Duration.seconds(60)

    public init(
      service: ProfileService.Options = .init(), listen: [PeerAddress] = [], peers: [NodeCore.Target] = [],
      notifier: ServiceNotifier? = .fromEnvironment()
    ) {
      self.service = service
      self.listen = listen
      self.peers = peers
      self.notifier = notifier
    }
  }

  /// The addresses that are bound, in the order asked for.
  public nonisolated let addresses: [PeerAddress]
  /// Where the voidphone API is, if it was wanted.
  public nonisolated let voidphone: Endpoint?
  /// The key by which peers know this node.
  public nonisolated let node: PublicKey
  /// For whoever embeds the node; commands come through the control socket.
  public nonisolated let service: ProfileService

  private let queue: DispatchQueue
  private let control: ControlListener
  private let port: VoidphonePort?
  private let timer: any DispatchSourceTimer
  private let notifier: ServiceNotifier?
  private var state = State.running
  private var waiting: [CheckedContinuation<Void, Never>] = []

  private enum State { case running, stopping, stopped }

  /// Takes the profile, binds everything, and tells the service manager that it is ready.
  /// - Throws: `StoreError` `.locked` when somebody else has the profile; what opening and listening throw.
  public static func start(_ directory: ProfileDirectory, options: Options = Options()) async throws -> NodeServer {
    var serviceOptions = options.service
    serviceOptions.isNode = true
    let lock = try WriteLock.acquire(in: directory, waiting: options.patience)
    let service = try ProfileService(directory, lock: lock, options: serviceOptions)
    do {
      let node = try await service.nodeKey()
      try await service.renewStatement()
      if let network = serviceOptions.dht.enters, !directory.contains(.network) {
        try PrivateFile.write(network.bytes, to: directory.path(of: .network))
      }
      var bound: [PeerAddress] = []
      for address in options.listen { bound.append(try await service.listen(on: address)) }
      try await service.startDHT()
      let queue = DispatchQueue(label: "tl.control")
      let control = try queue.sync {
        try ControlListener(path: directory.path(of: .controlSocket), queue: queue) { frame, reply in
          await ControlProtocol.answer(frame, reply, by: service)
        }
      }
      let port: VoidphonePort?
      do { port = try await voidphonePort(options.voidphone, service, queue) } catch {
        queue.sync { control.close() }
        throw error
      }
      for peer in options.peers { try await service.stand(peer) }
      let server = NodeServer(service, node, bound, queue, control, port, options)
      options.notifier?.notify("READY=1")
      return server
    } catch {
      await service.close()
      throw error
    }
  }

  private static func voidphonePort(
    _ address: PeerAddress?, _ service: ProfileService, _ queue: DispatchQueue
  ) async throws -> VoidphonePort? {
    guard let address else { return nil }
    guard let endpoint = try UDPSocket.resolve(address, numericOnly: true).first else {
      throw TransportError(.address, "no address for \(address)")
    }
    // Without a network there would be nothing to ask.
    _ = try await service.dhtRuntime()
    return try queue.sync {
      try VoidphonePort(on: endpoint, queue: queue) { [weak service] message in await service?.answer(message) }
    }
  }

  private init(
    _ service: ProfileService, _ node: PublicKey, _ addresses: [PeerAddress], _ queue: DispatchQueue,
    _ control: ControlListener, _ port: VoidphonePort?, _ options: Options
  ) {
    self.service = service
    self.node = node
    self.addresses = addresses
    self.queue = queue
    self.control = control
    self.port = port
    voidphone = port?.endpoint
    notifier = options.notifier
    timer = DispatchSource.makeTimerSource(queue: queue)
    let (seconds, attoseconds) = options.idleInterval.components
    let interval = DispatchTimeInterval.milliseconds(Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    timer.schedule(deadline: .now() + interval, repeating: interval, leeway: .seconds(1))
    timer.setEventHandler { [service] in Task { await service.keepHouse() } }
    timer.resume()
  }

  /// Ends in order: no more commands, no more sessions, then the store. The second call waits for the first.
  public func stop() async {
    guard state == .running else { return await stopped() }
    state = .stopping
    notifier?.notify("STOPPING=1")
    timer.cancel()
    queue.sync {
      control.close()
      port?.close()
    }
    await service.close()
    state = .stopped
    for waiter in waiting { waiter.resume() }
    waiting = []
  }

  /// Returns when the node has stopped.
  public func stopped() async {
    guard state != .stopped else { return }
    await withCheckedContinuation { waiting.append($0) }
  }
}

extension ProfileService {
  /// The housekeeping of an idle minute: signatures taken on trust, the write-ahead log, our own statement. What fails
  /// is tried again in the next one.
  package func keepHouse() async {
    do {
      for _ in 0..<Self.turnsMaximum {
        guard try await worker.perform({ try $0.tidy() }) else { break }
      }
      try await renewStatement()
      lookUpRouters()
    } catch {
      // Whoever needs the store for something meets the same trouble, and says so.
    }
  }

  /// Two seconds of signatures in a minute at most.
  private static let turnsMaximum = 100
}
