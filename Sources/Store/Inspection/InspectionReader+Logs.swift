import Events
import Identity
import Primitives

/// Judging the events of each log: checksums, chain, signatures, and what is missing.
extension InspectionReader {
  func judgedLogs() -> [InspectedLog] {
    let lids = Set(logRows.keys).union(chunks.keys).union(tails.keys).sorted()
    return lids.map(judge)
  }

  func judgedDeletions() -> [Inspection.DeletionFacts] {
    deletionRows.map { row in
      Inspection.DeletionFacts(
        target: Reference(log: row.bytes32(0)!, sequence: row.sequence(1), hash: row.bytes32(4)!),
        log: logRows[row.int(2)]?.bytes32(1), by: row.sequence(3))
    }
  }

  private func judge(_ lid: Int64) -> InspectedLog {
    var log = InspectedLog(lid: lid, hasRow: logRows[lid] != nil)
    var held: [Segment] = []
    if let row = logRows[lid] {
      log.key = row.bytes32(1)
      log.person = personRows[row.int(2)]
      log.change = row.int(13)
      if log.person == nil { log.problems.append("person row \(row.int(2)), whose log it is, is lost") }
      held = readRow(row, into: &log)
    } else {
      log.key = keyOfLost(lid)
      log.problems.append("its row in the table log is lost")
      if let key = log.key { log.person = persons.first { $0.record?.isAuthor(key) ?? false }?.id }
    }
    guard let key = log.key else {
      let count = chunks[lid, default: []].count + tails[lid, default: []].count
      log.problems.append("nothing tells whose its \(count) rows of events are")
      return log
    }
    let entry = LogEntry(lid: lid, key: key, pid: 0, person: log.person ?? PersonID())
    readProofs(entry, &log)
    log.pieces = chunkPieces(entry) + tailPieces(entry)
    log.pieces.sort {
      ($0.first, $1.isProven ? 1 : 0, $0.row ?? .max) < ($1.first, $0.isProven ? 1 : 0, $1.row ?? .max)
    }
    dropDoubles(&log)
    if !log.hasRow { held = segments(from: log.pieces) }
    log.ranges = held.map { $0.first...$0.last }
    checkChain(entry, held, &log)
    log.losses = losses(held, log.pieces)
    return log
  }

  /// The held segments that the row of a log and the table of lower segments name.
  private func readRow(_ row: BareRow, into log: inout InspectedLog) -> [Segment] {
    var held = segments[log.lid, default: []].sorted { $0.first < $1.first }
    if row.int(4) > 0 {
      if let hash: EventHash = row.bytes32(5), let previous: EventHash = row.bytes32(6), row.int(3) >= 1,
        row.sequence(3) <= row.sequence(4), row.sequence(4) <= .maximum
      {
        held.append(Segment(first: row.sequence(3), last: row.sequence(4), previous: previous, hash: hash))
        log.head = LogHead(sequence: row.sequence(4), hash: hash)
      } else {
        log.problems.append("its row does not say which events it holds")
      }
    }
    if row.int(7) != Int64(max(0, held.count - 1)) {
      log.problems.append("its row names \(row.int(7)) lower ranges, \(max(0, held.count - 1)) are there")
    }
    var sound: [Segment] = []
    for segment in held {
      guard segment.first >= .first, segment.first <= segment.last, segment.last <= .maximum,
        sound.last.map({ $0.last < segment.first }) ?? true
      else {
        log.problems.append("its range \(segment.first)–\(segment.last) cannot be")
        continue
      }
      sound.append(segment)
    }
    if let hash: EventHash = row.bytes32(10) {
      switch row.int(8) & 3 {
      case 1: log.end = .frozen(cut: row.sequence(9), previous: hash)
      case 2: log.end = .revoked(Revocation(sequence: row.sequence(9), hash: hash))
      default: log.problems.append("its row names a cut, but no reason for it")
      }
    } else if row.int(8) & 3 != 0 {
      log.problems.append("its row names no cut")
    }
    log.hasSuspect = row.int(8) & 4 != 0
    if row.int(11) > 0, let hash: EventHash = row.bytes32(12) {
      log.want = LogHead(sequence: row.sequence(11), hash: hash)
    }
    return sound
  }

  private func readProofs(_ entry: LogEntry, _ log: inout InspectedLog) {
    if let bytes = evidence[entry.lid] {
      do throws(ByteError) {
        log.evidence = try Evidence(decoding: bytes, log: entry.key, person: entry.person)
      } catch {
        log.problems.append("its evidence does not read: \(error)")
      }
    }
    log.suspectFirst = suspects[entry.lid]
    if log.hasRow, log.hasSuspect != (log.suspectFirst != nil) {
      log.problems.append("its row and the table of suspected forks disagree")
    }
    guard case .frozen(let cut, let previous) = log.end else { return }
    if let evidence = log.evidence {
      if evidence.cut != cut || evidence.previous != previous { log.problems.append("its cut is not the evidence's") }
    } else if evidence[entry.lid] == nil {
      log.problems.append("the evidence that froze it is lost")
    }
  }

