import Events
import Glibc
import Identity
import Node
import Primitives
import Replication
import Store
import Timelines
import Transport

/// A node that holds a prepared store and serves it. It is interested in everybody whom it holds.
final class SyncServer {
  let node: PublicKey
  let address: String
  private let worker: StoreWorker<StoreBridge>
  private let runtime: NodeRuntime<StoreBridge>

  init(store path: String) throws {
    let key = SigningKey()
    node = key.publicKey
    let worker = try StoreWorker {
      let store = try EventStore(writing: path, authority: .alone, readModels: [TimelineModel()])
      return StoreBridge(store: store, interests: { try store.persons() }, now: { StorageEnvironment.systemNow() })
    }
    self.worker = worker
    let runtime = NodeRuntime(identity: try TLSIdentity(key), store: worker)
    self.runtime = runtime
    address = try wait { try await runtime.listen(on: PeerAddress("127.0.0.1:0", for: .listening)).description }
  }

  /// `append N`: one post each by the first N authors. `usage`: most memory in MB, and processor seconds so far.
  func answer(_ line: String) throws -> String {
    let words = line.split(separator: " ")
    switch words.first {
    case "append":
      let count = Int(words[1])!
      try wait { [worker] in
        try await worker.perform { bridge in
          var random = SeededRandom(seed: 11)
          var corpus = Corpus(seed: 12)
          try bridge.store.batch {
            for number in 0..<count {
              let draft = Draft(.post(.init(text: corpus.text())), ttl: 0, salt: random.bytes(8))
              _ = try bridge.store.append([draft], by: try SampleAuthor(number).author)
            }
          }
        }
      }
      return "appended \(count)"
    case "usage": return "\(try Usage.residentMaximum()) \(Usage.processorSeconds)"
    default: throw BenchmarkError("asked for \(line)")
    }
  }
}

/// A node with a store of its own that fetches from another. Once per process: it keeps what it learned.
final class SyncClient {
  private let worker: StoreWorker<WatchedStore>
  private let runtime: NodeRuntime<WatchedStore>

  init(store path: String, interests: [PersonID]) throws {
    worker = try StoreWorker {
      WatchedStore(
        StoreBridge(
          store: try EventStore(writing: path, authority: .alone, readModels: [TimelineModel()]),
          interests: { interests }, now: { StorageEnvironment.systemNow() }))
    }
    runtime = NodeRuntime(identity: try TLSIdentity(SigningKey()), store: worker)
  }

  func sync(with server: (address: String, node: PublicKey), options: Exchange.Options = .init()) throws -> SyncOutcome
  {
    let target = NodeCore.Target(address: server.address, node: server.node)
    let outcomes = try wait { [runtime] in await runtime.sync([target], options: options) }
    try wait { [runtime] in await runtime.drained() }
    if let failure = outcomes[0].end.failure { throw BenchmarkError("the sync failed: \(failure)") }
    return outcomes[0]
  }

  /// The held ranges of every log.
  func ranges() throws -> [[ClosedRange<SequenceNumber>]] {
    try wait { [worker] in try await worker.perform { try $0.bridge.store.logs().map(\.ranges) } }
  }

  /// Of each log with one of the newest posts of all, the lowest of them.
  func newest(_ count: Int, of persons: [PersonID]) throws -> [LogID: SequenceNumber] {
    try wait { [worker] in
      try await worker.perform { store in
        let reader = TimelineReader(store.bridge.store)
        let now = StorageEnvironment.systemNow()
        let posts = try persons.flatMap { try reader.posts(of: $0, limit: count, now: now) }
        let newest = posts.sorted { $0.position > $1.position }.prefix(count)
        return Dictionary(newest.map { ($0.log, $0.sequence) }, uniquingKeysWith: min)
      }
    }
  }

  /// From here on, notes when all these are held.
  func watch(for posts: [LogID: SequenceNumber]) throws {
    try wait { [worker] in try await worker.perform { $0.watch = .init(posts: posts) } }
  }

  /// Seconds from `watch`, and RUN bytes, until those posts were held.
  func watched() throws -> (seconds: Double, bytes: Int)? {
    try wait { [worker] in try await worker.perform { $0.watch?.found } }
  }

  func close() throws {
    try wait { [runtime] in await runtime.stop() }
    worker.close()
  }

  /// In a process of its own: `STORE ADDRESS NODE AUTHORS` fetches everything of that many sample authors, and tells
  /// events, seconds, most memory in MB and processor seconds.
  static func answer(_ line: String) throws -> String {
    let words = line.split(separator: " ").map(String.init)
    let persons = try (0..<Int(words[3])!).map { try SampleAuthor($0).person }
    let client = try SyncClient(store: words[0], interests: persons)
    let before = Usage.processorSeconds
    let clock = Stopwatch()
    let outcome = try client.sync(with: (words[1], PublicKey(hex: words[2])!))
    let seconds = clock.seconds
    let result = "\(outcome.end.report!.events) \(seconds) \(try Usage.residentMaximum())"
    let processor = Usage.processorSeconds - before
    try client.close()
    return result + " \(processor)"
  }
}

/// A store that notes when certain posts have come.
final class WatchedStore: StoreAnswering {
  struct Watch {
    let posts: [LogID: SequenceNumber]
    let clock = Stopwatch()
    var bytes = 0
    var found: (seconds: Double, bytes: Int)?
  }

  let bridge: StoreBridge
  var watch: Watch?

  init(_ bridge: StoreBridge) { self.bridge = bridge }

  func answer(_ request: StoreRequest) -> StoreReply {
    let reply = bridge.answer(request)
    if case .ingest(let bodies, _) = request, watch != nil, watch!.found == nil {
      watch!.bytes += bodies.reduce(0) { $0 + $1.count }
      let isHere = watch!.posts.allSatisfy { log, lowest in
        (try? bridge.store.log(log)?.ranges.last?.lowerBound).map { $0 <= lowest } ?? false
      }
      if isHere { watch!.found = (watch!.clock.seconds, watch!.bytes) }
    }
    return reply
  }
}
