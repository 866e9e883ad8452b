import Events
public import Identity
public import Node
public import Primitives
public import Replication

/// A store of sets in memory that answers a session's questions by the book: the naive twin of the real one. An event is
/// its number; a RUN body is a list of (want, from, to, count, numbers of so many events without payload).
public final class ModelStore: StoreAnswering {
  public let node: PublicKey
  public var instance: UInt64
  public var follows: Set<PersonID>
  public var names: [PersonID: String] = [:]
  var records: [PersonID: [UInt8]] = [:]
  public var logs: [LogID: Log] = [:]
  var changes: [UInt64: (PersonID?, LogID?)] = [:]
  var number: UInt64 = 0
  var cookie: UInt64
  private var random: SeededRandom
  var cursors: [PublicKey: Cursor] = [:]
  var interests: [PublicKey: [PersonID]] = [:]
  public private(set) var reads = 0
  /// Stretches of at most this many events in one body.
  public var bodyEvents = 100

  public struct Log {
    public var person: PersonID
    public var held: Set<UInt64> = []
    /// Held events whose payload is missing and wanted.
    public var lacking: Set<UInt64> = []
    var want: UInt64 = 0
    var change: UInt64 = 0
  }

  public init(seed: UInt64, follows: [PersonID] = []) {
    var random = SeededRandom(seed: seed)
    node = PublicKey(random.bytes(32))!
    instance = random.next()
    cookie = random.next()
    self.random = random
    self.follows = Set(follows)
  }

  /// One log a person; its key is the person's id in another role.
  public func author(_ person: PersonID, events: Range<UInt64>) {
    hold(record: person)
    var log = logs[person.cast()] ?? Log(person: person)
    log.held.formUnion(events)
    logs[person.cast()] = log
    touch(log: person.cast())
  }

  /// Loses payloads, in a way that this store does not judge itself.
  public func lose(_ person: PersonID, _ events: Range<UInt64>) {
    logs[person.cast()]!.lacking.formUnion(logs[person.cast()]!.held.intersection(events))
    touch(log: person.cast())
  }

  func hold(record person: PersonID) {
    guard records[person] == nil else { return }
    records[person] = Array("record of \(person)".utf8)
    number += 1
    changes[number] = (person, nil)
  }

  private func touch(log: LogID) {
    changes[logs[log]!.change] = nil
    number += 1
    logs[log]!.change = number
    changes[number] = (nil, log)
  }

  /// Everything held, for comparison.
  public var digest: [LogID: Set<UInt64>] { logs.mapValues(\.held) }

