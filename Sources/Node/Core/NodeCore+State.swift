import Identity
import Primitives
import Replication

/// What is known of connections, dials and syncs under way.
extension NodeCore {
  enum Session: Sendable {
    /// Accepted; the first frame says what the peer wants.
    case undecided(since: Instant)
    case exchange(Exchange, sync: SyncID?)
    /// Between two exchanges of a connection that stands.
    case standing
    /// We wait for a certificate; of the record that holds it this much has come.
    case joining(SyncID, since: Instant, record: [UInt8])
    /// We wait for whom the peer found.
    case finding(SyncID, since: Instant)
    /// The peer waits for a certificate from us.
    case certifying(since: Instant)
    /// Everything is said; the transport is closing.
    case closing
  }

  struct Connection: Sendable {
    var node: PublicKey
    var target: Target?
    var isDialled = false
    /// The other end's address.
    var source: IPAddress?
    /// The store looks for a name that the peer asked for.
    var isFinding = false
    /// Names that it asked for before it greeted.
    var names = 0
    /// What the peer asks for of its own accord.
    var requests = TokenBucket(at: Instant(nanoseconds: 0))
    var session: Session
    /// From the end of the first exchange on, when the connection stands.
    var standing: Standing?
    /// The greeting of the next exchange, which came while the store was still busy with the last.
    var early: Message?
  }

  /// What the store was asked outside of exchanges. Replies are read by it, not by their shape.
  struct Question: Sendable {
    enum Purpose: Hashable, Sendable { case news, name }
    let connection: ConnectionID
    let purpose: Purpose
  }

  struct RunningSync: Sendable {
    var rest: [Target]
    var options: Exchange.Options
    var ends: [SessionEnd] = []
    var isCancelled = false
    /// How often the present target had no room for us.
    var refusals = 0
  }

  enum Dial: Sendable {
    case sync(SyncID, Target)
    case join(SyncID, Target, Message.JoinRequest)
    case stand(Target)
    case find(SyncID, Target, name: String)
    /// For the peer of that connection.
    case back(ConnectionID)
  }
}