  /// A log whose row is lost: of all devices that the records know, the one whose key the checksums were made with.
  private func keyOfLost(_ lid: Int64) -> LogID? {
    for person in persons {
      for device in person.record?.devices ?? [] {
        let entry = LogEntry(lid: lid, key: device.key, pid: person.pid, person: person.id)
        for place in chunks[lid, default: []].prefix(4) {
          let loader = ChunkLoader(file: file, page: place.page, cell: place.cell, entry: entry)
          if let loaded = loader.load(), loaded.complaint == nil { return device.key }
        }
        for row in tails[lid, default: []].prefix(4) where tailRow(row, entry) != nil { return device.key }
      }
    }
    return nil
  }

  // MARK: - Pieces

  private func chunkPieces(_ entry: LogEntry) -> [InspectedLog.Piece] {
    chunks[entry.lid, default: []].map { place in
      let loader = ChunkLoader(file: file, page: place.page, cell: place.cell, entry: entry)
      do {
        let loaded = try loader.read()
        let last = loaded.stretch.count - 1
        var piece = InspectedLog.Piece(
          row: loaded.row.row, first: loaded.row.first, count: loaded.row.count,
          storedBytes: loaded.row.block.bytes.count, rawBytes: loaded.stretch.raw.count,
          checksumHolds: loaded.complaint == nil,
          signature: loaded.row.signature.map { loaded.stretch.isSigned(last, by: $0) ? .good : .bad } ?? .none,
          problem: loaded.complaint, previous: loaded.row.previous, lastHash: loaded.stretch.lastHash,
          signatures: [loaded.row.signature])
        if piece.signature == .bad { piece.problem = piece.problem ?? "its signature does not hold" }
        // A signature over the last header proves all of it, also against a checksum that rotted.
        if piece.checksumHolds && piece.signature != .bad || piece.signature == .good {
          piece.content = .chunk(loader)
        }
        return piece
      } catch {
        var piece = InspectedLog.Piece(
          row: 0, first: SequenceNumber(0), count: 0, storedBytes: 0, rawBytes: 0, checksumHolds: false,
          signature: .none, problem: (error as? StoreError)?.message ?? "\(error)")
        if let page = try? file.page(place.page), let cell = try? file.cell(page, place.cell),
          let row = try? BareRow(cell, page: place.page, index: place.cell)
        {
          piece.row = row.rowid
          piece.first = min(row.sequence(2), .maximum)
          piece.count = Int(min(max(row.int(3), 0), 256))
          piece.storedBytes = row.blob(9).count
        }
        return piece
      }
    }
  }

  private func tailRow(_ row: BareRow, _ entry: LogEntry) -> EventStore.TailRow? {
    try? EventStore.readTail(row.columns(Array(1...11) + [13, 14, 15, 12]), of: entry, path: nil)
  }

  private func tailPieces(_ entry: LogEntry) -> [InspectedLog.Piece] {
    var pieces: [InspectedLog.Piece] = []
    var run: [EventStore.TailRow] = []
    func endRun() {
      defer { run = [] }
      guard let first = run.first, let previous = first.previous else { return }
      let start = first.event.header.sequence
      let bytes = run.reduce(0) { $0 + ($1.event.payload.bytes?.count ?? 32) }
      var piece = InspectedLog.Piece(
        row: nil, first: start, count: run.count, storedBytes: bytes, rawBytes: bytes, checksumHolds: true,
        signature: .none)
      piece.previous = previous
      piece.signatures = run.map(\.signature)
      for (index, row) in run.enumerated() where !row.isVerified { piece.unverified.insert(index) }
      do {
        let stretch = try EventStore.stretch(of: run.map(\.event), log: entry.key, first: start, previous: previous)
        piece.lastHash = stretch.lastHash
        piece.content = .tail(stretch)
        for (index, signature) in piece.signatures.enumerated() {
          guard let signature, !piece.unverified.contains(index) else { continue }
          guard stretch.isSigned(index, by: signature) else {
            piece.signature = .bad
            piece.problem = "the signature of event \(start + index) does not hold"
            continue
          }
          if index == run.count - 1, piece.signature != .bad { piece.signature = .good }
        }
        if piece.signature == .bad, !isSignedAtEnd(piece, stretch) { piece.content = .lost }
      } catch {
        piece.problem = (error as? StoreError)?.message ?? "\(error)"
      }
      pieces.append(piece)
    }
    func broken(_ row: BareRow, _ problem: String, checksumHolds: Bool) {
      pieces.append(
        InspectedLog.Piece(
          row: nil, first: min(row.sequence(1), .maximum), count: 1, storedBytes: row.blob(14).count,
          rawBytes: row.blob(14).count, checksumHolds: checksumHolds, signature: .none, problem: problem))
    }
    for row in tails[entry.lid, default: []].sorted(by: { $0.sequence(1) < $1.sequence(1) }) {
      guard let read = tailRow(row, entry) else {
        endRun()
        broken(row, "its checksum does not match", checksumHolds: false)
        continue
      }
      if let last = run.last, read.event.header.sequence != last.event.header.sequence + 1 { endRun() }
      if read.previous != nil { endRun() }
      // `stretch` takes only places that rise by one, which rows of one run have.
      if let last = run.last, !EventStore.continues(last.event.header.place, read.event.header.place) { endRun() }
      guard read.previous != nil || !run.isEmpty else {
        broken(row, "it reads, but the event that it follows is lost", checksumHolds: true)
        continue
      }
      run.append(read)
    }
    endRun()
    return pieces
  }

