public import Identity
public import Primitives

/// Proof that the author of a log broke its rules: a fork, or a signed header that no valid chain can hold.
///
/// It carries headers only, and convinces anybody who knows nothing but the log's key. A log with evidence is frozen
/// below `cut`; any two proofs with equal cut and `previous` mean the same.
public struct Evidence: Hashable, Sendable {
  /// Linked headers that end in the author's signature.
  public struct Branch: Hashable, Sendable {
    public var headers: [EventHeader]
    public var signature: Signature

    public init(headers: [EventHeader], signature: Signature) {
      self.headers = headers
      self.signature = signature
    }
  }

  public enum Kind: UInt8, Hashable, Sendable {
    /// Two branches from one event on.
    case fork = 1
    /// One branch, with as much before the broken header as its rule needs.
    case ruleBreak = 2
  }

  public let kind: Kind
  public let branches: [Branch]
  /// The lowest sequence number that the log does not have any more.
  public let cut: SequenceNumber
  /// The hash of the last event below the cut, the person id for a cut at 1.
  public let previous: EventHash

  public static let version: UInt8 = 1
  /// From the first difference to the next signature is at most one chunk; a broken rule needs up to one more before it.
  public static let branchCountMaximum = 2 * HeaderJudge.chunkCountMaximum

  /// Two branches that leave the same event, or begin the log twice. Nil when they do not prove a fork of this log.
  public init?(fork a: Branch, _ b: Branch, log: LogID, person: PersonID) {
    guard Self.isAuthentic(a, log), Self.isAuthentic(b, log), let first = a.headers.first, let other = b.headers.first,
      first.sequence == other.sequence, first.sequence >= .first, first.sequence <= .maximum, first != other,
      first.previous == other.previous || first.sequence == .first
    else { return nil }
    kind = .fork
    // One order, so that two finders of the same fork write the same bytes.
    branches = a.headers[0].encoded.lexicographicallyPrecedes(b.headers[0].encoded) ? [a, b] : [b, a]
    cut = first.sequence
    previous = cut == .first ? person.cast() : first.previous
  }

  /// A branch with a header that breaks a rule. Nil when every header keeps them, and for a lone header whose place in
  /// the chain cannot be told: what it says of its own sequence number is then what is wrong with it.
  public init?(ruleBreak branch: Branch, log: LogID, person: PersonID) {
    guard Self.isAuthentic(branch, log) else { return nil }
    var judge = HeaderJudge(person: person)
    var rule: RuleBreak?
    guard
      let index = branch.headers.firstIndex(where: {
        rule = judge.judge($0)
        return rule != nil
      })
    else { return nil }
    let broken = branch.headers[index]
    kind = .ruleBreak
    branches = [branch]
    // The cut is where the header hangs in the chain, not where it claims to stand.
    if index > 0 {
      cut = branch.headers[index - 1].sequence + 1
    } else if broken.previous == person.cast() {
      cut = .first
    } else if rule != .sequence {
      cut = broken.sequence
    } else {
      return nil
    }
    previous = cut == .first ? person.cast() : broken.previous
  }

  /// version u8 = 1 | kind u8 | each branch: count u16, count × 128 header bytes, signature 64.
  public var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.byte(Self.version)
    writer.byte(kind.rawValue)
    for branch in branches {
      writer.integer(UInt16(branch.headers.count))
      for header in branch.headers { writer.append(header.encoded) }
      writer.append(branch.signature.bytes)
    }
    return writer.bytes
  }

  /// Reads and checks a proof: what comes back is true, whoever sent it.
  public init(decoding bytes: [UInt8], log: LogID, person: PersonID) throws(ByteError) {
    var reader = ByteReader(bytes)
    guard try reader.byte() == Self.version else { throw ByteError(at: 0, "evidence of a later version") }
    guard let kind = Kind(rawValue: try reader.byte()) else { throw ByteError(at: 1, "unknown kind of evidence") }
    func branch() throws(ByteError) -> Branch {
      let start = reader.offset
      let count = Int(try reader.integer(UInt16.self))
      guard (1...Self.branchCountMaximum).contains(count) else {
        throw ByteError(at: start, "\(count) headers in a branch")
      }
      var headers: [EventHeader] = []
      for _ in 0..<count {
        let range = try reader.take(EventHeader.byteCount)
        headers.append(try EventHeader(decoding: bytes, at: range.lowerBound))
      }
      return Branch(headers: headers, signature: Signature(try reader.array(64))!)
    }
    let made: Evidence?
    switch kind {
    case .fork: made = Evidence(fork: try branch(), try branch(), log: log, person: person)
    case .ruleBreak: made = Evidence(ruleBreak: try branch(), log: log, person: person)
    }
    try reader.expectEnd()
    guard let made else { throw ByteError(at: 0, "evidence that proves nothing") }
    self = made
  }

  private static func isAuthentic(_ branch: Branch, _ log: LogID) -> Bool {
    guard let last = branch.headers.last, branch.headers.count <= branchCountMaximum,
      branch.headers.allSatisfy({ $0.log == log })
    else { return false }
    for (before, header) in zip(branch.headers, branch.headers.dropFirst()) where header.previous != before.hash {
      return false
    }
    return last.isSigned(by: branch.signature)
  }
}
