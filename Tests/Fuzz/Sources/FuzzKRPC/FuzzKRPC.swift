import DHT
import Identity

/// A query that is read is written back to one that reads the same; nothing else ends the run.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  switch KRPCMessage.decode(bytes) {
  case .message(let message):
    let again = message.encoded()
    if case .query = message.body {
      precondition(KRPCMessage.decode(again) == .message(message), "does not last")
      precondition((try? Bencode(again))?.isCanonical == true, "written out of order")
    }
    // What is refused in the strict form is nothing that the other form makes up.
    if case .message(let strict) = KRPCMessage.decode(bytes, isStrict: true) {
      precondition(strict == message, "two readings")
    }
  case .refused, .silence: break
  }
  if let saved = try? SavedContacts(bytes) {
    precondition((try? SavedContacts(saved.bytes)) == saved, "saved contacts do not last")
  }
  // As a value that somebody stored, and as its parts.
  if let content = try? StoredContent(bytes), case .manifest(let manifest, _) = content {
    let parts = manifest.names.map { _ in ImmutableItem(value: Array(bytes.prefix(MutableItem.valueByteCountMaximum))) }
    _ = try? manifest.hasLists ? manifest.parts(inLists: parts).count : manifest.value(of: parts).count
  }
  // With the checksum that nobody guesses.
  let checked = bytes + Digest(hashing: bytes).bytes.prefix(4)
  if let network = try? NetworkConfiguration(checked) {
    precondition(network.bytes == checked, "a network has two forms")
  }
  return 0
}
