import Node
import Store
import Terminal

extension Invocation {
  /// Whoever may write to the profile, for as long as `body` runs: the node that runs, else this process.
  func withService<Value: Sendable>(
    _ profile: Profile, _ body: @escaping @Sendable (any LocalService) async throws -> Value
  ) throws -> Value {
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
  func serviceOptions(_ version: String) -> ProfileService.Options {
    var options = ProfileService.Options(runtimeDirectory: runtimePath)
    options.version = version
    return options
  }
}
