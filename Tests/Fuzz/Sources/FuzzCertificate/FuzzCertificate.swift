import Primitives
import Transport

/// A peer's certificate in DER. What is accepted now is accepted again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  let time = Timestamp(milliseconds: 1_800_000_000_000)
  guard let key = try? PeerCertificate.key(ofDER: bytes, at: time) else { return 0 }
  precondition((try? PeerCertificate.key(ofDER: bytes, at: time)) == key, "two keys in one certificate")
  return 0
}
