import Identity
import Primitives
import Testing

@Suite struct PersonMergeTests {
  /// Records of one person as its devices, thieves and newer versions could have left them about.
  private static func fragments() throws -> [PersonRecord] {
    let base = try People.record(devices: [3, 4, 5])
    var fragments = [base, PersonRecord(creating: People.key(1), recovery: People.key(2).publicKey)]
    for sequence: UInt64 in [3, 200, 3000] {
      for seed: UInt8 in [3, 4, 6] {
        var copy = base
        try copy.revoke(
          device: People.key(seed).publicKey, lastGood: .init(sequence), hash: People.hash(UInt8(sequence % 251)),
          with: People.key(1))
        fragments.append(copy)
      }
    }
    for label in ["a laptop", "z", "phone"] {
      var copy = try People.record(devices: [])
      let device = People.key(7)
      try copy.certify(
        device: device.publicKey, number: 77, label: label, consent: device.consent(to: copy.id), with: People.key(1))
      fragments.append(copy)
    }
    for (index, seed) in [UInt8](20...25).enumerated() {
      var copy = fragments[index * 2]
      try copy.rotate(to: People.key(seed), with: People.key(2))
      fragments.append(copy)
      if index % 2 == 0 {
        try copy.revoke(
          device: People.key(4).publicKey, lastGood: .init(1), hash: People.hash(seed), with: People.key(seed))
        // Back to a root that an earlier number named too.
        try copy.rotate(to: People.key(index == 0 ? 1 : 20), with: People.key(2))
        fragments.append(copy)
      }
    }
    for extra: UInt64 in [1, 2, 30, 400] {
      let statement = People.unknown(
        "witness", subject: UInt8(extra % 3), extra: extra, root: People.key(1), number: 1, person: base.id)
      fragments.append(
        try PersonRecord(
          decoding: People.encode(root: base.firstRoot, recovery: base.recovery, [statement])))
    }
    return fragments
  }

  @Test("merging is commutative, associative and idempotent: 1,000 random orders and groupings give one record")
  func semilattice() throws {
    let fragments = try Self.fragments()
    var expected = fragments[0]
    for fragment in fragments { expected.merge(fragment) }
    #expect(try PersonRecord(decoding: expected.encoded) == expected)
    for seed in 0..<1000 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      // Merge random pairs until one is left; now and then keep a copy, so that things arrive twice.
      var pool = fragments.shuffled(using: &random)
      while pool.count > 1 {
        let other = pool.remove(at: Int.random(in: 0..<pool.count, using: &random))
        let index = Int.random(in: 0..<pool.count, using: &random)
        let before = pool[index]
        let changed = pool[index].merge(other)
        #expect(changed == (before != pool[index]))
        if pool.count < 12, random.next() % 8 == 0 { pool.append(fragments.randomElement(using: &random)!) }
      }
      #expect(pool[0] == expected && pool[0].encoded == expected.encoded, "seed \(seed)")
      #expect(pool[0].currentRoot == expected.currentRoot && pool[0].devices == expected.devices, "seed \(seed)")
      if pool[0] != expected { break }
    }
  }

  @Test("an over-full record keeps the same statements in every order, and the root in force is never crowded out")
  func overfull() throws {
    let base = try People.record(devices: [3])
    // Stand-ins for what a thief of root 1 could write; `verified` spares the tests thousands of signatures.
    func flood(_ range: Range<Int>) throws -> PersonRecord {
      var statements: [[UInt8]] = []
      for index in range {
        var body = CBORWriter()
        body.map(3)
        body.unsigned(0)
        body.unsigned(1)
        body.unsigned(1)
        body.byteString(base.firstRoot)
        body.unsigned(2)
        var subject = ByteWriter()
        subject.integer(UInt64(index))
        body.byteString(subject.bytes + [UInt8](repeating: 0, count: 24))
        var statement = CBORWriter()
        statement.array(3)
        statement.text("a")
        statement.byteString(body.bytes)
        statement.byteString([UInt8](repeating: UInt8(index % 7), count: 64))
        statements.append(statement.bytes)
      }
      return try PersonRecord(
        verified: People.encode(root: base.firstRoot, recovery: base.recovery, People.sorted(statements)))
    }
    var rotated = base
    try rotated.rotate(to: People.key(11), with: People.key(2))
    let parts = [
      base, rotated, try flood(0..<2500), try flood(2000..<4500), try flood(4000..<8096), try flood(1000..<1100),
    ]
    var expected: PersonRecord?
    var random = SeededRandom(seed: 1)
    for _ in 0..<3 {
      var pool = parts.shuffled(using: &random)
      while pool.count > 1 {
        let other = pool.remove(at: Int.random(in: 0..<pool.count, using: &random))
        pool[Int.random(in: 0..<pool.count, using: &random)].merge(other)
      }
      #expect(pool[0].statements.count == PersonRecord.statementMaximum)
      #expect(pool[0] == expected ?? pool[0])
      expected = pool[0]
    }
    var full = try #require(expected)
    #expect(full.rootNumber == 2 && full.devices == rotated.devices)
    #expect(full.encoded.count <= PersonRecord.byteMaximum)
    let device = People.key(9)
    try full.certify(
      device: device.publicKey, number: 5, label: "new", consent: device.consent(to: full.id), with: People.key(11))
    #expect(full.isActive(device.publicKey) && full.statements.count == PersonRecord.statementMaximum)
    #expect(throws: IdentityError.self) { try PersonRecord(decoding: full.encoded) }
  }
}
