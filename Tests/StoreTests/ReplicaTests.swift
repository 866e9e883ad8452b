import Events
import Glibc
import Identity
import Primitives
import Store
import Testing

@Suite struct ReplicaTests {
  /// One session in one direction, as a node would run it: records, evidence, then what is wanted.
  private func pull(_ target: EventStore, from source: EventStore, _ person: PersonID) throws {
    let page = try source.digest(of: [person])
    for standing in page.persons { if let record = try source.record(of: standing.person) { try target.merge(record) } }
    for log in try target.reconcile(page.logs) {
      if let evidence = try source.evidence(of: log) { _ = try target.ingest(evidence, log: log, person: person) }
    }
    for request in try target.openWants(of: [person], limit: 100) {
      let run = try source.read(request, budget: 4000)
      for outcome in try target.ingest(
        run.stretches.map { ReceivedStretch(person: person, log: request.log, envelope: $0) })
      {
        if case .badBytes(let why) = outcome { Issue.record("refused: \(why)") }
      }
    }
  }

  @Test(
    "replicas of different branches agree after talking to each other, whoever talks first",
    arguments: 0..<7)
  func agreement(kind: Int) throws {
    for seed in 0..<UInt64(10) {
      let scenario = Scenario(kind: kind, seed: 1000 + seed * 8 + UInt64(kind))
      var random = SeededRandom(seed: seed)
      let stores = try (0..<4).map { _ in try EventStore.inMemory(readModels: [TestModel()]) }
      for (index, store) in stores.enumerated() {
        // Each begins with a part of what is there, and an old or new record.
        try store.merge(index == 0 ? scenario.records.last! : scenario.records[0])
        for offer in scenario.offers where random.next() % 3 == 0 || index == Int(offer.envelope.first.rawValue) % 4 {
          _ = try store.ingest([offer])
        }
      }
      for round in 0..<40 {
        let a = Int(random.next() % 4)
        let b = (a + 1 + Int(random.next() % 3)) % 4
        try pull(stores[a], from: stores[b], scenario.person.id)
        // What nobody of the four has yet still drips in from outside.
        if round < 20 {
          let offer = scenario.offers[Int(random.next() % UInt64(scenario.offers.count))]
          _ = try stores[Int(random.next() % 4)].ingest([offer])
        }
      }
      for _ in 0..<3 {
        for store in stores { for offer in scenario.offers.shuffled(using: &random) { _ = try store.ingest([offer]) } }
      }
      for a in 0..<4 { for b in 0..<4 where a != b { try pull(stores[a], from: stores[b], scenario.person.id) } }
      let log = scenario.person.devices[0].publicKey
      let digests = try Set(stores.map { try $0.digest(of: [scenario.person.id]).logs })
      #expect(digests.count == 1, "kind \(kind), seed \(seed)")
      for store in stores {
        let held = try store.held(log)
        #expect(held.count == scenario.expected.count, "kind \(kind), seed \(seed)")
        #expect(try store.isComplete([scenario.person.id]), "kind \(kind), seed \(seed)")
        #expect(try store.verify(full: true).isEmpty)
      }
    }
  }

