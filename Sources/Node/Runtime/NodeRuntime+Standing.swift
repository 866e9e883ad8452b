public import Identity

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

  /// Called on the node's queue with every change; it must not wait.
  public func setStandingObserver(_ observer: (@Sendable (StandingChange) -> Void)?) { onStanding = observer }
}
