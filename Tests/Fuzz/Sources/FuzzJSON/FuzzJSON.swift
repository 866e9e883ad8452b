import Primitives

/// The strict JSON parser.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let value = try? JSON(parsing: bytes) else { return 0 }
  precondition(value["v"]?.text?.isEmpty != true || !bytes.isEmpty, "a value out of nothing")
  return 0
}