  public func answer(_ request: StoreRequest) -> StoreReply {
    switch request {
    case .open(let peer):
      return .opened(
        SelfView(
          instance: instance, mark: mark, interests: follows.sorted(), statement: nil,
          hasOpenWants: logs.values.contains { !gap($0).isEmpty || !$0.lacking.isEmpty }),
        PeerMemory(cursor: cursors[peer], interests: interests[peer].map { Exchange.hash(of: $0) }))
    case .rememberInterests(let peer, let persons):
      interests[peer] = persons
      return .done
    case .rememberStatement: return .merged(valid: true)
    case .digest(let peer, let start, let maximum):
      let since: UInt64
      let sinceCursor: Bool
      switch start {
      case .cursor(let mark):
        sinceCursor = mark.cookie == cookie && mark.number <= number
        since = sinceCursor ? mark.number : 0
      case .beginning: (since, sinceCursor) = (0, false)
      case .page(let number): (since, sinceCursor) = (number, false)
      }
      let wanted = Set(interests[peer] ?? [])
      return .digest(page(of: wanted, since: since, maximum), sinceCursor: sinceCursor)
    case .find(let name, let maximum):
      return .found(
        names.filter { Name.folded($0.value) == Name.folded(name) }.sorted { $0.key < $1.key }.prefix(maximum)
          .map { FoundPerson(person: $0.key, name: $0.value) })
    case .news(let peer, let since, let maximum):
      return .news(
        page(of: Set(interests[peer] ?? []), since: since, maximum), interests: Exchange.hash(of: follows.sorted()))
    case .comparePersons(let digests):
      return .persons(wanted: digests.filter { records[$0.person].map(Exchange.hash(of:)) != $0.record }.map(\.person))
    case .records(let persons): return .records(persons.map { ($0, records[$0] ?? []) })
    case .mergeRecord(let person, let bytes):
      guard bytes == Array("record of \(person)".utf8) else { return .merged(valid: false) }
      hold(record: person)
      return .merged(valid: true)
    case .compareLogs(let peer, let digests, let advance):
      for digest in digests {
        guard let person = records.keys.first(where: { $0.prefix64 == digest.log.prefix }) else { continue }
        var log = logs[person.cast()] ?? Log(person: person)
        log.want = max(log.want, digest.sequence.rawValue)
        logs[person.cast()] = log
      }
      if let advance { cursors[peer] = advance }
      return .compared(evidenceWanted: [])
    case .openWants(_, _, let excluded, let payloads, let answered, let maximum):
      var items: [WantItem] = []
      for (id, log) in logs.sorted(by: { $0.key < $1.key }) where !excluded.contains(id) && follows.contains(log.person)
      {
        let missing = gap(log)
        guard let top = missing.max() else { continue }
        var low = top
        while missing.contains(low - 1) { low -= 1 }
        items.append(
          WantItem(log: id, from: SequenceNumber(low), to: SequenceNumber(top), chained: log.held.contains(low - 1)))
      }
      if !items.isEmpty { return .wants(Array(items.prefix(maximum)), lacksPayloads: false) }
      var lacks = false
      for (id, log) in logs.sorted(by: { $0.key < $1.key }) where follows.contains(log.person) {
        for event in log.lacking.sorted(by: >) {
          let sequence = SequenceNumber(event)
          if answered.overlaps(sequence...sequence, of: id) {
            lacks = true
          } else if payloads, let last = items.last, last.log == id, last.from == sequence + 1 {
            items[items.count - 1].from = sequence
          } else if payloads {
            items.append(WantItem(log: id, from: sequence, to: sequence, chained: false, isHeld: true))
          }
        }
      }
      if items.count > maximum {
        lacks = true
        items = items.shuffled(using: &random).prefix(maximum).sorted { ($0.log, $0.from) > ($1.log, $1.from) }
      }
      return .wants(items, lacksPayloads: lacks)
    case .forgetWants(let heads):
      for head in heads {
        guard let id = head.log.whole, var log = logs[id], log.want == head.sequence.rawValue,
          !log.held.contains(log.want)
        else { continue }
        log.want = log.held.max() ?? 0
        logs[id] = log
        cursors = [:]
      }
      return .done
    case .read(let wants, _): return .read(read(wants))
    case .ingest(let bodies, let wants):
      var result = IngestResult(events: 0, bad: false)
      for body in bodies {
        var reader = ByteReader(body)
        while !reader.isAtEnd {
          guard let number = try? reader.varint(), let from = try? reader.varint(), let to = try? reader.varint(),
            from <= to,
            to < 1_000_000, let want = wants[UInt32(truncatingIfNeeded: number)], let count = try? reader.varint(),
            let lacking = try? (0..<min(count, 1_000_000)).map({ _ in try reader.varint() })
          else {
            result.bad = true
            return .ingested(result)
          }
          result.brought.insert(SequenceNumber(from)...SequenceNumber(to), of: want.log)
          var log = logs[want.log]!
          let new = Set(from...to).subtracting(log.held)
          let filled = log.lacking.intersection(from...to).subtracting(lacking)
          log.held.formUnion(new)
          log.lacking.formUnion(new.intersection(lacking))
          log.lacking.subtract(filled)
          guard !new.isEmpty || !filled.isEmpty else { continue }
          result.events += new.count + filled.count
          logs[want.log] = log
          touch(log: want.log)
        }
      }
      return .ingested(result)
    case .evidence(let names): return .evidence(names.map { ($0.whole ?? LogID(), []) })
    case .mergeEvidence: return .merged(valid: true)
    }
  }

  private func page(of wanted: Set<PersonID>, since: UInt64, _ maximum: Int) -> DigestPage {
    let rows = changes.filter { number, row in
      number > since && wanted.contains(row.0 ?? logs[row.1!]!.person)
    }.sorted { $0.key < $1.key }
    let page = rows.prefix(maximum)
    return DigestPage(
      persons: page.compactMap { row in row.value.0.map { ($0.prefix64, Exchange.hash(of: records[$0]!)) } },
      logs: page.compactMap { row in
        row.value.1.map {
          LogDigest(log: LogName($0), state: .open, sequence: SequenceNumber(logs[$0]!.held.max() ?? 0), hash: 7)
        }
      }, next: page.count < rows.count ? page.last!.key : nil, mark: mark)
  }

  private var mark: ChangeMark { ChangeMark(number: number, cookie: cookie) }

  private func gap(_ log: Log) -> Set<UInt64> {
    log.want == 0 ? [] : Set(1...log.want).subtracting(log.held)
  }

  private func read(_ wants: [NumberedWant]) -> ReadResult {
    reads += 1
    var body = ByteWriter()
    var left = UInt64(bodyEvents)
    var result = ReadResult(body: nil, ended: [:], rest: [])
    for (index, want) in wants.enumerated() {
      guard left > 0 else {
        result.rest += wants[index...]
        break
      }
      let log = logs.first { $0.key.prefix64 == want.item.log.prefix }
      let range = want.item.from.rawValue...want.item.to.rawValue
      let held =
        log.map { (_, log) in
          range.count < log.held.count ? Set(range.filter(log.held.contains)) : log.held.filter(range.contains)
        } ?? []
      guard let top = held.max() else {
        result.ended[want.number] = .notHad
        continue
      }
      var low = top
      while held.contains(low - 1), top - low + 1 < left { low -= 1 }
      left -= top - low + 1
      body.varint(UInt64(want.number))
      body.varint(low)
      body.varint(top)
      let lacking = (low...top).filter(log!.value.lacking.contains)
      body.varint(UInt64(lacking.count))
      for event in lacking { body.varint(event) }
      if held.count == Int(top - low + 1) {
        result.ended[want.number] = top - low == UInt64(want.item.to - want.item.from) ? .complete : .notHad
      } else {
        var rest = want
        rest.item.to = SequenceNumber(low - 1)
        result.rest.append(rest)
      }
    }
    if !body.bytes.isEmpty { result.body = body.bytes }
    return result
  }
}
