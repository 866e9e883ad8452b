import CLZ4
public import Events
import Primitives

/// The body of a RUN frame: stretches of several logs, each under the number of the want it answers (schemas/peer.md).
///
/// ```
/// flags u8: bit 0 the rest is one LZ4 block behind its length as a varint
/// repeated: want number varint | length varint | envelope (schemas/stretch.md)
/// ```
/// Closed chunks lie in it as they lie on disk. Tails come uncompressed, and then the whole body is compressed: many
/// short posts of many logs share more between them than each has in itself.
public struct RunBody: Sendable {
  private var content = ByteWriter()
  private var hasLoose = false

  /// Longest body once unpacked; a frame is at most 1 MiB.
  public static let rawBytesMaximum = 1_048_576
  /// Below this length the slower, tighter compressor is worth its time.
  private static let tightMaximum = 65_536

  public init() {}

  public var byteCount: Int { content.bytes.count }

  public mutating func append(_ envelope: StretchEnvelope, for want: UInt32) {
    var envelope = envelope
    if case .everySignature = envelope.proof {
      if envelope.rawBytes != nil, let raw = Block(rawBytes: envelope.rawBytes, bytes: envelope.block).columns() {
        envelope.rawBytes = nil
        envelope.block = raw
      }
      hasLoose = true
    }
    let bytes = envelope.encoded
    content.varint(UInt64(want))
    content.varint(UInt64(bytes.count))
    content.append(bytes)
  }

  public var encoded: [UInt8] {
    var writer = ByteWriter(reserving: content.bytes.count + 8)
    if hasLoose, content.bytes.count <= Self.rawBytesMaximum, let packed = compressed() {
      writer.byte(1)
      writer.varint(UInt64(content.bytes.count))
      writer.append(packed)
    } else {
      writer.byte(0)
      writer.append(content.bytes)
    }
    return writer.bytes
  }

  private func compressed() -> [UInt8]? {
    let raw = content.bytes
    let bound = Int(LZ4_compressBound(Int32(raw.count)))
    let packed = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
      let written = raw.withUnsafeBytes { source in
        target.withMemoryRebound(to: CChar.self) { target in
          let base = source.bindMemory(to: CChar.self).baseAddress
          return raw.count <= Self.tightMaximum
            ? LZ4_compress_HC(base, target.baseAddress, Int32(raw.count), Int32(bound), 9)
            : LZ4_compress_default(base, target.baseAddress, Int32(raw.count), Int32(bound))
        }
      }
      count = Int(max(0, written))
    }
    return packed.isEmpty || packed.count >= raw.count ? nil : packed
  }

  /// The stretches of a body that a peer sent. Throws `ByteError` for bytes that are none.
  public static func decode(_ bytes: [UInt8]) throws -> [(want: UInt32, envelope: StretchEnvelope)] {
    var outer = ByteReader(bytes)
    let flags = try outer.byte()
    guard flags <= 1 else { throw ByteError(at: 0, "unknown flags \(flags)") }
    var reader = outer
    if flags == 1 {
      let length = try outer.count(atMost: rawBytesMaximum)
      let packed = try outer.take(outer.remaining)
      guard let raw = decompress(bytes, packed, length) else { throw ByteError(at: 1, "the body does not decompress") }
      reader = ByteReader(raw)
    }
    var parts: [(want: UInt32, envelope: StretchEnvelope)] = []
    while !reader.isAtEnd {
      let number = try reader.count(atMost: Int(UInt32.max))
      let length = try reader.count(atMost: rawBytesMaximum)
      let range = try reader.take(length)
      // One of a later version: nothing is known of it yet, and nobody is at fault.
      guard !range.isEmpty, reader.bytes[range.lowerBound] <= StretchEnvelope.version else { continue }
      parts.append((UInt32(number), try StretchEnvelope(decoding: reader.bytes, range)))
    }
    return parts
  }

  private static func decompress(_ bytes: [UInt8], _ range: Range<Int>, _ length: Int) -> [UInt8]? {
    guard length > 0 else { return nil }
    var exact = false
    let raw = [UInt8](unsafeUninitializedCapacity: length) { target, count in
      let written = bytes.withUnsafeBytes { source in
        target.withMemoryRebound(to: CChar.self) {
          LZ4_decompress_safe(
            UnsafeRawBufferPointer(rebasing: source[range]).bindMemory(to: CChar.self).baseAddress, $0.baseAddress,
            Int32(range.count), Int32(length))
        }
      }
      exact = Int(written) == length
      count = exact ? length : 0
    }
    return exact ? raw : nil
  }
}
