import Events
import Identity
import Primitives
import Store
import Terminal

extension Command {
  static let rotate = Command(
    "rotate", "replace the root key by means of the recovery key",
    discussion: """
      For when the root key, or a backup with its passphrase, has fallen into other hands: the new root outranks the old \
      one everywhere, and you stay the same person. Only the devices that --device names stay yours, and this one always; \
      without --device all that are not revoked do. Make a new backup afterwards: the old one is worthless.
      """,
    examples: [
      .init("tl rotate --recovery /media/stick/tl-recovery", "keep all devices"),
      .init("tl rotate --recovery tl-recovery --device phone --yes", "keep this device and the phone only"),
    ],
    options: [recovery, keptDevice, .yes, .passphraseFile, .passphraseDescriptor]
  ) { invocation in
    guard let path = invocation.arguments.text(recovery) else {
      throw CommandFailure(.usage, "--recovery FILE is missing", hint: "it names the file that tl init wrote")
    }
    ProcessSecrecy.forbidDumps()
    let reading = try invocation.reading()
    let profile = reading.profile
    var record = try reading.ownRecord()
    var bytes = try PrivateFile.read(path, atMost: RecoveryFile.byteMaximum, requiringPrivate: false)
    defer { bytes.wipe() }
    let file: RecoveryFile
    do throws(IdentityError) { file = try RecoveryFile(decoding: bytes) } catch { throw error.about(file: path) }
    guard file.person == record.id else {
      throw CommandFailure(.failed, "\(path) is the recovery key of another person")
    }
    let named = try Set(invocation.arguments.texts(keptDevice).map { try record.device(named: $0).key })
    let kept = record.devices.filter {
      $0.key == profile.device || (named.isEmpty ? $0.revocation == nil : named.contains($0.key))
    }
    // Whoever holds the recovery key and runs a script has thought about it.
    if invocation.mayAsk {
      try invocation.confirm(
        "Replace the root key, keeping \(kept.map { "\"\($0.label)\"" }.joined(separator: ", "))?", yes: .yes)
    }
    let wasSealed = try profile.keys.publicPart(.root)?.isSealed ?? profile.isSealed
    let passphrase = wasSealed ? try invocation.secret("the new root key") : nil
    if let passphrase, profile.isSealed {
      // The wrong passphrase would make a root key that nobody can open together with the device key.
      _ = try profile.keys.unlock(passphrase: passphrase)
    }
    let root = SigningKey()
    let keys = Set(kept.map(\.key))
    try record.rotate(to: root, with: file.key) { statement in
      switch statement.content {
      case .certify(let device, _, _, _): keys.contains(device)
      case .revoke(let device, _): !keys.contains(device)
      case .rotate, .unknown: false
      }
    }
    try profile.keys.save(.root(root, person: record.id), passphrase: passphrase)
    try invocation.mergeRecord(record, into: profile)
    try profile.directory.keepPersonItem(of: record, signedBy: root, at: Profile.now())
    invocation.output.note("the root key is replaced (number \(record.rootNumber)); make a new backup, then sync")
  }
}

private let recovery = Option("recovery", .file("FILE"), "the recovery key that tl init wrote")
private let keptDevice = Option("device", .text("DEVICE"), repeats: true, "a device that stays yours (all)")
