import Events
import Glibc
import Identity
import Node
import Primitives
import Store
import Timelines

/// A person with keys in memory.
struct TestPerson {
  let root = SigningKey()
  let recovery = SigningKey()
  var record: PersonRecord
  var id: PersonID { record.id }

  init() { record = PersonRecord(creating: root, recovery: recovery.publicKey) }

  mutating func certify(_ device: PublicKey, consent: Signature, number: UInt16 = 5) throws {
    try record.certify(device: device, number: number, label: "laptop", consent: consent, with: root)
  }
}

/// A profile in a directory of its own that goes away with the value. The device's certificate is in the record, which
/// the store does not have yet.
final class TestProfile {
  let directory: ProfileDirectory
  let device = SigningKey()
  var person: TestPerson
  var options: ProfileService.Options

  /// - Parameter isCertified: false leaves the device without a certificate.
  init(_ person: TestPerson = TestPerson(), isCertified: Bool = true, isSealed: Bool = false) throws {
    var template = Array("/tmp/tl-node-XXXXXX".utf8CString)
    let path = String(cString: mkdtemp(&template)!)
    directory = try ProfileDirectory(creating: path + "/profile")
    self.person = person
    options = ProfileService.Options(runtimeDirectory: path + "/run")
    options.version = "test"
    // Like the real one, with a passphrase that is cheap to use; opening it needs none of its secret parts.
    let keys = KeyStore(directory, cost: .floor, floor: .floor)
    try keys.save(
      .device(device, number: 9, person: person.id), passphrase: isSealed ? SecretBytes(Array("open".utf8)) : nil)
    if isCertified { try self.person.certify(device.publicKey, consent: device.consent(to: person.id)) }
  }

  deinit { Self.remove(String(directory.path.dropLast("/profile".count))) }

  /// The service of this process, with the person's record in the store.
  func open() async throws -> any LocalService {
    let service = try LocalProfile.open(directory, options: options)
    _ = try await service.perform(.mergeRecord(person.record.encoded))
    return service
  }

  func logIn(until end: Timestamp) throws {
    try LoginSessions(runtimeDirectory: options.runtimeDirectory!).logIn(
      LoginSession(device: device, number: 9, person: person.id, notAfter: end))
  }

  func logOut() throws {
    try LoginSessions(runtimeDirectory: options.runtimeDirectory!).logOut(device.publicKey)
  }

  /// What the profile's own log holds, read as a reader does.
  func contents() throws -> [EventContent?] {
    let store = try EventStore(reading: directory.path(of: .database))
    defer { store.close() }
    return try store.events(device.publicKey, .first ... .maximum).map { event in
      guard case .present(let payload) = event.payload else { return nil }
      return try EventContent(event.header.kind, payload)
    }
  }

  /// Everything as a lossless export, in a file beside the profile.
  func export() throws -> String {
    let store = try EventStore(reading: directory.path(of: .database))
    defer { store.close() }
    var bytes: [UInt8] = []
    try NDJSONExport.run(store) { bytes += $0 }
    let path = directory.path + "/export.ndjson"
    try PrivateFile.write(bytes, to: path)
    return path
  }

  func headers() throws -> [EventHeader] {
    let store = try EventStore(reading: directory.path(of: .database))
    defer { store.close() }
    return try store.events(device.publicKey, .first ... .maximum).map(\.header)
  }

  private static func remove(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { remove("\(path)/\(name)") }
      }
      closedir(directory)
    }
    Glibc.remove(path)
  }
}

extension [LocalAppend] {
  /// The references of what was appended, nil where a draft was skipped.
  var references: [Reference?] {
    map { if case .appended(let reference, _) = $0 { reference } else { nil } }
  }
}
