import Events
public import Identity
public import Primitives

/// Something on disk that is not what was written.
public struct Damage: Hashable, Sendable {
  public var log: LogID?
  /// The first and last events that cannot be trusted.
  public var range: ClosedRange<SequenceNumber>?
  public var message: String

  public init(log: LogID?, range: ClosedRange<SequenceNumber>?, message: String) {
    self.log = log
    self.range = range
    self.message = message
  }
}

extension EventStore {
  /// Logs that are checked after an unclean stop: those that changed last, which is where a torn write could lie.
  static let newestLogs = 256

  /// Checks chain, checksums and head signature of the newest part of the logs that changed last.
  func verifyNewest() throws -> [Damage] {
    let rows = try database.statement(
      "SELECT lid FROM change WHERE lid IS NOT NULL ORDER BY n DESC LIMIT \(Self.newestLogs)"
    ).map { $0.int(0) }
    var found: [Damage] = []
    for lid in rows {
      do {
        guard let entry = try entry(row: lid), let top = entry.top else { continue }
        var checks = SignatureChecks()
        found += verify(entry, top.last...top.last, signatures: &checks)
        found += checks.finish()
      } catch let error as StoreError where error.code == .damaged {
        found.append(Damage(log: nil, range: nil, message: error.message))
      }
    }
    return found
  }

  /// Checks the whole store.
  ///
  /// - Parameter full: also every signature, the file's own structure and the store's own read models; otherwise
  ///   checksums, chains and heads.
  /// - Returns: every damage found; empty for a sound store.
  public func verify(full: Bool, progress: (_ eventsDone: Int) -> Void = { _ in }) throws -> [Damage] {
    var found: [Damage] = []
    // The writer's own log grows while this looks; what it opened was whole.
    if database.mode == .reader, let words = try database.damageInLog() {
      found.append(Damage(log: nil, range: nil, message: words))
    }
    if full {
      try database.statement("PRAGMA integrity_check(100)").eachRow {
        let line = $0.text(0)
        if line != "ok" { found.append(Damage(log: nil, range: nil, message: "database: \(line)")) }
      }
    }
    var checks = SignatureChecks()
    for person in try persons() {
      do {
        guard let stored = try storedPerson(person) else { continue }
        if full { found += checks.add(.record(stored.record.encoded, person)) }
      } catch {
        found.append(Damage(log: nil, range: nil, message: "person \(person): \(error)"))
      }
    }
    var done = 0
    for lid in try database.statement("SELECT lid FROM log ORDER BY lid").map({ $0.int(0) }) {
      do {
        guard let entry = try entry(row: lid) else {
          found.append(Damage(log: nil, range: nil, message: "log row \(lid) belongs to nobody"))
          continue
        }
        for segment in entry.segments {
          if full {
            found += verify(entry, segment.first...segment.last, signatures: &checks)
          } else {
            found += verify(entry, segment.first...segment.last)
          }
          done += segment.last - segment.first + 1
          progress(done)
        }
        found += try verifyBorders(entry)
        found += verifyEnd(entry)
      } catch let error as StoreError where error.code == .damaged {
        found.append(Damage(log: nil, range: nil, message: error.message))
      }
    }
    found += checks.finish()
    if full, found.isEmpty { found += try verifyReadModels(readModels) }
    return found
  }

  /// Whether what is stored begins and ends where the log says, and nothing lies between.
  private func verifyBorders(_ entry: LogEntry) throws -> [Damage] {
    var found: [Damage] = []
    var last = SequenceNumber(0)
    for first in entry.segments.map(\.first) + [nil] {
      let stored = try nextStored(entry, after: last)
      if stored != first {
        let message = "what is stored after event \(last) is not what the log names as held"
        found.append(Damage(log: entry.key, range: nil, message: message))
      }
      guard let first, let segment = entry.segments.first(where: { $0.first == first }) else { break }
      last = segment.last
    }
    return found
  }

  /// Whether the log ends where its person's record and its evidence say, and nowhere else.
  private func verifyEnd(_ entry: LogEntry) -> [Damage] {
    func damage(_ message: String) -> [Damage] { [Damage(log: entry.key, range: nil, message: message)] }
    do {
      let evidence = try storedEvidence(entry)
      let revocation = try storedPerson(entry.person)?.record.revocation(of: entry.key)
      let end = revocation.map(LogEnd.revoked) ?? evidence.map { .frozen(cut: $0.cut, previous: $0.previous) }
      guard entry.end == end else { return damage("its end is not what its evidence and its person's record say") }
      guard try storedCut(entry) == evidence.map({ LogHead(sequence: $0.cut, hash: $0.previous) }) else {
        return damage("its evidence is filed under another cut")
      }
      let suspects = try database.statement("SELECT lid FROM suspect WHERE lid=?")
      suspects.bind(entry.lid, at: 0)
      guard try (suspects.first { _ in true } != nil) == entry.hasSuspect,
        try (storedSuspect(entry) != nil) == entry.hasSuspect
      else {
        return damage("its row and the table of suspected forks disagree")
      }
      return []
    } catch {
      return damage("\(error)")
    }
  }

  private func verify(_ entry: LogEntry, _ range: ClosedRange<SequenceNumber>) -> [Damage] {
    var none: SignatureChecks?
    return verify(entry, range, &none)
  }

