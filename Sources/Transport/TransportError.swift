private import Glibc

/// Why a connection could not be made, or ended.
public struct TransportError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable, CaseIterable {
    /// Nobody answers there: refused, unreachable, or no such socket.
    case refused
    /// The other side took longer than a named limit allows.
    case timedOut
    /// TLS did not come about: version, certificate, or another key than the expected one.
    case handshake
    /// The other side sent what the protocol forbids. It is a bad peer.
    case protocolViolation
    /// The connection has ended, or ended without saying so first.
    case closed
    /// We are out of descriptors, memory or queue space.
    case resources
    /// An address or path that cannot be read, found or bound.
    case address
  }

  public let code: Code
  /// One sentence for a person, without secrets.
  public let message: String
  /// What the system or OpenSSL said, where it said something.
  public let cause: String?

  public init(_ code: Code, _ message: String, cause: String? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  public var description: String { cause.map { "\(message) (\($0))" } ?? message }

  /// The error of a system call that left `number` in errno.
  static func system(_ call: String, _ number: Int32, _ message: String) -> TransportError {
    let code: Code =
      switch number {
      case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN, ENOENT: .refused
      case ETIMEDOUT: .timedOut
      case ECONNRESET, EPIPE, ECONNABORTED, ENOTCONN: .closed
      case EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN: .resources
      case EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM, EINVAL, EAFNOSUPPORT, ENOTDIR, ENAMETOOLONG, ELOOP: .address
      default: .closed
      }
    return TransportError(code, message, cause: "\(call): \(String(cString: strerror(number)))")
  }
}
