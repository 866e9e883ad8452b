import DHT
import Primitives
import Replication
import Transport

extension ProfileService {
  /// Finds and is found, once the node takes part in a DHT.
  func startFinding() async throws {
    guard dht.isStarted else { return }
    let runtime = try await connected().runtime
    await runtime.find(try finderSettings())
  }

  private func finderSettings() throws -> Finder.Settings {
    var settings = Finder.Settings()
    settings.rules = AddressRules(isPublic: try NetworkConfiguration(in: directory)?.network == .mainline)
    for text in ReachableAddresses.of(addresses.map(\.description)) {
      settings.addresses += try UDPSocket.resolve(PeerAddress(text), numericOnly: true)
    }
    settings.port = addresses.first?.port
    settings.announcesOthers = options.dht.announces
    // A command goes when it is done.
    settings.sessionsMaximum = options.isNode ? options.limits.sessionsMaximum / 2 : 0
    return settings
  }

  /// Syncs with whoever has what is wanted.
  func search(
    _ options: Exchange.Options, _ progress: @escaping @Sendable (LocalProgress) -> Void
  ) async throws -> LocalReply {
    let runtime = try await dhtRuntime()
    try await startFinding()
    try await renewStatement()
    let (report, outcomes) = await runtime.search(options: options) { progress(.syncing($0)) }
    return .searched(report, outcomes)
  }
}
