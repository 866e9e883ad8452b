import Events
import Identity
import Primitives
import Store
import Timelines

extension ProfileStore {
  /// Appends what the drafts mean, in one transaction.
  /// - Returns: one result for each draft.
  func append(_ drafts: [LocalDraft], by file: KeyFile) throws -> [LocalAppend] {
    // The number that the root gave, where the key file still has the one the device made up before it joined.
    let number = try store.record(of: person)?.device(file.key.publicKey)?.number ?? file.deviceNumber
    guard let device = number.flatMap(DeviceNumber.init(rawValue:)) else {
      throw StoreError(.damaged, "the device key has no device number")
    }
    let imports = drafts.contains { if case .post(let post) = $0 { post.source != nil } else { false } }
    var batch = AppendBatch(
      author: Author(key: file.key, device: device, person: person), now: environment.now(),
      lines: imports ? try importedLines() : [])
    try store.batch {
      for draft in drafts { try add(draft, to: &batch) }
      try flush(&batch)
    }
    if imports { try setImportedLines(batch.lines) }
    return batch.results
  }

  /// Drafts on their way into the log.
  private struct AppendBatch {
    let author: Author
    let now: Timestamp
    var lines: Set<Digest>
    var results: [LocalAppend] = []
    /// Drafts that are not appended yet, and which results are theirs.
    var pending: [(draft: Draft, result: Int)] = []
    var pendingFollows: Set<PersonID> = []
  }

  private func add(_ draft: LocalDraft, to batch: inout AppendBatch) throws {
    switch draft {
    case .post(let post):
      if let source = post.source, !batch.lines.insert(source.line).inserted {
        batch.results.append(.skipped)
      } else {
        try add(.post(try content(of: post, batch.now)), ttl: post.ttl, after: try replied(post, batch.now), to: &batch)
      }
    case .follow(let target):
      guard target != person else { throw NodeError(.refused, "nobody follows themselves: one's own posts are shown") }
      if try batch.pendingFollows.contains(target) || reader.follows(person, target, now: batch.now) {
        batch.results.append(.skipped)
      } else {
        // An add that has expired is renewed, so that removes need not name ever more of them.
        let renewed = try reader.followDots(of: person, target).first
        batch.pendingFollows.insert(target)
        try add(
          .follow(.init(person: target, renews: renewed)), ttl: LocalDraft.stateLifetime, to: &batch)
      }
    case .unfollow(let target):
      // Adds of the same request are to be seen.
      try flush(&batch)
      let dots = try reader.followDots(of: person, target)
      if dots.isEmpty {
        batch.results.append(.skipped)
      } else {
        try add(
          .unfollow(.init(person: target, dots: Array(dots.prefix(ContentLimits.dots)))),
          ttl: LocalDraft.removeLifetime, to: &batch)
      }
    case .delete(let target):
      try flush(&batch)
      if let ttl = try deleteLifetime(target, batch.now) {
        try add(.delete(target), ttl: ttl, to: &batch)
      } else {
        batch.results.append(.skipped)
      }
    case .profile(let profile):
      guard profile != .init() else { throw NodeError(.refused, "a profile without a field says nothing") }
      if let name = profile.name, !name.isEmpty { try Name.check(name, in: "profile") }
      try add(.profile(profile), ttl: LocalDraft.stateLifetime, to: &batch)
    }
  }

  private func add(
    _ content: EventContent, ttl: UInt32, after: EventID? = nil, to batch: inout AppendBatch
  ) throws {
    let draft = Draft(content, ttl: ttl, salt: environment.random(ContentLimits.saltBytes), after: after)
    // What a reader would refuse is never signed.
    do { _ = try EventContent(draft.kind, draft.payload) } catch {
      throw NodeError(.refused, "this \(draft.kind.name) cannot be written: \(error.reason)")
    }
    batch.pending.append((draft, batch.results.count))
    batch.results.append(.skipped)
  }

