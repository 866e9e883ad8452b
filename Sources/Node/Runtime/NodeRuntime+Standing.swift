public import Identity
public import Replication

/// What became of a connection that stands, or should.
public enum StandingChange: Hashable, Sendable {
  /// New events travel at once from here on; the target that the connection is kept for, if any.
  case began(node: PublicKey, NodeCore.Target?)
  /// It is gone, or an attempt failed. A target that is still wanted is dialled again.
  case ended(NodeCore.SessionEnd)
}

extension NodeRuntime {
  /// Keeps a connection to the target: dials, and dials again whenever it is lost, until `unstand`. Nothing happens when
  /// the limits of this node do not let connections stand but a session now and then.
  public func stand(_ target: NodeCore.Target) { feed(.stand(target)) }

  public func unstand(_ target: NodeCore.Target) { feed(.unstand(target)) }

  /// Something was appended, or whom the profile follows has changed: whoever is connected is told.
  public func storeChanged() { feed(.storeChanged) }

  /// Asks a peer who is called so, upper and lower case taken as one. What it says are hints: names are claims, and whoever
  /// follows somebody pins the id.
  /// - Throws: `NodeError` `.refused` for a name that is empty or over 128 bytes, `.unreachable` for a peer that is not
  ///   there, is another one, or does not answer.
  public func find(_ name: String, at target: NodeCore.Target) async throws -> FoundPersons {
    guard (1...MessageLimits.nameBytes).contains(name.utf8.count) else {
      throw NodeError(.refused, "a name has 1 to \(MessageLimits.nameBytes) bytes")
    }
    let id = NodeCore.SyncID(take())
    return try await withCheckedThrowingContinuation { continuation in
      finds[id] = continuation
      feed(.findName(id, target, name))
    }
  }

  /// Whether peers that dialled this node back reached it within the last hour.
  public var isReachable: Bool { core.isReachable }

  /// Called on the node's queue when `isReachable` changes; it must not wait.
  public func setReachabilityObserver(_ observer: (@Sendable (Bool) -> Void)?) { onReachability = observer }

  /// Called on the node's queue with every change; it must not wait.
  public func setStandingObserver(_ observer: (@Sendable (StandingChange) -> Void)?) { onStanding = observer }
}

/// What a node says about a name.
public struct FoundPersons: Hashable, Sendable {
  public var node: PublicKey
  public var persons: [FoundPerson]

  public init(node: PublicKey, persons: [FoundPerson]) {
    self.node = node
    self.persons = persons
  }
}
