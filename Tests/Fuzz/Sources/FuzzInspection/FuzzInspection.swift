import Store

/// A store's file and write-ahead log as `tl-log` reads them, page by page; the first byte says how many pages the file has.
/// Whatever the bytes are, it ends, and calls nothing sound that lost something.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let first = bytes.first else { return 0 }
  let end = min(1 + Int(first) * 4_096, bytes.count)
  let image = StoreImage(
    database: Array(bytes[1..<end]), writeAheadLog: end < bytes.count ? Array(bytes[end...]) : nil)
  let found = Inspection(image)
  precondition(!found.isSound || found.damage.isEmpty, "damaged and sound")
  for log in found.logs where found.isSound { precondition(log.losses.isEmpty, "lost and sound") }
  return 0
}
