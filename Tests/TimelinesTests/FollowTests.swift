import Events
import Identity
import Primitives
import Store
import Testing
import Timelines

@Suite struct FollowTests {
  @Test("follows and unfollows from two devices merge to one state in 1,000 random orders of arrival")
  func orders() throws {
    let person = samplePerson("ann")
    let targets = (0..<3).map { samplePerson("target \($0)") }
    var random = SeededRandom(seed: 77)
    for round in 0..<50 {
      var logs = [
        SampleLog(person: person, seed: UInt64(round * 2 + 1)), .init(person: person, seed: UInt64(round * 2 + 2)),
      ]
      // Each device acts on what it has seen of the other, which may lag behind.
      var seen: [[(target: Int, dot: EventContent.Dot)]] = [[], []]
      var alive: [(target: Int, original: EventContent.Dot)] = []
      var covered: Set<EventContent.Dot> = []
      for step in 0..<12 {
        let device = Int(random.next() % 2)
        let target = Int(random.next() % 3)
        let known = seen[device].filter { $0.target == target }.map(\.dot)
        let id = EventID.at(UInt64(step), device: UInt16(device))
        switch random.next() % 4 {
        case 0:
          let dots = Array(Set(known)).sorted()
          logs[device].append(.unfollow(.init(person: targets[target], dots: dots)), id: id)
          covered.formUnion(dots)
        default:
          let renews = random.next() % 2 == 0 ? known.last : nil
          let added = logs[device].append(.follow(.init(person: targets[target], renews: renews)), id: id)
          let dot = renews ?? .init(log: added.log, sequence: added.sequence)
          seen[device].append((target, dot))
          alive.append((target, dot))
        }
        if random.next() % 3 == 0 { seen[1 - device] = seen[0] + seen[1] }
      }
      let expected = Set(alive.filter { !covered.contains($0.original) }.map { targets[$0.target] })
      var digests: Set<Digest> = []
      for _ in 0..<20 {
        var arrivals = logs.enumerated().flatMap { index, log in log.events.indices.map { (index, $0) } }
        arrivals.shuffle(using: &random)
        let store = try SampleStore(seed: 3)
        // Row numbers must not matter either.
        for log in logs.shuffled(using: &random) { _ = try store.identity(log.key.publicKey, of: person) }
        try store.database.transaction {
          for (log, index) in arrivals { try store.take(logs[log], index..<(index + 1)) }
        }
        digests.insert(try store.model.digest(in: store.database))
        let following = try TimelineReader(store).following(person, now: .at(1_000)).map(\.label.person)
        #expect(following == expected.sorted())
      }
      #expect(digests.count == 1)
    }
  }

  @Test("a remove covers renewals that come later, and only those of the adds it names")
  func renewals() throws {
    let ann = samplePerson("ann")
    let bob = samplePerson("bob")
    let store = try SampleStore()
    var one = SampleLog(person: ann, seed: 1)
    var two = SampleLog(person: ann, seed: 2)
    let first = one.append(.follow(.init(person: bob)), id: .at(1))
    let dot = EventContent.Dot(log: first.log, sequence: first.sequence)
    two.append(.unfollow(.init(person: bob, dots: [dot])), id: .at(2))
    one.append(.follow(.init(person: bob, renews: dot)), id: .at(3))
    try store.takeAll(one)
    let reader = TimelineReader(store)
    #expect(try reader.follows(ann, bob, now: .at(10)))
    #expect(try reader.followDots(of: ann, bob) == [dot])
    try store.takeAll(two)
    #expect(try !reader.follows(ann, bob, now: .at(10)))
    #expect(try reader.followDots(of: ann, bob) == [])
    let again = one.append(.follow(.init(person: bob)), id: .at(4))
    try store.take(one, 2..<3)
    #expect(try reader.follows(ann, bob, now: .at(10)))
    #expect(try reader.followDots(of: ann, bob) == [.init(log: again.log, sequence: again.sequence)])
    #expect(try reader.followers(bob, now: .at(10)).map(\.label.person) == [ann])
  }

  @Test("somebody else's remove, or one of another target, changes nothing")
  func foreignRemoves() throws {
    let ann = samplePerson("ann")
    let bob = samplePerson("bob")
    let store = try SampleStore()
    var anns = SampleLog(person: ann, seed: 1)
    var eves = SampleLog(person: samplePerson("eve"), seed: 2)
    let add = anns.append(.follow(.init(person: bob)), id: .at(1))
    let dot = EventContent.Dot(log: add.log, sequence: add.sequence)
    anns.append(.unfollow(.init(person: samplePerson("carl"), dots: [dot])), id: .at(2))
    eves.append(.unfollow(.init(person: bob, dots: [dot])), id: .at(2))
    try store.takeAll(eves)
    try store.takeAll(anns)
    #expect(try TimelineReader(store).follows(ann, bob, now: .at(10)))
  }

  @Test("a follow counts from a minute before its id's time until it expires")
  func time() throws {
    let ann = samplePerson("ann")
    let bob = samplePerson("bob")
    let store = try SampleStore()
    var anns = SampleLog(person: ann, seed: 1)
    var bobs = SampleLog(person: bob, seed: 2)
    bobs.append(.post(.init(text: "early")), id: .at(1))
    anns.append(.follow(.init(person: bob)), ttl: 10, id: .at(100_000))
    try store.takeAll(anns)
    try store.takeAll(bobs)
    let reader = TimelineReader(store)
    for (now, shown) in [(39_999, 0), (40_000, 1), (170_000, 1), (170_001, 0), (40_000, 1)] {
      #expect(try reader.timeline(of: ann, limit: 5, now: .at(Int64(now))).count == shown, "at \(now)")
      #expect(try reader.following(ann, now: .at(Int64(now))).count == shown, "at \(now)")
    }
  }
}
