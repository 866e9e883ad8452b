import Node

/// What crosses the control socket: a request, a reply or a word of progress, by the first byte.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  let body = Array(bytes.dropFirst())
  switch (bytes.first ?? 0) % 3 {
  case 0:
    guard let request = try? LocalRequest(decoding: body) else { return 0 }
    precondition((try? LocalRequest(decoding: request.encoded))?.encoded == request.encoded, "does not last")
  case 1:
    guard let reply = try? LocalReply(decoding: body) else { return 0 }
    precondition((try? LocalReply(decoding: reply.encoded))?.encoded == reply.encoded, "does not last")
  default:
    guard let progress = try? LocalProgress(decoding: body) else { return 0 }
    precondition((try? LocalProgress(decoding: progress.encoded))?.encoded == progress.encoded, "does not last")
  }
  return 0
}
