import Events
import Identity
import Primitives
import Testing
import Timelines

@Suite struct TwtxtTests {
  private let now = Timestamp(rfc3339: "2026-01-01T00:00:00Z")!

  private func plan(
    _ text: String, known: Set<Digest> = [], target: (String, String) -> PersonID? = { _, _ in nil }
  ) -> TwtxtImport {
    TwtxtImport(TwtxtFeed(Array(text.utf8)), name: "feed.txt", now: now, known: known, target: target)
  }

  @Test("posts, comments and empty lines are told from bad lines, which are reported with number and reason")
  func lines() {
    var bytes = Array(
      """
      # a comment\r
      2020-01-01T00:00:00Z\tone\r

      \r
      2020-01-02T00:00:00Z two
      2020-13-01T00:00:00Z\tmonth
      \u{20}\t\u{2003}
      2020-01-03T00:00:00+02:00\ttabs\tstay\r in
      2020-01-04t00:00:00.1234z\t

      """.utf8)
    bytes += [0xFF, 0x0A]
    bytes += Array("2020-01-05T00:00:00Z\t\(String(repeating: "x", count: 8_193))\n".utf8)
    bytes += Array("2020-01-06T00:00:00Z\tno line end".utf8)
    let feed = TwtxtFeed(bytes)
    #expect(
      feed.badLines.map { "\($0.line) \($0.reason.rawValue)" } == [
        "5 no TAB between date and text", "6 no RFC 3339 date-time before the TAB", "7 white space only",
        "10 not UTF-8",
        "11 text over 8192 bytes",
      ])
    #expect(feed.posts.map(\.line) == [2, 8, 9, 12])
    #expect(feed.posts.map(\.text) == ["one", "tabs\tstay\r in", "", "no line end"])
    #expect(feed.posts[1].time == Timestamp(rfc3339: "2020-01-02T22:00:00Z"))
    #expect(feed.posts[2].time == Timestamp(rfc3339: "2020-01-04T00:00:00.123Z"))
    #expect(TwtxtFeed([]).posts.isEmpty)
  }

  @Test("headers give nick, url and follows; only targets that somebody knows are followed, each once")
  func headers() {
    let bob = samplePerson("bob")
    let text = """
      # nick = ann
      # nick = other
      #url=https://a.example/twtxt.txt
      # follow = bob https://b.example/t.txt
      # follow = the bob https://b.example/t.txt
      # follow = carl  gemini://c.example/
      # follow = nothing
      # description = a = b
      """
    let feed = TwtxtFeed(Array(text.utf8))
    #expect(feed.nick == "ann" && feed.url == "https://a.example/twtxt.txt")
    #expect(feed.follows.map(\.nick) == ["bob", "the bob", "carl"])
    #expect(feed.badLines.isEmpty)
    let plan = plan(text) { _, url in url == "https://b.example/t.txt" ? bob : nil }
    #expect(plan.follows == [bob])
    #expect(plan.unknownFollows.map(\.line) == [6])
  }

  @Test("posts come in order of time and line, keep their date and source, and equal lines are all kept")
  func order() throws {
    let line = "2020-01-02T00:00:00Z\tsame"
    let plan = plan("2021-01-01T00:00:00Z\tlast\n\(line)\n\(line)\n2020-01-01T00:00:00Z\tfirst\n\(line)\n")
    #expect(plan.posts.map(\.text) == ["first", "same", "same", "same", "last"])
    #expect(Set(plan.posts.map { $0.source!.line }).count == 5)
    #expect(plan.posts.allSatisfy { $0.source!.feed == "feed.txt" })
    #expect(plan.posts[0].written == Timestamp(rfc3339: "2020-01-01T00:00:00Z"))
  }

  @Test("a line dated after the import is kept out now, and comes in when its time has come")
  func future() {
    let text = "2025-12-31T23:59:59Z\tpast\n2026-01-01T00:00:00Z\tnow\n2026-01-01T00:00:00.001Z\tlater\n"
    let first = plan(text)
    #expect(first.posts.map(\.text) == ["past", "now"])
    #expect(first.badLines == [.init(line: 3, reason: .future)])
    let known = Set(first.posts.map { $0.source!.line })
    let later = TwtxtImport(
      TwtxtFeed(Array(text.utf8)), name: "x", now: now.advanced(milliseconds: 1), known: known
    ) { _, _ in nil }
    #expect(later.posts.map(\.text) == ["later"] && later.knownCount == 2)
  }

  @Test("a feed read again adds nothing, in whatever order its lines stand, and only what is new after an edit")
  func again() throws {
    let person = samplePerson("ann")
    let store = try SampleStore()
    var log = SampleLog(person: person, seed: 1)
    var lines = (0..<300).map { "2020-01-01T00:00:\($0 % 50 + 10)Z\ttext \($0 % 100)" }
    let reader = TimelineReader(store)
    var count = 0
    for edit in 0..<3 {
      let plan = plan(lines.joined(separator: edit == 1 ? "\r\n" : "\n"), known: try reader.importedLines(of: person))
      #expect(plan.posts.count == (edit == 0 ? 300 : edit == 1 ? 0 : 1))
      for post in plan.posts { log.append(.post(post), id: .at(100_000_000_000 + UInt64(count))) }
      try store.takeAll(SampleLog(log, from: count))
      count = log.events.count
      lines.reverse()
      if edit == 1 { lines.insert("2020-01-01T00:00:59Z\tnew", at: 7) }
    }
    #expect(try reader.posts(of: person, limit: 1_000, now: .at(200_000_000_000)).count == 301)
  }

  @Test("an exported feed is what was shown, oldest first, one line a post, without control characters")
  func export() throws {
    let person = samplePerson("ann")
    let store = try SampleStore()
    var log = SampleLog(person: person, seed: 1)
    log.append(.profile(.init(name: "An\nn")), id: .at(1))
    let texts = ["two\nlines\r\nand\rmore", "tab\there \u{1B}[1m", "plain é", ""]
    for (index, text) in texts.enumerated() { log.append(.post(.init(text: text)), id: .at(10 + UInt64(index))) }
    log.append(.post(.init(text: "old", written: .at(-1))), id: .at(20))
    try store.takeAll(log)
    var bytes: [UInt8] = []
    try TimelineReader(store).exportTwtxt(person, url: "https://a.example/", now: .at(100)) { bytes += $0 }
    #expect(
      String(decoding: bytes, as: UTF8.self) == """
        # nick = An n
        # url = https://a.example/
        2023-12-31T23:59:59.999Z\told
        2024-01-01T00:00:00.010Z\ttwo\u{2028}lines\u{2028}and\u{2028}more
        2024-01-01T00:00:00.011Z\ttabhere [1m
        2024-01-01T00:00:00.012Z\tplain é
        2024-01-01T00:00:00.013Z\t

        """)
    let again = TwtxtFeed(bytes)
    #expect(again.badLines.isEmpty && again.posts.count == 5 && again.nick == "An n")
  }
}
