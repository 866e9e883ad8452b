import Identity
import Primitives
import Replication

/// What a peer asks beside an exchange: who is called so (FIND), and whether we reach it (DIAL-BACK).
extension NodeCore {
  /// What is read whether an exchange runs on a standing connection or not; nil for any other message.
  mutating func receivedAside(_ id: ConnectionID, _ message: Message) -> [Effect]? {
    // The peer may be done with its first exchange before our own store is.
    let stands = connections[id]!.standing != nil || isBetween(id)
    connections[id]!.standing?.heardAt = clock
    switch message {
    case .alive where stands: return []
    case .find(let name):
      // One at a time: whoever asks on waits for the answer before.
      guard !connections[id]!.isFinding else { return fault(id, "a second name before the first was answered") }
      if connections[id]!.isUndecided { connections[id]!.names += 1 }
      guard connections[id]!.requests.allows(Self.requestRate, at: clock), connections[id]!.names <= Self.namesMaximum
      else { return sendAway(id, .busy, "the peer asks too often") }
      connections[id]!.requests.take(Self.requestRate, at: clock)
      connections[id]!.isFinding = true
      let ticket = StoreTicket(nextTicket)
      nextTicket += 1
      questions[ticket] = Question(connection: id, purpose: .name)
      return [.store(ticket, .find(name: name, maximum: MessageLimits.foundPersons))]
    case .dialBack(let port) where stands: return dialBack(id, port)
    case .dialled(let outcome) where stands: return dialled(id, outcome)
    default: return nil
    }
  }

  /// The store looked for a name.
  mutating func answeredName(_ id: ConnectionID, _ reply: StoreReply) -> [Effect] {
    guard connections[id]?.isClosing == false else { return [] }
    connections[id]!.isFinding = false
    switch reply {
    case .found(let persons): return [.send(id, .found(persons))]
    case .failed(let reason): return sendAway(id, .trouble, reason)
    default: preconditionFailure("the store answered \(reply) to a question for a name")
    }
  }

  /// Names that are asked for before the first greeting: whoever has more may stay.
  private static let namesMaximum = 8

  mutating func fault(_ id: ConnectionID, _ what: String) -> [Effect] {
    ban(connections[id]!.node, clock)
    return sendAway(id, .fault, "the peer broke the protocol: \(what)")
  }
}
