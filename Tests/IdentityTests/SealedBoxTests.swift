import Identity
import Primitives
import Testing

@Suite struct SealedBoxTests {
  static let cheap = SealingCost(unchecked: 8, passes: 1)
  static let passphrase = SecretBytes(Array("correct horse".utf8))

  private func bytes(_ secret: SecretBytes) -> [UInt8] { secret.withUnsafeBytes { Array($0) } }

  private func files() throws -> [KeyFile] {
    let person = try People.record().id
    return [
      .device(People.key(3), number: 1023, person: person), .root(People.key(1), person: person),
      .recovery(People.key(2), person: person), .node(People.key(9)),
    ]
  }

  @Test("key files read back, plain and sealed, and tell their public part without the passphrase")
  func roundTrip() throws {
    for file in try files() {
      let plain = try SealedBox(decoding: bytes(file.encodedPlain()))
      let sealed = try SealedBox(
        decoding: try file.encodedSealed(passphrase: Self.passphrase, cost: Self.cheap), floor: Self.cheap)
      #expect(!plain.isSealed && sealed.isSealed)
      for box in [plain, sealed] {
        let part = try KeyFile.publicPart(of: box)
        #expect(part.key == file.key.publicKey && part.person == file.person && part.number == file.deviceNumber)
        let read = try KeyFile(opening: box, passphrase: Self.passphrase)
        #expect(read.kind == file.kind && read.key.publicKey == file.key.publicKey && read.person == file.person)
        #expect(read.deviceNumber == file.deviceNumber)
      }
      #expect(#expect(throws: IdentityError.self) { try KeyFile(opening: sealed, passphrase: nil) }?.code == .sealed)
    }
  }

  @Test("a sealed file shows no byte of the seed")
  func secrecy() throws {
    let file = KeyFile.node(People.key(9))
    let sealed = try file.encodedSealed(passphrase: Self.passphrase, cost: Self.cheap)
    let seed = [UInt8](repeating: 9, count: 8)
    #expect(!sealed.indices.dropLast(8).contains { Array(sealed[$0..<($0 + 8)]) == seed })
    #expect("\(Self.passphrase)" == "secret of 13 bytes")
  }

