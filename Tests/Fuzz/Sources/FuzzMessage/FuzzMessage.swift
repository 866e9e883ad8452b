import Replication

/// The first byte is a frame's type, the rest its body. What is read is written back to a message that reads the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let type = bytes.first, let message = try? Message(type: type, body: Array(bytes.dropFirst())) else { return 0 }
  precondition((try? Message(type: message.type, body: message.body)) == message, "does not last")
  return 0
}
