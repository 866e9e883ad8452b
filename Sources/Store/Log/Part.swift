import Events
import Identity
import Primitives

/// Events as they lie together on disk: one chunk row, or a run of tail rows of one chunk.
struct Part {
  enum Place: Hashable {
    case chunk(row: Int64)
    case tail
  }

  var place: Place
  var stretch: Stretch
  /// The signature of the last event, where it is known. It was verified, or is marked otherwise in `unverified`.
  var lastSignature: Signature?
  /// Of a tail: each event's.
  var signatures: [Signature?] = []
  var unverified: Set<Int> = []

  var first: SequenceNumber { stretch.first }
  var last: SequenceNumber { stretch.last }

  func signature(_ index: Int) -> Signature? {
    switch place {
    case .chunk: index == stretch.count - 1 ? lastSignature : nil
    case .tail: signatures[index]
    }
  }

  /// A signature over the event, if one is held, and valid.
  func validSignature(at sequence: SequenceNumber) -> Signature? {
    let index = sequence - first
    guard let signature = signature(index) else { return nil }
    return unverified.contains(index) && !stretch.isSigned(index, by: signature) ? nil : signature
  }
}

/// A decoded chunk in the cache, with what its row says beside the block.
struct CachedChunk {
  /// The row's checksum: a cached chunk counts only while its row says the same.
  var checksum: [UInt8]
  var row: Int64
  var stretch: Stretch
  var signature: Signature?

  /// What it takes in memory, in bytes, roughly.
  var cost: Int { stretch.raw.count + stretch.count * (EventHeader.byteCount + 48) + 256 }
}

/// As `CachedChunk`, for showing.
struct CachedOutline {
  var checksum: [UInt8]
  var outline: StretchOutline
}

/// One chunk row as it lies on disk, its checksum verified.
struct ChunkRow {
  var row: Int64
  var checksum: [UInt8]
  var first: SequenceNumber
  var count: Int
  var previous: EventHash
  var signature: Signature?
  var block: Block
}

extension EventStore {
  // MARK: - Chunk rows

  /// The chunk row that contains a sequence number.
  func chunkRow(_ entry: LogEntry, containing sequence: SequenceNumber) throws -> ChunkRow? {
    let select = try database.statement(
      """
      SELECT rowid, first, count, previous, signature, raw_bytes, checksum, block, wanted_until FROM chunk \
      WHERE lid=? AND first<=? ORDER BY first DESC LIMIT 1
      """)
    select.bind(entry.lid, at: 0)
    select.bind(sequence, at: 1)
    return try select.first { row -> ChunkRow? in
      guard row.sequence(1) + Int(min(max(0, row.int(2)), 256)) > sequence else { return nil }
      return try Self.readChunk(row, of: entry, path: database.path)
    } ?? nil
  }

  /// - Parameter row: rowid, first, count, previous, signature, raw_bytes, checksum, block, wanted_until.
  static func readChunk(_ row: some RowColumns, of entry: LogEntry, path: String?) throws(StoreError) -> ChunkRow {
    let first = row.sequence(1)
    let count = row.int(2)
    let rawBytes = row.int(5)
    let signature = row.isNull(4) ? nil : Signature(row.blob(4))
    guard let previous: EventHash = row.bytes32(3), row.isNull(4) || signature != nil, count >= 1, count <= 256,
      rawBytes >= 0, rawBytes <= Int64(StretchColumns.rawBytesMaximum)
    else { throw damaged(entry, first, row: row.int(0), "its columns cannot be", path: path) }
    let bytes = row.blob(7)
    let checksum = chunkChecksum(
      entry.key, first, count: Int(count), rawBytes: Int(rawBytes), wantedUntil: row.isNull(8) ? nil : row.int(8),
      previous: previous, signature: signature, bytes: bytes)
    guard checksum == row.blob(6) else {
      throw damaged(entry, first, row: row.int(0), "its checksum does not match", path: path)
    }
    return ChunkRow(
      row: row.int(0), checksum: checksum, first: first, count: Int(count), previous: previous, signature: signature,
      block: Block(rawBytes: rawBytes == 0 ? nil : Int(rawBytes), bytes: bytes))
  }

  static func chunkChecksum(
    _ key: LogID, _ first: SequenceNumber, count: Int, rawBytes: Int, wantedUntil: Int64?, previous: EventHash,
    signature: Signature?, bytes: [UInt8]
  ) -> [UInt8] {
    bytes.withUnsafeBytes { block in
      previous.withUnsafeBytes { previous in
        (signature?.bytes ?? []).withUnsafeBytes { signature in
          RowChecksum.make(
            previous, signature, block, log: key, position: first,
            extra: [UInt64(count), UInt64(rawBytes), UInt64(signature.count), UInt64(bitPattern: wantedUntil ?? 0)])
        }
      }
    }
  }

