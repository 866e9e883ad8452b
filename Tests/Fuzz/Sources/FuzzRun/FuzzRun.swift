import Store

/// The body of a RUN frame, compressed or not. What is read is written back to stretches that read the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let parts = try? RunBody.decode(bytes) else { return 0 }
  var body = RunBody()
  for part in parts { body.append(part.envelope, for: part.want) }
  precondition(parts.isEmpty || body.byteCount > 0, "stretches without bytes")
  return 0
}
