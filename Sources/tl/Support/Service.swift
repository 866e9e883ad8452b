import Node
import Store
import Terminal

extension Invocation {
  /// Whoever may write to the profile, for as long as `body` runs: the node that runs, else this process.
  func withService<Value: Sendable>(
    _ profile: Profile, _ body: @escaping @Sendable (any LocalService) async throws -> Value
  ) throws -> Value {
    try profile.expectStore()
    let service = try LocalProfile.open(profile.directory, options: profile.serviceOptions(table.version))
    return try waiting {
      do {
        let value = try await body(service)
        await service.close()
        return value
      } catch {
        await service.close()
        throw error
      }
    }
  }
}

extension Profile {
  /// A device whose store is gone must not begin again at 1: its followers hold other events under those numbers.
  func expectStore() throws {
    guard !PrivateFile.exists(databasePath) else { return }
    throw CommandFailure(
      .verificationFailed, "\(databasePath) is gone, and this device's log with it",
      hint: "tl restore makes a new device of the same person from a backup, in another --home")
  }

  func serviceOptions(_ version: String) -> ProfileService.Options {
    var options = ProfileService.Options(runtimeDirectory: runtimePath)
    options.version = version
    return options
  }
}
