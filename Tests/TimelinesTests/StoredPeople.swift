import Events
import Identity
import Primitives
import Store
import Timelines

/// A person with devices, made from a seed.
struct StoredPerson {
  let root: SigningKey
  let devices: [SigningKey]
  var record: PersonRecord

  init(seed: UInt64, devices count: Int = 1) throws {
    var random = SeededRandom(seed: seed)
    root = SigningKey(seed: random.bytes(32))!
    devices = (0..<count).map { _ in SigningKey(seed: random.bytes(32))! }
    record = PersonRecord(creating: root, recovery: SigningKey(seed: random.bytes(32))!.publicKey)
    for (index, device) in devices.enumerated() {
      try record.certify(
        device: device.publicKey, number: UInt16(index), label: "device \(index)",
        consent: device.consent(to: record.id),
        with: root)
    }
  }

  var id: PersonID { record.id }

  func author(_ device: Int = 0) -> Author {
    Author(key: devices[device], device: DeviceNumber(rawValue: UInt16(device))!, person: id)
  }
}

/// A store in memory, with its read model and a reader on the same connection.
final class StoreFixture {
  static let now = Timestamp.at(100_000_000_000)
  let store: EventStore
  let reader: TimelineReader
  private let disk: MemoryDisk
  private var random = SeededRandom(seed: 99)

  init(seed: UInt64 = 1) throws {
    disk = MemoryDisk(seed: seed)
    store = try EventStore(
      writing: "/store", authority: .alone,
      environment: StorageEnvironment(
        disk: disk, random: { [UInt8](repeating: UInt8(seed & 0xFF), count: $0) }, now: { StoreFixture.now }),
      readModels: [TimelineModel()])
    reader = TimelineReader(store)
  }

  @discardableResult
  func append(_ contents: [EventContent], ttl: UInt32 = 0, by person: StoredPerson, device: Int = 0) throws
    -> [Appended]
  {
    try store.append(
      contents.map { Draft($0, ttl: ttl, salt: random.bytes(8)) }, by: person.author(device))
  }

  func export() throws -> [UInt8] {
    var bytes: [UInt8] = []
    try NDJSONExport.run(store) { bytes += $0 }
    return bytes
  }

  /// Takes an export in pieces of odd sizes.
  @discardableResult
  func take(_ export: [UInt8], pieces: Int = 10_007) throws -> NDJSONImport.Summary {
    var importer = NDJSONImport(into: store)
    for start in stride(from: 0, to: export.count, by: pieces) {
      try importer.take(Array(export[start..<min(start + pieces, export.count)]))
    }
    return try importer.finish()
  }

  func digest() throws -> ChangePage {
    var page = try store.digest(of: store.persons().sorted())
    page.logs.sort { $0.log < $1.log }
    page.cursor = ChangeCursor(instance: 0, number: 0, cookie: 0)
    return page
  }
}
