internal import Primitives

/// What went wrong with a key, a person record, a handle, a ticket or a sealed file. Never holds a secret.
public struct IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// Bytes or text that their format does not allow.
    case malformed
    /// A file of keys that its format does not allow: it rotted, was cut short, or is another file.
    case damaged
    /// A form that this version does not know; a newer one may.
    case unsupported
    /// A named bound is exceeded.
    case limit
    /// A signature or an id that does not fit what it should prove.
    case verification
    /// The operation contradicts what the record says already.
    case conflict
    /// A key that may not do this: not the current root, not the recovery key.
    case wrongKey
    /// The sealed bytes did not open. A wrong passphrase, a changed file and a truncated one read the same.
    case passphrase
    /// A secret is needed and was not given.
    case sealed
  }

  public let code: Code
  public let message: String
  /// Where: "person record, statement 3, byte 17".
  public let context: String

  public init(_ code: Code, _ message: String, in context: String) {
    self.code = code
    self.message = message
    self.context = context
  }

  init(_ error: ByteError, in context: String) {
    self.init(.malformed, error.reason, in: "\(context), byte \(error.offset)")
  }

  /// The same, about the file that the bytes came from.
  public func about(file path: String) -> IdentityError {
    IdentityError(code == .malformed ? .damaged : code, message, in: path)
  }

  public var description: String { "\(context): \(message)" }
}

/// Runs a decoder and says in which thing it failed.
func decoding<Result>(
  _ context: @autoclosure () -> String, _ body: () throws(ByteError) -> Result
) throws(IdentityError) -> Result {
  do throws(ByteError) { return try body() } catch { throw IdentityError(error, in: context()) }
}
