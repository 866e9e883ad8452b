import CLZ4
import Events
import Identity
import Primitives
import Store

/// A person with one device, always the same one for a number.
struct SampleAuthor {
  let device: SigningKey
  let record: PersonRecord

  init(_ number: Int) throws {
    var random = SeededRandom(seed: UInt64(number) &* 2 &+ 1)
    let root = SigningKey(seed: random.bytes(32))!
    let recovery = SigningKey(seed: random.bytes(32))!
    device = SigningKey(seed: random.bytes(32))!
    var record = PersonRecord(creating: root, recovery: recovery.publicKey)
    try record.certify(
      device: device.publicKey, number: 0, label: "bench", consent: device.consent(to: record.id), with: root)
    self.record = record
  }

  var person: PersonID { record.id }
  var author: Author { Author(key: device, device: DeviceNumber(rawValue: 0)!, person: person) }
}

/// The log of an author, written by the rules from a seed: posts about ten minutes apart, in chunks as full as they may
/// be.
struct SampleLog {
  /// When the first post of all was made: 2025-01-01.
  static let start = Timestamp(milliseconds: 1_735_689_600_000)
  /// Between two posts of one author, in ms.
  static let step: Int64 = 600_000

  private let author: SampleAuthor
  private var random: SeededRandom
  private var last: EventHeader?
  private var lastHash: EventHash
  private var chunkBytes = 0
  private var events: [Event] = []
  private(set) var stretches: [ReceivedStretch] = []

  init(_ author: SampleAuthor, seed: Int) {
    self.author = author
    random = SeededRandom(seed: UInt64(seed) ^ 0x5A)
    lastHash = author.person.cast()
  }

  /// A log of posts of these texts.
  ///
  /// - Parameter endsOpen: the last chunk is a tail with a signature for every event, as its author would have it; else
  ///   it ends in one signature like the others.
  static func posts(
    _ author: SampleAuthor, seed: Int, texts: some Sequence<String>, step: Int64 = step, endsOpen: Bool
  ) -> [ReceivedStretch] {
    var log = SampleLog(author, seed: seed)
    var time = start.milliseconds
    for text in texts {
      time += Int64.random(in: 1...(2 * step), using: &log.random)
      log.append(.post(.init(text: text)), at: Timestamp(milliseconds: time))
    }
    return log.finish(endsOpen: endsOpen)
  }

  mutating func append(_ content: EventContent, at time: Timestamp) {
    let payload = content.payload(salt: random.bytes(8))
    let place = HeaderJudge.nextPlace(after: last, chunkBytes: chunkBytes, adding: payload.count)
    if place == 0, last != nil { close(open: false) }
    let sequence = last.map { $0.sequence + 1 } ?? .first
    let id = max(EventID(floorOf: time).rawValue, last.map { $0.id.rawValue + 1 } ?? 0)
    let header = EventHeader(
      kind: content.kind, place: place, sequence: sequence, id: EventID(rawValue: id), log: author.device.publicKey,
      previous: lastHash, payloadBytes: UInt32(payload.count), payloadHash: Digest(hashing: payload), ttl: 0,
      live: UInt32(sequence.rawValue - 1))
    chunkBytes = place == 0 ? payload.count : chunkBytes + payload.count
    events.append(Event(header: header, payload: .present(payload)))
    last = header
    lastHash = header.hash
  }

  mutating func finish(endsOpen: Bool) -> [ReceivedStretch] {
    close(open: endsOpen)
    return stretches
  }

  private mutating func close(open: Bool) {
    guard let first = events.first?.header, let last = events.last?.header else { return }
    let proof: StretchEnvelope.Proof =
      open
      ? .everySignature(events.map { $0.header.sign(with: author.device) })
      : .lastSignature(last.sign(with: author.device))
    let columns = StretchColumns.encode(events)
    let packed = Self.compress(columns)
    let isShorter = packed.count < columns.count
    stretches.append(
      ReceivedStretch(
        person: author.person, log: author.device.publicKey,
        envelope: StretchEnvelope(
          first: first.sequence, count: events.count, previous: .whole(first.previous), proof: proof,
          rawBytes: isShorter ? columns.count : nil, block: isShorter ? packed : columns)))
    events = []
  }

  private static func compress(_ raw: [UInt8]) -> [UInt8] {
    let bound = Int(LZ4_compressBound(Int32(raw.count)))
    return [UInt8](unsafeUninitializedCapacity: bound) { target, count in
      count = raw.withUnsafeBytes { source in
        target.withMemoryRebound(to: CChar.self) {
          Int(
            LZ4_compress_default(
              source.bindMemory(to: CChar.self).baseAddress!, $0.baseAddress!, Int32(raw.count), Int32(bound)))
        }
      }
    }
  }
}
