/// What went wrong in a node, beside the errors of its parts, which pass through as they are.
public struct NodeError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable, CaseIterable {
    case closed
    /// Nobody answered, or what was offered did not come.
    case unreachable
    /// The request is not allowed now, or makes no sense.
    case refused
    /// The device key is sealed and nobody is logged in.
    case locked
    case notFound
  }

  public let code: Code
  public let message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
