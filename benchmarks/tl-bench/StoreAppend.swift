import Events
import Primitives
import Store
import Timelines

enum StoreAppend {
  static let append = Benchmark(
    "store.append", "posts appended one by one, each durable before the next, with the timeline tables",
    unit: "posts/s",
    limit: "limit.sqlite-commit", goal: .ratioAtLeast(0.7)
  ) { context in
    let author = try SampleAuthor(1)
    let store = try EventStore(
      writing: try context.folder("append") + "/store", authority: .alone, readModels: [TimelineModel()])
    try store.merge(author.record)
    let texts = try context.chatTexts(context.size(1000))
    var random = SeededRandom(seed: 7)
    return {
      try Benchmark.rateWithProcessor(texts.count) {
        for text in texts {
          let draft = Draft(.post(.init(text: text)), ttl: 30 * 86_400, salt: random.bytes(8))
          _ = try store.append([draft], by: author.author)
        }
      }
    }
  }
}
