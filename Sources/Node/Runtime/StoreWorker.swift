import Dispatch
public import Replication

/// What answers a session's questions: the store of this profile behind `StoreBridge`, or a model in a test.
public protocol StoreAnswering: AnyObject, SendableMetatype {
  func answer(_ request: StoreRequest) -> StoreReply
}

/// Runs a store on a queue of its own, because SQLite blocks. Requests are answered one by one: those of one session in
/// the order they came, and each session gets the same part of the store's time, so that a peer that asks for everything
/// does not keep the others waiting.
///
/// `@unchecked Sendable`: the wrapped value is touched inside `queue` only, what waits for it inside `order` only.
public final class StoreWorker<Wrapped: StoreAnswering>: @unchecked Sendable {
  private struct Question: Sendable {
    let request: StoreRequest
    let reply: @Sendable (StoreReply) -> Void
  }

  private let queue: DispatchQueue
  private var wrapped: Wrapped?
  /// Short turns of its own, so that asking never waits for an answer.
  private let order = DispatchQueue(label: "tl.store.order")
  private var waiting = FairQueue<UInt64, Question>()

  /// Makes the store on its queue, where it stays.
  public init(_ label: String = "tl.store", make: @Sendable () throws -> Wrapped) throws {
    queue = DispatchQueue(label: label)
    wrapped = try queue.sync { try make() }
  }

  /// - Parameters:
  ///   - session: who asks.
  ///   - reply: called on the worker's queue.
  public func answer(_ request: StoreRequest, for session: UInt64, reply: @escaping @Sendable (StoreReply) -> Void) {
    let isFirst = order.sync {
      waiting.append(Question(request: request, reply: reply), for: session)
      return waiting.count == 1
    }
    if isFirst { queue.async { [self] in answerNext() } }
  }

  /// Answers one question and comes back for the next, so that `perform` waits for one at most.
  private func answerNext() {
    guard answerOne() else { return }
    queue.async { [self] in answerNext() }
  }

  /// - Returns: whether more wait. A question counts as waiting until its answer is given.
  private func answerOne() -> Bool {
    guard let (session, question) = order.sync(execute: { waiting.next }) else { return false }
    let began = DispatchTime.now().uptimeNanoseconds
    question.reply(wrapped?.answer(question.request) ?? .failed("the store is closed"))
    let spent = DispatchTime.now().uptimeNanoseconds - began
    return order.sync {
      waiting.removeNext(of: session, cost: spent)
      return waiting.count > 0
    }
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

  /// Lets go of the store after what was asked before.
  public func close() {
    queue.sync {
      while answerOne() {}
      wrapped = nil
    }
  }
}
