/// What the disk or a stored byte refused. Bytes from peers are judged by outcomes, not by this error.
public struct StoreError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable, CaseIterable {
    /// A read, write or sync failed.
    case io
    /// Somebody else holds what is needed.
    case locked
    /// A file is open to others, or closed to us.
    case permissions
    /// The disk or the quota is full.
    case noSpace
    /// Stored bytes are not what was written.
    case damaged
    case notFound
    /// A signature, hash or chain does not hold.
    case verification
    /// Made by a newer version, or by another program.
    case unsupported
    /// Our own bug: a call that its precondition forbids, or SQL that does not compile.
    case misuse
  }

  public let code: Code
  public let message: String
  public let path: String?
  public let cause: (any Error)?

  public init(_ code: Code, _ message: String, path: String? = nil, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.path = path
    self.cause = cause
  }

  public var description: String {
    var text = message
    if let path { text += " (\(path))" }
    if let cause { text += ": \(cause)" }
    return text
  }
}
