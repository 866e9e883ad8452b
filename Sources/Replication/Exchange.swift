public import Identity
public import Primitives

/// One session with one peer: each side learns what the other has, asks for what it lacks, and serves what it is asked
/// for (DESIGN §7). Both sides run the same machine; only who speaks first and who closes differ.
///
/// Pure: it is told what came from the peer and from the store and answers with effects. The store answers in the order
/// of the requests.
public struct Exchange: Sendable {
  public enum Role: Hashable, Sendable {
    /// Speaks first, and closes when both sides are done.
    case initiator
    case responder
  }

  public struct Options: Hashable, Sendable {
    /// Ask only for this many of the newest events of each log; nil for all.
    public var newest: Int?
    /// Stop asking when this many bytes of RUN have arrived; nil for no limit.
    public var bytesMaximum: Int?
    /// A session in which nothing moves for this long ends.
    public var stallMaximum = Duration.seconds(25)
    /// Received RUN bytes waiting for the store above which reading pauses.
    public var backlogMaximum = 8_388_608
    /// Unsent bytes above which serving pauses.
    public var unsentMaximum = 1_048_576
    /// Whether to keep the connection when both sides are done, if the peer wants that too.
    public var stands = false

    public init(newest: Int? = nil, bytesMaximum: Int? = nil) {
      self.newest = newest
      self.bytesMaximum = bytesMaximum
    }
  }

  public enum Input: Sendable {
    case received(Message)
    /// The store's reply to the oldest request that has none.
    case store(StoreReply)
    /// Bytes the transport has not sent yet.
    case unsent(Int)
    case deadlineReached
  }

  public enum Effect: Hashable, Sendable {
    case send(Message)
    case store(StoreRequest)
    case pauseReading
    case resumeReading
    /// Nothing follows this one.
    case close(Ending)
    /// Both sides are done and want the connection to stand: the session is over, and the next one begins with a
    /// greeting of either side. Nothing follows this one.
    case rest
  }

  /// How far a peer knows our history: it was shown `mark`, and up to the change `number` nothing is new to it, because
  /// it brought that itself or is not interested. With nothing else to tell we greet it with the mark that it knows, and
  /// both sides see that there is no digest to send.
  public struct Settled: Hashable, Sendable {
    public var mark: ChangeMark
    public var number: UInt64

    public init(mark: ChangeMark, number: UInt64) {
      self.mark = mark
      self.number = number
    }
  }

  public enum Ending: Hashable, Sendable {
    case finished
    /// The peer said farewell first.
    case farewell(Message.Farewell)
    /// The peer broke a rule; the text says which.
    case fault(String)
    case stalled
    /// Our own trouble.
    case trouble(String)
  }

  public let role: Role
  public let node: PublicKey
  public let options: Options
  public internal(set) var report = ExchangeReport()
  /// Whether both sides said that they keep the connection.
  public private(set) var stands = false

  var state = State.opening
  var ours: SelfView?
  var memory = PeerMemory()
  var theirs: Message.Hello?
  /// Hash of our interests; set with `ours`.
  public internal(set) var interestsHash: UInt64 = 0
  /// A greeting that came before the store had told us who we are.
  var early: Message?
  var pull = Pull.waiting
  var serve = Serve()
  var hasStatement = false
  var interestsArriving: [PersonID] = []
  /// Entries of the peer's digest so far.
  var digestEntries = 0
  /// The peer named more cuts than were asked for: its changes are not seen yet.
  var evidenceLeft = false
  var peerIsDone = false
  /// What the peer says of itself, until the store has judged it.
  var claimed: NodeStatement?
  var saidDone = false
  private let settled: Settled?
  /// The mark that we greet with.
  private var shown = ChangeMark(number: 0, cookie: 0)
  /// What each request that the store has not answered yet was for.
  var awaiting: [Purpose] = []
  /// The heads this peer named.
  public internal(set) var offered = NamedHeads()
  /// When something last came, or left.
  public internal(set) var lastMove: Instant

  enum State: Hashable, Sendable { case opening, greeting, running, closed }

  /// Why the store was asked; replies are read by it, not by their shape.
  enum Purpose: Hashable, Sendable { case open, pull, serve, note, statement, ingest }

  /// - Parameter settled: what the peer has been told on this connection, when it stands.
  public init(role: Role, node: PublicKey, options: Options, settled: Settled? = nil, at now: Instant) {
    self.role = role
    self.node = node
    self.options = options
    self.settled = settled
    lastMove = now
  }

  public var isClosed: Bool { state == .closed }

  /// Whether both sides said that they have what they wanted; our own store may still be at work.
  public var isDone: Bool { saidDone && peerIsDone }

