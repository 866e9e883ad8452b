import Events
import Glibc
import Identity
import Primitives
import Store
import Timelines

/// The public chat log as persons with signed logs: thousands of authors, most of whom said little. Without the data,
/// generated texts of as many authors. The lines are older than event ids can say, so they are posts with a date of their
/// own, as an import makes them.
enum ChatStore {
  static let all = [load, verify]

  static let load = Benchmark(
    "chat.import", "import ndjson of the chat log: 15,757 authors, 196,575 signed posts", unit: "s", goal: .atMost(30)
  ) { context in
    let file = try export(context)
    let path = try context.folder("chat-import") + "/store"
    return {
      Files.remove(store: path)
      let store = try EventStore(writing: path, authority: .alone, readModels: [TimelineModel()])
      let clock = Stopwatch()
      let before = Usage.processorSeconds
      var importer = NDJSONImport(into: store)
      try read(file.path) { try importer.take($0) }
      let summary = try importer.finish()
      let seconds = clock.seconds
      let processor = Usage.processorSeconds - before
      guard summary.events == file.events, summary.refusedLines == 0 else {
        throw BenchmarkError("\(summary.events) of \(file.events) events were taken, \(summary.refusals.prefix(1))")
      }
      let tail = try store.statistics().tailEvents
      store.close()
      return Benchmark.Sample(
        value: seconds,
        notes: [
          ("CPUSeconds", processor), ("bytesPerEvent", Double(try Files.size(path)) / Double(file.events)),
          ("exportBytesPerEvent", Double(try Files.size(file.path)) / Double(file.events)),
          ("tailEvents", Double(tail) / Double(file.events)), ("persons", Double(summary.persons)),
        ])
    }
  }

  static let verify = Benchmark(
    "chat.verify", "log verify of that store, every signature", unit: "s", goal: .atMost(15)
  ) { context in
    let file = try export(context)
    return {
      let store = try EventStore(reading: file.store)
      let clock = Stopwatch()
      let before = Usage.processorSeconds
      guard try store.verify(full: true).isEmpty else { throw BenchmarkError("a sample store is damaged") }
      return Benchmark.Sample(value: clock.seconds, notes: [("CPUSeconds", Usage.processorSeconds - before)])
    }
  }

  private static func read(_ path: String, _ body: ([UInt8]) throws -> Void) throws {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw BenchmarkError(systemCall: path) }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      guard count >= 0 else { throw BenchmarkError(systemCall: path) }
      if count == 0 { return }
      try body(Array(buffer[..<count]))
    }
  }

  // MARK: - Made once

  private struct Export {
    var path: String
    var store: String
    var events: Int
  }

  private static func export(_ context: Context) throws -> Export {
    let folder = "\(context.scratch)/chat\(context.quick ? "-quick" : "")"
    var made = Export(path: folder + "/export.ndjson", store: folder + "/store", events: 0)
    if !Files.exists(made.path) {
      guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw BenchmarkError(systemCall: folder) }
      try make(context, made)
    }
    let store = try EventStore(reading: made.store)
    made.events = try store.statistics().events
    return made
  }

  private static func make(_ context: Context, _ made: Export) throws {
    Files.remove(store: made.store)
    var options = EventStore.Options()
    options.database.synchronous = "OFF"
    let store = try EventStore(
      writing: made.store, authority: .alone, options: options, readModels: [TimelineModel()])
    let byAuthor = try lines(context)
    for start in stride(from: 0, to: byAuthor.count, by: 100) {
      try store.batch {
        for number in start..<min(start + 100, byAuthor.count) where !byAuthor[number].isEmpty {
          let author = try SampleAuthor(number)
          try store.merge(author.record)
          var log = SampleLog(author, seed: number)
          for line in byAuthor[number] {
            log.append(.post(.init(text: line.text, written: line.time)), at: SampleLog.start)
          }
          for outcome in try store.ingest(log.finish(endsOpen: true)) {
            guard case .stored = outcome else { throw BenchmarkError("a chat line was not stored: \(outcome)") }
          }
        }
      }
    }
    let unfinished = made.path + ".unfinished"
    let file = open(unfinished, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw BenchmarkError(systemCall: unfinished) }
    try NDJSONExport.run(store) { lines in
      guard write(file, lines, lines.count) == lines.count else { throw BenchmarkError(systemCall: unfinished) }
    }
    close(file)
    store.close()
    guard rename(unfinished, made.path) == 0 else { throw BenchmarkError(systemCall: made.path) }
  }

  private static func lines(_ context: Context) throws -> [[(time: Timestamp, text: String)]] {
    if let log = try ChatLog(in: context.data) {
      var byAuthor = [[(time: Timestamp, text: String)]](repeating: [], count: log.authors.count)
      for line in log.lines.prefix(context.size(log.lines.count)) {
        byAuthor[line.author].append((line.time, line.text))
      }
      return byAuthor.map { $0.sorted { $0.time < $1.time } }
    }
    var corpus = Corpus(seed: 3, authors: context.size(15_757))
    var byAuthor = [[(time: Timestamp, text: String)]](repeating: [], count: context.size(15_757))
    for index in 0..<context.size(196_575) {
      let time = Timestamp(milliseconds: 1_200_000_000_000 + Int64(index) * 60_000)
      byAuthor[corpus.author()].append((time, corpus.text()))
    }
    return byAuthor
  }
}
