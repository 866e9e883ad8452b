import CLZ4
import Events
import Identity
import Primitives

/// The bytes of a stretch as they lie on disk: one LZ4 block, or the bare columns where that is not shorter.
struct Block: Hashable, Sendable {
  /// Length of the columns; nil when `bytes` are the columns themselves.
  var rawBytes: Int?
  var bytes: [UInt8]

  init(rawBytes: Int?, bytes: [UInt8]) {
    self.rawBytes = rawBytes
    self.bytes = bytes
  }

  init(compressing raw: [UInt8]) {
    let bound = Int(LZ4_compressBound(Int32(raw.count)))
    let packed = [UInt8](unsafeUninitializedCapacity: bound) { target, count in
      let written = raw.withUnsafeBytes { source in
        target.withMemoryRebound(to: CChar.self) {
          LZ4_compress_default(
            source.bindMemory(to: CChar.self).baseAddress, $0.baseAddress, Int32(raw.count), Int32(bound))
        }
      }
      count = Int(max(0, written))
    }
    if packed.isEmpty || packed.count >= raw.count {
      self.init(rawBytes: nil, bytes: raw)
    } else {
      self.init(rawBytes: raw.count, bytes: packed)
    }
  }

  /// The columns; nil when the block is no LZ4 of exactly the length it claims. The output never passes that length,
  /// and that length never passes `StretchColumns.rawBytesMaximum`.
  func columns() -> [UInt8]? {
    guard let rawBytes else { return bytes.count <= StretchColumns.rawBytesMaximum ? bytes : nil }
    guard rawBytes > 0, rawBytes <= StretchColumns.rawBytesMaximum else { return nil }
    var exact = false
    let raw = [UInt8](unsafeUninitializedCapacity: rawBytes) { target, count in
      let written = bytes.withUnsafeBytes { source in
        target.withMemoryRebound(to: CChar.self) {
          LZ4_decompress_safe(
            source.bindMemory(to: CChar.self).baseAddress, $0.baseAddress, Int32(source.count), Int32(rawBytes))
        }
      }
      exact = Int(written) == rawBytes
      count = exact ? rawBytes : 0
    }
    return exact ? raw : nil
  }

  /// Whether it is worth keeping as it came: a sender may compress badly, or not at all.
  var isCompact: Bool { rawBytes.map { bytes.count < $0 } ?? (bytes.count < 512) }
}

/// The first 16 bytes of BLAKE2b-256 over a row's bytes, its log and its position: a row that rotted, or lies where
/// another belongs, does not match.
enum RowChecksum {
  static let byteCount = 16

  static func make(_ parts: UnsafeRawBufferPointer..., log: LogID, position: SequenceNumber, extra: [UInt64]) -> [UInt8]
  {
    let count = parts.reduce(40 + extra.count * 8) { $0 + $1.count }
    let digest = withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { buffer in
      var offset = 0
      func put(_ part: UnsafeRawBufferPointer) {
        if part.count > 0 { UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]).copyMemory(from: part) }
        offset += part.count
      }
      log.withUnsafeBytes { put($0) }
      withUnsafeBytes(of: position.rawValue.bigEndian) { put($0) }
      for value in extra { withUnsafeBytes(of: value.bigEndian) { put($0) } }
      for part in parts { put(part) }
      return Digest(hashing: UnsafeRawBufferPointer(buffer))
    }
    return digest.withUnsafeBytes { Array($0.prefix(byteCount)) }
  }
}
