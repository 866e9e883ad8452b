import Events
import Foundation
import Identity
import Primitives
import Store
import Testing
import Timelines

@Suite struct TwoConnectionsTests {
  @Test("a reader on its own connection sees each commit of the writer in its next page, and keeps out of its way")
  func freshness() throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "tl-timelines-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let path = directory.appending(path: "store").path(percentEncoded: false)
    let environment = StorageEnvironment(now: { StoreFixture.now })
    let writer = try EventStore(
      writing: path, authority: .alone, environment: environment, readModels: [TimelineModel()])
    let ann = try StoredPerson(seed: 1)
    let bob = try StoredPerson(seed: 2)
    for person in [ann, bob] { try writer.merge(person.record) }
    func append(_ content: EventContent, _ person: StoredPerson) throws -> Reference {
      let draft = Draft(content, ttl: 0, salt: [1, 2, 3, 4, 5, 6, 7, 8])
      return try writer.append([draft], by: person.author())[0].reference
    }
    let source = try EventStore(reading: path, environment: environment)
    let reader = TimelineReader(source)
    // Both devices have the same ids here, so log keys decide the order: it does not matter to this test.
    func texts() throws -> Set<String> {
      let page = try reader.timeline(of: ann.id, limit: 10, now: StoreFixture.now)
      return Set(page.map { "\($0.author.name ?? ""): \($0.text!)" })
    }
    #expect(try texts() == [])
    let first = try append(.post(.init(text: "one")), ann)
    #expect(try texts() == [": one"])
    _ = try append(.post(.init(text: "two")), bob)
    #expect(try texts() == [": one"])
    _ = try append(.follow(.init(person: bob.id)), ann)
    #expect(try texts() == [": two", ": one"])
    _ = try append(.profile(.init(name: "Bob")), bob)
    #expect(try texts() == ["Bob: two", ": one"])
    _ = try append(.delete(first), ann)
    #expect(try texts() == ["Bob: two"])
    let dots = try reader.followDots(of: ann.id, bob.id)
    _ = try append(.unfollow(.init(person: bob.id, dots: dots)), ann)
    #expect(try texts() == [])
    source.close()
    writer.close()
  }

  @Test("limits of any size are taken", arguments: [Int.min, -1, 0, Int.max])
  func limits(limit: Int) throws {
    let fixture = try StoreFixture()
    let ann = try StoredPerson(seed: 1)
    try fixture.store.merge(ann.record)
    try fixture.append((0..<5).map { .post(.init(text: "post \($0)")) }, by: ann)
    let count = limit > 0 ? 5 : 0
    let reader = fixture.reader
    let now = StoreFixture.now
    #expect(try reader.timeline(of: ann.id, limit: limit, now: now).count == count)
    #expect(try reader.history(of: ann.id, limit: limit, now: now).count == count)
    #expect(try reader.history(ofLog: ann.devices[0].publicKey, limit: limit, now: now).count == count)
  }
}
