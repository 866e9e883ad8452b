public import Events
public import Identity
public import Primitives
public import Store

/// Everything that decides whether an event is shown, looked up and checked anew: what `tl why` prints.
public struct Explanation: Hashable, Sendable {
  /// Why an event is not in somebody's timeline. In the order in which they are looked at.
  public enum Reason: Hashable, Sendable {
    /// Nothing is known of the log.
    case unknownLog
    /// The log is known and the place is not held, or was never written.
    case notHeld
    /// Another event is held at this place.
    case otherEvent(EventHash)
    /// The person's record does not certify the log.
    case notCertified
    case deleted
    /// The payload is not here, and why not.
    case absent(Absence)
    case expired(at: Timestamp)
    case future(due: Timestamp)
    /// Encrypted, or marked by a later version.
    case flagged(UInt8)
    case malformed(ByteError)
    /// Only posts stand in timelines.
    case notAPost(EventKind)
    case authorNotFollowed
    /// The tables lack it though nothing speaks against it: `tl log rebuild`.
    case missingInTables
  }

  /// What authenticates the event.
  public enum Proof: Hashable, Sendable {
    /// The author's signature over the event at this place, to which the headers from the event on are chained.
    case signature(at: SequenceNumber)
    case revocation
    case evidence
    /// Only the event above it, which was proven when this one came.
    case neighbour
  }

  public let reference: Reference
  /// Empty exactly when the event stands in the viewer's timeline.
  public let reasons: [Reason]
  public var isShown: Bool { reasons.isEmpty }

  public let author: PersonLabel?
  /// The certificate of the log in the person's record, with the revocation, if any.
  public let device: Device?
  public let root: PublicKey?
  /// How the log ended, if it did.
  public let end: LogEnd?
  /// The held ranges of the log.
  public let ranges: [ClosedRange<SequenceNumber>]

  public let item: TimelineItem?
  /// Bytes of the payload, salt included, as the header says.
  public let payloadBytes: Int?
  public let proof: Proof?
  /// Whether that proof was checked just now and holds.
  public let isProven: Bool
  /// The deletes that count and name the event.
  public let deletedBy: [Reference]
}

extension TimelineReader {
  /// Explains an event from the point of view of somebody's timeline.
  public func explain(
    _ reference: Reference, for viewer: PersonID, in store: EventStore, now: Timestamp
  ) throws -> Explanation {
    try database.snapshot {
      try forgetWhenChanged()
      var reasons: [Explanation.Reason] = []
      let log = try store.log(reference.log)
      let record = try log.flatMap { try store.record(of: $0.identity.person) }
      let device = record?.device(reference.log)
      let event = try log == nil ? nil : store.event(reference.log, reference.sequence)
      if log == nil {
        reasons.append(.unknownLog)
      } else if let hash = event?.header.hash {
        if hash != reference.hash { reasons.append(.otherEvent(hash)) }
      } else {
        reasons.append(.notHeld)
      }
      if log != nil, device == nil { reasons.append(.notCertified) }
      let deletes = try log.map { try self.deletes(of: reference, by: $0.identity) } ?? []
      var item: TimelineItem?
      var proof: (proof: Explanation.Proof, holds: Bool)?
      if let event, let log, event.header.hash == reference.hash {
        item = try self.item(event, of: log.identity, now: now)
        proof = try self.proof(of: event, log, in: store)
        if !deletes.isEmpty { reasons.append(.deleted) }
        reasons += try refusals(of: event, at: now)
        if log.identity.person != viewer, try !follows(viewer, log.identity.person, now: now) {
          reasons.append(.authorNotFollowed)
        }
        if reasons.isEmpty, let position = item?.position, try !isIndexed(log.identity, position) {
          reasons.append(.missingInTables)
        }
      }
      return Explanation(
        reference: reference, reasons: reasons,
        author: try log.map { try label(of: $0.identity, now: now) }, device: device, root: record?.currentRoot,
        end: log?.end, ranges: log?.ranges ?? [], item: item, payloadBytes: item?.header.map { Int($0.payloadBytes) },
        proof: proof?.proof, isProven: proof?.holds ?? false, deletedBy: deletes)
    }
  }

  /// What in the event itself keeps it from being shown.
  private func refusals(of event: Event, at now: Timestamp) throws -> [Explanation.Reason] {
    let header = event.header
    var reasons: [Explanation.Reason] = []
    if case .absent(let reason) = event.payload { reasons.append(.absent(reason)) }
    if header.isExpired(at: now) {
      reasons.append(.expired(at: header.id.time.advanced(milliseconds: Int64(header.ttl) * 1000)))
    }
    if !ReadingTime(now: now).isDue(header.id) { reasons.append(.future(due: header.id.time)) }
    if !TimelineModel.isShown(flags: header.flags) { reasons.append(.flagged(header.flags)) }
    if header.kind != .post { reasons.append(.notAPost(header.kind)) }
    if case .present(let payload) = event.payload, TimelineModel.isShown(flags: header.flags) {
      do throws(ByteError) {
        _ = try EventContent(header.kind, payload)
      } catch {
        reasons.append(.malformed(error))
      }
    }
    return reasons
  }

  private func isIndexed(_ log: LogIdentity, _ position: TimelinePosition) throws -> Bool {
    let select = try database.statement("SELECT 1 FROM post WHERE lid=? AND at=? AND id=?")
    select.bind(log.lid, at: 0)
    select.bind(position.rank.at, at: 1)
    select.bind(position.rank.id, at: 2)
    return try select.first { _ in true } ?? false
  }

  private func deletes(of target: Reference, by log: LogIdentity) throws -> [Reference] {
    let select = try database.statement(
      """
      SELECT d.lid, d.by_seq FROM deletion d JOIN log l ON l.lid=d.lid \
      WHERE d.key=? AND d.seq=? AND d.hash=? AND l.pid=?
      """)
    select.bind(target.log, at: 0)
    select.bind(target.sequence, at: 1)
    select.bind(target.hash, at: 2)
    select.bind(log.pid, at: 3)
    return try select.map { ($0.int(0), $0.sequence(1)) }.compactMap {
      try source.event(at: EventPlace(try self.log($0.0), $0.1))?.header.reference
    }
  }

  private struct Found: Error {
    var proof: Explanation.Proof
    var holds: Bool
  }

  /// Walks the chain up from the event to the first signature, and checks links and signature.
  private func proof(
    of event: Event, _ log: LogSummary, in store: EventStore
  ) throws -> (proof: Explanation.Proof, holds: Bool) {
    guard let range = log.ranges.first(where: { $0.contains(event.header.sequence) }) else {
      return (.neighbour, false)
    }
    var previous = event.header.previous
    var last = event.header
    do {
      // From one signature to the next is at most a chunk.
      let end = min(range.upperBound, event.header.sequence + 2 * HeaderJudge.chunkCountMaximum)
      try store.forEachEvent(log.identity.log, event.header.sequence...end) { event, hash, signature in
        guard event.header.previous == previous, event.header.hash == hash else {
          throw Found(proof: .neighbour, holds: false)
        }
        if let signature {
          throw Found(
            proof: .signature(at: event.header.sequence), holds: event.header.isSigned(by: signature))
        }
        previous = hash
        last = event.header
      }
    } catch let found as Found {
      return (found.proof, found.holds)
    }
    switch log.end {
    case .revoked(let revocation) where revocation.sequence == last.sequence:
      return (.revocation, revocation.hash == previous)
    case .frozen(let cut, let before) where cut == last.sequence + 1: return (.evidence, before == previous)
    default: return (.neighbour, false)
    }
  }
}