  /// - Parameter block: the stretch's columns, compressed already.
  func insertChunk(_ entry: LogEntry, _ stretch: Stretch, signature: Signature?, block: Block) throws {
    let insert = try database.statement(
      """
      INSERT INTO chunk(lid, first, count, previous, signature, raw_bytes, checksum, block, wanted_until) \
      VALUES(?,?,?,?,?,?,?,?,?)
      """)
    let wantedUntil = Self.wantedUntil(stretch)
    let checksum = Self.chunkChecksum(
      entry.key, stretch.first, count: stretch.count, rawBytes: block.rawBytes ?? 0, wantedUntil: wantedUntil,
      previous: stretch.previous, signature: signature, bytes: block.bytes)
    insert.bind(entry.lid, at: 0)
    insert.bind(stretch.first, at: 1)
    insert.bind(stretch.count, at: 2)
    insert.bind(stretch.previous, at: 3)
    insert.bind(signature?.bytes, at: 4)
    insert.bind(block.rawBytes ?? 0, at: 5)
    insert.bind(checksum, at: 6)
    bind(wantedUntil, to: insert, at: 8)
    try block.bytes.withUnsafeBytes {
      insert.bind(inPlace: $0, at: 7)
      try insert.run()
    }
  }

  private func bind(_ wantedUntil: Int64?, to insert: Statement, at column: Int) {
    if let wantedUntil { insert.bind(wantedUntil, at: column) } else { insert.bindNull(at: column) }
  }

  func deleteChunk(_ entry: LogEntry, row: Int64, first: SequenceNumber) throws {
    let delete = try database.statement("DELETE FROM chunk WHERE rowid=?")
    delete.bind(row, at: 0)
    try delete.run()
    chunkCache.remove(ChunkKey(lid: entry.lid, first: first))
    viewCache.remove(ChunkKey(lid: entry.lid, first: first))
  }

  // MARK: - Parts

  /// What lies at a sequence number that is held. Throws `.damaged` when it does not lie there whole.
  func part(_ entry: LogEntry, containing sequence: SequenceNumber) throws -> Part {
    if let place = try chunkPlace(entry.lid, containing: sequence) {
      let chunk = try decodedChunk(entry, place)
      return Part(place: .chunk(row: chunk.row), stretch: chunk.stretch, lastSignature: chunk.signature)
    }
    return try tailPart(entry, containing: sequence)
  }

  /// Where a chunk row lies, and which one it is.
  struct ChunkPlace {
    var first: SequenceNumber
    var last: SequenceNumber
    var checksum: [UInt8]
    var isSigned: Bool
  }

  func chunkPlace(_ lid: Int64, containing sequence: SequenceNumber) throws -> ChunkPlace? {
    let find = try database.statement(
      "SELECT first, count, checksum, signature IS NOT NULL FROM chunk WHERE lid=? AND first<=? ORDER BY first DESC LIMIT 1"
    )
    find.bind(lid, at: 0)
    find.bind(sequence, at: 1)
    return try find.first { row -> ChunkPlace? in
      let end = row.sequence(0) + Int(min(max(0, row.int(1)), 256))
      guard end > sequence else { return nil }
      return ChunkPlace(first: row.sequence(0), last: end - 1, checksum: row.blob(2), isSigned: row.int(3) == 1)
    } ?? nil
  }

  private func decodedChunk(_ entry: LogEntry, _ place: ChunkPlace) throws -> CachedChunk {
    let first = place.first
    let key = ChunkKey(lid: entry.lid, first: first)
    if let cached = chunkCache.value(key), cached.checksum == place.checksum { return cached }
    guard let row = try chunkRow(entry, containing: first), row.first == first else {
      throw damaged(entry, first, row: nil, "the chunk is missing")
    }
    guard let columns = row.block.columns() else { throw damaged(entry, first, row: row.row, "it does not decompress") }
    let stretch: Stretch
    do throws(ByteError) {
      stretch = try StretchColumns.decode(
        columns, log: entry.key, first: first, count: row.count, previous: row.previous)
    } catch {
      throw damaged(entry, first, row: row.row, error.description)
    }
    let chunk = CachedChunk(checksum: row.checksum, row: row.row, stretch: stretch, signature: row.signature)
    chunkCache.insert(chunk, for: key, cost: chunk.cost)
    return chunk
  }

  func damaged(_ entry: LogEntry, _ sequence: SequenceNumber, row: Int64?, _ what: String) -> StoreError {
    Self.damaged(entry, sequence, row: row, what, path: database.path)
  }

