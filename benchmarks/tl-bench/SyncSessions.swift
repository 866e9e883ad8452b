import Identity
import Node
import Primitives
import Replication
import Store
import Timelines
import Transport

/// Sessions over TLS on loopback, with the server in a process of its own.
enum SyncSessions {
  static let all = [cold, unchanged, hundred, memory]

  /// A server process over a store made for it, and what it said at its start.
  private struct Server {
    let child: Child
    let address: String
    let node: PublicKey
    let persons: [PersonID]

    /// Logs of so many posts, the last chunk of each still open.
    init(_ context: Context, logs: Int, posts: Int) throws {
      let path = try context.folder("serve") + "/store"
      let store = try EventStore(writing: path, authority: .alone, readModels: [TimelineModel()])
      let texts = try context.chatTexts(10_000)
      var persons: [PersonID] = []
      try store.batch {
        for number in 0..<logs {
          let author = try SampleAuthor(number)
          persons.append(author.person)
          try store.merge(author.record)
          let own = (0..<posts).lazy.map { texts[(number * 97 + $0) % texts.count] }
          _ = try store.ingest(SampleLog.posts(author, seed: number, texts: own, endsOpen: true))
        }
      }
      store.close()
      try self.init(serving: path, persons)
    }

    init(serving path: String, _ persons: [PersonID]) throws {
      child = try Child(["serve", path])
      let words = try child.ask(nil)
      address = words[0]
      node = PublicKey(hex: words[1])!
      self.persons = persons
    }
  }

  static let cold = Benchmark(
    "sync.cold", "a first sync of 100 logs with 1,000 short posts each, over TLS between two processes",
    unit: "events/s", limit: "limit.ingest", goal: .atLeast(150_000)
  ) { context in
    let logs = context.quick ? 10 : 100
    let posts = 1000
    let server = try Server(context, logs: logs, posts: posts)
    let folder = try context.folder("fetch")
    try checkOrder(server, folder + "/part")
    let newest = try newestPosts(server, folder + "/whole")
    return {
      let path = folder + "/store"
      Files.remove(store: path)
      let client = try SyncClient(store: path, interests: server.persons)
      let before = (Usage.processorSeconds, Double(try server.child.ask("usage")[1])!)
      try client.watch(for: newest)
      let clock = Stopwatch()
      let outcome = try client.sync(with: (server.address, server.node))
      let seconds = clock.seconds
      let found = try client.watched()
      let after = (Usage.processorSeconds, Double(try server.child.ask("usage")[1])!)
      try client.close()
      let events = outcome.end.report!.events
      guard events == logs * posts, outcome.end.report!.complete else {
        throw BenchmarkError("\(events) events came in a first sync")
      }
      guard let found else { throw BenchmarkError("the newest posts never came") }
      return Benchmark.Sample(
        value: Double(events) / seconds,
        notes: bytes(outcome, per: Double(events)) + [
          ("newest50.ms", found.seconds * 1000), ("newest50.runBytes", Double(found.bytes)), ("ms", seconds * 1000),
          ("clientCPUSeconds", after.0 - before.0), ("serverCPUSeconds", after.1 - before.1),
          ("roundTrips", Double(outcome.end.report!.roundTrips)),
          ("storeBytes", Double(try Files.size(path)) / Double(events)),
        ])
    }
  }

  /// Stopped early, a first sync must leave the newest part of every log.
  private static func checkOrder(_ server: Server, _ path: String) throws {
    let client = try SyncClient(store: path, interests: server.persons)
    let whole = try client.sync(with: (server.address, server.node), options: .init(newest: 1))
    guard whole.end.report!.logs == server.persons.count else { throw BenchmarkError("logs are missing") }
    let heads = try client.ranges().map { $0.last?.upperBound }
    guard Set(heads).count == 1, heads[0] != nil else { throw BenchmarkError("not the newest came first") }
    try client.close()
  }

  /// Where the newest 50 posts of all lie.
  private static func newestPosts(_ server: Server, _ path: String) throws -> [LogID: SequenceNumber] {
    let client = try SyncClient(store: path, interests: server.persons)
    _ = try client.sync(with: (server.address, server.node))
    let posts = try client.newest(50, of: server.persons)
    try client.close()
    return posts
  }

