import DHT

/// The value of an item of the DHT: what is accepted is written again as it was.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  if let head = try? HeadItem(value: bytes) { precondition(head.value == bytes, "two forms of one head") }
  if let person = try? PersonItem(value: bytes) { precondition(person.value == bytes, "two forms of one person item") }
  if let kept = try? KeptItem(bytes) { precondition(kept.bytes == bytes, "two forms of one kept item") }
  return 0
}
