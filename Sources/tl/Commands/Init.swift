import Events
import Glibc
import Identity
import Node
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let initialize = Command(
    "init", "make a profile: a new person, or a further device of one",
    discussion: """
      Makes the keys and the store of a new person on this device. The recovery key goes to the file that --recovery \
      names, best on a stick: it alone can replace a stolen root key. With --join this device becomes one of the person \
      whose "tl devices add" printed the ticket.
      """,
    examples: [
      .init("tl init --name ann --recovery /media/stick/tl-recovery", "begin, with the recovery key on a stick"),
      .init("tl init --no-input --name ann", "ask nothing; the keys have no passphrase"),
      .init("tl init --join tl://aeba…", "join with the ticket of another device"),
    ],
    options: [nameOption, recoveryOption, joinOption, .label, .passphraseFile, .passphraseDescriptor]
  ) { invocation in
    ProcessSecrecy.forbidDumps()
    if let words = invocation.arguments.text(joinOption) {
      for option in [nameOption, recoveryOption] where invocation.arguments.has(option) {
        throw CommandFailure(.usage, "--\(option.name) is for a new person, not for --join")
      }
      return try join(invocation, words)
    }
    let label = try invocation.deviceLabel()
    if let path = invocation.arguments.text(recoveryOption), PrivateFile.exists(path) {
      throw CommandFailure(.failed, "\(path) exists already and is not replaced")
    }
    let directory = try invocation.emptyProfile()
    let name = try chosenName(invocation)
    let passphrase = try invocation.newPassphrase()

    let root = SigningKey()
    let recovery = SigningKey()
    var record = PersonRecord(creating: root, recovery: recovery.publicKey)
    let device = SigningKey()
    let number = try record.certify(device, label: label, with: root)

    let keys = KeyStore(directory)
    if let path = invocation.arguments.text(recoveryOption) {
      try PrivateFile.write(RecoveryFile(key: recovery, person: record.id).encoded(), to: path, replacing: false)
    } else {
      try keys.save(.recovery(recovery, person: record.id), passphrase: nil)
    }
    try keys.save(.root(root, person: record.id), passphrase: passphrase)
    try makeStore(
      in: directory, record: record, author: Author(key: device, device: number, person: record.id), name: name)
    try keys.save(.node(SigningKey()), passphrase: nil)
    try directory.keepPersonItem(of: record, signedBy: root, at: Profile.now())
    // The device key is what makes it a profile, so it comes last.
    try keys.save(.device(device, number: number.rawValue, person: record.id), passphrase: passphrase)

    let output = invocation.output
    if passphrase == nil {
      output.note("the keys have no passphrase: whoever can read \(directory.path) can post as you")
    } else {
      output.note("the keys have a passphrase: tl login unlocks them for a while")
    }
    if invocation.arguments.text(recoveryOption) == nil {
      output.note(
        "\("move", .bold) \(directory.path(of: .recoveryKey)) to a safe place away from this machine: it replaces a stolen root key"
      )
    }
    try printOwn(invocation, record.id, name: name ?? "", device: device.publicKey, number: number, label: label)
  }
}

extension Invocation {
  /// A directory for a new profile. One that holds anything of a profile is refused.
  func emptyProfile() throws -> Store.ProfileDirectory {
    let path = try profileDirectory()
    let directory = try Store.ProfileDirectory(creating: path)
    if directory.contains(.deviceKey) {
      throw CommandFailure(
        .failed, "there is a profile in \(path) already", hint: "--home DIR makes another one elsewhere")
    }
    for item in Store.ProfileDirectory.Item.allCases
    where ![.lock, .controlSocket].contains(item) && directory.contains(item) {
      throw CommandFailure(
        .failed, "\(path) holds a part of a profile: \(item.rawValue)",
        hint: "it may be what an interrupted init left behind; move the directory away and begin anew")
    }
    return directory
  }

  /// A passphrase for new keys. Nil for none, which must be said: by an empty answer or by `--no-input`.
  func newPassphrase() throws -> SecretBytes? {
    guard var bytes = try passphrase(isNew: true) else {
      guard arguments.has(.noInput) else {
        throw CommandFailure(
          .usage, "nobody to ask for a passphrase",
          hints: ["--no-input makes keys without one", "--passphrase-file FILE reads one"])
      }
      return nil
    }
    return bytes.isEmpty ? nil : SecretBytes(wiping: &bytes)
  }

  /// `--label`, else the machine's name.
  func deviceLabel() throws -> String {
    if let label = arguments.text(.label) {
      try Name.check(label, in: "label")
      return label
    }
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "device" }
    let host = buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }.prefix { $0 != "." }
    let label = String(host.prefix(Name.graphemeMaximum))
    return Name.isValid(label) ? label : "device"
  }
}

extension PersonRecord {
  /// Certifies a device of ours under a number of its own, picked at random.
  mutating func certify(_ device: SigningKey, label: String, with root: SigningKey) throws -> DeviceNumber {
    try certify(device.publicKey, label: label, consent: device.consent(to: id), with: root)
  }

  mutating func certify(
    _ device: PublicKey, label: String, consent: Signature, with root: SigningKey
  ) throws -> DeviceNumber {
    guard let number = unusedDeviceNumbers.randomElement().flatMap({ DeviceNumber(rawValue: $0) }) else {
      throw CommandFailure(.failed, "all \(Device.numberMaximum + 1) device numbers are in use")
    }
    try certify(device: device, number: number.rawValue, label: label, consent: consent, with: root)
    return number
  }
}

/// Makes the store of a new profile, with the person's record in it and, for a new person, what they are called.
func makeStore(
  in directory: Store.ProfileDirectory, record: PersonRecord, author: Author? = nil, name: String? = nil
) throws {
  let lock = try WriteLock.acquire(in: directory)
  let store = try EventStore(
    writing: directory.path(of: .database), authority: .holding(lock), readModels: [TimelineModel()])
  defer { store.close() }
  try store.merge(record)
  if let author, let name {
    let profile = EventContent.profile(.init(name: name))
    _ = try store.append(
      [Draft(profile, ttl: LocalDraft.stateLifetime, salt: SystemRandom.bytes(ContentLimits.saltBytes))], by: author)
  }
}

private func chosenName(_ invocation: Invocation) throws -> String? {
  if let name = invocation.arguments.text(nameOption) {
    try Name.check(name, in: "name")
    return name
  }
  guard invocation.mayAsk else { return nil }
  while true {
    let name = try invocation.ask("What to call yourself (empty for no name):")
    if name.isEmpty { return nil }
    do throws(IdentityError) {
      try Name.check(name, in: "name")
      return name
    } catch {
      invocation.output.warn("\(error.message)")
    }
  }
}

private let nameOption = Option("name", .text("NAME"), "what to call yourself; anybody may have the same name")
private let recoveryOption = Option("recovery", .file("FILE"), "write the recovery key there; keep it offline")
let joinOption = Option("join", .text("TICKET"), "become a device of the person whose ticket this is")
