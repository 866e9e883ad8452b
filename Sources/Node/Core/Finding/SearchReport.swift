public import Identity
public import Primitives

/// What came of a sync with everybody who has what is wanted.
public struct SearchReport: Hashable, Sendable {
  /// How far one log came.
  public struct Log: Hashable, Sendable {
    public enum State: Hashable, Sendable {
      /// Held up to the newest head that anybody named.
      case upToDate
      /// Somebody has more than arrived.
      case partial
      /// Nobody who has the log was met, and its device has not said how far it goes.
      case nobodyFound
    }

    public var person: PersonID
    /// Nil for a person of whom nothing is known but the id.
    public var log: LogID?
    public var state: State
    /// The newest event that is held; 0 for none.
    public var held: SequenceNumber
    /// The newest that is known to exist; nil when nobody has said.
    public var newest: SequenceNumber?

    public init(person: PersonID, log: LogID?, state: State, held: SequenceNumber, newest: SequenceNumber?) {
      self.person = person
      self.log = log
      self.state = state
      self.held = held
      self.newest = newest
    }
  }

  /// An address that was tried, and who named it for whom.
  public struct Attempt: Hashable, Sendable {
    public var person: PersonID
    public var endpoint: Endpoint
    public var source: Finder.Source

    public init(person: PersonID, endpoint: Endpoint, source: Finder.Source) {
      self.person = person
      self.endpoint = endpoint
      self.source = source
    }
  }

  /// Of everybody followed, and of one's own other devices; in the order of the follows.
  public var logs: [Log]
  /// In the order in which they were tried; the sessions have the same order.
  public var attempts: [Attempt]
  /// Whether the network answered at all.
  public var isNetworkThere: Bool

  public init(logs: [Log], attempts: [Attempt], isNetworkThere: Bool) {
    self.logs = logs
    self.attempts = attempts
    self.isNetworkThere = isNetworkThere
  }
}
