public import Identity
public import Primitives

/// A stretch as it travels and as it lies in an export: its place, its proof, and the block of columns, compressed or not
/// (schemas/stretch.md).
///
/// ```
/// version u8 = 1 | form u8: proof in bits 0–3, bit 4 the block is one LZ4 block, bit 5 `previous` is cut to 8 bytes
/// first varint | count varint | previous 32 or 8 | signatures: 64 (proof 0), count × 64 (proof 1), else none
/// raw length varint, only when compressed | block to the end
/// ```
public struct StretchEnvelope: Hashable, Sendable {
  /// What vouches for the last event of the stretch (DESIGN §7, Data).
  public enum Proof: Hashable, Sendable {
    /// The author's signature over the last header.
    case lastSignature(Signature)
    /// A signature for every event, as in a tail.
    case everySignature([Signature])
    /// The `previous` of the event after the last, which the asker has verified.
    case neighbour
    /// The hash named in a revocation.
    case revocation
    /// The `previous` at the cut of evidence.
    case evidence
  }

  /// The hash of the event before the first. An asker that holds that event needs eight bytes to be sure that both mean
  /// the same one; anybody else needs it whole.
  public enum Previous: Hashable, Sendable {
    case whole(EventHash)
    case prefix(UInt64)
  }

  public var first: SequenceNumber
  public var count: Int
  public var previous: Previous
  public var proof: Proof
  /// Length of the columns before compression; nil when `block` is the columns themselves.
  public var rawBytes: Int?
  public var block: [UInt8]

  public static let version: UInt8 = 1

  public init(first: SequenceNumber, count: Int, previous: Previous, proof: Proof, rawBytes: Int?, block: [UInt8]) {
    self.first = first
    self.count = count
    self.previous = previous
    self.proof = proof
    self.rawBytes = rawBytes
    self.block = block
  }

  public var last: SequenceNumber { first + (count - 1) }

  /// Length of `encoded`, without making it.
  public var encodedByteCount: Int {
    func varint(_ value: UInt64) -> Int { max(1, (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7) }
    let signatures: Int
    switch proof {
    case .lastSignature: signatures = 1
    case .everySignature(let all): signatures = all.count
    case .neighbour, .revocation, .evidence: signatures = 0
    }
    let hash = if case .prefix = previous { 8 } else { EventHash.byteCount }
    return 2 + varint(first.rawValue) + varint(UInt64(count)) + hash + signatures * Signature.byteCount
      + (rawBytes.map { varint(UInt64($0)) } ?? 0) + block.count
  }

  public var encoded: [UInt8] {
    var writer = ByteWriter(reserving: encodedByteCount)
    writer.byte(Self.version)
    var form: UInt8
    switch proof {
    case .lastSignature: form = 0
    case .everySignature: form = 1
    case .neighbour: form = 2
    case .revocation: form = 3
    case .evidence: form = 4
    }
    if rawBytes != nil { form |= 0x10 }
    if case .prefix = previous { form |= 0x20 }
    writer.byte(form)
    writer.varint(first.rawValue)
    writer.varint(UInt64(count))
    switch previous {
    case .whole(let hash): writer.append(hash)
    case .prefix(let prefix): writer.integer(prefix)
    }
    switch proof {
    case .lastSignature(let signature): writer.append(signature.bytes)
    case .everySignature(let signatures): for signature in signatures { writer.append(signature.bytes) }
    case .neighbour, .revocation, .evidence: break
    }
    if let rawBytes { writer.varint(UInt64(rawBytes)) }
    writer.append(block)
    return writer.bytes
  }

  /// Reads one envelope that fills the range. A version other than 1 is told apart by `ByteError.reason` being
  /// `unknownVersion`: nothing is known of it yet, nobody is at fault.
  public init(decoding bytes: [UInt8], _ range: Range<Int>) throws(ByteError) {
    var reader = ByteReader(bytes, range)
    let start = reader.offset
    guard try reader.byte() == Self.version else { throw ByteError(at: start, Self.unknownVersion) }
    let form = try reader.byte()
    guard form & 0xC0 == 0, form & 0x0F <= 4 else { throw ByteError(at: start + 1, "unknown form \(form)") }
    let sequence = try reader.varint()
    guard sequence >= 1, sequence <= SequenceNumber.maximum.rawValue else {
      throw ByteError(at: start + 2, "sequence \(sequence)")
    }
    first = SequenceNumber(sequence)
    count = try reader.count(atMost: HeaderJudge.chunkCountMaximum)
    guard count >= 1 else { throw ByteError(at: reader.offset, "an empty stretch") }
    previous = form & 0x20 == 0 ? .whole(try reader.bytes32()) : .prefix(try reader.integer())
    switch form & 0x0F {
    case 0: proof = .lastSignature(Signature(try reader.array(64))!)
    case 1:
      var signatures: [Signature] = []
      for _ in 0..<count { signatures.append(Signature(try reader.array(64))!) }
      proof = .everySignature(signatures)
    case 2: proof = .neighbour
    case 3: proof = .revocation
    default: proof = .evidence
    }
    rawBytes = form & 0x10 == 0 ? nil : try reader.count(atMost: StretchColumns.rawBytesMaximum)
    block = try reader.array(reader.remaining)
    if rawBytes == nil, block.count > StretchColumns.rawBytesMaximum { throw ByteError(at: start, "stretch too long") }
  }

  public static let unknownVersion = "stretch of a later version"
}