  /// What the peer has been told.
  public var told: Settled {
    let mark = serve.told ?? shown
    return Settled(mark: mark, number: max(mark.number, ours?.mark.number ?? 0))
  }

  public var nextDeadline: Instant? { isClosed ? nil : lastMove + options.stallMaximum }

  /// Begins the session. Call once, before any input.
  public mutating func start() -> [Effect] { ask(.open(node: node), for: .open) }

  public mutating func handle(_ input: Input, at now: Instant) -> [Effect] {
    guard state != .closed else { return [] }
    switch input {
    case .received(let message):
      lastMove = now
      return receive(message)
    case .store(let reply):
      lastMove = now
      guard !awaiting.isEmpty else { return close(.trouble("the store answered a question nobody asked")) }
      let purpose = awaiting.removeFirst()
      if case .failed(let reason) = reply { return close(.trouble(reason), saying: .trouble) }
      return take(reply, for: purpose)
    case .unsent(let bytes):
      if bytes < serve.unsent { lastMove = now }
      serve.unsent = bytes
      return continueServing()
    case .deadlineReached:
      guard let deadline = nextDeadline, deadline <= now else { return [] }
      return close(.stalled, saying: .busy)
    }
  }

  private mutating func take(_ reply: StoreReply, for purpose: Purpose) -> [Effect] {
    switch purpose {
    case .open:
      guard case .opened(let view, let memory) = reply else { return misfit(reply) }
      return opened(view, memory)
    case .pull: return continuePull(reply)
    case .ingest: return ingested(reply)
    case .serve: return continueServing(reply)
    case .note: return closeIfDone()
    case .statement:
      guard case .merged(let valid) = reply else { return misfit(reply) }
      if valid {
        report.device = claimed?.device
        report.person = claimed?.person
      }
      return closeIfDone()
    }
  }

  func misfit(_ reply: StoreReply) -> [Effect] {
    preconditionFailure("the store answered \(reply) to \(awaiting) in \(state), \(pull)")
  }

  // MARK: Greeting

  private mutating func opened(_ view: SelfView, _ memory: PeerMemory) -> [Effect] {
    ours = view
    self.memory = memory
    shown = view.mark
    if let settled, settled.number == view.mark.number { shown = settled.mark }
    interestsHash = Self.hash(of: view.interests)
    if let cursor = memory.cursor, cursor.interests != interestsHash { self.memory.cursor = nil }
    state = .greeting
    var effects: [Effect] = role == .initiator ? send(.hello(hello)) : []
    if let early {
      self.early = nil
      effects += receive(early)
    }
    return effects
  }

  private var hello: Message.Hello {
    let ours = ours!
    return Message.Hello(
      instance: ours.instance, mark: shown, interests: interestsHash,
      cursor: memory.cursor.map { (instance: $0.instance, mark: $0.mark) }, knownInterests: memory.interests,
      knownStatement: memory.statement, stands: role == .initiator ? options.stands : stands)
  }

  private mutating func greeted(_ hello: Message.Hello) -> [Effect] {
    // Nobody's fault, and no ban: one of the two is only older.
    guard hello.version == 1 else {
      return close(.trouble("the peer speaks protocol version \(hello.version), this program 1"), saying: .version)
    }
    theirs = hello
    stands = options.stands && hello.stands
    state = .running
    var effects: [Effect] = role == .responder ? send(.hello(self.hello)) : []
    let ours = ours!
    if let statement = ours.statement, hello.knownStatement != Self.hash(of: statement) {
      effects += send(.statement(statement))
    }
    let theyKnowUs = hello.knownInterests == interestsHash
    if !theyKnowUs {
      var rest = ours.interests[...]
      repeat {
        let part = Array(rest.prefix(MessageLimits.interestsPerMessage))
        rest = rest.dropFirst(part.count)
        effects += send(.interests(part, more: !rest.isEmpty))
      } while !rest.isEmpty
    }

    // Both sides decide from the two greetings alone whether a digest follows, and decide alike.
    serve.cursor = hello.cursor.flatMap { $0.instance == ours.instance ? $0.mark : nil }
    let theyAreCurrent = serve.cursor == shown && memory.interests == hello.interests
    serve.digest = theyAreCurrent ? .sent : memory.interests == hello.interests ? .due(digestStart) : .awaitingInterests
    let weAreCurrent = memory.cursor.map { $0.instance == hello.instance && $0.mark == hello.mark } ?? false
    report.roundTrips = 1
    if weAreCurrent && theyKnowUs {
      report.tier = .unchanged
      effects += ours.hasOpenWants ? askWants() : finishPull()
    } else {
      pull = .digest
    }
    return effects + continueServing()
  }

  private var digestStart: DigestStart { serve.cursor.map { .cursor($0) } ?? .beginning }