  @Test("a damaged chunk is not served, is named, and comes back from a replica; own lost events block appending")
  func repair() throws {
    let person = TestPerson(seed: 8)
    let disk = MemoryDisk()
    func drafts(_ count: Int) -> [Draft] {
      (0..<count).map { Draft(.post(.init(text: "p\($0)")), ttl: 0, salt: [UInt8](repeating: 1, count: 8)) }
    }
    var store = try EventStore.inMemory(disk, readModels: [TestModel()])
    try store.merge(person.record)
    _ = try store.append(drafts(520), by: person.author())
    let log = person.devices[0].publicKey
    let replica = try EventStore.inMemory()
    try pull(replica, from: store, person.id)
    while try !replica.isComplete([person.id]) { try pull(replica, from: store, person.id) }
    let held = try store.held(log)
    let digest = try store.readModelDigest()
    for damage in [
      "UPDATE chunk SET block = zeroblob(length(block)) WHERE first = 257",
      "UPDATE tail SET payload = x'0102' WHERE seq = 516",
      "UPDATE chunk SET lid = lid + 1 WHERE first = 1",
      "DELETE FROM tail WHERE seq = 520",
      "UPDATE log SET head_hash = zeroblob(32)",
    ] {
      try store.database.execute(damage)
      store.close()
      store = try EventStore.inMemory(disk, readModels: [TestModel()])
      let run = try store.read(
        StretchRequest(log: log, range: .first...SequenceNumber(520)), budget: .max)
      let blank = try EventStore.inMemory()
      try blank.merge(person.record)
      for envelope in run.stretches {
        let outcome = try blank.ingest([ReceivedStretch(person: person.id, log: log, envelope: envelope)])[0]
        if case .stored = outcome { continue }
        Issue.record("\(damage): served \(outcome)")
      }
      #expect(try !store.verify(full: true).isEmpty, "\(damage)")
      #expect(try !store.discardDamage().isEmpty)
      #expect(try store.verify(full: true).isEmpty, "\(damage)")
      if try store.log(log)?.head?.sequence != SequenceNumber(520) {
        #expect(throws: StoreError.self) { try store.append(drafts(1), by: person.author()) }
      }
      for _ in 0..<20 where try !store.isComplete([person.id]) { try pull(store, from: replica, person.id) }
      #expect(try store.isComplete([person.id]), "\(damage)")
      #expect(try store.held(log) == held, "\(damage)")
      #expect(try store.readModelDigest() == digest, "\(damage)")
      #expect(try store.verify(full: true).isEmpty, "\(damage)")
    }
    #expect(try store.append(drafts(1), by: person.author())[0].header.sequence == SequenceNumber(521))
  }

  /// A flag that two threads share.
  private final class Flag: @unchecked Sendable {
    private let value = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
    private var mutex = pthread_mutex_t()
    init() {
      value.initialize(to: 0)
      pthread_mutex_init(&mutex, nil)
    }
    deinit { value.deallocate() }
    func set() {
      pthread_mutex_lock(&mutex)
      value.pointee = 1
      pthread_mutex_unlock(&mutex)
    }
    var isSet: Bool {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      return value.pointee != 0
    }
  }

  @Test("readers beside a writer see whole, growing logs and never fail")
  func readers() async throws {
    let directory = TemporaryDirectory()
    let person = TestPerson(seed: 9)
    let path = directory.file("store")
    let store = try EventStore(writing: path, authority: .alone)
    try store.merge(person.record)
    let log = person.devices[0].publicKey
    let id = person.id
    let done = Flag()
    let readers = (0..<2).map { _ in
      Task.detached { () throws -> Int in
        var last = 0
        var rounds = 0
        let reader = try EventStore(reading: path)
        while !done.isSet || rounds == 0 {
          let (count, head) = try reader.snapshot {
            (try reader.held(log).count, try reader.log(log)?.head?.sequence.rawValue ?? 0)
          }
          #expect(count == Int(head) && count >= last)
          last = count
          if head > 0, let identity = try reader.identity(of: log) {
            #expect(try reader.view(row: identity.lid, log: log, SequenceNumber(head)) != nil)
          }
          rounds += 1
        }
        reader.close()
        return rounds
      }
    }
    for round in 0..<60 {
      let drafts = (0..<(round % 12 + 1)).map {
        Draft(.post(.init(text: "\(round) \($0)")), ttl: 0, salt: [UInt8](repeating: 1, count: 8))
      }
      _ = try store.append(drafts, by: Author(key: person.devices[0], device: DeviceNumber(rawValue: 0)!, person: id))
    }
    done.set()
    for reader in readers { #expect(try await reader.value > 0) }
    store.close()
  }
}
