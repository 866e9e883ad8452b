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
      if connections[id]!.standing != nil {
        guard connections[id]!.standing!.requests.allows(Self.requestRate, at: clock) else {
          return sendAway(id, .busy, "the peer asks too often")
        }
        connections[id]!.standing!.requests.take(Self.requestRate, at: clock)
      }
      connections[id]!.isFinding = true
      let ticket = StoreTicket(nextTicket)
      nextTicket += 1
      questions[ticket] = id
      return [.store(ticket, .find(name: name, maximum: MessageLimits.foundPersons))]
    case .dialBack(let port) where stands: return dialBack(id, port)
    case .dialled(let outcome) where stands: return dialled(id, outcome)
    default: return nil
    }
  }

  mutating func fault(_ id: ConnectionID, _ what: String) -> [Effect] {
    ban(connections[id]!.node, clock)
    return sendAway(id, .fault, "the peer broke the protocol: \(what)")
  }
}
