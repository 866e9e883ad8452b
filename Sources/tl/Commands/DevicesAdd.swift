import Events
import Identity
import Node
import Primitives
import Replication
import Store
import Synchronization
import Terminal
import Transport

extension Command {
  static let devicesAdd = Command(
    "add", "let another device join",
    discussion: """
      Prints a ticket and waits for one device that uses it with "tl init --join". The ticket is good once. The root key \
      signs in this process and never leaves it. With no node running it listens by itself, on any free port.
      """,
    examples: [
      .init("tl devices add", "print a ticket and wait for 15 minutes"),
      .init("tl devices add --listen 192.168.1.5:7001 --timeout 2m", "listen there, for two minutes"),
    ],
    options: [listen, address, timeout, .passphraseFile, .passphraseDescriptor]
  ) { invocation in
    let reading = try invocation.reading()
    let profile = reading.profile
    let root = try invocation.rootKey(profile).key
    let seconds = invocation.arguments.duration(timeout)?.components.seconds ?? 15 * 60
    let offer = LocalJoinOffer(
      secret: SystemRandom.bytes(Ticket.Join.secretCount),
      notAfter: Profile.now().advanced(milliseconds: seconds * 1000), listen: invocation.arguments.text(listen))
    let session = JoinSession(
      invocation, profile.person, offer, root: root, given: invocation.arguments.texts(address))
    try invocation.withService(profile) { service in
      if case .status(let status) = try await service.perform(.status) {
        session.expect(max(1, status.addresses.count))
      }
      let reply: LocalReply
      do {
        reply = try await service.perform(.offerJoin(offer)) { progress in
          session.take(progress, service: service)
        }
      } catch {
        await session.answered()
        throw error
      }
      // The offer ends with the answer; what the answer came to is known a moment later.
      await session.answered()
      guard case .done = reply else { throw NodeError(.refused, "the device did not join") }
    }
    try session.report()
  }
}

/// One waiting invitation: prints the ticket when it is known where we listen, and certifies the device that comes.
private final class JoinSession: Sendable {
  private let invocation: Invocation
  private let person: PersonID
  private let offer: LocalJoinOffer
  private let root: SigningKey
  private let given: [String]
  private let state = Mutex(State())

  private struct State {
    var expected = 1
    var addresses: [String] = []
    var isPrinted = false
    var joined: (device: PublicKey, number: DeviceNumber, label: String)?
    var failure: (any Error)?
    var answers: [Task<Void, Never>] = []
  }

  init(_ invocation: Invocation, _ person: PersonID, _ offer: LocalJoinOffer, root: SigningKey, given: [String]) {
    self.invocation = invocation
    self.person = person
    self.offer = offer
    self.root = root
    self.given = given
  }

  func expect(_ count: Int) { state.withLock { $0.expected = count } }

  func take(_ progress: LocalProgress, service: any LocalService) {
    switch progress {
    case .listening(let address, let node):
      let isComplete = state.withLock { state in
        state.addresses.append(address)
        guard !state.isPrinted, state.addresses.count >= state.expected else { return false }
        state.isPrinted = true
        return true
      }
      guard isComplete else { return }
      keep { try self.printTicket(node) }
    case .joinRequest(let number, let request):
      let answer = Task { await self.answer(number, request, service) }
      state.withLock { $0.answers.append(answer) }
    case .syncing, .importing, .badLines, .rebuilding: break
    }
  }

  /// Returns when every request so far has its answer.
  func answered() async {
    for answer in state.withLock({ $0.answers }) { await answer.value }
  }

  private func printTicket(_ node: PublicKey) throws {
    let bound = state.withLock { $0.addresses }
    let addresses = given.isEmpty ? ReachableAddresses.of(bound) : given
    let ticket = Ticket.Join(
      person: person, node: node, addresses: Array(addresses.prefix(Ticket.addressMaximum)),
      secret: SecretBytes(offer.secret), notAfter: offer.notAfter)
    let text = try Ticket.join(ticket).text()
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "ticket")
      line.add("ticket", text)
      line.add("addresses", ticket.addresses)
      line.add("notAfter", ticket.notAfter.rfc3339)
      try invocation.output.line(line)
    } else {
      try invocation.output.line("\(text)")
    }
    try invocation.output.flush()
    let end = TimeText(utc: invocation.usesUTC).absolute(offer.notAfter)
    invocation.output.note("on the other device: tl init --join TICKET; waiting until \(end)")
  }

  private func answer(_ number: UInt32, _ request: Message.JoinRequest, _ service: any LocalService) async {
    do {
      // What the store knows now, not when the ticket was made.
      var record = try invocation.reading().ownRecord()
      let chosen = try record.certify(request.device, label: request.label, consent: request.consent, with: root)
      _ = try await service.perform(.answerJoin(number: number, record: record.encoded))
      let directory = try invocation.profile().directory
      try directory.keepPersonItem(of: record, signedBy: root, at: Profile.now())
      state.withLock { $0.joined = (request.device, chosen, request.label) }
    } catch {
      state.withLock { $0.failure = error }
      // The device is told that it was refused; why is told here. The ticket stays good.
      invocation.output.warn("\(request.label): \(explain(error)?.message ?? "\(error)")")
      do { _ = try await service.perform(.answerJoin(number: number, record: nil)) } catch {}
    }
  }

  private func keep(_ body: () throws -> Void) {
    do { try body() } catch { state.withLock { $0.failure = error } }
  }

  func report() throws {
    let (joined, failure) = state.withLock { ($0.joined, $0.failure) }
    guard let joined else {
      throw failure ?? CommandFailure(.failed, "no device joined")
    }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "device")
      line.add("device", joined.number.rawValue)
      line.add("label", joined.label)
      line.add("log", joined.device.hex)
      try invocation.output.line(line)
    } else {
      try invocation.output.line(
        "\(joined.device.hex.prefix(16), .yellow)  \(joined.label, .bold)  number \(joined.number.rawValue)")
    }
  }
}

private let listen = Option("listen", .text("ADDR"), "listen on host:port while no node runs (any free port)")
private let address = Option(
  "address", .text("HOST:PORT"), repeats: true, "put this address into the ticket instead of this machine's own")
private let timeout = Option("timeout", .duration("SPAN"), "how long the ticket is good (15m)")
