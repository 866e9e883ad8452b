import Events
import Identity
import Primitives
import Store
import Testing

/// A device that consented to two persons.
@Suite struct OwnerTests {
  let device: SigningKey
  /// Two persons who both certify the device; the first has the lower id.
  let records: [PersonRecord]

  init() throws {
    let people = [TestPerson(seed: 1), TestPerson(seed: 2)].sorted { $0.id < $1.id }
    device = people[0].devices[0]
    var records = people.map(\.record)
    try records[1].certify(
      device: device.publicKey, number: 9, label: "twice", consent: device.consent(to: people[1].id),
      with: people[1].root)
    self.records = records
  }

  enum Arrival {
    case record(PersonRecord)
    case stretch(ReceivedStretch)
  }

  /// Takes everything in the order given, and then again until nothing changes, as sessions do.
  private func deliver(_ arrivals: [Arrival]) throws -> FinalState {
    let store = try EventStore.inMemory(readModels: [TestModel()])
    var before: FinalState?
    for _ in 0..<8 {
      for arrival in arrivals {
        switch arrival {
        case .record(let record): try store.merge(record)
        case .stretch(var stretch):
          // Whose it is, is what the store thinks at this moment; before any record nobody asks for it.
          guard let person = try store.identity(of: stretch.log)?.person else { continue }
          stretch.person = person
          if case .badBytes(let why) = try store.ingest([stretch])[0] { Issue.record("refused: \(why)") }
        }
      }
      let state = try FinalState(
        digest: store.digest(of: records.map(\.id)).logs, held: store.held(device.publicKey),
        readModels: store.readModelDigest())
      if state == before { break }
      before = state
    }
    #expect(try store.verify(full: true).isEmpty)
    return before!
  }

  private func permutations<Element>(_ elements: [Element]) -> [[Element]] {
    guard elements.count > 1 else { return [elements] }
    return elements.indices.flatMap { index in
      var rest = elements
      let first = rest.remove(at: index)
      return permutations(rest).map { [first] + $0 }
    }
  }

  @Test(
    "its log is the person's whom its first event names, in whatever order records and pieces come",
    arguments: 0..<2, [false, true])
  func named(owner: Int, short: Bool) throws {
    var log = TestLog(key: device, person: records[owner].id, seed: 3)
    log.grow(12, chunkAbout: 1 << 40)
    let arrivals: [Arrival] =
      records.map { .record($0) } + [
        .stretch(log.stretch(1...4, short: short)), .stretch(log.stretch(5...8, .every)),
        .stretch(log.stretch(9...12)),
      ]
    for order in permutations(arrivals) {
      let state = try deliver(order)
      #expect(state.digest.map(\.person) == [records[owner].id])
      #expect(state.held.count == 12)
    }
  }

  @Test("before its first event, and when it has two of them, its log is that of the lower id")
  func unnamed() throws {
    var log = TestLog(key: device, person: records[1].id, seed: 3)
    log.grow(6, chunkAbout: 1 << 40)
    let upper = Arrival.stretch(log.stretch(4...6))
    for order in permutations(records.map { Arrival.record($0) } + [upper]) {
      let state = try deliver(order)
      #expect(state.digest.map(\.person) == [records[0].id] && state.held.count == 3)
    }
    var other = TestLog(key: device, person: records[0].id, seed: 4)
    other.grow(5, chunkAbout: 1 << 40)
    let arrivals: [Arrival] =
      records.map { .record($0) } + [
        .stretch(log.stretch(1...6, short: true)), .stretch(other.stretch(1...5, short: true)), upper,
      ]
    for order in permutations(arrivals) {
      let state = try deliver(order)
      #expect(state.digest.map(\.person) == [records[0].id] && state.held.isEmpty)
      #expect(state.digest.first?.state == .cut(.first, previous: records[0].id.cast()))
    }
  }

  @Test("who writes its first event decides, and nobody appends to it for the other person then", arguments: 0..<2)
  func appended(owner: Int) throws {
    let store = try EventStore.inMemory(readModels: [TestModel()])
    for record in records { try store.merge(record) }
    let draft = Draft(.profile(.init(name: "n")), ttl: 0, salt: [UInt8](repeating: 0, count: 8))
    func author(_ person: Int) -> Author {
      Author(key: device, device: DeviceNumber(rawValue: 9)!, person: records[person].id)
    }
    let first = try store.append([draft], by: author(owner))[0]
    #expect(first.header.previous == records[owner].id.cast())
    #expect(try store.identity(of: device.publicKey)?.person == records[owner].id)
    #expect(throws: StoreError.self) { try store.append([draft], by: author(1 - owner)) }
    #expect(try store.append([draft], by: author(owner))[0].header.sequence.rawValue == 2)
    #expect(try store.verify(full: true).isEmpty)
  }
}
