import Events
import Identity
import Primitives
import Store
import Terminal
import Timelines

/// The profile that a command works on, and whose device this is.
struct Profile {
  let directory: Store.ProfileDirectory
  /// Where login sessions lie.
  let runtimePath: String
  let person: PersonID
  let device: LogID
  let deviceNumber: DeviceNumber
  /// Whether the device key needs a passphrase.
  let isSealed: Bool

  var keys: KeyStore { KeyStore(directory) }
  var databasePath: String { directory.path(of: .database) }

  /// The running login session of this device.
  func session(at now: Timestamp) throws -> LoginSession? {
    try LoginSessions(runtimeDirectory: runtimePath).session(of: device, at: now)
  }

  /// The wall clock.
  static func now() -> Timestamp { StorageEnvironment().now() }
}

extension Invocation {
  /// The profile of `--home`; exit code 4 when there is none.
  func profile() throws -> Profile {
    let path = try profileDirectory()
    let missing = CommandFailure(.notFound, "there is no profile in \(path)", hint: "tl init makes one")
    guard PrivateFile.exists(path) else { throw missing }
    let directory = try Store.ProfileDirectory(opening: path)
    guard let part = try KeyStore(directory).publicPart(.device), let person = part.person,
      let number = part.number.flatMap({ DeviceNumber(rawValue: $0) })
    else { throw missing }
    return Profile(
      directory: directory,
      runtimePath: Terminal.ProfileDirectory.runtimePath(profile: directory.path, in: surroundings), person: person,
      device: part.key, deviceNumber: number, isSealed: part.isSealed)
  }

  /// The profile's store, opened to look at it; no other process is kept waiting and none is waited for.
  func reading() throws -> Reading { try Reading(try profile()) }
}

/// The store of a profile, for reading, at one moment.
struct Reading {
  let profile: Profile
  let store: EventStore
  let timelines: TimelineReader
  let petnames: Petnames
  let now: Timestamp

  init(_ profile: Profile) throws {
    self.profile = profile
    store = try EventStore(reading: profile.databasePath)
    timelines = TimelineReader(store)
    petnames = try Petnames(in: profile.directory)
    timelines.petnames = petnames.persons
    now = Profile.now()
  }

  /// WHO: a full id, a handle, a petname or a ticket.
  func person(_ words: String) throws -> PersonID {
    if let person = try ticket(words)?.person { return person }
    do {
      return try timelines.resolve(person: words, now: now)
    } catch let error as ResolutionError {
      guard error.code == .notFound, error.candidates.isEmpty else { throw error }
      throw CommandFailure(
        .notFound, error.message, hint: "tl log ls shows who is; a full id or a tl:// ticket names anybody")
    }
  }

  /// The ticket of a person that the words are; nil when they are none.
  func ticket(_ words: String) throws -> Ticket.Person? {
    guard words.lowercased().hasPrefix(Ticket.scheme) else { return nil }
    guard case .person(let ticket) = try Ticket(words) else {
      throw CommandFailure(.usage, "this ticket names no person", hint: "tl init --join uses it")
    }
    return ticket
  }

  /// ID: a Snowflake id, `id@WHO` or `id@log:HEX`.
  func event(_ words: String) throws -> Reference {
    if let at = words.firstIndex(of: "@"), let ticket = try ticket(String(words[words.index(after: at)...])) {
      return try timelines.resolve(event: "\(words[..<at])@\(ticket.person.hex)", now: now)
    }
    return try timelines.resolve(event: words, now: now)
  }

  /// Whether the words have the form of an ID, not of a WHO.
  static func isEventID(_ words: String) -> Bool {
    let digits = words.utf8.prefix { $0 != UInt8(ascii: "@") }
    return !digits.isEmpty && digits.count <= 20 && digits.allSatisfy { (0x30...0x39).contains($0) }
  }

  /// The held event of a reference as listings show it.
  func item(_ reference: Reference) throws -> TimelineItem? {
    try timelines.history(
      ofLog: reference.log, before: reference.sequence + 1, limit: 1, now: now
    ).first { $0.reference == reference }
  }

  /// `--before ID|TIME` for a list of posts.
  func position(before words: String?) throws -> TimelinePosition? {
    guard let words else { return nil }
    if Self.isEventID(words) {
      let reference = try event(words)
      guard let position = try timelines.position(of: reference) else {
        throw CommandFailure(.notFound, "no event here is \(words)")
      }
      return position
    }
    let time = try Self.time(words)
    return TimelinePosition(time: time, id: EventID(floorOf: time), log: LogID())
  }

  /// `--before ID|TIME` for a list of events of all kinds.
  func place(before words: String?) throws -> (id: EventID, log: LogID)? {
    guard let words else { return nil }
    if Self.isEventID(words) {
      let reference = try event(words)
      guard let item = try item(reference) else { throw CommandFailure(.notFound, "no event here is \(words)") }
      return (item.id, reference.log)
    }
    return (EventID(floorOf: try Self.time(words)), LogID())
  }

  private static func time(_ words: String) throws(CommandFailure) -> Timestamp {
    if let time = Timestamp(rfc3339: words) { return time }
    throw CommandFailure(
      .usage, "\"\(words)\" is neither an event's id nor a time", hint: "a time reads 2026-11-20T13:05:00Z")
  }
}

extension PersonRecord {
  /// The device that the words mean: its label, its number, or 8 or more digits of its log's key.
  func device(named words: String) throws(CommandFailure) -> Device {
    let found = devices.filter { device in
      device.label == words || String(device.number) == words
        || words.utf8.count >= 8 && device.key.hex.hasPrefix(words.lowercased())
    }
    switch found.count {
    case 1: return found[0]
    case 0: throw CommandFailure(.notFound, "no device is \"\(words)\"", hint: "tl devices list shows them")
    default:
      throw CommandFailure(
        .usage, "\(found.count) devices are \"\(words)\"",
        hints: found.map { "did you mean \($0.key.hex.prefix(16)) (\($0.label), number \($0.number))?" })
    }
  }
}
