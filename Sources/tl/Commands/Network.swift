import DHT
import Identity
import Node
import Primitives
import Store
import Terminal
import Transport

extension Command {
  static let invite = Command(
    "invite", "print a ticket to your private network",
    discussion: """
      A private network is a DHT of your own, in which nodes find each other. Whoever has the ticket can enter: send it to \
      people you trust. Without a network yet, one is begun. The ticket names where to begin: the node that runs here, \
      what --address says, and what this profile itself begins with.
      """,
    examples: [
      .init("tl invite", "print a ticket; the friend says tl join TICKET"),
      .init("tl invite --address example.org:7001", "with the address at which others reach you"),
    ],
    options: [inviteAddress]
  ) { invocation in
    let profile = try invocation.profile()
    let given = try invocation.arguments.texts(inviteAddress).map { try PeerAddress($0).description }
    let known = try NetworkConfiguration(in: profile.directory)
    if let known, known.network == .mainline {
      throw CommandFailure(
        .failed, "the profile is in the public network, which needs no invitation",
        hint: "tl invite in another profile, or tl join TICKET --replace")
    }
    let network = known ?? NetworkConfiguration(.privateNetwork(.random()), bootstrap: [])
    let bound = try invocation.withService(profile) { service in
      if known == nil { _ = try await service.perform(.setNetwork(network.bytes, replaces: false)) }
      guard case .status(let status) = try await service.perform(.status) else { throw CommandFailure.oddReply }
      return status.addresses
    }
    guard case .privateNetwork(let key) = network.network else { throw CommandFailure.oddReply }
    var seen: Set<String> = []
    let addresses = (given + ReachableAddresses.of(bound) + network.bootstrap).filter { seen.insert($0).inserted }
    let chosen = Array(addresses.prefix(Ticket.addressMaximum))
    let text = try Ticket.network(.init(key: key, addresses: chosen)).text()
    let output = invocation.output
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "invitation")
      line.add("network", network.id.map { Hex.encode($0) })
      line.add("ticket", text)
      line.add("addresses", chosen)
      line.add("begun", known == nil)
      return try output.line(line)
    }
    try output.line("\(text)")
    if known == nil { output.note("began \(network.words)") }
    if chosen.isEmpty {
      output.warn("the ticket names no node to begin with; start tl node --listen first, or say --address")
    }
  }

  static let joinNetwork = Command(
    "join", "enter a network in which nodes find each other",
    discussion: """
      With the ticket of tl invite you enter a private network; with the word public, the Mainline DHT of BitTorrent. A \
      profile is in one network; --replace leaves the one that it is in.
      """,
    examples: [
      .init("tl join tl://aeb2…", "enter the network of the ticket"),
      .init("tl join public --replace", "change to the public network"),
    ],
    positionals: [invitation], options: [replaceNetwork]
  ) { invocation in
    let profile = try invocation.profile()
    let words = invocation.arguments.text(invitation)
    let network = try networkMeant(words)
    let replaces = invocation.arguments.has(replaceNetwork)
    if let known = try knownNetwork(profile), known.network != network.network, !replaces {
      throw CommandFailure(.failed, "the profile is in \(known.words)", hint: "--replace leaves it for the other one")
    }
    try invocation.withService(profile) { service in
      _ = try await service.perform(.setNetwork(network.bytes, replaces: replaces))
    }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "network")
      line.add("network", network.id.map { Hex.encode($0) } ?? "mainline")
      line.add("bootstrap", network.bootstrap)
      return try invocation.output.line(line)
    }
    invocation.output.note("in \(network.words) now; tl node takes part in it")
    if network.network == .mainline {
      invocation.output.warn(
        "there everybody can see your address and whose posts you hold; tl node --no-announce tells less")
    }
  }
}

private func networkMeant(_ words: String) throws -> NetworkConfiguration {
  if words == "public" { return NetworkConfiguration(.mainline, bootstrap: []) }
  guard case .network(let ticket) = try Ticket(words) else {
    throw CommandFailure(
      .usage, "this ticket invites into no network", hint: "a person's is for tl follow, a device's for tl init --join")
  }
  return NetworkConfiguration(.privateNetwork(ticket.key), bootstrap: ticket.addresses)
}

/// Nil also for a file that does not read: the service says what is to be done then.
private func knownNetwork(_ profile: Profile) throws -> NetworkConfiguration? {
  do { return try NetworkConfiguration(in: profile.directory) } catch let error as StoreError
    where error.code == .damaged
  {
    return nil
  }
}

extension AuthenticationCode {
  fileprivate static func random() -> AuthenticationCode { AuthenticationCode(SystemRandom.bytes(byteCount))! }
}

extension CommandFailure {
  static var oddReply: CommandFailure { CommandFailure(.bug, "the service answered something else") }
}

private let inviteAddress = Option(
  "address", .text("ADDR"), repeats: true, "where others reach a node of the network, as host:port")
private let invitation = Positional("TICKET", .one, "a ticket of tl invite, or the word public")
private let replaceNetwork = Option("replace", .flag, "leave the network that the profile is in")
