import Events

/// An envelope that is accepted is written the same way.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let envelope = try? StretchEnvelope(decoding: bytes, 0..<bytes.count) else { return 0 }
  precondition(envelope.encoded == bytes, "two forms of one envelope")
  _ = envelope.last
  return 0
}
