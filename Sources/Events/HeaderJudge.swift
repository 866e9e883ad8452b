public import Identity
public import Primitives

/// A rule of the header that a signed event breaks. The author is at fault, not the peer that brought it.
public enum RuleBreak: Hashable, Sendable {
  case sequence
  /// Not rising, or with the top bit set.
  case id
  /// Neither 0 nor the previous place + 1.
  case place
  case payloadBytes
  /// Vouches for more than exists, or for what was let go before.
  case live
  /// The payloads of a chunk of several events sum to more than 32,768 bytes.
  case chunkBytes
  /// At sequence 1 `previous` is not the person id, or it is elsewhere.
  case origin
}

/// Judges the headers of a chain one after the other by the complete rules of DESIGN §4.
///
/// Validity depends on headers alone, never on payloads or clocks. Rules between two headers are judged from the second
/// header given on; the rule over a chunk from its place 0 on.
public struct HeaderJudge: Sendable {
  private var last: EventHeader?
  /// Payload bytes of the running chunk; nil when it was not seen from place 0.
  private var chunkBytes: Int?
  private let person: PersonID?

  /// The payloads of a chunk of more than one event sum to at most this.
  public static let chunkBytesMaximum = 32_768
  public static let chunkCountMaximum = 256

  /// - Parameter person: whose log it is, for the rule about sequence 1; nil leaves that rule out.
  public init(person: PersonID?) { self.person = person }

  /// Takes up the chain after a header that was judged before.
  /// - Parameter chunkBytes: payload bytes of the chunk up to and with `last`, when held from place 0.
  public init(person: PersonID?, after last: EventHeader, chunkBytes: Int?) {
    self.person = person
    self.last = last
    self.chunkBytes = chunkBytes
  }

  /// The broken rule, if any. The judge moves on only past a good header.
  public mutating func judge(_ header: EventHeader) -> RuleBreak? {
    if header.sequence < .first || header.sequence > .maximum { return .sequence }
    if header.id.rawValue >> 63 != 0 { return .id }
    if header.payloadBytes > EventHeader.payloadBytesMaximum { return .payloadBytes }
    if UInt64(header.live) > header.sequence.rawValue - 1 { return .live }
    if header.sequence == .first, header.place != 0 { return .place }
    if let person, (header.previous == person.cast()) != (header.sequence == .first) { return .origin }
    if let last {
      if header.sequence != last.sequence + 1 { return .sequence }
      if header.id <= last.id { return .id }
      if header.place != 0, Int(header.place) != Int(last.place) + 1 { return .place }
      if UInt64(header.live) > UInt64(last.live) + 1 { return .live }
    }
    if header.place == 0 {
      chunkBytes = Int(header.payloadBytes)
    } else if let before = chunkBytes {
      let sum = before + Int(header.payloadBytes)
      if sum > Self.chunkBytesMaximum { return .chunkBytes }
      chunkBytes = sum
    }
    last = header
    return nil
  }

  /// Payload bytes of the running chunk so far, when it was seen from place 0.
  public var runningChunkBytes: Int? { chunkBytes }

  /// The place of the author's next event: the running chunk's next, or 0 when that chunk is full.
  public static func nextPlace(after last: EventHeader?, chunkBytes: Int, adding payloadBytes: Int) -> UInt8 {
    guard let last, last.place < chunkCountMaximum - 1, chunkBytes + payloadBytes <= chunkBytesMaximum else { return 0 }
    return last.place + 1
  }
}
