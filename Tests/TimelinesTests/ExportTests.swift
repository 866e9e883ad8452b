import Events
import Identity
import Primitives
import Store
import Testing
import Timelines

@Suite struct ExportTests {
  /// Two persons, three devices, closed chunks and tails, a delete, replies, follows.
  private func makeStore() throws -> (StoreFixture, [StoredPerson]) {
    let fixture = try StoreFixture()
    let people = [try StoredPerson(seed: 1, devices: 2), try StoredPerson(seed: 2)]
    for person in people { try fixture.store.merge(person.record) }
    let first = try fixture.append((0..<600).map { .post(.init(text: "post \($0)")) }, by: people[0])
    try fixture.append(
      [.profile(.init(name: "ann")), .delete(first[3].reference), .follow(.init(person: people[1].id))], by: people[0],
      device: 1)
    try fixture.append(
      (0..<20).map { .post(.init(text: "reply \($0)", replyTo: first[$0].reference)) }, ttl: 3_600, by: people[1])
    return (fixture, people)
  }

  @Test("a round trip into a fresh store gives the same digests, timelines and bytes")
  func roundTrip() throws {
    let (fixture, people) = try makeStore()
    let export = try fixture.export()
    let other = try StoreFixture(seed: 2)
    let summary = try other.take(export)
    #expect(summary.persons == 2 && summary.events == 623 && summary.refusals == [])
    #expect(try other.digest() == fixture.digest())
    #expect(try other.store.readModelDigest() == fixture.store.readModelDigest())
    let shown = try other.reader.timeline(of: people[0].id, limit: 1_000, withHeaders: true, now: StoreFixture.now)
    #expect(shown.count == 619)
    #expect(
      try shown == fixture.reader.timeline(of: people[0].id, limit: 1_000, withHeaders: true, now: StoreFixture.now))
    #expect(try other.store.verify(full: true).isEmpty)
    // What the author deleted is known as deleted here too, though it never was here.
    #expect(try other.export() == export)
    let again = try other.take(export)
    #expect(again.events == 0 && again.knownEvents == 623 && again.persons == 0 && again.refusals == [])
  }

  @Test("with and without headers a page says the same, and items point at real events")
  func headers() throws {
    let (fixture, people) = try makeStore()
    let plain = try fixture.reader.timeline(of: people[0].id, limit: 700, now: StoreFixture.now)
    let full = try fixture.reader.timeline(of: people[0].id, limit: 700, withHeaders: true, now: StoreFixture.now)
    #expect(plain.map(\.position) == full.map(\.position) && plain.map(\.content) == full.map(\.content))
    for item in full.prefix(30) {
      let event = try #require(try fixture.store.event(item.log, item.sequence))
      #expect(item.header == event.header && item.ttl == event.header.ttl && item.id == event.header.id)
      if let reply = item.replyTo {
        #expect(try item.replyToID == fixture.store.event(reply.log, reply.sequence)?.header.id)
      }
    }
  }

  @Test("a fork and a revocation survive the round trip")
  func brokenLogs() throws {
    let fixture = try StoreFixture()
    var person = try StoredPerson(seed: 5, devices: 2)
    try fixture.store.merge(person.record)
    let twin = try StoreFixture(seed: 3)
    try twin.store.merge(person.record)
    // One device on two machines: the shared front, then two branches.
    let front = try fixture.append((0..<300).map { .post(.init(text: "front \($0)")) }, by: person)
    try twin.take(try fixture.export())
    try fixture.append([.post(.init(text: "left"))], by: person)
    try twin.append([.post(.init(text: "right"))], by: person)
    try fixture.take(try twin.export())
    #expect(
      try fixture.store.log(person.devices[0].publicKey)?.end
        == .frozen(
          cut: SequenceNumber(301), previous: front[299].hash))
    let second = try fixture.append((0..<270).map { .post(.init(text: "second \($0)")) }, by: person, device: 1)
    try person.record.revoke(
      device: person.devices[1].publicKey, lastGood: SequenceNumber(260), hash: second[259].hash, with: person.root)
    try fixture.store.merge(person.record)

    let other = try StoreFixture(seed: 4)
    let summary = try other.take(try fixture.export())
    #expect(summary.refusals == [] && summary.events == 560)
    #expect(try other.digest() == fixture.digest())
    #expect(try other.store.readModelDigest() == fixture.store.readModelDigest())
    #expect(try other.export() == fixture.export())
  }

  @Test("every changed line is refused with its number, and nothing of it is stored")
  func tampering() throws {
    let fixture = try StoreFixture()
    let person = try StoredPerson(seed: 6)
    try fixture.store.merge(person.record)
    try fixture.append((0..<3).map { .post(.init(text: "post \($0)")) }, by: person)
    let export = try fixture.export()
    let good = try fixture.digest()
    var random = SeededRandom(seed: 12)
    for _ in 0..<300 {
      var changed = export
      let index = Int(random.next() % UInt64(export.count))
      changed[index] = Array("0123456789abcdef\"{}:,x\n".utf8).randomElement(using: &random)!
      if changed == export { continue }
      let other = try StoreFixture(seed: 2)
      let summary = try other.take(changed)
      let lineCount = changed.filter { $0 == 0x0A }.count
      #expect(summary.refusals.allSatisfy { $0.lines.upperBound <= lineCount + 1 })
      // Only what the author signed can be in it: a part of the original.
      let digest = try other.digest()
      if summary.refusals.isEmpty, summary.events == 3 { #expect(digest == good) }
      if let log = try other.store.log(person.devices[0].publicKey), let head = log.head {
        #expect(try fixture.store.reference(log.identity.log, head.sequence)?.hash == head.hash)
      }
    }
  }

  @Test("lines that are no lines of an export are reported and the rest is taken")
  func badLines() throws {
    let (fixture, people) = try makeStore()
    let export = String(decoding: try fixture.export(), as: UTF8.self)
    let bad = [
      "hello", "{}", #"{"v":2,"kind":"event"}"#, #"{"v":1,"kind":"dream"}"#, #"{"v":1,"kind":"person","record":"zz"}"#,
      #"{"v":1,"kind":"event","header":"00"}"#, #"{"v":1,"kind":"person","record":""}"#, "\u{FEFF}", "[1]",
    ]
    let other = try StoreFixture(seed: 2)
    let summary = try other.take(Array((bad.joined(separator: "\n") + "\n\n  \n" + export).utf8))
    #expect(summary.refusals.map(\.lines.lowerBound) == Array(1...bad.count))
    #expect(summary.events == 623)
    #expect(try other.digest() == fixture.digest())
    // Without the records before them the events belong to nobody.
    let orphan = try StoreFixture(seed: 2)
    let events = export.split(separator: "\n").filter { $0.contains("\"event\"") }.joined(separator: "\n")
    let refused = try orphan.take(Array(events.utf8))
    #expect(refused.events == 0 && refused.refusedLines == 623)
    _ = people
  }

  @Test("a line longer than any record is refused without being kept in memory")
  func longLine() throws {
    let other = try StoreFixture(seed: 2)
    var importer = NDJSONImport(into: other.store)
    let piece = [UInt8](repeating: 0x20, count: 1 << 20)
    for _ in 0..<12 { try importer.take(piece) }
    try importer.take(Array("\nhello\n".utf8))
    let summary = try importer.finish()
    #expect(summary.refusals.map(\.lines) == [1...1, 2...2])
  }
}
