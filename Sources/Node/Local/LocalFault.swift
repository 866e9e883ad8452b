import Identity
package import Primitives
import Store
import Transport

/// An error as it crosses the control socket: which module's, its code, its words. The other side throws the same one.
package struct LocalFault: Hashable, Sendable {
  /// Numbers on the socket.
  enum Origin: UInt64, Sendable {
    case store = 0
    case node = 1
    case identity = 2
    case transport = 3
  }

  var origin: Origin
  var code: String
  var message: String
  /// A path, or where in a thing; what the error calls context.
  var context: String?

  /// Any other error than these four is a bug of ours, and comes out as `StoreError.Code.misuse`.
  package init(_ error: any Error) {
    switch error {
    case let error as StoreError:
      let words = error.cause.map { "\(error.message): \($0)" } ?? error.message
      self.init(.store, error.code.rawValue, words, error.path)
    case let error as NodeError: self.init(.node, error.code.rawValue, error.message, nil)
    case let error as IdentityError: self.init(.identity, error.code.rawValue, error.message, error.context)
    case let error as TransportError:
      self.init(.transport, error.code.rawValue, error.message, error.cause)
    case is CancellationError: self.init(.node, NodeError.Code.closed.rawValue, "the request was given up", nil)
    default: self.init(.store, StoreError.Code.misuse.rawValue, "\(error)", nil)
    }
  }

  private init(_ origin: Origin, _ code: String, _ message: String, _ context: String?) {
    self.origin = origin
    self.code = code
    self.message = message
    self.context = context
  }

  /// The error. A code of a later version is a refusal with the same words.
  package var error: any Error {
    switch origin {
    case .store:
      if let code = StoreError.Code(rawValue: code) { return StoreError(code, message, path: context) }
    case .node:
      if let code = NodeError.Code(rawValue: code) { return NodeError(code, message) }
    case .identity:
      if let code = IdentityError.Code(rawValue: code) { return IdentityError(code, message, in: context ?? "") }
    case .transport:
      if let code = TransportError.Code(rawValue: code) { return TransportError(code, message, cause: context) }
    }
    return NodeError(.refused, message)
  }

  package var encoded: [UInt8] {
    LocalEnvelope.write(origin.rawValue, fields: 3) { writer in
      writer.text(code)
      writer.message(message)
      writer.optional(context) { $0.message($1) }
    }
  }

  package init(decoding bytes: [UInt8]) throws(ByteError) {
    self = try LocalEnvelope.read(bytes) { (kind, fields, reader) throws(ByteError) in
      try LocalEnvelope.expect(fields, 3)
      guard let origin = Origin(rawValue: kind) else { throw ByteError(at: 0, "error of module \(kind)") }
      let code = try reader.text(atMost: Self.codeBytes)
      let message = try reader.message()
      return LocalFault(
        origin, code, message, try reader.optional { (reader) throws(ByteError) in try reader.message() })
    }
  }

  private static let codeBytes = 64
}
