import Events
public import Identity
public import Primitives
import Store

extension TimelineReader {
  /// The conversation around a post: its ancestors from the oldest down, itself, and all replies below, each level by
  /// (shown time, id, log), oldest first. Replies stand under what they reply to; a post that is gone keeps its place.
  ///
  /// - Parameter limit: entries at most; of replies those nearest to the post first in reading order.
  public func thread(_ reference: Reference, limit: Int = 1_000, now: Timestamp) throws -> [ThreadEntry] {
    try database.snapshot {
      try forgetWhenChanged()
      var ancestors: [Node] = []
      var subject = try node(reference, now: now)
      var seen: Set<EventHash> = [reference.hash]
      var above = subject.item?.replyTo
      while let parent = above, seen.insert(parent.hash).inserted, ancestors.count < Self.ancestorMaximum {
        let node = try node(parent, now: now)
        ancestors.insert(node, at: 0)
        above = node.item?.replyTo
      }
      subject.isSubject = true
      var entries = ancestors.enumerated().map { $1.entry(depth: $0) }
      var open: [(node: Node, depth: Int)] = [(subject, ancestors.count)]
      var placed: Set<EventHash> = [reference.hash]
      while let (node, depth) = open.popLast(), entries.count < limit {
        entries.append(node.entry(depth: depth))
        let replies = try replies(to: node.reference, now: now).filter { placed.insert($0.reference.hash).inserted }
        for reply in replies.reversed() { open.append((reply, depth + 1)) }
      }
      return entries
    }
  }

  /// Ancestors that are followed upwards.
  private static let ancestorMaximum = 200

  private struct Node {
    var reference: Reference
    var item: TimelineItem?
    var placeholder: ThreadEntry.Placeholder?
    var isSubject = false

    func entry(depth: Int) -> ThreadEntry {
      ThreadEntry(depth: depth, item: item, placeholder: placeholder, reference: reference, isSubject: isSubject)
    }
  }

  private func node(_ reference: Reference, now: Timestamp) throws -> Node {
    guard let log = try log(reference.log) else { return Node(reference: reference, placeholder: .notHeld) }
    let place = EventPlace(log, reference.sequence)
    let node = try unlessDamaged(place) {
      guard let event = try source.event(at: place), event.header.hash == reference.hash else {
        return Node(reference: reference, placeholder: .notHeld)
      }
      return try self.node(event, log, reference, now: now)
    }
    return node ?? Node(reference: reference, placeholder: .damaged)
  }

  private func node(_ event: Event, _ log: LogIdentity, _ reference: Reference, now: Timestamp) throws -> Node {
    let placeholder: ThreadEntry.Placeholder
    switch event.payload {
    case .absent(.deleted): placeholder = .deleted
    case .absent(.expired): placeholder = .expired
    case .absent: placeholder = event.header.isExpired(at: now) ? .expired : .notHeld
    case .present:
      if event.header.isExpired(at: now) {
        placeholder = .expired
      } else if !ReadingTime(now: now).isDue(event.header.id) {
        placeholder = .notDue
      } else {
        let item = try item(event, of: log, now: now)
        if item.post != nil { return Node(reference: reference, item: item) }
        placeholder = .malformed
      }
    }
    return Node(reference: reference, placeholder: placeholder)
  }

  private func replies(to parent: Reference, now: Timestamp) throws -> [Node] {
    let select = try database.statement("SELECT lid, seq FROM reply WHERE parent=?")
    select.bind(parent.hash.prefix64, at: 0)
    let places = try select.map { ($0.int(0), $0.sequence(1)) }.map { (try log($0.0), $0.1) }
    var nodes: [Node] = []
    for (log, sequence) in places {
      let place = EventPlace(log, sequence)
      guard let event = try unlessDamaged(place, { try source.event(at: place) }) else { continue }
      let node = try node(event, log, event.header.reference, now: now)
      // The table knows eight bytes of the parent; only the whole reference counts. What is not shown is left out.
      if let item = node.item, item.replyTo == parent { nodes.append(node) }
    }
    return nodes.sorted { $0.item!.position < $1.item!.position }
  }
}
