import Dispatch
import Primitives
public import Store
import Transport

/// Lets the running node of a profile do the work, over its control socket. One connection for each request.
public struct RemoteService: LocalService {
  private let path: String

  /// Nothing is opened before the first request.
  public init(_ directory: ProfileDirectory) { path = directory.path(of: .controlSocket) }

  /// Whether a node answers at this moment.
  public static func isAnswered(in directory: ProfileDirectory) throws -> Bool {
    // A look at the name alone is cheaper than a socket, and mostly there is no node.
    guard directory.contains(.controlSocket) else { return false }
    do {
      _ = try ControlClient.connect(directory.path(of: .controlSocket))
      return true
    } catch let error where error.code == .refused {
      return false
    }
  }

  /// - Throws: besides what the node throws, `TransportError` `.refused` or `.closed` when it went away.
  public func perform(
    _ request: LocalRequest, progress: @escaping @Sendable (LocalProgress) -> Void
  ) async throws -> LocalReply {
    let body = request.encoded
    guard body.count <= Frame.bodyMaximum else {
      throw NodeError(.refused, "a request of \(body.count) bytes; \(Frame.bodyMaximum) is the most")
    }
    // The client blocks, so it gets a thread of its own.
    return try await withCheckedThrowingContinuation { continuation in
      DispatchQueue(label: "tl.control").async { [path] in
        continuation.resume(
          with: Result { try Self.call(path, Frame(type: ControlProtocol.request, body: body), progress) })
      }
    }
  }

  public func close() async {}

  private static func call(
    _ path: String, _ request: Frame, _ progress: (LocalProgress) -> Void
  ) throws -> LocalReply {
    var client = try ControlClient.connect(path)
    let answer = try client.call(request) { frame in
      // Progress of a later version is stepped over.
      guard frame.type == ControlProtocol.progress else { return }
      progress(try ControlProtocol.decode { () throws(ByteError) in try LocalProgress(decoding: frame.body) })
    }
    switch answer.type {
    case ControlProtocol.reply:
      return try ControlProtocol.decode { () throws(ByteError) in try LocalReply(decoding: answer.body) }
    case ControlProtocol.fault:
      throw try ControlProtocol.decode { () throws(ByteError) in try LocalFault(decoding: answer.body) }.error
    default: throw NodeError.unexpectedReply
    }
  }
}
