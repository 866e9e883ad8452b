import Identity

/// An accepted record has one encoding and merges with itself to itself; an accepted node statement keeps its bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  if let record = try? PersonRecord(decoding: bytes) {
    precondition(record.encoded == bytes, "another encoding of the record")
    var merged = record
    precondition(!merged.merge(record), "merging a record with itself changed it")
    for device in record.devices { precondition(record.device(device.key) == device, "a device that is not found") }
  }
  if let statement = try? NodeStatement(decoding: bytes) {
    precondition(statement.encoded == bytes, "another encoding of the node statement")
  }
  return 0
}
