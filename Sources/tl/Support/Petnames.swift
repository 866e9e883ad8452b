import Identity
import Primitives
import Store
import Terminal

/// Names that the user of this profile gives to persons; they win over what persons call themselves. A file of JSON lines
/// in the profile, `{"v":1,"name":"ann","person":"…"}`, sorted by name.
struct Petnames {
  private(set) var persons: [String: PersonID] = [:]
  private let path: String

  init(in directory: Store.ProfileDirectory) throws {
    path = "\(directory.path)/petnames"
    guard PrivateFile.exists(path) else { return }
    let bytes = try PrivateFile.read(path, atMost: Self.byteMaximum)
    for line in bytes.split(separator: 0x0A) {
      guard let object = try? JSON(parsing: Array(line)), let name = object["name"]?.text,
        let person = object["person"]?.text.flatMap({ PersonID(hex: $0) })
      else { throw StoreError(.damaged, "a line is no petname", path: path) }
      persons[name] = person
    }
  }

  /// The name of a person; of several the first in order.
  func name(of person: PersonID) -> String? { persons.filter { $0.value == person }.keys.min() }

  /// Gives a name, and takes it from whoever had it.
  mutating func give(_ name: String, to person: PersonID) throws {
    try Name.check(name, in: "petname")
    guard !Reading.isEventID(name), PersonID(text: name) == nil else {
      throw CommandFailure(.usage, "\"\(name)\" reads like an id and cannot be a petname")
    }
    persons[name] = person
    var bytes: [UInt8] = []
    for (name, person) in persons.sorted(by: { $0.key < $1.key }) {
      var line = JSONObject.line()
      line.add("name", name)
      line.add("person", person.hex)
      bytes += line.encoded + [0x0A]
    }
    try PrivateFile.write(bytes, to: path)
  }

  /// More than 50,000 names.
  private static let byteMaximum = 16 << 20
}