  private func verify(
    _ entry: LogEntry, _ range: ClosedRange<SequenceNumber>, signatures: inout SignatureChecks
  ) -> [Damage] {
    var some: SignatureChecks? = signatures
    signatures = SignatureChecks()
    defer { signatures = some! }
    return verify(entry, range, &some)
  }

  /// - Parameters:
  ///   - range: within one segment.
  ///   - signatures: takes the signatures to be checked; nil leaves them out.
  private func verify(
    _ entry: LogEntry, _ range: ClosedRange<SequenceNumber>, _ signatures: inout SignatureChecks?
  ) -> [Damage] {
    var found: [Damage] = []
    func damage(_ low: SequenceNumber, _ high: SequenceNumber, _ message: String) {
      if let last = found.last, let before = last.range, before.upperBound + 1 == low, last.message == message {
        found[found.count - 1].range = before.lowerBound...high
      } else {
        found.append(Damage(log: entry.key, range: low...high, message: message))
      }
    }
    guard let segment = entry.segments.first(where: { $0.contains(range.lowerBound) }) else { return [] }
    var next = range.lowerBound
    var before: EventHash? = next == segment.first ? segment.previous : nil
    while next <= range.upperBound {
      let part: Part
      do {
        chunkCache.remove(ChunkKey(lid: entry.lid, first: next))
        part = try self.part(entry, containing: next)
      } catch {
        let resume = (try? nextStored(entry, after: next)) ?? nil
        let end = min(resume.map { $0 - 1 } ?? range.upperBound, range.upperBound)
        damage(next, max(end, next), (error as? StoreError)?.message ?? "\(error)")
        next = max(end, next) + 1
        before = nil
        continue
      }
      if let before, part.first == next, part.stretch.previous != before {
        damage(part.first, part.last, "the chain is broken before it")
      }
      if part.first < segment.first || part.last > segment.last {
        damage(part.first, part.last, "it goes on beyond what the log names as held")
      }
      if part.last == segment.last, part.stretch.lastHash != segment.hash {
        damage(part.last, part.last, "the head is not the one that the log names")
      }
      if signatures != nil {
        for index in 0..<part.stretch.count {
          guard let signature = part.signature(index), !part.unverified.contains(index) else { continue }
          found += signatures!.add(.event(part.stretch.header(index), signature))
        }
      }
      before = part.stretch.lastHash
      next = part.last + 1
    }
    return found
  }

  private func nextStored(_ entry: LogEntry, after sequence: SequenceNumber) throws -> SequenceNumber? {
    let select = try database.statement(
      """
      SELECT min(s) FROM (SELECT min(first) s FROM chunk WHERE lid=?1 AND first>?2 \
      UNION ALL SELECT min(seq) FROM tail WHERE lid=?1 AND seq>?2)
      """)
    select.bind(entry.lid, at: 0)
    select.bind(sequence, at: 1)
    return try select.first { $0.isNull(0) ? nil : $0.sequence(0) } ?? nil
  }

  /// Verifies signatures of received tail events that were taken on the word of the one after them. A false one is
  /// dropped: the event is authentic by its chain, only nothing may end on it.
  ///
  /// - Parameter limit: at most that many, about 40 µs each.
  /// - Returns: how many were looked at.
  @discardableResult
  public func verifyPending(limit: Int) throws -> Int {
    let select = try database.statement("SELECT lid, seq FROM tail WHERE verified=0 LIMIT ?")
    select.bind(limit, at: 0)
    let rows = try select.map { (lid: $0.int(0), sequence: $0.sequence(1)) }
    guard !rows.isEmpty else { return 0 }
    try write {
      for (lid, sequence) in rows {
        guard let entry = try entry(row: lid), entry.segmentIndex(containing: sequence) != nil else { continue }
        let part = try part(entry, containing: sequence)
        let index = sequence - part.first
        guard part.place == .tail else { continue }
        let signature = part.signatures[index].flatMap { part.stretch.isSigned(index, by: $0) ? $0 : nil }
        try insertTail(
          entry, part.stretch.header(index), part.stretch.payload(index), signature: signature, verified: true,
          anchored: index == 0)
      }
    }
    return rows.count
  }

  /// Makes the read models again from the logs. Their digest is the same afterwards, if they were sound.
  public func rebuild(progress: (_ eventsDone: Int) -> Void = { _ in }) throws {
    try write {
      for model in readModels { try model.reset(in: database) }
      var done = 0
      for lid in try database.statement("SELECT lid FROM log ORDER BY lid").map({ $0.int(0) }) {
        guard let entry = try entry(row: lid) else { continue }
        for segment in entry.segments {
          var next = segment.first
          while next <= segment.last {
            let part: Part
            do {
              part = try self.part(entry, containing: next)
            } catch let error as StoreError where error.code == .damaged {
              guard let resume = try nextStored(entry, after: next) else { break }
              next = resume
              continue
            }
            for model in readModels {
              try model.add(part.stretch, 0..<part.stretch.count, of: entry.identity, in: database)
            }
            next = part.last + 1
            done += part.stretch.count
          }
          progress(done)
        }
      }
    }
  }

  /// The digest of all read models.
  public func readModelDigest() throws -> Digest {
    var writer = ByteWriter()
    for model in readModels { writer.append(try model.digest(in: database)) }
    return Digest(hashing: writer.bytes)
  }
}
