import Events
import Identity
import Primitives
import Store
import Timelines

/// What `TimelineReader` has to answer, by looking at every event each time.
struct NaiveReader {
  struct Post {
    let header: EventHeader
    let person: PersonID
    let position: TimelinePosition
    let text: String
  }

  private var posts: [Post] = []
  private var adds: [(header: EventHeader, person: PersonID, target: PersonID, dot: EventContent.Dot)] = []
  private var removes: [(header: EventHeader, person: PersonID, target: PersonID, dots: Set<EventContent.Dot>)] = []

  init(_ store: SampleStore) {
    for (log, events) in store.held {
      for event in events.values {
        guard case .present(let payload) = event.payload, event.header.flags == 0,
          let content = try? EventContent(event.header.kind, payload)
        else { continue }
        let header = event.header
        let person = store.identities[log]!.person
        switch content {
        case .post(let post):
          let position = TimelinePosition(
            time: header.shownTime(written: post.written), id: header.id, log: header.log)
          posts.append(Post(header: header, person: person, position: position, text: post.text))
        case .follow(let follow):
          let dot = follow.renews ?? .init(log: header.log, sequence: header.sequence)
          adds.append((header, person, follow.person, dot))
        case .unfollow(let unfollow): removes.append((header, person, unfollow.person, Set(unfollow.dots)))
        default: break
        }
      }
    }
    posts.sort { $0.position > $1.position }
  }

  private func isDue(_ header: EventHeader, _ now: Timestamp) -> Bool {
    header.id.time <= now.advanced(milliseconds: 60_000)
  }

  func following(_ person: PersonID, now: Timestamp) -> Set<PersonID> {
    let seen = removes.filter { $0.person == person && isDue($0.header, now) }
    return Set(
      adds.filter { add in
        add.person == person && isDue(add.header, now) && !add.header.isExpired(at: now)
          && !seen.contains { $0.target == add.target && $0.dots.contains(add.dot) }
      }.map(\.target))
  }

  func timeline(
    of persons: Set<PersonID>, before: TimelinePosition?, limit: Int, now: Timestamp
  ) -> [Post] {
    Array(
      posts.lazy.filter { post in
        persons.contains(post.person) && isDue(post.header, now) && !post.header.isExpired(at: now)
          && before.map { post.position < $0 } ?? true
      }.prefix(limit))
  }
}
