public import Identity
public import Replication

extension NodeCore {
  /// How a session, or the attempt at one, ended.
  public struct SessionEnd: Hashable, Sendable {
    /// The sync it was part of; nil for a session that the peer began.
    public var sync: SyncID?
    public var target: Target?
    public var node: PublicKey?
    public var connection: ConnectionID?
    /// Nil when no session came about.
    public var report: ExchangeReport?
    /// In words, when it did not end well.
    public var failure: String?

    public init(
      sync: SyncID?, target: Target?, node: PublicKey?, connection: ConnectionID?, report: ExchangeReport?,
      failure: String?
    ) {
      self.sync = sync
      self.target = target
      self.node = node
      self.connection = connection
      self.report = report
      self.failure = failure
    }
  }
}
