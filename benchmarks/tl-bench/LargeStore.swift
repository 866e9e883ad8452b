import Events
import Glibc
import Identity
import Primitives
import Store
import Timelines

/// Stores that several benchmarks read, each made once and kept in the scratch folder.
///
/// They are replicas, as a first sync leaves them. Authors post about as often as each other, in the same weeks, short
/// texts each. Viewers follow some of them.
struct LargeStore {
  /// In what order the logs arrived.
  enum Arrival: String {
    /// Chunk by chunk of everybody in turn, the newest first, as in a first sync.
    case interleaved
    /// One author after the other, as when one catches up with each.
    case byAuthor
  }

  let path: String
  let authors: Int
  let posts: Int
  /// Follows half of the authors, at most 500.
  let viewer: PersonID
  /// Follows the five authors that post a hundredth as often as the others.
  let rareViewer: PersonID
  var events: Int { authors * posts }

  /// 1,000 authors with 1,000 posts each.
  static func million(_ context: Context, _ arrival: Arrival) throws -> LargeStore {
    try LargeStore(context, "million", authors: context.quick ? 20 : 1000, posts: 1000, arrival)
  }

  /// 100,000 authors with 10 posts each, one author after the other.
  static func crowd(_ context: Context) throws -> LargeStore {
    try LargeStore(context, "crowd", authors: context.size(100_000), posts: 10, .byAuthor)
  }

  /// Rare authors come first; what they do not write, nobody does.
  static let rare = 5
  private static let viewers = 10_000_000

  private init(_ context: Context, _ name: String, authors: Int, posts: Int, _ arrival: Arrival) throws {
    let folder = "\(context.scratch)/replica-\(name)-\(arrival.rawValue)-\(authors)x\(posts)"
    path = folder + "/store"
    self.authors = authors
    self.posts = posts
    let viewers = try [SampleAuthor(Self.viewers), SampleAuthor(Self.viewers + 1)]
    viewer = viewers[0].person
    rareViewer = viewers[1].person
    // Renamed when it is whole.
    if Files.exists(path) { return }
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw BenchmarkError(systemCall: folder) }
    let unfinished = folder + "/unfinished"
    Files.remove(store: unfinished)
    var options = EventStore.Options()
    options.database.synchronous = "OFF"
    let store = try EventStore(
      writing: unfinished, authority: .alone, options: options, readModels: [TimelineModel()])
    let texts = try context.chatTexts(10_000)
    try Self.fill(store, texts, authors: authors, posts: posts, arrival)
    let followed = [Array(Self.rare..<min(authors, Self.rare + min(500, authors / 2))), Array(0..<Self.rare)]
    for (viewer, numbers) in zip(viewers, followed) {
      try store.merge(viewer.record)
      let contents = try numbers.map { EventContent.follow(.init(person: try SampleAuthor($0).person)) }
      var log = SampleLog(viewer, seed: Self.viewers)
      for content in contents { log.append(content, at: SampleLog.start) }
      _ = try store.ingest(log.finish(endsOpen: false))
    }
    store.close()
    guard rename(unfinished, path) == 0 else { throw BenchmarkError(systemCall: path) }
  }

  private static func fill(
    _ store: EventStore, _ texts: [String], authors: Int, posts: Int, _ arrival: Arrival
  ) throws {
    // A rare author's posts lie as far apart as those of the others together take, so that a scan by time finds few.
    func stretches(of number: Int) throws -> (SampleAuthor, [ReceivedStretch]) {
      let author = try SampleAuthor(number)
      let isRare = number < rare
      let count = isRare ? max(1, posts / 100) : posts
      let first = number * 97 % texts.count
      let own = (0..<count).lazy.map { texts[(first + $0) % texts.count] }
      return (
        author,
        SampleLog.posts(
          author, seed: number, texts: own, step: SampleLog.step * Int64(posts / count), endsOpen: false)
      )
    }
    var waiting: [[ReceivedStretch]] = []
    for start in stride(from: 0, to: authors, by: 50) {
      try store.batch {
        for number in start..<min(start + 50, authors) {
          let (author, made) = try stretches(of: number)
          try store.merge(author.record)
          switch arrival {
          case .byAuthor: try check(store.ingest(made))
          case .interleaved: waiting.append(made)
          }
        }
      }
    }
    while !waiting.allSatisfy(\.isEmpty) {
      let round = waiting.indices.compactMap { waiting[$0].popLast() }
      for start in stride(from: 0, to: round.count, by: 64) {
        try check(store.ingest(Array(round[start..<min(start + 64, round.count)])))
      }
    }
  }

  private static func check(_ outcomes: [IngestOutcome]) throws {
    for outcome in outcomes {
      guard case .stored = outcome else { throw BenchmarkError("a sample was not stored: \(outcome)") }
    }
  }
}
