import Events
import Identity

/// The first 32 bytes are the log, the rest claims to prove something about it. What is accepted is written the same way.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let log = LogID(bytes.prefix(32)) else { return 0 }
  let proof = Array(bytes.dropFirst(32))
  guard let evidence = try? Evidence(decoding: proof, log: log, person: PersonID()) else { return 0 }
  precondition((try? Evidence(decoding: evidence.encoded, log: log, person: PersonID())) == evidence, "does not last")
  return 0
}
