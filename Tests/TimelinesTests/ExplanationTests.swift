import Events
import Identity
import Primitives
import Store
import Testing
import Timelines

@Suite struct ExplanationTests {
  let fixture: StoreFixture
  var ann: StoredPerson
  let bob: StoredPerson
  let posts: [Appended]

  init() throws {
    fixture = try StoreFixture()
    ann = try StoredPerson(seed: 1, devices: 2)
    bob = try StoredPerson(seed: 2)
    try fixture.store.merge(ann.record)
    try fixture.store.merge(bob.record)
    posts = try fixture.append((0..<600).map { .post(.init(text: "post \($0)")) }, by: ann)
  }

  private func explain(_ reference: Reference, now: Timestamp = StoreFixture.now) throws -> Explanation {
    try fixture.reader.explain(reference, for: ann.id, in: fixture.store, now: now)
  }

  @Test("a shown post is explained by its device's certificate and the signature that its chunk ends in")
  func shown() throws {
    let why = try explain(posts[10].reference)
    #expect(why.isShown && why.reasons == [] && why.item?.text == "post 10")
    #expect(why.author?.person == ann.id && why.device?.label == "device 0" && why.root == ann.root.publicKey)
    #expect(why.proof == .signature(at: SequenceNumber(256)) && why.isProven)
    #expect(why.ranges == [SequenceNumber(1)...SequenceNumber(600)] && why.end == nil)
    let tail = try explain(posts[599].reference)
    #expect(tail.proof == .signature(at: SequenceNumber(600)) && tail.isProven)
  }

  @Test("each reason that keeps an event out of a timeline is named")
  func reasons() throws {
    let brief = try fixture.append([.post(.init(text: "brief"))], ttl: 60, by: ann)[0]
    let profile = try fixture.append([.profile(.init(name: "ann"))], by: ann)[0]
    let malformed = try fixture.store.append([Draft(kind: .post, payload: [1, 2, 3], ttl: 0)], by: ann.author())[0]
    let sealed = try fixture.store.append(
      [Draft(kind: .post, flags: 1, payload: [UInt8](repeating: 1, count: 20), ttl: 0)], by: ann.author())[0]
    let bobs = try fixture.append([.post(.init(text: "hello"))], by: bob)[0]
    #expect(try explain(profile.reference).reasons == [.notAPost(.profile)])
    #expect(try explain(malformed.reference).reasons == [.malformed(ByteError(at: 0, "no salt"))])
    #expect(try explain(sealed.reference).reasons == [.flagged(1)])
    #expect(try explain(bobs.reference).reasons == [.authorNotFollowed])
    try fixture.append([.follow(.init(person: bob.id))], by: ann, device: 1)
    #expect(try explain(bobs.reference).isShown)
    let late = StoreFixture.now.advanced(milliseconds: 200_000)
    #expect(try explain(brief.reference).isShown)
    #expect(
      try explain(brief.reference, now: late).reasons == [
        .expired(at: brief.header.id.time.advanced(milliseconds: 60_000))
      ])
    let early = posts[0].header.id.time.advanced(milliseconds: -60_001)
    #expect(try explain(posts[0].reference, now: early).reasons == [.future(due: posts[0].header.id.time)])
    let delete = try fixture.append([.delete(posts[7].reference)], by: ann, device: 1)[0]
    let deleted = try explain(posts[7].reference)
    #expect(deleted.reasons == [.deleted, .absent(.deleted)] && deleted.deletedBy == [delete.reference])
    #expect(deleted.isProven)
  }

  @Test("what is not held, not known or not the event that was meant is said")
  func absent() throws {
    var other = posts[3].reference
    other.hash = EventHash(hashing: [1])
    #expect(try explain(other).reasons == [.otherEvent(posts[3].hash)])
    var beyond = posts[3].reference
    beyond.sequence = SequenceNumber(5_000)
    #expect(try explain(beyond).reasons == [.notHeld])
    let unknown = Reference(log: SigningKey().publicKey, sequence: .first, hash: EventHash(hashing: [1]))
    #expect(try explain(unknown).reasons == [.unknownLog])
  }

  @Test("tables that lost a post are found out, and a rebuild mends them")
  func missing() throws {
    try fixture.store.database.execute("DELETE FROM post WHERE seq=5")
    #expect(try explain(posts[4].reference).reasons == [.missingInTables])
    try fixture.store.rebuild()
    #expect(try explain(posts[4].reference).isShown)
  }

  @Test("a revoked device is explained by the revocation")
  mutating func revoked() throws {
    try ann.record.revoke(
      device: ann.devices[0].publicKey, lastGood: SequenceNumber(10), hash: posts[9].hash, with: ann.root)
    try fixture.store.merge(ann.record)
    let why = try explain(posts[8].reference)
    #expect(why.isShown && why.proof == .revocation && why.isProven)
    #expect(why.device?.revocation?.sequence == SequenceNumber(10))
    #expect(try explain(posts[11].reference).reasons == [.notHeld])
  }
}
