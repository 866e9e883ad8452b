public import Events
public import Identity
public import Primitives
public import Replication

/// The final answer to a `LocalRequest`; errors come as errors.
public enum LocalReply: Hashable, Sendable {
  case done
  case appended([LocalAppend])
  /// Whether the record said anything new.
  case merged(changed: Bool)
  case imported(LocalImport)
  case synced([SyncOutcome])
  /// Who goes by the name.
  case foundNames(LocalNames)
  /// What came of a search, and its sessions in the order of its attempts.
  case searched(SearchReport, [SyncOutcome])
  /// The digests of the read models are equal if they were sound.
  case rebuilt(events: Int, before: Digest, after: Digest)
  case status(LocalStatus)
  /// How many stretches of logs were damaged.
  case repaired(places: Int)
  case dhtReport(LocalDHTReport)
  /// One for each address family that the node is in.
  case dhtTable([DHTStatus])
  case dhtStored(LocalDHTStored)
  /// Nil for nothing there, or nothing that has not expired.
  case dhtValue(LocalDHTValue?)
}

/// What became of one draft.
public enum LocalAppend: Hashable, Sendable {
  /// There was nothing to do; `LocalDraft` says when.
  case skipped
  /// Durable, under this name.
  case appended(Reference, EventID)
}

/// What an import came to.
public struct LocalImport: Hashable, Sendable {
  public var lines: Int
  /// Person records that said something new.
  public var persons: Int
  /// Events that were new.
  public var events: Int
  /// Events that were here already.
  public var known: Int
  /// Lines that were not taken.
  public var bad: Int

  public init(lines: Int = 0, persons: Int = 0, events: Int = 0, known: Int = 0, bad: Int = 0) {
    self.lines = lines
    self.persons = persons
    self.events = events
    self.known = known
    self.bad = bad
  }
}

/// Who answers for a profile.
public struct LocalStatus: Hashable, Sendable {
  /// The process that holds the profile.
  public var pid: Int32
  /// Whether that is a node, or only the command itself.
  public var isNode: Bool
  /// Where it listens.
  public var addresses: [String]
  /// Sessions with peers at this moment.
  public var sessions: Int
  public var version: String
  /// The key by which peers know it.
  public var node: PublicKey?

  public init(pid: Int32, isNode: Bool, addresses: [String], sessions: Int, version: String, node: PublicKey?) {
    self.pid = pid
    self.isNode = isNode
    self.addresses = addresses
    self.sessions = sessions
    self.version = version
    self.node = node
  }
}

/// What a request tells before its answer.
public enum LocalProgress: Hashable, Sendable {
  case syncing(SyncProgress)
  case importing(lines: Int, events: Int)
  /// Lines that were not taken, by their numbers from 1. `LocalImport.bad` counts those too that are too many to name.
  case badLines(ClosedRange<Int>, reason: String)
  case rebuilding(events: Int)
  /// Where a device that joins finds us, and the key it must expect. Once for each address.
  case listening(address: String, node: PublicKey)
  /// A device that knows the secret asks for its certificate.
  case joinRequest(number: UInt32, Message.JoinRequest)
}

/// Does what needs the writer or the network, in this process or in the node that runs.
public protocol LocalService: Sendable {
  /// - Parameter progress: called from any thread, in order, and not after this has returned.
  /// - Throws: `StoreError`, `NodeError`, `IdentityError` or `TransportError`, the same ones wherever the work is done.
  func perform(_ request: LocalRequest, progress: @escaping @Sendable (LocalProgress) -> Void) async throws
    -> LocalReply

  /// Ends what this process holds of the profile. A node that runs goes on.
  func close() async
}

extension LocalService {
  public func perform(_ request: LocalRequest) async throws -> LocalReply { try await perform(request) { _ in } }

  /// Appends any number of drafts, in as few transactions as the limits of one request allow.
  public func append(_ drafts: [LocalDraft]) async throws -> [LocalAppend] {
    var results: [LocalAppend] = []
    results.reserveCapacity(drafts.count)
    var rest = drafts[...]
    while !rest.isEmpty {
      let batch = LocalDraft.batch(of: rest)
      rest = rest.dropFirst(batch.count)
      guard case .appended(let some) = try await perform(.append(Array(batch))), some.count == batch.count else {
        throw NodeError.unexpectedReply
      }
      results += some
    }
    return results
  }
}

extension LocalDraft {
  /// As many of the first drafts as one request takes; at least one.
  static func batch(of drafts: ArraySlice<LocalDraft>) -> ArraySlice<LocalDraft> {
    var bytes = 0
    var count = 0
    for draft in drafts {
      bytes += draft.byteCountMaximum
      if count > 0, count == LocalLimits.drafts || bytes > LocalLimits.draftBytes { break }
      count += 1
    }
    return drafts.prefix(count)
  }

  /// At least the bytes that it takes in a request.
  private var byteCountMaximum: Int {
    switch self {
    case .post(let post): 160 + post.text.utf8.count + (post.source?.feed.utf8.count ?? 0)
    case .follow, .unfollow: 40
    case .delete: 100
    case .profile(let profile):
      24 + [profile.name, profile.about, profile.link].reduce(0) { $0 + ($1?.utf8.count ?? 0) }
    }
  }
}

extension NodeError {
  static var unexpectedReply: NodeError { NodeError(.refused, "the running node gave an answer of another request") }
}
