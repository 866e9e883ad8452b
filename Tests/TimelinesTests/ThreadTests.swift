import Events
import Identity
import Primitives
import Testing
import Timelines

@Suite struct ThreadTests {
  @Test("a thread shows ancestors, the post and replies in order, and keeps the place of what is gone")
  func thread() throws {
    let store = try SampleStore()
    var ann = SampleLog(person: samplePerson("ann"), seed: 1)
    var bob = SampleLog(person: samplePerson("bob"), seed: 2)
    let root = ann.append(.post(.init(text: "root")), id: .at(1))
    let first = bob.append(.post(.init(text: "first", replyTo: root)), id: .at(2))
    let below = ann.append(.post(.init(text: "below", replyTo: first)), id: .at(3))
    let second = bob.append(.post(.init(text: "second", replyTo: root)), id: .at(4))
    let deep = bob.append(.post(.init(text: "deep", replyTo: below)), id: .at(5))
    var lying = root
    lying.sequence = SequenceNumber(9)
    ann.append(.post(.init(text: "names another place", replyTo: lying)), id: .at(6))
    ann.append(.post(.init(text: "later", replyTo: root)), id: .at(5_000_000))
    // Replies may come before what they reply to.
    try store.takeAll(bob)
    try store.takeAll(ann)
    let reader = TimelineReader(store)

    func lines(_ reference: Reference, limit: Int = 100, now: Int64 = 100) throws -> [String] {
      try reader.thread(reference, limit: limit, now: .at(now)).map {
        "\($0.depth)\($0.isSubject ? "*" : " ")\($0.item?.text ?? $0.placeholder!.rawValue)"
      }
    }
    #expect(try lines(root) == ["0*root", "1 first", "2 below", "3 deep", "1 second"])
    #expect(try lines(below) == ["0 root", "1 first", "2*below", "3 deep"])
    #expect(try lines(deep) == ["0 root", "1 first", "2 below", "3*deep"])
    #expect(try lines(root, limit: 2) == ["0*root", "1 first"])
    #expect(try lines(root, now: 5_000_000).last == "1 later")
    let item = try #require(try reader.thread(second, now: .at(100)).last?.item)
    #expect(item.replyTo == root && item.replyToID == .at(1))

    try store.erase(first)
    #expect(try lines(root) == ["0*root", "1 second"])
    #expect(try lines(deep) == ["0 deleted by author", "1 below", "2*deep"])
    #expect(try lines(first) == ["0*deleted by author", "1 below", "2 deep"])
    try store.erase(root, .expired)
    #expect(try lines(second) == ["0 expired", "1*second"])
    let unknown = Reference(log: SigningKey().publicKey, sequence: .first, hash: EventHash(hashing: [1]))
    #expect(try lines(unknown) == ["0*not held here"])
  }
}
