/// Frames that wait to be sent, and the bytes that they will take. Takes and gives in constant time per frame.
struct SendQueue {
  private var frames: [Frame] = []
  private var first = 0
  private var offset = 0  // bytes of the first frame that were copied out already
  private(set) var byteCount = 0

  var isEmpty: Bool { byteCount == 0 }

  mutating func append(_ more: [Frame]) {
    for frame in more { byteCount += frame.encodedByteCount }
    if frames.isEmpty { frames = more } else { frames.append(contentsOf: more) }
  }

  /// Copies the next bytes out, as many as there are and fit, and says how many.
  mutating func copy(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var filled = 0
    while first < frames.count, filled < buffer.count {
      filled += copyFirst(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
      guard offset == frames[first].encodedByteCount else { break }
      frames[first].body = []
      first += 1
      offset = 0
    }
    byteCount -= filled
    if first == frames.count {
      frames.removeAll(keepingCapacity: frames.count <= Self.keptMaximum)
      first = 0
    } else if first > Self.keptMaximum, first > frames.count / 2 {
      frames.removeFirst(first)
      first = 0
    }
    return filled
  }

  private mutating func copyFirst(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var filled = 0
    if offset < Frame.headerByteCount {
      withUnsafeBytes(of: frames[first].header) { header in
        let part = header[offset..<min(header.count, offset + buffer.count)]
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
        filled = part.count
      }
    }
    let done = offset + filled - Frame.headerByteCount
    if done >= 0 {
      frames[first].body.withUnsafeBytes { body in
        let part = body[done..<min(body.count, done + buffer.count - filled)]
        guard part.count > 0 else { return }
        UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
        filled += part.count
      }
    }
    offset += filled
    return filled
  }

  /// Places of sent frames that may stay in the array.
  private static let keptMaximum = 1_024
}
