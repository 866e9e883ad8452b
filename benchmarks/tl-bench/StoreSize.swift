import Glibc
import Store
import Timelines

/// What a store of a million short posts takes: on disk, to open, to check and to index again.
enum StoreSize {
  static let all = [bytes, open, rebuild, verify, verifyChains]

  static let bytes = Benchmark(
    "store.bytes", "a replica of 1,000 logs with 1,000 short posts each: main file, all tables, after a checkpoint",
    unit: "bytes/event", goal: .atMost(135)
  ) { context in
    let large = try LargeStore.million(context, .interleaved)
    return {
      let store = try EventStore(reading: large.path)
      let statistics = try store.statistics()
      let events = Double(statistics.events)
      return Benchmark.Sample(
        value: Double(try Files.size(large.path)) / events,
        notes: [
          ("chunks", Double(statistics.chunkBytes) / events),
          ("tailEvents", Double(statistics.tailEvents) / events),
          ("free", Double(statistics.freeBytes) / events),
        ])
    }
  }

  static let open = Benchmark(
    "store.open", "opening a store of a million events for writing, and one read", unit: "ms", goal: .atMost(500)
  ) { context in
    let large = try LargeStore.million(context, .interleaved)
    return {
      try Benchmark.latency(5) { _ in
        let store = try EventStore(writing: large.path, authority: .alone, readModels: [TimelineModel()])
        guard try store.record(of: large.viewer) != nil else { throw BenchmarkError("the store is empty") }
        store.close()
      }
    }
  }

  static let rebuild = Benchmark(
    "store.rebuild", "the timeline tables made again from the logs", unit: "events/s", goal: .atLeast(200_000)
  ) { context in
    let large = try LargeStore.million(context, .interleaved)
    let path = try context.folder("rebuild") + "/store"
    return {
      Files.remove(store: path)
      try Files.copy(large.path, to: path)
      let store = try EventStore(writing: path, authority: .alone, readModels: [TimelineModel()])
      let before = try store.readModelDigest()
      let sample = try Benchmark.rateWithProcessor(large.events) { try store.rebuild() }
      guard try store.readModelDigest() == before else { throw BenchmarkError("the digest changed in a rebuild") }
      store.close()
      return sample
    }
  }

  static let verify = verification("store.verify", "log verify: every checksum, chain and signature", full: true)
  static let verifyChains = verification("store.verifyChains", "checksums, chains and heads", full: false)

  private static func verification(_ name: String, _ about: String, full: Bool) -> Benchmark {
    Benchmark(name, about, unit: "events/s") { context in
      let large = try LargeStore.million(context, .interleaved)
      return {
        let store = try EventStore(reading: large.path)
        return try Benchmark.rateWithProcessor(large.events) {
          guard try store.verify(full: full).isEmpty else { throw BenchmarkError("a sample store is damaged") }
        }
      }
    }
  }
}
