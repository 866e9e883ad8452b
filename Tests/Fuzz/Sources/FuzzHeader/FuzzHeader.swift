import Events
import Identity
import Primitives

/// Headers of 128 bytes each, judged as one log.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  var judge = HeaderJudge(person: PersonID())
  for offset in stride(from: 0, to: bytes.count, by: EventHeader.byteCount) {
    guard let header = try? EventHeader(decoding: bytes, at: offset) else { return 0 }
    precondition(header.encoded.elementsEqual(bytes[offset..<(offset + EventHeader.byteCount)]), "lossy")
    // Compared, not thrown away: the optimiser drops what nobody looks at, traps included.
    precondition(header.floor <= max(header.sequence, .first) && header.reference.hash == header.hash, "floor")
    precondition(header.id.device.rawValue <= DeviceNumber.maximum && header.id.time.milliseconds > 0, "id")
    precondition(header.kind.name != "" && header.isExpired(at: Timestamp(milliseconds: .max)) == (header.ttl > 0))
    guard judge.judge(header) == nil else { return 0 }
  }
  return 0
}
