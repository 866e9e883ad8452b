import Primitives
public import Store

/// A profile as a command finds it: with a node that runs, or without.
public enum LocalProfile {
  /// The service that may write to the profile: the running node if one answers, else this process, which takes the
  /// write lock. A command that holds the lock is waited for, and a node that is only starting is met as soon as it
  /// answers.
  ///
  /// Call `close()` when done: it leaves the store in order and so the next opening fast.
  ///
  /// - Parameter patience: how long to wait at most.
  /// - Throws: `StoreError` `.locked`, naming the process that has the profile; `NodeError` `.notFound` for a profile
  ///   without a device key; `StoreError` and `IdentityError` for what is wrong with the files.
  public static func open(
    _ directory: ProfileDirectory, options: ProfileService.Options = .init(), patience: Duration = WriteLock.patience
  ) throws -> any LocalService {
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: patience)
    while true {
      if try RemoteService.isAnswered(in: directory) { return RemoteService(directory) }
      let lock: WriteLock
      do throws(StoreError) {
        lock = try WriteLock.acquire(in: directory, waiting: min(patience, attempt))
      } catch {
        guard error.code == .locked, clock.now < deadline else { throw error }
        continue
      }
      return try ProfileService(directory, lock: lock, options: options)
    }
  }

  /// Between two looks for a node.
  private static let attempt = Duration.milliseconds(50)
}
