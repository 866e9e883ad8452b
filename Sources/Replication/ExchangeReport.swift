public import Identity

/// What a session did, for the summary line and for `--explain`.
public struct ExchangeReport: Hashable, Sendable {
  public enum Tier: String, Hashable, Sendable {
    /// Both greetings were equal to what was remembered.
    case unchanged
    /// A: the changes since the remembered cursor.
    case changes
    /// B: the whole list.
    case list
  }

  public var tier: Tier?
  /// New events stored here.
  public var events = 0
  /// Logs of which the peer named a head.
  public var logs = 0
  /// Times this side waited for an answer.
  public var roundTrips = 0
  /// Whether all that the peer named is here. Never so with a limit on what was asked for.
  public var complete = false
  /// A limit that the user asked for ended the session early.
  public var limited = false
  /// Logs of which the peer did not give all that it had named.
  public var notDelivered = 0
  /// Received RUN bytes.
  public var runBytes = 0
  /// The device whose signature the peer's statement carries, and the person it claims to be of: whether that person's
  /// record certifies it, and whether the statement has run out, is not looked at here.
  public var device: PublicKey?
  public var person: PersonID?
  public var ending: Exchange.Ending?

  public init() {}
}
