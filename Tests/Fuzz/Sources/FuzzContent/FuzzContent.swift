import Events
import Primitives

/// The first byte says the kind. What is accepted says the same when it is written and read again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let first = bytes.first else { return 0 }
  let kind = EventKind(rawValue: first % 16)
  let outline = try? PostOutline(bytes, 1..<bytes.count)
  guard let content = try? EventContent(kind, bytes, 1..<bytes.count) else {
    precondition(kind != .post || outline == nil, "outlined, but not read")
    return 0
  }
  precondition(content.kind == kind)
  if case .post(let post) = content {
    precondition(outline?.written == post.written && outline?.replyTo == post.replyTo, "outline and post differ")
  }
  let again = try? EventContent(kind, content.payload(salt: Array(bytes[1..<9])))
  precondition(again == content, "written and read again, it differs")
  return 0
}