  private func isSignedAtEnd(_ piece: InspectedLog.Piece, _ stretch: Stretch) -> Bool {
    guard let signature = piece.signatures[stretch.count - 1] else { return false }
    return stretch.isSigned(stretch.count - 1, by: signature)
  }

  /// Of two rows for one place, which only a damaged file has, the one that proves itself stays.
  private func dropDoubles(_ log: inout InspectedLog) {
    var kept: [InspectedLog.Piece] = []
    for piece in log.pieces {
      if piece.isProven, let index = kept.lastIndex(where: \.isProven), kept[index].last >= piece.first {
        log.problems.append("events \(piece.first)–\(piece.last) lie in the store twice")
        if kept[index].problem == nil { continue }
        kept.remove(at: index)
      }
      kept.append(piece)
    }
    log.pieces = kept
  }

  // MARK: - Chain and losses

  private func segments(from pieces: [InspectedLog.Piece]) -> [Segment] {
    var segments: [Segment] = []
    for piece in pieces where piece.isProven {
      guard let previous = piece.previous, let hash = piece.lastHash else { continue }
      if let last = segments.last, last.last + 1 == piece.first, last.hash == previous {
        segments[segments.count - 1].last = piece.last
        segments[segments.count - 1].hash = hash
      } else {
        segments.append(Segment(first: piece.first, last: piece.last, previous: previous, hash: hash))
      }
    }
    return segments
  }

  private func checkChain(_ entry: LogEntry, _ held: [Segment], _ log: inout InspectedLog) {
    var before: (last: SequenceNumber, hash: EventHash)?
    for index in log.pieces.indices where log.pieces[index].isProven {
      let piece = log.pieces[index]
      guard let previous = piece.previous, let hash = piece.lastHash else { continue }
      guard let segment = held.first(where: { $0.contains(piece.first) && $0.contains(piece.last) }) else {
        log.problems.append("events \(piece.first)–\(piece.last) are in no range that the log names")
        continue
      }
      var expected: EventHash?
      if piece.first == segment.first { expected = segment.previous }
      if piece.first == .first, log.person != nil { expected = entry.person.cast() }
      if let before, before.last + 1 == piece.first, piece.first != segment.first { expected = before.hash }
      if let expected {
        log.pieces[index].chainHolds = expected == previous
        if expected != previous { log.pieces[index].problem = piece.problem ?? "the chain is broken before it" }
      }
      if piece.last == segment.last {
        if hash != segment.hash {
          log.pieces[index].problem = log.pieces[index].problem ?? "the head is not the one that the log names"
        }
      }
      before = (piece.last, hash)
    }
  }

  /// What the store should hold and does not.
  private func losses(_ held: [Segment], _ pieces: [InspectedLog.Piece]) -> [InspectedLog.Loss] {
    var losses: [InspectedLog.Loss] = []
    func add(_ range: ClosedRange<SequenceNumber>) {
      let broken = pieces.filter { !$0.isProven && $0.first <= range.upperBound && $0.last >= range.lowerBound }
      let reason = broken.first.flatMap(\.problem) ?? "nothing is there"
      losses.append(
        InspectedLog.Loss(
          range: range, reason: reason, isReadable: !broken.isEmpty && broken.allSatisfy(\.checksumHolds)))
    }
    for segment in held {
      var next = segment.first
      for piece in pieces where piece.isProven && piece.last >= next && piece.first <= segment.last {
        if piece.first > next { add(next...(piece.first - 1)) }
        next = max(next, piece.last + 1)
      }
      if next <= segment.last { add(next...segment.last) }
    }
    return losses
  }
}
