import DHT
import Identity
package import Primitives
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

extension ProfileService {
  /// Asks those who announced that they know the name, several at a time, and counts what they say.
  func findName(_ name: String) async throws -> LocalReply {
    try Name.check(name, in: "name")
    let runtime = try await dhtRuntime()
    let rules = AddressRules(isPublic: try NetworkConfiguration(in: directory)?.network == .mainline)
    var endpoints: [Endpoint] = []
    if case .peers(let found) = await runtime.ask(.getPeers(.name(name))).outcome {
      endpoints = Array(Self.spread(found.filter(rules.allows).shuffled()).prefix(Self.askedMaximum))
    }
    // Any of them may lie, or never answer; what counts is how many say the same.
    let answers = await withTaskGroup(of: FoundPersons?.self) { group in
      for endpoint in endpoints {
        group.addTask {
          do { return try await runtime.find(name, at: .init(address: endpoint.description)) } catch { return nil }
        }
      }
      var answers: [FoundPersons] = []
      for await answer in group { if let answer { answers.append(answer) } }
      return answers
    }
    return .foundNames(Self.count(answers, of: name, asked: endpoints.count))
  }

  /// One address of each network out in the world, an IPv4 /24 or an IPv6 /64: whoever has many of them is asked once.
  package static func spread(_ endpoints: [Endpoint]) -> [Endpoint] {
    var networks: Set<IPAddress> = []
    return endpoints.filter { endpoint in
      let network: IPAddress =
        switch endpoint.address {
        case .v4(let value): .v4(value & 0xFFFF_FF00)
        case .v6(let high, _): .v6(high, 0)
        }
      return endpoint.address.addressClass != .global || networks.insert(network).inserted
    }
  }

  /// What peers say, by person. A node counts once for each, at how many addresses ever, and only with those of the name
  /// that was asked for.
  package static func count(_ answers: [FoundPersons], of name: String, asked: Int) -> LocalNames {
    let folded = Name.folded(name)
    var peers: [FoundPerson: Int] = [:]
    let byNode = Dictionary(answers.map { ($0.node, Set($0.persons)) }) { first, _ in first }
    for answer in byNode.values {
      for found in answer where Name.folded(found.name) == folded { peers[found, default: 0] += 1 }
    }
    let all = peers.map { LocalNames.Candidate(person: $0.key.person, name: $0.key.name, peers: $0.value) }.sorted {
      $0.peers == $1.peers ? ($0.person, $0.name) < ($1.person, $1.name) : $0.peers > $1.peers
    }
    // Who writes the name in two ways is one person.
    var seen: Set<PersonID> = []
    let candidates = all.filter { seen.insert($0.person).inserted }.prefix(LocalLimits.candidates)
    return LocalNames(candidates: Array(candidates), asked: asked, answered: byNode.count)
  }

  /// Peers that are asked for one name.
  private static let askedMaximum = 8
}
