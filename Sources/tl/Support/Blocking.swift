import Dispatch
import Synchronization

/// Runs asynchronous work for a command, whose handler is synchronous, and waits for its end. Nothing else bridges.
///
/// It blocks its thread, so it is for the main thread alone: a task that waited in here would take one of the few threads
/// that run tasks.
func waiting<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) throws -> Value {
  let outcome = Outcome<Value>()
  Task.detached {
    do { outcome.settle(.success(try await work())) } catch { outcome.settle(.failure(error)) }
  }
  return try outcome.wait()
}

private final class Outcome<Value: Sendable>: Sendable {
  private let result = Mutex<Result<Value, any Error>?>(nil)
  private let done = DispatchSemaphore(value: 0)

  func settle(_ value: Result<Value, any Error>) {
    result.withLock { $0 = value }
    done.signal()
  }

  func wait() throws -> Value {
    done.wait()
    return try result.withLock { $0! }.get()
  }
}
