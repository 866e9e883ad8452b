import Events
import Identity
import Primitives

/// The first two bytes say how many events and where they begin. Columns that are accepted are the only ones for their
/// events.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard bytes.count > 2 else { return 0 }
  let first = SequenceNumber(1 << UInt64(bytes[1] % 50))
  let raw = Array(bytes[2...])
  guard
    let stretch = try? StretchColumns.decode(
      raw, log: LogID(), first: first, count: Int(bytes[0]) + 1, previous: EventHash())
  else { return 0 }
  precondition(StretchColumns.encode(stretch.events) == raw, "two forms of the same events")
  for index in 0..<stretch.count {
    let header = stretch.header(index)
    precondition(header.hash == stretch.hashes[index] && stretch.id(index) == header.id)
    if let payload = stretch.payload(index).bytes {
      precondition(header.matches(payload))
      _ = try? EventContent(header.kind, stretch.raw, stretch.payloadRange(index)!)
    }
  }
  return 0
}