  private static func damaged(
    _ entry: LogEntry, _ sequence: SequenceNumber, row: Int64?, _ what: String, path: String?
  ) -> StoreError {
    StoreError(.damaged, "log \(entry.key) from \(sequence)\(row.map { ", row \($0)" } ?? ""): \(what)", path: path)
  }

  // MARK: - Tail rows

  static let selectTail = """
    SELECT seq, previous, id, kind, flags, place, ttl, live, signature, verified, absence, payload_bytes, payload, \
    checksum, wanted_until FROM tail
    """

  /// The run of tail rows around a sequence number.
  private func tailPart(_ entry: LogEntry, containing sequence: SequenceNumber) throws -> Part {
    let anchor = try database.statement(
      "SELECT max(seq) FROM tail WHERE lid=? AND seq<=? AND seq>? AND previous IS NOT NULL")
    anchor.bind(entry.lid, at: 0)
    anchor.bind(sequence, at: 1)
    anchor.bind(Int64(bitPattern: sequence.rawValue) - 256, at: 2)
    guard let start = try anchor.first({ $0.isNull(0) ? nil : $0.sequence(0) }) ?? nil else {
      throw damaged(entry, sequence, row: nil, "the event is missing")
    }
    let select = try database.statement(
      """
      \(Self.selectTail) WHERE lid=? AND seq>=? ORDER BY seq LIMIT 256
      """)
    select.bind(entry.lid, at: 0)
    select.bind(start, at: 1)
    var events: [Event] = []
    var signatures: [Signature?] = []
    var unverified: Set<Int> = []
    var previous = EventHash()
    defer { select.reset() }
    while try select.step() {
      let at = select.sequence(0)
      if at != start + events.count || (!events.isEmpty && !select.isNull(1)) { break }
      let row: TailRow
      do {
        row = try Self.readTail(select, of: entry, path: database.path)
      } catch {
        // The rows before a rotten one are as good as ever.
        if start + events.count > sequence { break }
        throw error
      }
      if let before = events.last, !Self.continues(before.header.place, row.event.header.place) { break }
      if let anchor = row.previous { previous = anchor }
      // The chain is rebuilt by the codec below; here `previous` only has to be something.
      if !row.isVerified, row.signature != nil { unverified.insert(events.count) }
      signatures.append(row.signature)
      events.append(row.event)
    }
    guard start + events.count > sequence else { throw damaged(entry, sequence, row: nil, "the event is missing") }
    let stretch = try Self.stretch(of: events, log: entry.key, first: start, previous: previous)
    return Part(
      place: .tail, stretch: stretch, lastSignature: signatures[events.count - 1], signatures: signatures,
      unverified: unverified)
  }

  /// Makes a stretch of events whose chain is not worked out yet.
  static func stretch(
    of events: [Event], log: LogID, first: SequenceNumber, previous: EventHash
  ) throws -> Stretch {
    do throws(ByteError) {
      return try StretchColumns.decode(
        StretchColumns.encode(events), log: log, first: first, count: events.count, previous: previous)
    } catch {
      throw StoreError(.damaged, "events \(first)… of log \(log) do not fit together: \(error)")
    }
  }

  struct TailRow {
    var event: Event
    /// Known at the start of a run only.
    var previous: EventHash?
    var signature: Signature?
    var isVerified: Bool
  }

  /// - Parameter row: the columns of `selectTail`.
  static func readTail(_ row: some RowColumns, of entry: LogEntry, path: String?) throws(StoreError) -> TailRow {
    let sequence = row.sequence(0)
    let previous: EventHash? = row.isNull(1) ? nil : row.bytes32(1)
    let signature = row.isNull(8) ? nil : Signature(row.blob(8))
    let absence = Absence(rawValue: UInt8(truncatingIfNeeded: row.int(10)))
    let payload = row.blob(12)
    let size = row.int(11)
    let numbers =
      [2, 3, 4, 5, 6, 7, 11].map { row.unsigned($0) }
      + [UInt64(absence?.rawValue ?? 0), row.isNull(14) ? 0 : row.unsigned(14)]
    let checksum = tailChecksum(
      entry.key, sequence, numbers, previous: previous, signature: signature, payload: payload)
    guard checksum == row.blob(13), row.isNull(1) == (previous == nil), row.isNull(8) == (signature == nil),
      size >= 0, size <= Int64(UInt32.max),
      absence == nil ? payload.count == Int(size) : payload.count == 32
    else { throw damaged(entry, sequence, row: nil, "its checksum does not match", path: path) }
    let hash = absence == nil ? Digest(hashing: payload) : Digest(payload)!
    let header = EventHeader(
      kind: EventKind(rawValue: UInt8(truncatingIfNeeded: row.int(3))), flags: UInt8(truncatingIfNeeded: row.int(4)),
      place: UInt8(truncatingIfNeeded: row.int(5)), sequence: sequence, id: EventID(rawValue: row.unsigned(2)),
      log: entry.key, previous: EventHash(), payloadBytes: UInt32(size), payloadHash: hash,
      ttl: UInt32(truncatingIfNeeded: row.int(6)), live: UInt32(truncatingIfNeeded: row.int(7)))
    return TailRow(
      event: Event(header: header, payload: absence.map { .absent($0) } ?? .present(payload)), previous: previous,
      signature: signature, isVerified: row.int(9) == 1)
  }

