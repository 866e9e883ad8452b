import Events
import Identity
import Primitives
import Store
import Testing

@Suite struct DeletionTests {
  private let salt = [UInt8](repeating: 3, count: 8)

  private func post(_ store: EventStore, _ author: Author, _ text: String) throws -> Reference {
    try store.append([Draft(.post(.init(text: text)), ttl: 0, salt: salt)], by: author)[0].reference
  }

  private func delete(_ store: EventStore, _ author: Author, _ target: Reference) throws {
    _ = try store.append([Draft(.delete(target), ttl: 0, salt: salt)], by: author)
  }

  /// Moves everything that `target` wants from `source`.
  private func sync(_ source: EventStore, _ target: EventStore, _ person: PersonID) throws {
    if let record = try source.record(of: person) { try target.merge(record) }
    _ = try target.reconcile(source.digest(of: [person]).logs)
    for request in try target.openWants(of: [person], limit: 100) {
      let run = try source.read(request, budget: .max)
      let outcomes = try target.ingest(
        run.stretches.map { ReceivedStretch(person: person, log: request.log, envelope: $0) })
      for outcome in outcomes {
        switch outcome {
        case .stored, .duplicate: break
        default: Issue.record("\(outcome)")
        }
      }
    }
    #expect(try target.isComplete([person]))
  }

  @Test("a delete erases the payload in tail and chunk, at once, and the chain still verifies everywhere")
  func erases() throws {
    let person = TestPerson(seed: 1, devices: 2)
    let store = try EventStore.inMemory(readModels: [TestModel()])
    try store.merge(person.record)
    var posts: [Reference] = []
    for number in 0..<300 { posts.append(try post(store, person.author(), "secret \(number)")) }
    let untouched = try store.held(posts[0].log)
    try delete(store, person.author(), posts[10])
    try delete(store, person.author(), posts[298])
    try delete(store, person.author(1), posts[20])
    for target in [posts[10], posts[298], posts[20]] {
      #expect(try store.event(target.log, target.sequence)?.payload == .absent(.deleted))
      let identity = try #require(try store.identity(of: target.log))
      #expect(try store.view(row: identity.lid, log: target.log, target.sequence)?.payload == nil)
    }
    for (sequence, hash) in untouched { #expect(try store.held(posts[0].log)[sequence] == hash) }
    #expect(try store.verify(full: true).isEmpty)
    let digest = try store.readModelDigest()
    try store.rebuild()
    #expect(try store.readModelDigest() == digest)
    let replica = try EventStore.inMemory(readModels: [TestModel()])
    try sync(store, replica, person.id)
    #expect(try replica.readModelDigest() == digest)
    #expect(try replica.held(posts[0].log) == store.held(posts[0].log))
    #expect(try replica.event(posts[10].log, posts[10].sequence)?.payload.bytes == nil)
  }

  @Test("a replica that never had the payload knows it as deleted, whichever of the two logs comes first")
  func neverHad() throws {
    let person = TestPerson(seed: 7, devices: 2)
    let source = try EventStore.inMemory()
    try source.merge(person.record)
    let posts = try ["by the other device", "by its own"].map { try post(source, person.author(), $0) }
    try delete(source, person.author(1), posts[0])
    try delete(source, person.author(), posts[1])
    let batches = try [(posts[0].log, 3), (person.devices[1].publicKey, 1)].map { log, count in
      try source.read(StretchRequest(log: log, range: .first...SequenceNumber(UInt64(count))), budget: .max).stretches
        .map { ReceivedStretch(person: person.id, log: log, envelope: $0) }
    }
    for order in [batches, batches.reversed()] {
      let store = try EventStore.inMemory(readModels: [TestModel()])
      try store.merge(person.record)
      for batch in order { _ = try store.ingest(batch) }
      for post in posts { #expect(try store.event(post.log, post.sequence)?.payload == .absent(.deleted)) }
      let digest = try store.readModelDigest()
      try store.rebuild()
      #expect(try store.readModelDigest() == digest)
      #expect(try store.verify(full: true).isEmpty)
    }
  }

  @Test("a delete that comes before its target wins, a stranger's and one of another hash do nothing")
  func order() throws {
    let person = TestPerson(seed: 2, devices: 2)
    let stranger = TestPerson(seed: 3)
    let source = try EventStore.inMemory()
    for record in [person.record, stranger.record] { try source.merge(record) }
    let target = try post(source, person.author(), "to be deleted")
    let kept = try post(source, person.author(), "to be kept")
    let before = try source.read(StretchRequest(log: target.log, range: .first...SequenceNumber(2)), budget: .max)
    try delete(source, stranger.author(), kept)
    var wrong = kept
    wrong.hash = target.hash
    try delete(source, person.author(1), wrong)
    try delete(source, person.author(1), target)
    let other = person.devices[1].publicKey
    let deletes = try source.read(StretchRequest(log: other, range: .first...SequenceNumber(2)), budget: .max)
    for first in [true, false] {
      let store = try EventStore.inMemory(readModels: [TestModel()])
      try store.merge(person.record)
      let stretches = [
        before.stretches.map { ReceivedStretch(person: person.id, log: target.log, envelope: $0) },
        deletes.stretches.map { ReceivedStretch(person: person.id, log: other, envelope: $0) },
      ]
      for batch in first ? stretches : stretches.reversed() { _ = try store.ingest(batch) }
      #expect(try store.event(target.log, target.sequence)?.payload == .absent(.deleted))
      #expect(try store.event(kept.log, kept.sequence)?.payload.bytes != nil)
      // Offered again, it stays away.
      #expect(try store.ingest(stretches[0]).allSatisfy { $0 == .duplicate })
      #expect(try store.event(target.log, target.sequence)?.payload == .absent(.deleted))
      let digest = try store.readModelDigest()
      try store.rebuild()
      #expect(try store.readModelDigest() == digest)
    }
  }

  @Test("a delete counts as long as its own event: when that is cut off, the payload may come again")
  func revokedDelete() throws {
    var person = TestPerson(seed: 6, devices: 2)
    let source = try EventStore.inMemory()
    try source.merge(person.record)
    let target = try post(source, person.author(), "a post")
    let offer = try source.read(StretchRequest(log: target.log, range: .first...(.first)), budget: .max).stretches.map {
      ReceivedStretch(person: person.id, log: target.log, envelope: $0)
    }
    let store = try EventStore.inMemory(readModels: [TestModel()])
    try store.merge(person.record)
    _ = try store.ingest(offer)
    let before = try store.readModelDigest()
    let kept = try post(store, person.author(1), "from the other device")
    try delete(store, person.author(1), target)
    #expect(try store.event(target.log, target.sequence)?.payload == .absent(.deleted))
    try person.record.revoke(
      device: person.devices[1].publicKey, lastGood: .first, hash: kept.hash, with: person.root)
    try store.merge(person.record)
    #expect(try store.ingest(offer) == [.filled(1)])
    #expect(try store.event(target.log, target.sequence)?.payload.bytes != nil)
    #expect(try store.readModelDigest() != before)
    #expect(try store.held(person.devices[1].publicKey).count == 1)
    #expect(try store.verify(full: true).isEmpty)
  }
}
