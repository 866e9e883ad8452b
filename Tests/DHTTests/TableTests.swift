import DHT
import Primitives
import Testing

@Suite struct TableTests {
  static let start = Instant(nanoseconds: 0)
  static let own = NodeID([UInt8](repeating: 0, count: 20))!

  static func table(spread: Bool = false, first: [Int] = []) -> RoutingTable {
    var options = RoutingTable.Options()
    options.firstBucketSizes = first
    options.isSpread = spread
    return RoutingTable(own: own, options: options, at: start)
  }

  /// A contact of bucket `bits`, at an address of its own.
  static func contact(_ bits: Int, _ number: Int) -> Contact {
    var random = SeededRandom(seed: UInt64(number))
    let address = IPAddress(20, UInt8(number / 250), UInt8(number % 250), 1)
    return Contact(own.neighbour(sharing: bits, random: &random), at: Endpoint(address, port: 6881))
  }

  static func id(_ bits: Int, _ number: Int) -> NodeID { contact(bits, number).id }

  @Test("a bucket takes eight; only the last one is split")
  func split() {
    var table = Self.table()
    for number in 0..<8 { #expect(table.answered(Self.contact(0, number), at: Self.start) == .added) }
    #expect(table.bucketCount == 1)
    // The ninth far one waits; the first near one splits the bucket and has room.
    #expect(table.answered(Self.contact(1, 10), at: Self.start) == .added)
    #expect(table.bucketCount == 2)
    #expect(table.answered(Self.contact(0, 9), at: Self.start) == .spared)
    #expect(table.count == 9)
    #expect(table.answered(Contact(Self.own, at: Self.contact(0, 40).endpoint), at: Self.start) == .refused)
  }

  @Test("the first buckets may be wider, and lose nobody who fits when they are split")
  func wideBuckets() {
    var table = Self.table(first: [128, 64, 32, 16])
    for number in 0..<150 { _ = table.answered(Self.contact(number % 2, number), at: Self.start) }
    #expect(table.bucketCount == 3)
    #expect(table.entries.count { table.bucket(of: $0.contact.id) == 0 } == 75)
    #expect(table.entries.count { table.bucket(of: $0.contact.id) == 1 } == 64)
    #expect(table.count == table.entries.count)
  }

  @Test("who is near is never left waiting behind those who are farther, however narrow the next bucket is")
  func nearOnes() {
    var table = Self.table(first: [16, 4])
    // Sixteen near ones fill the only bucket, one for each depth from 2 on.
    for number in 0..<16 { _ = table.answered(Self.contact(number + 2, number), at: Self.start) }
    #expect(table.count == 16)
    for number in 16..<20 { _ = table.answered(Self.contact(0, number), at: Self.start) }
    _ = table.answered(Self.contact(20, 30), at: Self.start)
    #expect(table.count == 21 && table.entries.count == 21)
  }

  @Test("one that fails gives way to one that waits; without one it stays for twenty misses, told to nobody")
  func failures() {
    var table = Self.table()
    for number in 0..<9 { _ = table.answered(Self.contact(0, number), at: Self.start) }
    _ = table.answered(Self.contact(1, 20), at: Self.start)
    #expect(table.answered(Self.contact(0, 10), at: Self.start) == .spared)
    table.failed(Self.contact(0, 3).endpoint)
    #expect(!table.contains(Self.contact(0, 3).endpoint))
    #expect(table.closest(to: Self.id(0, 10), count: 1).first == Self.contact(0, 10))
    let lone = Self.contact(1, 20)
    for miss in 1..<RoutingTable.failuresMaximum {
      table.failed(lone.endpoint)
      #expect(table.contains(lone.endpoint), "miss \(miss)")
      #expect(!table.closest(to: lone.id, count: 100).contains(lone))
      #expect(table.closest(to: lone.id, count: 100, includesFailing: true).first == lone)
    }
    table.failed(lone.endpoint)
    #expect(!table.contains(lone.endpoint))
  }

  @Test("an endpoint that changes its id is out; an id is not taken over from one who answers")
  func identity() {
    var table = Self.table()
    let contact = Self.contact(0, 1)
    _ = table.answered(contact, at: Self.start)
    let moved = Contact(contact.id, at: Self.contact(0, 2).endpoint)
    #expect(table.answered(moved, at: Self.start) == .refused)
    #expect(table.answered(Contact(Self.id(3, 5), at: contact.endpoint), at: Self.start) == .changedID(bucket: 0))
    #expect(table.count == 0)
    _ = table.answered(contact, at: Self.start)
    table.failed(contact.endpoint)
    #expect(table.answered(moved, at: Self.start) == .added)
    #expect(table.closest(to: contact.id, count: 8) == [moved])
  }

  @Test("a spread table takes one of an address, and one of a site and bucket")
  func spread() {
    var table = Self.table(spread: true)
    let address = IPAddress(20, 1, 2, 3)
    #expect(table.answered(Contact(Self.id(0, 1), at: Endpoint(address, port: 1)), at: Self.start) == .added)
    #expect(table.answered(Contact(Self.id(5, 2), at: Endpoint(address, port: 2)), at: Self.start) == .refused)
    let neighbour = Endpoint(IPAddress(20, 1, 2, 4), port: 1)
    #expect(table.answered(Contact(Self.id(0, 3), at: neighbour), at: Self.start) == .refused)
    for number in 10..<20 { _ = table.answered(Self.contact(1, number), at: Self.start) }
    #expect(table.answered(Contact(Self.id(5, 3), at: neighbour), at: Self.start) == .added)
  }

  @Test("the nearest are found as by sorting all of them")
  func closest() {
    var random = SeededRandom(seed: 5)
    for size in [3, 30, 300] {
      var table = Self.table(first: [16, 8])
      for number in 0..<size {
        _ = table.answered(Self.contact(min(number % 12, 159), number), at: Self.start)
      }
      for _ in 0..<50 {
        let target = NodeID(random: &random)
        let all = table.entries.map(\.contact).sorted { $0.id.distance(to: target) < $1.id.distance(to: target) }
        #expect(table.closest(to: target, count: 8) == Array(all.prefix(8)))
      }
    }
  }

  @Test("of what idles, the bucket without news longest")
  func idle() {
    var table = Self.table()
    for number in 0..<8 { _ = table.answered(Self.contact(0, number), at: Self.start) }
    _ = table.answered(Self.contact(1, 10), at: Self.start + .seconds(60))
    #expect(table.idleBucket(before: Self.start) == nil)
    #expect(table.idleBucket(before: Self.start + .seconds(1)) == 0)
    table.touch(0, at: Self.start + .seconds(90))
    #expect(table.idleBucket(before: Self.start + .seconds(80)) == 1)
  }
}
