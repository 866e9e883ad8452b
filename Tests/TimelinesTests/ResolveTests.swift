import Events
import Identity
import Primitives
import Testing
import Timelines

@Suite struct ResolveTests {
  let store: SampleStore
  let reader: TimelineReader
  var logs: [SampleLog] = []
  let now = Timestamp.at(10_000)

  init() throws {
    store = try SampleStore()
    for index in 0..<4 {
      var log = SampleLog(person: samplePerson("person \(index)"), seed: UInt64(index + 1))
      log.append(.profile(.init(name: index < 2 ? "ann" : "bob\(index)")), id: .at(UInt64(index)))
      log.append(.post(.init(text: "one")), id: .at(100))
      log.append(.post(.init(text: "old", written: .at(-5))), id: .at(200 + UInt64(index)))
      log.append(kind: EventKind(rawValue: 99), payload: [1, 2, 3], id: .at(300 + UInt64(index)))
      try store.takeAll(log)
      logs.append(log)
    }
    reader = TimelineReader(store)
  }

  private func failure(_ body: () throws -> Any) -> ResolutionError? {
    do {
      _ = try body()
      return nil
    } catch {
      return error as? ResolutionError
    }
  }

  @Test("a person is named by the full id, a handle, a bare fingerprint or a petname")
  func persons() throws {
    let person = logs[0].person
    let fingerprint = Base32.encode(person.bytes)
    for words in [
      person.hex, person.hex.uppercased(), fingerprint, "ann#" + fingerprint.prefix(4), "#" + fingerprint.prefix(9),
      "ann#" + fingerprint.prefix(8).uppercased(), "#" + fingerprint,
    ] {
      #expect(try reader.resolve(person: words, now: now) == person, "\(words)")
    }
    reader.petnames = ["mum": person, "ann": logs[2].person]
    #expect(try reader.resolve(person: "mum", now: now) == person)
    #expect(try reader.resolve(person: "ann", now: now) == logs[2].person)
    let stranger = samplePerson("nobody has seen me")
    #expect(try reader.resolve(person: stranger.hex, now: now) == stranger)
  }

  @Test("a name alone, a short or a wrong fingerprint are refused, with candidates that work")
  func refusedPersons() throws {
    let fingerprint = Base32.encode(logs[0].person.bytes)
    let error = try #require(failure { try reader.resolve(person: "ann", now: now) })
    #expect(error.code == .ambiguous && error.candidates.count == 2)
    for candidate in error.candidates { _ = try reader.resolve(person: candidate, now: now) }
    #expect(failure { try reader.resolve(person: "ann#" + fingerprint.prefix(3), now: now) }?.code == .malformed)
    #expect(failure { try reader.resolve(person: "ann#0189", now: now) }?.code == .malformed)
    #expect(
      failure { try reader.resolve(person: "ann#" + fingerprint.prefix(15), prefixMinimum: 16, now: now) }?.code
        == .malformed)
    #expect(failure { try reader.resolve(person: "zoe", now: now) }?.code == .notFound)
    let renamed = try #require(failure { try reader.resolve(person: "zoe#" + fingerprint.prefix(8), now: now) })
    #expect(renamed.code == .notFound && renamed.candidates == ["ann#" + fingerprint.prefix(16)])
  }

  @Test("two persons whose ids begin alike are told apart or refused")
  func ambiguousFingerprint() throws {
    // Among 3,000 persons some share four characters.
    var byPrefix: [String: [PersonID]] = [:]
    for index in 0..<3_000 {
      let person = samplePerson("crowd \(index)")
      byPrefix[String(Base32.encode(person.bytes).prefix(4)), default: []].append(person)
    }
    let pair = try #require(byPrefix.values.filter { $0.count > 1 }.min { $0[0] < $1[0] })
    var log = logs[0]
    for person in pair { log.append(.follow(.init(person: person)), id: .at(500)) }
    try store.take(log, 4..<log.events.count)
    let prefix = Base32.encode(pair[0].bytes).prefix(4)
    let error = try #require(failure { try reader.resolve(person: "#" + prefix, now: now) })
    #expect(error.code == .ambiguous && error.candidates.count == pair.count)
    #expect(try Set(error.candidates.map { try reader.resolve(person: $0, now: now) }) == Set(pair))
  }

  @Test("an event is named by its id, with a person or a log where several have it")
  func events() throws {
    let log = logs[2]
    let references = log.events.map(\.header.reference)
    #expect(try reader.resolve(event: "\(log.events[2].header.id)", now: now) == references[2])
    #expect(try reader.resolve(event: "\(log.events[3].header.id)", now: now) == references[3])
    #expect(try reader.resolve(event: "\(EventID.at(100))@\(log.person.hex)", now: now) == references[1])
    #expect(
      try reader.resolve(event: "\(EventID.at(100))@log:\(log.key.publicKey.hex.prefix(9))", now: now) == references[1])
    let error = try #require(failure { try reader.resolve(event: "\(EventID.at(100))", now: now) })
    #expect(error.code == .ambiguous && error.candidates.count == 4)
    for candidate in error.candidates { _ = try reader.resolve(event: candidate, now: now) }
    #expect(failure { try reader.resolve(event: "\(EventID.at(777))", now: now) }?.code == .notFound)
    #expect(failure { try reader.resolve(event: "\(EventID.at(777))@\(log.person.hex)", now: now) }?.code == .notFound)
    for words in ["", "x", "-1", "+5", "18446744073709551615", "12@log:zz", "1@log:12"] {
      #expect(failure { try reader.resolve(event: words, now: now) }?.code == .malformed, "\(words)")
    }
    #expect(
      try reader.position(of: references[2]) == TimelinePosition(time: .at(-5), id: .at(202), log: references[2].log))
  }
}
