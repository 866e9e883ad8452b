import Primitives
import Transport

/// How requests and replies travel between a command and the node: one frame with the request, any number of frames
/// with progress, and one with the reply or the error.
enum ControlProtocol {
  static let request: UInt8 = 1
  static let reply: UInt8 = 1
  static let progress: UInt8 = 2
  static let fault: UInt8 = 3

  /// The node's side: carries a request out and answers it.
  static func answer(_ frame: Frame, _ reply: ControlReply, by service: any LocalService) async -> Frame {
    let (steps, step) = AsyncStream.makeStream(
      of: LocalProgress.self, bufferingPolicy: .bufferingNewest(LocalLimits.progressWaiting))
    async let told: Void = tell(steps, reply)
    let answer: Frame
    do {
      guard frame.type == request else { throw NodeError(.refused, "a request of type \(frame.type)") }
      let request = try decode { () throws(ByteError) in try LocalRequest(decoding: frame.body) }
      let body = try await service.perform(request) { step.yield($0) }.encoded
      guard body.count <= Frame.bodyMaximum else { throw NodeError(.refused, "an answer of \(body.count) bytes") }
      answer = Frame(type: Self.reply, body: body)
    } catch {
      answer = Frame(type: fault, body: LocalFault(error).encoded)
    }
    step.finish()
    await told
    return answer
  }

  private static func tell(_ steps: AsyncStream<LocalProgress>, _ reply: ControlReply) async {
    for await step in steps {
      do { try await reply.send(Frame(type: progress, body: step.encoded)) } catch {
        // The command is gone: the listener cancels the request, and there is nobody to tell.
        return
      }
    }
  }

  /// What cannot be read was written by another version of the program: nobody else gets at the socket.
  static func decode<Value>(_ body: () throws(ByteError) -> Value) throws(NodeError) -> Value {
    do throws(ByteError) { return try body() } catch {
      throw NodeError(
        .refused, "command and running node do not understand each other; restart the node if tl was updated (\(error))"
      )
    }
  }
}