  private static func bytes(_ outcome: SyncOutcome, per count: Double) -> [(name: String, value: Double)] {
    let traffic = outcome.traffic
    let application = Double(traffic.bytesSent + traffic.bytesReceived)
    let counters = traffic.counters
    let handshake = Double(counters.handshakeBytesSent + counters.handshakeBytesReceived)
    let wire = Double(counters.wireBytesSent + counters.wireBytesReceived)
    var notes = [
      ("applicationBytes", application / count), ("wireBytes", wire / count), ("handshakeBytes", handshake),
    ]
    for (way, bytes) in [("sent", traffic.sent), ("received", traffic.received)] {
      for (type, count) in bytes.sorted(by: { $0.key < $1.key }) {
        notes.append(("\(way).\(Message.name(ofType: type))", Double(count)))
      }
    }
    return notes.map { (name: $0.0, value: $0.1) }
  }

  /// A client that has everything and has met the server twice.
  private static func acquainted(_ context: Context) throws -> (Server, SyncClient) {
    let server = try Server(context, logs: context.quick ? 100 : 1000, posts: 10)
    let client = try SyncClient(store: try context.folder("fetch") + "/store", interests: server.persons)
    for _ in 0..<2 { _ = try client.sync(with: (server.address, server.node)) }
    return (server, client)
  }

  static let unchanged = Benchmark(
    "sync.unchanged", "nothing new, 1,000 common logs, peers that know each other: bytes inside TLS, both ways",
    unit: "bytes", goal: .atMost(400)
  ) { context in
    let (server, client) = try acquainted(context)
    return {
      let clock = Stopwatch()
      let outcome = try client.sync(with: (server.address, server.node))
      let seconds = clock.seconds
      let report = outcome.end.report!
      guard report.tier == .unchanged, report.complete, report.roundTrips == 1 else {
        throw BenchmarkError("nothing new, and yet \(report)")
      }
      return Benchmark.Sample(
        value: Double(outcome.traffic.bytesSent + outcome.traffic.bytesReceived),
        notes: [("roundTrips", Double(report.roundTrips)), ("ms", seconds * 1000)] + bytes(outcome, per: 1).dropFirst())
    }
  }

  static let hundred = Benchmark(
    "sync.hundred", "100 new posts in 100 of 1,000 common logs: bytes inside TLS, both ways", unit: "bytes",
    goal: .atMost(22_000)
  ) { context in
    let (server, client) = try acquainted(context)
    return {
      _ = try server.child.ask("append 100")
      let clock = Stopwatch()
      let outcome = try client.sync(with: (server.address, server.node))
      let seconds = clock.seconds
      let report = outcome.end.report!
      guard report.events == 100, report.complete else { throw BenchmarkError("100 new posts, and yet \(report)") }
      // The server hears that the client has them now.
      _ = try client.sync(with: (server.address, server.node))
      return Benchmark.Sample(
        value: Double(outcome.traffic.bytesSent + outcome.traffic.bytesReceived),
        notes: [("roundTrips", Double(report.roundTrips)), ("ms", seconds * 1000)] + bytes(outcome, per: 1).dropFirst())
    }
  }

  static let memory = Benchmark(
    "sync.memory", "most memory that a process has resident that fetches a million events", unit: "MB",
    goal: .atMost(150)
  ) { context in
    let large = try LargeStore.million(context, .interleaved)
    let folder = try context.folder("memory")
    let persons = try (0..<large.authors).map { try SampleAuthor($0).person }
    return {
      Files.remove(store: folder + "/serve")
      Files.remove(store: folder + "/store")
      try Files.copy(large.path, to: folder + "/serve")
      let server = try Server(serving: folder + "/serve", persons)
      let client = try Child(["fetch"])
      _ = try client.ask(nil)
      let words = try client.ask("\(folder)/store \(server.address) \(server.node.hex) \(large.authors)")
      let numbers = words.compactMap(Double.init)
      let usage = try server.child.ask("usage").compactMap(Double.init)
      return Benchmark.Sample(
        value: numbers[2],
        notes: [
          ("events", numbers[0]), ("eventsPerSecond", numbers[0] / numbers[1]), ("clientCPUSeconds", numbers[3]),
          ("serverMB", usage[0]), ("serverCPUSeconds", usage[1]),
        ])
    }
  }
}
