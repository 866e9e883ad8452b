import DHT
import Identity
import Primitives
import Store

// Values of people in the DHT: parts before the head that names them, so that whoever finds the head finds them too.
extension ProfileService {
  typealias Runtime = NodeRuntime<ProfileStore>

  func store(_ put: LocalDHTPut, _ runtime: Runtime) async throws -> LocalDHTStored {
    guard put.value.count <= StoredValue.byteCountMaximum else {
      throw NodeError(.refused, "a value of \(put.value.count) bytes; \(StoredValue.byteCountMaximum) is the most")
    }
    let now = options.environment.now()
    let lifetime = put.lifetime ?? LocalDHTPut.lifetimeDefault
    var expires: Timestamp? = now.advanced(milliseconds: Int64(lifetime) * 1000)
    var value = StoredValue(put.value, expires: expires)
    if case .immutable = put.name, put.lifetime == nil, let plain = StoredValue(plain: put.value) {
      // The form that everybody has, whose hash others know.
      value = plain
      expires = nil
    }
    let keeping = DHTKeeping(isKept: options.isNode, lifetime: .seconds(Int64(lifetime)), copies: put.copies)
    var fresh: [DHTNode.PublicationKey] = []
    if keeping.isKept {
      for part in value.parts where await !runtime.keeps(.item(part.target)) { fresh.append(.item(part.target)) }
    }
    let parts: [(nodes: Int, isHeldHere: Bool)]
    do { parts = try await store(value.parts, keeping, runtime) } catch {
      for part in fresh { await runtime.withdraw(part) }
      throw error
    }
    let head: DHTNode.Report
    let target: NodeID
    switch put.name {
    case .immutable:
      let item = ImmutableItem(value: value.head)
      target = item.target
      head = await runtime.ask(.putImmutable(item, keeps: keeping.isKept, copies: keeping.copies))
    case .own(let name, _):
      try Self.check(name)
      let key = try keys.device(at: now).key
      (head, target) = await store(value.head, StoredName.own(name), key, now, keeping, runtime)
    case .open(let name):
      try Self.check(name)
      (head, target) = await store(value.head, StoredName.open(name), StoredName.openKey, now, keeping, runtime)
    case .voidphone(let key):
      (head, target) = await store(value.head, StoredName.voidphone(key), StoredName.openKey, now, keeping, runtime)
    }
    let isStored = if case .stored = head.outcome { true } else { false }
    if keeping.isKept, isStored {
      let isShared = if case .immutable = put.name { true } else { false }
      await runtime.keep(.item(target), for: keeping.lifetime, isShared: isShared)
    } else if keeping.isKept {
      // Parts without a head are nothing to anybody.
      for part in fresh { await runtime.withdraw(part) }
      if await !runtime.keeps(.item(target)) { await runtime.withdraw(.item(target)) }
    }
    var stored = LocalDHTStored(
      target: target, nodes: parts.map(\.nodes).min() ?? .max, parts: 1 + value.parts.count,
      isHeldHere: parts.allSatisfy(\.isHeldHere), isKept: keeping.isKept && isStored, expires: expires,
      isOutdone: false)
    switch head.outcome {
    case .stored(let storage):
      stored.nodes = min(stored.nodes, storage.nodes.count)
      stored.isHeldHere = stored.isHeldHere && storage.isHeldHere
    case .superseded, .conflict:
      stored.nodes = 0
      stored.isHeldHere = false
      stored.isOutdone = true
    case .busy: throw NodeError(.refused, "the node is busy with other values")
    case .unreachable, .answered, .nodes, .peers, .immutable, .mutable, .notFound:
      stored.nodes = 0
      stored.isHeldHere = false
    }
    return stored
  }

  /// How long and how often a value is stored.
  private struct DHTKeeping: Sendable {
    var isKept: Bool
    var lifetime: Duration
    var copies: Int?
  }

  private func store(
    _ head: [UInt8], _ salt: [UInt8], _ key: SigningKey, _ now: Timestamp, _ keeping: DHTKeeping, _ runtime: Runtime
  ) async -> (DHTNode.Report, NodeID) {
    // Time as the number: whoever put another value before is outdone, on whatever device it was.
    let item = MutableItem(signing: head, salt: salt, sequence: max(1, now.milliseconds * 1000), with: key)
    let report = await runtime.ask(
      .putMutable(item, signer: key, compareAndSwap: nil, keeps: keeping.isKept, copies: keeping.copies))
    return (report, item.target)
  }

  private func store(
    _ parts: [ImmutableItem], _ keeping: DHTKeeping, _ runtime: Runtime
  ) async throws -> [(nodes: Int, isHeldHere: Bool)] {
    try await eachOf(parts) { index, part in
      for attempt in 1...Self.attemptsMaximum {
        if attempt > 1 { try await Task.sleep(for: Self.retryPause) }
        let report = await runtime.ask(.putImmutable(part, keeps: keeping.isKept, copies: keeping.copies))
        if case .stored(let storage) = report.outcome, !storage.nodes.isEmpty || storage.isHeldHere {
          if keeping.isKept { await runtime.keep(.item(part.target), for: keeping.lifetime, isShared: true) }
          // Others were asked, and could not answer: they have a budget for that.
          if storage.nodes.isEmpty, attempt < Self.attemptsMaximum, report.queries > 0 { continue }
          return (storage.nodes.count, storage.isHeldHere)
        }
      }
      throw NodeError(.unreachable, "nobody took part \(index + 1) of \(parts.count)")
    }
  }

