import Events
import Identity
import Primitives
import Store
import Testing
import Timelines

/// Listings beside events that rotted on disk: all the rest is shown, and what is left out is named.
@Suite struct DamageTests {
  private let ann: StoredPerson
  private let bob: StoredPerson
  private let fixture: StoreFixture
  private let reader: TimelineReader
  private let posts: [Reference]
  private let replies: [Reference]

  /// Ann follows bob. Bob's first 256 posts lie in one chunk, the rest in the tail; ann's replies are to his 10 first.
  init() throws {
    ann = try StoredPerson(seed: 1)
    bob = try StoredPerson(seed: 2)
    fixture = try StoreFixture()
    for person in [ann, bob] { try fixture.store.merge(person.record) }
    posts = try fixture.append((0..<300).map { .post(.init(text: "post \($0)")) }, by: bob).map(\.reference)
    let targets = posts
    replies = try fixture.append(
      [.follow(.init(person: bob.id))]
        + (0..<10).map { .post(.init(text: "reply \($0)", replyTo: targets[$0])) }, by: ann
    ).map(\.reference)
    reader = fixture.reader
  }

  private func rot(_ sql: String) throws {
    try fixture.store.database.transaction { try fixture.store.database.execute(sql) }
  }

  private func rotChunk() throws {
    // The checksum too, or a copy in memory would be taken for the row.
    try rot("UPDATE chunk SET block=zeroblob(length(block)), checksum=zeroblob(16) WHERE first=1 AND count>200")
  }

  private func rotTail(_ reference: Reference) throws {
    try rot("UPDATE tail SET payload=zeroblob(length(payload)) WHERE seq=\(reference.sequence) AND seq>256")
  }

  private func shown(_ withHeaders: Bool = false) throws -> [String] {
    try reader.timeline(of: ann.id, limit: 1_000, withHeaders: withHeaders, now: StoreFixture.now).map { $0.text! }
  }

  private func ranges(_ damage: [Damage]) -> [String] {
    damage.map { "\($0.log == posts[0].log ? "bob" : "ann") \($0.range!)" }
  }

  @Test("a damaged chunk takes only its own events out of a timeline")
  func chunk() throws {
    let whole = try shown()
    try rotChunk()
    #expect(throws: StoreError.self) { try shown() }
    reader.leavesOutDamage = true
    let kept = whole.filter { !$0.hasPrefix("post ") || Int($0.dropFirst(5))! >= 256 }
    #expect(kept.count == 54)
    #expect(try shown() == kept)
    #expect(ranges(reader.takeLeftOut()) == ["bob 1...256"])
    #expect(reader.takeLeftOut() == [])
    #expect(try shown(true) == kept)
    #expect(ranges(reader.takeLeftOut()) == ["bob 1...256"])
    // A page that does not reach the damage says nothing of it, and one that does is filled with what is older.
    let page = try reader.posts(of: bob.id, limit: 44, now: StoreFixture.now)
    #expect(page.count == 44 && reader.takeLeftOut() == [])
  }

  @Test("a damaged row of the tail takes one event out, and older ones fill the page")
  func tail() throws {
    let whole = try reader.posts(of: bob.id, limit: 11, now: StoreFixture.now).map { $0.text! }
    try rotTail(posts[295])
    reader.leavesOutDamage = true
    let page = try reader.posts(of: bob.id, limit: 10, now: StoreFixture.now).map { $0.text! }
    #expect(page == whole.filter { $0 != "post 295" })
    #expect(ranges(reader.takeLeftOut()) == ["bob 296...296"])
  }

  @Test("an event whose row is gone is left out and named, not passed over")
  func missing() throws {
    try rot("DELETE FROM tail WHERE seq=\(posts[295].sequence)")
    #expect(throws: StoreError.self) { try shown() }
    reader.leavesOutDamage = true
    #expect(try shown().count == 309)
    #expect(ranges(reader.takeLeftOut()) == ["bob 296...296"])
  }

  @Test("a thread keeps the place of a damaged post, and shows what is below")
  func thread() throws {
    try rotChunk()
    #expect(throws: StoreError.self) { try reader.thread(replies[1], now: StoreFixture.now) }
    reader.leavesOutDamage = true
    let entries = try reader.thread(replies[1], now: StoreFixture.now)
    #expect(entries.map { $0.item?.text ?? $0.placeholder!.rawValue } == ["damaged here", "reply 0"])
    #expect(entries.map(\.isSubject) == [false, true] && entries[0].reference == posts[0])
    #expect(ranges(reader.takeLeftOut()) == ["bob 1...1"])
    let below = try reader.thread(posts[1], now: StoreFixture.now)
    #expect(below.map { $0.item?.text ?? $0.placeholder!.rawValue } == ["damaged here", "reply 1"])
  }

  @Test("the history of a person goes on below what is damaged")
  func history() throws {
    try rotChunk()
    #expect(throws: StoreError.self) { try reader.history(of: bob.id, limit: 50, now: StoreFixture.now) }
    reader.leavesOutDamage = true
    #expect(try reader.history(of: bob.id, limit: 50, now: StoreFixture.now).count == 44)
    #expect(ranges(reader.takeLeftOut()) == ["bob 1...256"])
    let newest = try reader.history(of: bob.id, limit: 44, now: StoreFixture.now)
    #expect(newest.map(\.sequence) == (257...300).reversed().map { SequenceNumber($0) })
    #expect(reader.takeLeftOut() == [])
  }

  @Test("after the repair there is nothing to leave out, and nothing wrong is shown")
  func repaired() throws {
    let whole = try shown()
    try rotChunk()
    try rotTail(posts[295])
    #expect(try !fixture.store.discardDamage().isEmpty)
    reader.leavesOutDamage = true
    let left = try shown()
    // Behind a hole the tail's rows do not chain to anything: they go too, and come again with it.
    #expect(left.count == whole.count - 261 && Set(left).isSubset(of: whole))
    #expect(reader.takeLeftOut() == [])
  }

  @Test("an export stops at what is damaged and says so")
  func export() throws {
    try rotChunk()
    for export in [
      { _ = try fixture.export() },
      { try reader.exportTwtxt(bob.id, now: StoreFixture.now) { _ in } },
    ] {
      let error = #expect(throws: StoreError.self) { try export() }
      #expect(error?.code == .damaged && error?.message.contains(posts[0].log.description) == true)
    }
  }
}
