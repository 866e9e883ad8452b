import Events
public import Identity
public import Primitives
import Store

/// Why words did not name one thing. Holds candidates when they named several.
public struct ResolutionError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Code: String, Hashable, Sendable {
    /// The words have no form that names a person or an event.
    case malformed
    case notFound
    case ambiguous
  }

  public let code: Code
  public let message: String
  /// What the words may have meant, in forms that are accepted and mean one thing each. At most 20.
  public let candidates: [String]

  init(_ code: Code, _ message: String, candidates: [String] = []) {
    self.code = code
    self.message = message
    self.candidates = Array(candidates.prefix(20))
  }

  public var description: String {
    candidates.isEmpty ? message : message + "; did you mean " + candidates.joined(separator: ", ") + "?"
  }
}

extension TimelineReader {
  // MARK: - Persons

  /// The person whom the words name: a full id (64 hexadecimal digits or 52 characters of base32), a petname, or
  /// `name#prefix` with at least four characters of the fingerprint; the name may be left out. A name alone does not name
  /// anybody, because anybody can take it. Tickets are the caller's to read.
  ///
  /// - Parameter prefixMinimum: `Handle.unattendedPrefixMinimum` where nobody can be asked.
  /// - Throws: `ResolutionError`, or `StoreError`.
  public func resolve(
    person words: String, prefixMinimum: Int = Handle.prefixMinimum, now: Timestamp
  ) throws -> PersonID {
    if let person = petnames[words] { return person }
    if let person = PersonID(text: words) { return person }
    return try database.snapshot {
      try forgetWhenChanged()
      guard words.contains("#") else { throw try refusal(ofName: words, now: now) }
      let handle: Handle
      do throws(IdentityError) {
        handle = try Handle(words, prefixMinimum: prefixMinimum)
      } catch {
        throw ResolutionError(.malformed, error.description)
      }
      let all = try persons(fitting: handle)
      let fitting = try all.filter { handle.matches($0, name: try label($0, now: now).name ?? "") }
      if fitting.count == 1 { return fitting[0] }
      let handles = try (fitting.isEmpty ? all : fitting).map { try longHandle($0, now: now) }
      if fitting.isEmpty { throw ResolutionError(.notFound, "nobody here is \(words)", candidates: handles) }
      throw ResolutionError(.ambiguous, "\(words) fits \(fitting.count) persons", candidates: handles)
    }
  }

  private func refusal(ofName name: String, now: Timestamp) throws -> ResolutionError {
    let select = try database.statement(
      "SELECT DISTINCT p.key FROM profile f JOIN person p ON p.pid=f.pid WHERE f.field=1 AND f.value=? ORDER BY p.key")
    select.bind(name, at: 0)
    let named = try select.map { row -> PersonID? in row.bytes32(0) }.compactMap { $0 }
    guard !named.isEmpty else { return ResolutionError(.notFound, "nobody here is \(name)") }
    return ResolutionError(
      .ambiguous, "a name alone names nobody for sure", candidates: try named.map { try longHandle($0, now: now) })
  }

  /// Sixteen characters of the fingerprint, so that a list of candidates can tell them apart; without a name that no
  /// handle may hold.
  private func longHandle(_ person: PersonID, now: Timestamp) throws -> String {
    let name = try label(person, now: now).name ?? ""
    return person.handle(name: Name.isValid(name) ? name : "", showing: Handle.unattendedPrefixMinimum)
  }

  /// Persons whose record is held or whom somebody follows, in order.
  private func persons(fitting handle: Handle) throws -> [PersonID] {
    let select = try database.statement(
      """
      SELECT key FROM person WHERE key BETWEEN ?1 AND ?2 UNION \
      SELECT target FROM follow WHERE target BETWEEN ?1 AND ?2 ORDER BY 1
      """)
    select.bind(handle.bounds.lowerBound, at: 0)
    select.bind(handle.bounds.upperBound, at: 1)
    return try select.map { row -> PersonID? in row.bytes32(0) }.compactMap { $0 }
  }

