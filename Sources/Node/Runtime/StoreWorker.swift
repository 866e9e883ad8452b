import Dispatch
public import Replication

/// What answers a session's questions: the store of this profile behind `StoreBridge`, or a model in a test.
public protocol StoreAnswering: AnyObject, SendableMetatype {
  func answer(_ request: StoreRequest) -> StoreReply
}

/// Runs a store on a queue of its own, because SQLite blocks. Requests are answered one by one, in the order they came.
///
/// `@unchecked Sendable`: the wrapped value is touched inside `queue` only.
public final class StoreWorker<Wrapped: StoreAnswering>: @unchecked Sendable {
  private let queue: DispatchQueue
  private var wrapped: Wrapped?

  /// Makes the store on its queue, where it stays.
  public init(_ label: String = "tl.store", make: @Sendable () throws -> Wrapped) throws {
    queue = DispatchQueue(label: label)
    wrapped = try queue.sync { try make() }
  }

  /// - Parameter reply: called on the worker's queue.
  public func answer(_ request: StoreRequest, reply: @escaping @Sendable (StoreReply) -> Void) {
    queue.async { [self] in reply(wrapped?.answer(request) ?? .failed("the store is closed")) }
  }

  /// Runs `body` in turn with the other requests.
  public func perform<Result: Sendable>(_ body: @escaping @Sendable (Wrapped) throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { [self] in
        guard let wrapped else {
          continuation.resume(throwing: NodeError(.closed, "the store is closed"))
          return
        }
        continuation.resume(with: Swift.Result { try body(wrapped) })
      }
    }
  }

  /// As `perform`, for a caller that may wait: never call it from the node's queue.
  public func performAndWait<Result: Sendable>(_ body: @Sendable (Wrapped) throws -> Result) throws -> Result {
    try queue.sync {
      guard let wrapped else { throw NodeError(.closed, "the store is closed") }
      return try body(wrapped)
    }
  }

  /// Lets go of the store after what was asked before.
  public func close() {
    queue.sync { wrapped = nil }
  }
}
