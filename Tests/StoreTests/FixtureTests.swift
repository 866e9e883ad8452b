import Events
import Glibc
import Identity
import Primitives
import Store
import Testing

/// Stores as earlier versions wrote them stay in Fixtures; every later version opens them (RELIABILITY A11).
///
/// `TL_WRITE_FIXTURES=1 swift test --filter FixtureTests` writes the one of the present format again: only before that
/// format is released, or under a new name when `user_version` rises.
@Suite struct FixtureTests {
  private static let formats = ["format-1"]
  private static let folder = "\(#filePath)".split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/Fixtures"

  @Test("a store of each released format opens, shows the same events and verifies", arguments: formats)
  func opens(format: String) throws {
    if format == Self.formats.last, getenv("TL_WRITE_FIXTURES") != nil { try Self.write(format) }
    let database = try #require(Self.read("\(Self.folder)/\(format).db"))
    let expected = try #require(Self.read("\(Self.folder)/\(format).events"))

    let disk = MemoryDisk()
    disk.replace("store", with: database)
    let store = try EventStore.inMemory(disk, readModels: [TestModel()])
    #expect(try Self.list(SmallStore.listing(store)) == String(decoding: expected, as: UTF8.self))
    #expect(try store.verify(full: true).isEmpty)
    // It goes on where it was.
    let own = SmallStore.author.devices[0].publicKey
    let head = try #require(try store.log(own)?.head)
    let next = try store.append(
      [Draft(.post(.init(text: "later")), ttl: 0, salt: [UInt8](repeating: 0, count: 8))],
      by: SmallStore.author.author())
    #expect(next[0].header.sequence == head.sequence + 1 && next[0].header.previous == head.hash)

    let inspection = Inspection(StoreImage(database: database, writeAheadLog: nil))
    #expect(inspection.isSound && inspection.damage == [])
  }

  /// One line an event: log, sequence, hash, and the hash of the payload or why it is absent.
  private static func list(_ listing: SmallStore.Listing) -> String {
    let lines = listing.events.map { reference, payload in
      let content: String
      switch payload {
      case .present(let bytes): content = Digest(hashing: bytes).hex
      case .absent(let reason): content = "\(reason)"
      }
      let digits = reference.sequence.description
      let padding = String(repeating: "0", count: max(0, 6 - digits.count))
      return "\(reference.log.hex) \(padding)\(digits) \(reference.hash.hex) \(content)\n"
    }
    return lines.sorted().joined()
  }

  private static func write(_ format: String) throws {
    let small = try SmallStore(readModels: [])
    let database = try #require(small.files.database)
    try save(database, "\(folder)/\(format).db")
    try save(Array(list(small.listing).utf8), "\(folder)/\(format).events")
  }

  private static func read(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return bytes
  }

  private static func save(_ bytes: [UInt8], _ path: String) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }
}