  // MARK: - Events

  /// The event that the words name: its id alone, `id@WHO`, or `id@log:HEX` with at least 8 digits of the log key.
  ///
  /// - Throws: `ResolutionError`, or `StoreError`.
  public func resolve(event words: String, now: Timestamp) throws -> Reference {
    let parts = words.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard let number = UInt64(parts[0]), number <= UInt64(Int64.max), parts[0].utf8.allSatisfy({ $0 != 0x2B }) else {
      throw ResolutionError(.malformed, "an event is named by its id, id@WHO or id@log:HEX")
    }
    let id = EventID(rawValue: number)
    let within: [LogIdentity]?
    if parts.count == 2 {
      within =
        parts[1].hasPrefix("log:")
        ? try logs(withHexPrefix: String(parts[1].dropFirst(4)))
        : try logs(of: try resolve(person: String(parts[1]), now: now))
    } else {
      within = nil
    }
    return try database.snapshot {
      try forgetWhenChanged()
      var found = try within == nil ? indexed(id) : []
      if found.isEmpty {
        for log in try within ?? allLogs() {
          if let event = try event(of: log, id: id) { found.append(event.header.reference) }
        }
      }
      if found.count == 1 { return found[0] }
      if found.isEmpty { throw ResolutionError(.notFound, "no event here is \(words)") }
      throw ResolutionError(
        .ambiguous, "\(found.count) logs have an event \(id)",
        candidates: found.sorted { $0.log < $1.log }.map { "\(id)@log:\($0.log.hex)" })
    }
  }

  /// The post to begin a page before, from what was said on a command line.
  public func position(of reference: Reference) throws -> TimelinePosition? {
    guard let (event, _) = try event(reference) else { return nil }
    var written: Timestamp?
    if case .present(let payload) = event.payload, event.header.kind == .post {
      written = (try? PostOutline(payload, 0..<payload.count))?.written
    }
    return TimelinePosition(of: event.header, written: written)
  }

  private func logs(withHexPrefix prefix: String) throws -> [LogIdentity] {
    guard prefix.utf8.count >= 8, prefix.utf8.count <= 64,
      let bytes = Hex.decode(prefix + (prefix.utf8.count % 2 == 0 ? "" : "0"))
    else { throw ResolutionError(.malformed, "log:HEX takes 8 to 64 hexadecimal digits of the log key") }
    let whole = Array(bytes.prefix(prefix.utf8.count / 2))
    let select = try database.statement("SELECT lid FROM log WHERE key BETWEEN ? AND ? ORDER BY key")
    select.bind(whole + [UInt8](repeating: 0, count: 32 - whole.count), at: 0)
    select.bind(whole + [UInt8](repeating: 0xFF, count: 32 - whole.count), at: 1)
    return try select.map { $0.int(0) }.map { try log($0) }.filter { $0.log.hex.hasPrefix(prefix.lowercased()) }
  }

  private func allLogs() throws -> [LogIdentity] {
    try database.statement("SELECT lid FROM log WHERE head>0").map { $0.int(0) }.map { try log($0) }
  }

  /// Events with this id that the tables know: posts with a seek a log, then posts with an own date and the rest by
  /// looking at all rows.
  private func indexed(_ id: EventID) throws -> [Reference] {
    let select = try database.statement(
      """
      SELECT p.lid, p.seq FROM feed f CROSS JOIN post p WHERE p.lid=f.lid AND p.at=?1 AND p.id=0 \
      UNION SELECT lid, seq FROM post WHERE id=?1 UNION SELECT lid, seq FROM follow WHERE id=?1 \
      UNION SELECT lid, seq FROM unfollow WHERE id=?1 UNION SELECT lid, seq FROM profile WHERE id=?1
      """)
    select.bind(id.rawValue, at: 0)
    let places = try select.map { ($0.int(0), $0.sequence(1)) }.map { EventPlace(try log($0.0), $0.1) }
    return try places.compactMap { try source.event(at: $0)?.header }.filter { $0.id == id }.map(\.reference)
  }
}