  /// Fetches a value with all of its parts; nil for none, and for one that has expired.
  func fetch(_ name: LocalDHTName, _ runtime: Runtime) async throws -> LocalDHTValue? {
    var found: LocalDHTValue?
    switch name {
    case .immutable(let target):
      guard let target else { throw NodeError(.refused, "no name to look for") }
      let report = await runtime.ask(.getImmutable(target))
      if case .immutable(let item) = try answer(report) {
        found = LocalDHTValue(value: item.value, expires: nil, key: nil, sequence: nil, copies: 1)
      }
    case .own(let name, let devices):
      try Self.check(name)
      let keys = devices.isEmpty ? [try keys.devicePart().key] : devices
      found = try await newest(keys, StoredName.own(name), runtime)
    case .open(let name):
      try Self.check(name)
      found = try await newest([StoredName.openKey.publicKey], StoredName.open(name), runtime)
    case .voidphone(let key):
      found = try await newest([StoredName.openKey.publicKey], StoredName.voidphone(key), runtime)
    }
    guard var found else { return nil }
    let manifest: StoredManifest
    switch try Self.reading({ () throws(ByteError) in try StoredContent(found.value) }) {
    case .plain(let value):
      found.value = value
      return found
    case .value(let value, let expires):
      found.value = value
      found.expires = expires
      return isOver(expires) ? nil : found
    case .manifest(let listed, let expires):
      if isOver(expires) { return nil }
      found.expires = expires
      manifest = listed
    }
    var names = manifest.names
    if manifest.hasLists {
      let lists = try await items(names, runtime)
      names = try Self.reading { () throws(ByteError) in try manifest.parts(inLists: lists) }
    }
    let parts = try await items(names, runtime)
    found.value = try Self.reading { () throws(ByteError) in try manifest.value(of: parts) }
    return found
  }

  private func isOver(_ expires: Timestamp?) -> Bool { expires.map { $0 <= options.environment.now() } ?? false }

  private func newest(_ keys: [PublicKey], _ salt: [UInt8], _ runtime: Runtime) async throws -> LocalDHTValue? {
    let reports = try await eachOf(keys) { _, key in
      await runtime.ask(.getMutable(key, salt: salt, known: nil))
    }
    // If any device's could be looked for, those that nobody answered for are not there.
    guard let reached = reports.first(where: { $0.outcome != .unreachable && $0.outcome != .busy }) ?? reports.first
    else { return nil }
    _ = try answer(reached)
    return reports.compactMap { report -> LocalDHTValue? in
      guard case .mutable(let item, let copies) = report.outcome else { return nil }
      return LocalDHTValue(
        value: item.value, expires: nil, key: item.key, sequence: UInt64(max(0, item.sequence)), copies: copies)
    }.max { ($0.sequence ?? 0) < ($1.sequence ?? 0) }
  }

  private func items(_ names: [NodeID], _ runtime: Runtime) async throws -> [ImmutableItem] {
    try await eachOf(names) { index, name in
      for attempt in 1...Self.attemptsMaximum {
        if attempt > 1 { try await Task.sleep(for: Self.retryPause) }
        if case .immutable(let item) = await runtime.ask(.getImmutable(name)).outcome { return item }
      }
      throw NodeError(.unreachable, "part \(index + 1) of \(names.count) of the value is not to be found")
    }
  }

  private func answer(_ report: DHTNode.Report) throws -> DHTNode.Outcome {
    switch report.outcome {
    case .unreachable: throw NodeError(.unreachable, "nobody in the network answers")
    case .busy: throw NodeError(.refused, "the node is busy with other searches")
    case .answered, .nodes, .peers, .immutable, .mutable, .notFound, .stored, .superseded, .conflict:
      return report.outcome
    }
  }

  private static func reading<Value>(_ body: () throws(ByteError) -> Value) throws -> Value {
    do { return try body() } catch { throw NodeError(.refused, "what is stored there does not read: \(error)") }
  }

  private static func check(_ name: [UInt8]) throws {
    guard !name.isEmpty, name.count <= LocalLimits.keyBytes else {
      throw NodeError(.refused, "a key has 1 to \(LocalLimits.keyBytes) bytes")
    }
    guard !name.starts(with: Array("tl/".utf8)) else {
      throw NodeError(.refused, "keys that begin with tl/ are reserved")
    }
  }

  /// Does something for each element, for some at a time; the results are in the elements' order.
  private nonisolated func eachOf<Element: Sendable, Value: Sendable>(
    _ elements: [Element], _ body: @escaping @Sendable (Int, Element) async throws -> Value
  ) async throws -> [Value] {
    try await withThrowingTaskGroup(of: (Int, Value).self) { group in
      var results: [Value?] = elements.map { _ in nil }
      for (index, element) in elements.enumerated() {
        if index >= Self.atOnceMaximum, let (done, value) = try await group.next() { results[done] = value }
        group.addTask { (index, try await body(index, element)) }
      }
      for try await (done, value) in group { results[done] = value }
      return results.compactMap { $0 }
    }
  }

  /// Searches at a time: more only fill the queues of those who answer.
  private static let atOnceMaximum = 4
  private static let attemptsMaximum = 3
  private static let retryPause = Duration.seconds(1)
}