  private static func tailChecksum(
    _ key: LogID, _ sequence: SequenceNumber, _ numbers: [UInt64], previous: EventHash?, signature: Signature?,
    payload: [UInt8]
  ) -> [UInt8] {
    (previous?.bytes ?? []).withUnsafeBytes { previous in
      (signature?.bytes ?? []).withUnsafeBytes { signature in
        payload.withUnsafeBytes { payload in
          RowChecksum.make(
            previous, signature, payload, log: key, position: sequence,
            extra: numbers + [UInt64(previous.count), UInt64(signature.count)])
        }
      }
    }
  }

  /// - Parameter anchored: the row starts a run, and so tells the hash before it.
  func insertTail(
    _ entry: LogEntry, _ header: EventHeader, _ payload: Payload, signature: Signature?, verified: Bool, anchored: Bool
  ) throws {
    let insert = try database.statement(
      """
      INSERT OR REPLACE INTO tail(lid, seq, previous, id, kind, flags, place, ttl, live, signature, verified, absence, \
      payload_bytes, payload, checksum, wanted_until) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
      """)
    let bytes: [UInt8]
    var absence: UInt8 = 0
    switch payload {
    case .present(let present): bytes = present
    case .absent(let reason):
      absence = reason.rawValue
      bytes = header.payloadHash.bytes
    }
    let wantedUntil = Self.wantedUntil(header, payload)
    let numbers: [UInt64] = [
      header.id.rawValue, UInt64(header.kind.rawValue), UInt64(header.flags), UInt64(header.place), UInt64(header.ttl),
      UInt64(header.live), UInt64(header.payloadBytes), UInt64(absence), UInt64(bitPattern: wantedUntil ?? 0),
    ]
    let checksum = Self.tailChecksum(
      entry.key, header.sequence, numbers, previous: anchored ? header.previous : nil, signature: signature,
      payload: bytes)
    insert.bind(entry.lid, at: 0)
    insert.bind(header.sequence, at: 1)
    if anchored { insert.bind(header.previous, at: 2) } else { insert.bindNull(at: 2) }
    insert.bind(header.id.rawValue, at: 3)
    insert.bind(Int(header.kind.rawValue), at: 4)
    insert.bind(Int(header.flags), at: 5)
    insert.bind(Int(header.place), at: 6)
    insert.bind(Int(header.ttl), at: 7)
    insert.bind(Int(header.live), at: 8)
    insert.bind(signature?.bytes, at: 9)
    insert.bind(verified ? 1 : 0, at: 10)
    insert.bind(Int(absence), at: 11)
    insert.bind(Int(header.payloadBytes), at: 12)
    insert.bind(bytes, at: 13)
    insert.bind(checksum, at: 14)
    bind(wantedUntil, to: insert, at: 15)
    try insert.run()
    entry.tailEvent = header.sequence
  }

  func deleteTail(_ entry: LogEntry, _ range: ClosedRange<SequenceNumber>) throws {
    entry.tailEvent = nil
    let delete = try database.statement("DELETE FROM tail WHERE lid=? AND seq BETWEEN ? AND ?")
    delete.bind(entry.lid, at: 0)
    delete.bind(range.lowerBound, at: 1)
    delete.bind(range.upperBound, at: 2)
    try delete.run()
  }

  /// Payload bytes of the run of tail rows that ends at a sequence number.
  func tailBytes(_ entry: LogEntry, endingAt sequence: SequenceNumber) throws -> Int {
    let select = try database.statement(
      """
      SELECT sum(payload_bytes) FROM tail WHERE lid=?1 AND seq<=?2 AND seq>= \
      (SELECT max(seq) FROM tail WHERE lid=?1 AND seq<=?2 AND previous IS NOT NULL)
      """)
    select.bind(entry.lid, at: 0)
    select.bind(sequence, at: 1)
    return try select.first { Int($0.int(0)) } ?? 0
  }

  func hasTailRow(_ entry: LogEntry, _ sequence: SequenceNumber) throws -> Bool {
    if entry.tailEvent == sequence { return true }
    let select = try database.statement("SELECT 1 FROM tail WHERE lid=? AND seq=?")
    select.bind(entry.lid, at: 0)
    select.bind(sequence, at: 1)
    return try select.first { _ in true } ?? false
  }
}
