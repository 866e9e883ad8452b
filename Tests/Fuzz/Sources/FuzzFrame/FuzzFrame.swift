import Transport

/// The first byte says in which pieces the rest arrives. However it is cut, the same frames come out, and they are written
/// the same way.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let first = bytes.first else { return 0 }
  let stream = Array(bytes.dropFirst())
  let whole = read(stream, inPiecesOf: max(1, stream.count))
  let pieces = read(stream, inPiecesOf: Int(first) + 1)
  precondition(whole.frames == pieces.frames && whole.failed == pieces.failed, "pieces change what is read")
  let written = whole.frames.flatMap { encodeFrame($0) }
  precondition(stream.starts(with: written), "two forms of one frame")
  return 0
}

private func read(_ stream: [UInt8], inPiecesOf size: Int) -> (frames: [Frame], failed: Bool) {
  var decoder = FrameDecoder()
  var frames: [Frame] = []
  for offset in stride(from: 0, to: stream.count, by: size) {
    do {
      let piece = Array(stream[offset..<min(offset + size, stream.count)])
      try piece.withUnsafeBytes { try decoder.append($0.bytes, into: &frames) }
    } catch {
      return (frames, true)
    }
  }
  return (frames, false)
}
