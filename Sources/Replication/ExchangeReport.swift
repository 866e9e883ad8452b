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
  /// New events stored here, and those whose missing payload came.
  public var events = 0
  /// Logs of which the peer named a head.
  public var logs = 0
  /// Times this side waited for an answer.
  public var roundTrips = 0
  /// Whether all that the peer named is here: no event of its logs and no payload that is still wanted is missing up to
  /// the heads that it named, also where the peer itself does not have the payload (DESIGN §7: no open want). Never so
  /// with a limit on what was asked for.
  public var complete = false
  /// A payload that is still wanted is missing here, and the peer does not have it either though it holds its event, or
  /// named a later one; or more were missing than a session asks for. Nobody's fault: it stands against `complete`, and
  /// the next session asks again.
  public var lacksPayloads = false
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
