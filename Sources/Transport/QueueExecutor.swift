public import Dispatch

/// Runs an actor on a dispatch queue, so that socket events and the actor's own code share one thread of execution:
/// callbacks of `PeerConnection` and its kin enter the owner by `assumeIsolated`, without a hop.
public final class QueueExecutor: SerialExecutor {
  /// Give this queue to the listeners, connectors and timers of the actor.
  public let queue: DispatchQueue
  private let key = DispatchSpecificKey<Bool>()

  public init(_ label: String) {
    queue = DispatchQueue(label: label)
    queue.setSpecific(key: key, value: true)
  }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }

  public func checkIsolated() { dispatchPrecondition(condition: .onQueue(queue)) }

  public func isIsolatingCurrentContext() -> Bool? { DispatchQueue.getSpecific(key: key) == true }
}
