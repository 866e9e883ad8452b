import Events
import Identity
import Primitives
import Testing
import Timelines

@Suite struct TimelineReaderTests {
  @Test("pages are those of a naive reader, for any viewer, author, cursor, limit and time", arguments: [1, 2])
  func naive(seed: UInt64) throws {
    var world = SampleWorld(seed: seed, persons: 8, events: 500)
    var random = SeededRandom(seed: seed + 100)
    world.logs.shuffle(using: &random)
    let store = try SampleStore()
    for log in world.logs { try store.takeAll(log, pieces: 20) }
    for _ in 0..<20 {
      let log = world.logs.randomElement(using: &random)!
      if let event = log.events.randomElement(using: &random) { try store.erase(event.header.reference) }
    }
    let reader = TimelineReader(store)
    let naive = NaiveReader(store)
    var cursor: TimelinePosition?
    for step in 0..<10_000 {
      let viewer = world.persons.randomElement(using: &random)!
      let now = Timestamp.at(Int64(random.next() % (SampleWorld.span * 4)))
      let limit = Int(random.next() % 30 + 1)
      let before = step % 3 == 0 ? nil : cursor
      let items: [TimelineItem]
      let expected: [NaiveReader.Post]
      switch step % 4 {
      case 0:
        items = try reader.posts(of: viewer, before: before, limit: limit, now: now)
        expected = naive.timeline(of: [viewer], before: before, limit: limit, now: now)
      case 1:
        let author = world.persons.randomElement(using: &random)!
        items = try reader.timeline(of: viewer, before: before, limit: limit, author: author, now: now)
        let visible = naive.following(viewer, now: now).union([viewer]).contains(author)
        expected = visible ? naive.timeline(of: [author], before: before, limit: limit, now: now) : []
      default:
        items = try reader.timeline(of: viewer, before: before, limit: limit, now: now)
        expected = naive.timeline(
          of: naive.following(viewer, now: now).union([viewer]), before: before, limit: limit, now: now)
      }
      let matches = items.elementsEqual(expected) {
        $0.log == $1.header.log && $0.sequence == $1.header.sequence && $0.text == $1.text
          && $0.author.person == $1.person && $0.position == $1.position
      }
      if !matches {
        Issue.record("step \(step): \(items.map(\.position)) instead of \(expected.map(\.position))")
        break
      }
      if let last = items.last { cursor = last.position }
      if random.next() % 8 == 0 { cursor = nil }
    }
  }

  @Test("a page may end between posts of one time and id, and the next one goes on there")
  func ties() throws {
    let viewer = samplePerson("viewer")
    let store = try SampleStore()
    var own = SampleLog(person: viewer, seed: 1)
    var expected: [LogID] = []
    for index in 0..<40 {
      var log = SampleLog(person: samplePerson("author \(index)"), seed: UInt64(index + 10))
      log.append(.post(.init(text: "same")), id: .at(500))
      own.append(.follow(.init(person: log.person)), id: .at(UInt64(index)))
      expected.append(log.key.publicKey)
      try store.takeAll(log)
    }
    try store.takeAll(own)
    expected.sort(by: >)
    let reader = TimelineReader(store)
    for limit in [1, 3, 39, 40, 100] {
      var shown: [LogID] = []
      var before: TimelinePosition?
      while true {
        let page = try reader.timeline(of: viewer, before: before, limit: limit, now: .at(1_000))
        shown += page.map(\.log)
        before = page.last?.position
        if page.count < limit { break }
      }
      #expect(shown == expected)
    }
  }

  @Test("a change of the store shows in the next page")
  func freshness() throws {
    let store = try SampleStore()
    let ann = samplePerson("ann")
    var annsLog = SampleLog(person: ann, seed: 1)
    var bobsLog = SampleLog(person: samplePerson("bob"), seed: 2)
    let post = bobsLog.append(.post(.init(text: "hello")), id: .at(5))
    annsLog.append(.follow(.init(person: bobsLog.person)), id: .at(6))
    let reader = TimelineReader(store)
    #expect(try reader.timeline(of: ann, limit: 9, now: .at(10)).isEmpty)
    try store.takeAll(bobsLog)
    #expect(try reader.timeline(of: ann, limit: 9, now: .at(10)).isEmpty)
    try store.takeAll(annsLog)
    let item = try #require(try reader.timeline(of: ann, limit: 9, now: .at(10)).first)
    #expect(
      item.log == post.log && item.sequence == post.sequence && item.reference == nil && item.text == "hello"
        && item.author.handle.hasPrefix("#"))
    try store.erase(post)
    #expect(try reader.timeline(of: ann, limit: 9, now: .at(10)).isEmpty)
  }

  @Test("text goes through the store and out again byte for byte, whatever it does to a terminal")
  func hostileText() throws {
    let store = try SampleStore()
    let person = samplePerson("eve")
    var log = SampleLog(person: person, seed: 3)
    let texts = [
      "\u{1B}[2J\u{1B}]0;owned\u{7}", "\u{202E}txt.exe", "a\u{0}b", "\r\nline\u{2028}line", "\u{200B}\u{FEFF}", "",
      String(repeating: "e\u{301}\u{301}", count: 900), "🏴‍☠️", "#\t# nick = x",
    ]
    for (index, text) in texts.enumerated() { log.append(.post(.init(text: text)), id: .at(UInt64(index))) }
    try store.takeAll(log)
    let shown = try TimelineReader(store).posts(of: person, limit: 100, now: .at(100)).map { Array($0.text!.utf8) }
    #expect(shown == texts.reversed().map { Array($0.utf8) })
  }

  @Test("history lists every kind of every log of a person by id and log, absent payloads too, page by page")
  func history() throws {
    let world = SampleWorld(seed: 5, persons: 4, events: 300)
    let store = try SampleStore()
    for log in world.logs { try store.takeAll(log) }
    try store.erase(world.logs[1].events[3].header.reference)
    let reader = TimelineReader(store)
    for person in world.persons {
      let expected = world.logs.filter { $0.person == person }.flatMap { $0.events.map(\.header) }.sorted {
        $0.id != $1.id ? $0.id > $1.id : $0.log > $1.log
      }
      for limit in [1, 7, 1_000] {
        var shown: [EventHeader] = []
        var before: (EventID, LogID)?
        while true {
          let page = try reader.history(of: person, before: before, limit: limit, now: .at(5_000_000))
          shown += page.map { $0.header! }
          before = page.last.map { ($0.id, $0.log) }
          if page.count < limit { break }
        }
        #expect(shown == expected)
      }
    }
    let log = world.logs[0]
    let page = try reader.history(ofLog: log.key.publicKey, before: SequenceNumber(6), limit: 3, now: .at(0))
    #expect(page.map { $0.header! } == log.events[2...4].reversed().map(\.header))
  }
}