  private func flush(_ batch: inout AppendBatch) throws {
    guard !batch.pending.isEmpty else { return }
    let appended = try store.append(batch.pending.map(\.draft), by: batch.author)
    for (event, pending) in zip(appended, batch.pending) {
      batch.results[pending.result] = .appended(event.reference, event.header.id)
    }
    batch.pending = []
    batch.pendingFollows = []
  }

  // MARK: Contents

  private func content(of post: LocalDraft.Post, _ now: Timestamp) throws -> EventContent.Post {
    if let written = post.written, written > now {
      throw NodeError(.refused, "a post cannot have been written in the future")
    }
    return EventContent.Post(
      text: post.text, replyTo: post.replyTo, mentions: try mentions(in: post.text, now: now), written: post.written,
      source: post.source)
  }

  /// The id of the shown event that a post replies to, after which its own id must come.
  private func replied(_ post: LocalDraft.Post, _ now: Timestamp) throws -> EventID? {
    guard let target = post.replyTo, try store.holds(target), let event = try store.event(target.log, target.sequence)
    else { return nil }
    return event.payload.bytes == nil ? nil : event.header.id
  }

  /// How long a delete must live: as long as its target could still come back. Nil when the target is deleted already.
  private func deleteLifetime(_ target: Reference, _ now: Timestamp) throws -> UInt32? {
    guard try store.holds(target), let event = try store.event(target.log, target.sequence) else {
      throw NodeError(.notFound, "the event to delete is not here")
    }
    guard try store.identity(of: target.log)?.person == person else {
      throw NodeError(.refused, "only one's own events can be deleted")
    }
    guard Self.deletable.contains(event.header.kind) else {
      throw NodeError(.refused, "a \(event.header.kind.name) cannot be deleted")
    }
    if case .absent(.deleted) = event.payload { return nil }
    guard event.header.ttl > 0 else { return 0 }
    let end = event.header.id.time.advanced(milliseconds: Int64(event.header.ttl) * 1000)
    // Rounded up, so that the delete never goes before its target would.
    let left = (end.milliseconds - now.milliseconds + 999) / 1000
    return UInt32(max(1, min(left, Int64(event.header.ttl))))
  }

  /// DESIGN §10.
  private static let deletable: Set<EventKind> = [.post, .profile, .message, .like, .repost, .carry]

  // MARK: Mentions

  /// Whom a text mentions: `@name#fingerprint` or `@#fingerprint` that fits one person known here. Eight characters, as
  /// many as listings show, are asked for: a mention that means somebody else only notifies in vain. What fits nobody,
  /// or several, is plain text.
  private func mentions(in text: String, now: Timestamp) throws -> [PersonID] {
    guard text.utf8.contains(UInt8(ascii: "@")), text.utf8.contains(UInt8(ascii: "#")) else { return [] }
    var found: [PersonID] = []
    for handle in Self.handles(in: text) {
      guard found.count < ContentLimits.mentions else { break }
      do {
        let person = try reader.resolve(person: handle, now: now)
        if !found.contains(person) { found.append(person) }
      } catch is ResolutionError {}
    }
    return found
  }

  /// What stands between an `@` that begins a word and the end of the fingerprint.
  static func handles(in text: String) -> [String] {
    let bytes = Array(text.utf8)
    var handles: [String] = []
    var index = 0
    while index < bytes.count {
      defer { index += 1 }
      guard bytes[index] == UInt8(ascii: "@"), index == 0 || !isWord(bytes[index - 1]) else { continue }
      guard
        let mark = bytes[index...].prefix(Name.byteMaximum + 2).firstIndex(of: UInt8(ascii: "#")),
        !bytes[(index + 1)..<mark].contains(where: { $0 == UInt8(ascii: "@") || $0 < 0x20 })
      else { continue }
      let digits = bytes[(mark + 1)...].prefix { isWord($0) }
      guard digits.count >= Handle.shownCount, digits.count <= PersonID.fingerprintCount else { continue }
      handles.append(String(decoding: bytes[(index + 1)..<digits.endIndex], as: UTF8.self))
    }
    return handles
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte >= 0x80
  }
}
