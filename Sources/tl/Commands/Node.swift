import DHT
import Dispatch
import Glibc
import Identity
import Node
import Primitives
import Synchronization
import Terminal
import Timelines
import Transport

extension Command {
  static let node = Command(
    "node", "serve peers and commands until it is stopped",
    discussion: """
      Holds the profile and lets peers in. Commands that write talk to it; commands that read do not need it. It stops in \
      order when it gets SIGTERM or Ctrl-C, and at once at the second. To the peers that are named it keeps a connection, \
      and to those who dial it and want that: what one of them posts is at the others within a moment.
      """,
    examples: [
      .init("tl node --listen 0.0.0.0:7001", "serve everybody who can reach this port"),
      .init("tl node --peer example.org:7001 --peer tl://aeba…", "stay connected to two other nodes"),
      .init("tl node --listen 127.0.0.1:0 --json", "let the system pick a port, and print it for a program"),
    ],
    options: [listen, keptPeers, isPublic, bootstrap, noAnnounce, noDHT, bucketSize, parallel, voidphone]
  ) { invocation in
    let profile = try invocation.profile()
    try profile.expectStore()
    let addresses = try invocation.arguments.texts(listen).map { try PeerAddress($0, for: .listening) }
    let peers = try invocation.arguments.texts(keptPeers).flatMap { try alternatives($0) }
    let running = RunningNode()
    let signals = running.stopAtSignals()
    var service = profile.serviceOptions(invocation.table.version)
    service.dht = try dhtOptions(invocation, profile)
    var options = NodeServer.Options(service: service, listen: addresses, peers: peers)
    options.voidphone = try invocation.arguments.text(voidphone).map { try PeerAddress($0, for: .listening) }
    let chosen = options
    let server = try waiting { try await NodeServer.start(profile.directory, options: chosen) }
    running.set(server)
    try announce(server, invocation, profile)
    try waiting { await server.stopped() }
    for source in signals { source.cancel() }
    invocation.output.note("stopped")
  }
}

/// What the command line says about the DHT. `--public` takes Mainline up for a profile that is in no network yet.
private func dhtOptions(_ invocation: Invocation, _ profile: Profile) throws -> ProfileService.DHTOptions {
  let arguments = invocation.arguments
  var options = ProfileService.DHTOptions()
  options.isDisabled = arguments.has(noDHT)
  options.announces = !arguments.has(noAnnounce)
  options.k = arguments.number(bucketSize)
  options.alpha = arguments.number(parallel)
  options.bootstrap = try arguments.texts(bootstrap).map { try PeerAddress($0) }
  let network = try NetworkConfiguration(in: profile.directory)
  if arguments.has(isPublic) {
    guard !options.isDisabled else { throw CommandFailure(.usage, "--public and --no-dht exclude each other") }
    if let network, network.network != .mainline {
      throw CommandFailure(
        .failed, "the profile is in \(network.words)", hint: "tl join public --replace leaves it for the public one")
    }
    if network == nil { options.enters = NetworkConfiguration(.mainline, bootstrap: []) }
  } else if network == nil, !options.bootstrap.isEmpty {
    throw CommandFailure(
      .usage, "--bootstrap means nothing without a network", hint: "--public, or tl join TICKET, or tl invite")
  }
  return options
}

/// Ends the node in order at the first SIGTERM or SIGINT, and the process at the second, or while nothing has begun.
private final class RunningNode: Sendable {
  private let server = Mutex<NodeServer?>(nil)

  func set(_ started: NodeServer) { server.withLock { $0 = started } }

  func stopAtSignals() -> [any DispatchSourceSignal] {
    [SIGTERM, SIGINT].map { number in
      // Its default action would end the process before the store is closed.
      _ = signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [self] in
        let stopping = server.withLock { server in
          defer { server = nil }
          return server
        }
        guard let stopping else { _exit(number == SIGINT ? ExitCode.interrupted.rawValue : 128 + number) }
        Task { await stopping.stop() }
      }
      source.resume()
      return source
    }
  }
}

/// Says that the node is ready, where, and how others find its person. Whoever started it waits for this line.
private func announce(_ server: NodeServer, _ invocation: Invocation, _ profile: Profile) throws {
  let addresses = server.addresses.map(\.description)
  let ticket = try ticket(server, profile)
  if invocation.wantsJSON {
    var line = JSONObject.line()
    line.add("kind", "ready")
    line.add("pid", getpid())
    line.add("node", server.node.hex)
    line.add("addresses", addresses)
    line.add("ticket", ticket)
    line.add("voidphone", server.voidphone?.description)
    try invocation.output.line(line)
  } else if addresses.isEmpty {
    try invocation.output.line("ready, for commands only")
  } else {
    try invocation.output.line("ready on \(addresses.joined(separator: ", "), .bold)")
    invocation.output.note("others follow you, and sync with this node, by \(ticket)")
  }
  try invocation.output.flush()
}

private func ticket(_ server: NodeServer, _ profile: Profile) throws -> String {
  let reading = try Reading(profile)
  let name = try reading.timelines.label(profile.person, now: reading.now).name ?? ""
  let addresses = ReachableAddresses.of(server.addresses.map(\.description)).prefix(Ticket.addressMaximum)
  return try Ticket.person(
    .init(
      person: profile.person, name: Name.isValid(name) ? name : "", node: server.node, addresses: Array(addresses))
  ).text()
}

private let keptPeers = Option(
  "peer", .text("PEER"), repeats: true, "stay connected to this peer: host:port, or the tl:// ticket of a person")
private let listen = Option(
  "listen", .text("ADDR"), repeats: true, "let peers in at host:port; * is every interface, port 0 any free one")
private let voidphone = Option(
  "voidphone", .text("ADDR"), "serve the voidphone DHT API to programs of this machine, as 127.0.0.1:7401")
private let isPublic = Option("public", .flag, "find peers through the public BitTorrent Mainline DHT")
private let bootstrap = Option(
  "bootstrap", .text("ADDR"), repeats: true, "a node of the network that is always there, as host:port")
private let noAnnounce = Option(
  "no-announce", .flag, "announce only one's own logs in the DHT, not those of others that this node holds")
private let noDHT = Option("no-dht", .flag, "stay out of the DHT")
private let bucketSize = Option("dht-k", .number("N", 1...32), "how many nodes hold a value, and fill a bucket (8)")
private let parallel = Option("dht-alpha", .number("N", 1...16), "queries of one search at a time (4)")
