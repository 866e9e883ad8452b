import Node

/// The first byte says in which pieces the rest arrives. However it is cut, the same messages come out, and each reads back
/// from its own bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let first = bytes.first else { return 0 }
  let stream = Array(bytes.dropFirst())
  let whole = read(stream, inPiecesOf: max(1, stream.count))
  let pieces = read(stream, inPiecesOf: Int(first) + 1)
  precondition(pieces == (whole ?? pieces), "pieces change what is read")
  precondition((whole == nil) == (pieces == nil), "pieces change whether it is read")
  for message in whole ?? [] {
    precondition(read(message.bytes, inPiecesOf: 7) == [message], "does not last")
  }
  return 0
}

private func read(_ stream: [UInt8], inPiecesOf size: Int) -> [VoidphoneMessage]? {
  var decoder = VoidphoneDecoder()
  var messages: [VoidphoneMessage] = []
  for offset in stride(from: 0, to: stream.count, by: size) {
    let (more, fault) = decoder.append(Array(stream[offset..<min(offset + size, stream.count)]))
    guard fault == nil else { return nil }
    messages += more
  }
  return messages
}