  // MARK: Messages

  private mutating func receive(_ message: Message) -> [Effect] {
    if state == .opening {
      // A peer that has no room says so before it greets.
      if case .bye(let reason) = message { return close(.farewell(reason)) }
      guard early == nil, case .hello = message else {
        return close(.fault("spoke before the greeting"), saying: .fault)
      }
      early = message
      return []
    }
    if state == .greeting {
      switch message {
      case .hello(let hello): return greeted(hello)
      case .bye(let reason): return close(.farewell(reason))
      default: return close(.fault("no greeting"), saying: .fault)
      }
    }
    switch message {
    case .hello: return close(.fault("greeted twice"), saying: .fault)
    case .statement(let bytes): return receiveStatement(bytes)
    case .interests(let persons, let more): return receiveInterests(persons, more)
    case .digest(let digest): return receiveDigest(digest)
    case .record(let person, let bytes, let more): return receiveRecord(person, bytes, more)
    case .run(let body): return receiveRun(body)
    case .end(let codes): return receiveEnd(codes)
    case .evidence(let log, let bytes): return receiveEvidence(log, bytes)
    case .digestNext, .recordWant, .want, .evidenceWant: return serve(message)
    case .done:
      peerIsDone = true
      return closeIfDone()
    case .bye(.finished): return close(.finished)
    case .bye(let reason): return close(.farewell(reason))
    case .join, .joined: return close(.fault("a join in a session"), saying: .fault)
    case .alive, .find, .found, .dialBack, .dialled:
      return close(.fault("\(Message.name(ofType: message.type)) in a session"), saying: .fault)
    }
  }

  private mutating func receiveStatement(_ bytes: [UInt8]) -> [Effect] {
    guard !hasStatement else { return close(.fault("a second statement"), saying: .fault) }
    hasStatement = true
    // A statement that does not verify makes the peer a stranger, and strangers are served as well.
    guard let statement = try? NodeStatement(decoding: bytes), statement.node == node else { return [] }
    claimed = statement
    // The record that it is judged by may come in this very session.
    if case .done = pull { return judgeStatement() }
    return []
  }

  mutating func judgeStatement() -> [Effect] {
    guard let claimed else { return [] }
    return ask(.rememberStatement(node: node, claimed.encoded), for: .statement)
  }

  private mutating func receiveInterests(_ persons: [PersonID], _ more: Bool) -> [Effect] {
    guard serve.digest == .awaitingInterests || memory.interests != theirs!.interests else { return [] }
    guard interestsArriving.count + persons.count <= MessageLimits.interestsMaximum else {
      return close(.fault("more than \(MessageLimits.interestsMaximum) interests"), saying: .fault)
    }
    interestsArriving += persons
    if more { return [] }
    let all = interestsArriving
    interestsArriving = []
    guard zip(all, all.dropFirst()).allSatisfy({ $0 < $1 }), Self.hash(of: all) == theirs!.interests else {
      return close(.fault("interests that are not those greeted with"), saying: .fault)
    }
    memory.interests = theirs!.interests
    if serve.digest == .awaitingInterests { serve.digest = .due(digestStart) }
    return ask(.rememberInterests(node: node, all), for: .note) + continueServing()
  }

  // MARK: Ends

  mutating func closeIfDone() -> [Effect] {
    guard state != .closed, isDone, serve.isIdle, !awaiting.contains(.statement) else { return [] }
    if stands {
      // The next session has requests of its own, whose replies must not meet those of this one.
      guard awaiting.isEmpty else { return [] }
      state = .closed
      report.ending = .finished
      return [.rest]
    }
    return role == .initiator ? close(.finished, saying: .finished) : []
  }

  mutating func close(_ ending: Ending, saying farewell: Message.Farewell? = nil) -> [Effect] {
    guard state != .closed else { return [] }
    var effects: [Effect] = []
    if let farewell { effects += send(.bye(farewell)) }
    state = .closed
    report.ending = ending
    return effects + [.close(ending)]
  }

  mutating func send(_ message: Message) -> [Effect] { [.send(message)] }

  mutating func ask(_ request: StoreRequest, for purpose: Purpose) -> [Effect] {
    awaiting.append(purpose)
    return [.store(request)]
  }

  /// Eight bytes of BLAKE2b over a sorted set of interests; never 0 by chance that matters.
  public static func hash(of interests: [PersonID]) -> UInt64 {
    var writer = ByteWriter(reserving: interests.count * 32)
    for person in interests { writer.append(person) }
    return hash(of: writer.bytes)
  }

  public static func hash(of bytes: [UInt8]) -> UInt64 { Digest(hashing: bytes).prefix64 }
}