  @Test("a wrong passphrase, a changed file and a shortened one fail in the same words")
  func sameWords() throws {
    let file = try files()[0]
    let sealed = try file.encodedSealed(passphrase: Self.passphrase, cost: Self.cheap)
    func failure(_ bytes: [UInt8], _ passphrase: String) -> IdentityError? {
      #expect(throws: IdentityError.self) {
        try KeyFile(
          opening: try SealedBox(decoding: bytes, floor: Self.cheap), passphrase: SecretBytes(Array(passphrase.utf8)))
      }
    }
    let wrong = failure(sealed, "wrong horse")
    #expect(wrong?.code == .passphrase)
    #expect(failure(sealed, "") == wrong)
    var changed = sealed
    changed[changed.count - 1] ^= 1
    #expect(failure(changed, "correct horse") == wrong)
    #expect(failure(sealed.dropLast(), "correct horse") == wrong)
    #expect(failure(sealed.dropLast(40), "correct horse") == wrong)
    // The public part is under the seal, too.
    changed = sealed
    changed[20] ^= 1
    #expect(failure(changed, "correct horse") == wrong)
  }

  @Test("every change of one byte of a key file is refused, plain or sealed")
  func tampering() throws {
    let file = try files()[0]
    for original in [
      bytes(file.encodedPlain()), try file.encodedSealed(passphrase: Self.passphrase, cost: Self.cheap),
    ] {
      for index in original.indices {
        var changed = original
        changed[index] ^= 1 << UInt8(index % 8)
        #expect(throws: IdentityError.self, "byte \(index)") {
          try KeyFile(opening: try SealedBox(decoding: changed, floor: Self.cheap), passphrase: Self.passphrase)
        }
        #expect(throws: IdentityError.self) {
          try KeyFile(
            opening: try SealedBox(decoding: Array(original[..<index]), floor: Self.cheap), passphrase: Self.passphrase)
        }
      }
    }
  }

  @Test("a file that asks for less than the floor or more than 1 GiB is refused before any work")
  func costs() throws {
    let sealed = try KeyFile.node(People.key(9)).encodedSealed(passphrase: Self.passphrase, cost: Self.cheap)
    #expect(#expect(throws: IdentityError.self) { try SealedBox(decoding: sealed) }?.code == .limit)
    let costOffset = 9 + Int(sealed[8])
    for (memory, passes, accepted) in [
      (65_535, 3, false), (65_536, 2, false), (65_536, 3, true), (262_144, 3, true), (1_048_576, 16, true),
      (1_048_577, 3, false), (1_048_576, 17, false), (.max, .max, false),
    ] as [(UInt32, UInt32, Bool)] {
      var writer = ByteWriter()
      writer.integer(memory)
      writer.integer(passes)
      let asking = Array(sealed[..<costOffset]) + writer.bytes + Array(sealed[(costOffset + 8)...])
      let box = try? SealedBox(decoding: asking)
      #expect((box != nil) == accepted, "\(memory) KiB, \(passes) passes")
      #expect((SealingCost(memoryKibibytes: memory, passes: passes) != nil) == accepted)
    }
    #expect(SealingCost.moderate == SealingCost(memoryKibibytes: 262_144, passes: 3))
  }

  @Test("the floor really seals and opens in production")
  func production() throws {
    let file = KeyFile.node(People.key(9))
    let sealed = try file.encodedSealed(passphrase: Self.passphrase, cost: .floor)
    let read = try KeyFile(opening: try SealedBox(decoding: sealed), passphrase: Self.passphrase)
    #expect(read.key.publicKey == file.key.publicKey)
  }

  @Test("versions, kinds and forms of later programs are told apart from damage")
  func unsupported() throws {
    let plain = bytes(KeyFile.node(People.key(9)).encodedPlain())
    for (index, value) in [(4, 2), (5, 99), (6, 7)] as [(Int, UInt8)] {
      var changed = plain
      changed[index] = value
      #expect(#expect(throws: IdentityError.self) { try SealedBox(decoding: changed) }?.code == .unsupported)
    }
    #expect(#expect(throws: IdentityError.self) { try SealedBox(decoding: Array("PK..".utf8)) }?.code == .malformed)
  }

  @Test("a backup holds root, record and name, and opens only with its passphrase")
  func backup() throws {
    var record = try People.record(devices: [3, 4])
    try record.rotate(to: People.key(11), with: People.key(2))
    #expect(throws: IdentityError.self) { try BackupFile(root: People.key(1), record: record, profileName: "alice") }
    let backup = try BackupFile(root: People.key(11), record: record, profileName: "alice")
    let sealed = try backup.encoded(passphrase: Self.passphrase, cost: Self.cheap)
    let box = try SealedBox(decoding: sealed, floor: Self.cheap)
    let read = try BackupFile(opening: box, passphrase: Self.passphrase)
    #expect(read.record == record && read.root.publicKey == record.currentRoot && read.profileName == "alice")
    let wrong = SecretBytes(Array("x".utf8))
    #expect(
      #expect(throws: IdentityError.self) { try BackupFile(opening: box, passphrase: wrong) }?.code == .passphrase)
    #expect(throws: IdentityError.self) { try KeyFile(opening: box, passphrase: Self.passphrase) }
    #expect(!sealed.indices.dropLast(8).contains { sealed[$0...].starts(with: record.id.bytes.prefix(8)) })
  }

  @Test("a login session reads back and ends on time")
  func session() throws {
    let end = Timestamp(milliseconds: 1_763_600_000_000)
    let person = try People.record().id
    let session = LoginSession(device: People.key(3), number: 7, person: person, notAfter: end)
    let encoded = bytes(session.encoded())
    let read = try LoginSession(decoding: encoded)
    #expect(read.device.publicKey == People.key(3).publicKey && read.number == 7 && read.person == person)
    #expect(read.notAfter == end && read.isOver(at: end) && !read.isOver(at: end.advanced(milliseconds: -1)))
    for index in encoded.indices {
      var changed = encoded
      changed[index] ^= 0x10
      #expect(throws: IdentityError.self) { try LoginSession(decoding: changed) }
    }
  }
}
