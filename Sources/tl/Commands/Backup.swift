import Events
import Identity
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let backup = Command(
    "backup", "write a sealed backup of your account",
    discussion: """
      The file holds the root key and your person record, sealed by a passphrase; not your posts, which every follower \
      holds, and not the recovery key. It is new each time a device joins or leaves: make another one then.
      """,
    examples: [
      .init("tl backup /media/stick/tl-backup", "write it to a stick"),
      .init("tl backup tl-backup --passphrase-file ~/.secret/tl", "the same from a script"),
    ],
    positionals: [backupFile], options: [.passphraseFile, .passphraseDescriptor]
  ) { invocation in
    let reading = try invocation.reading()
    let path = invocation.arguments.text(backupFile)
    if PrivateFile.exists(path) { throw CommandFailure(.failed, "\(path) exists already and is not replaced") }
    let record = try reading.ownRecord()
    let (root, opened) = try invocation.rootKey(reading.profile)
    guard let passphrase = try opened ?? invocation.backupPassphrase() else {
      throw CommandFailure(
        .usage, "a backup must have a passphrase, and nobody can be asked",
        hint: "--passphrase-file FILE reads one")
    }
    let name = try reading.timelines.label(reading.profile.person, now: reading.now).name ?? ""
    let file = try BackupFile(root: root, record: record, profileName: Name.isValid(name) ? name : "")
    try PrivateFile.write(try file.encoded(passphrase: passphrase), to: path, replacing: false)
    invocation.output.note("backup written to \(path)")
  }

  static let restore = Command(
    "restore", "bring your account to this machine from a backup",
    discussion: """
      This machine becomes a new device of the same person, so an old backup can never disturb what other devices wrote. \
      Then sync with anybody who holds your posts.
      """,
    examples: [
      .init("tl restore /media/stick/tl-backup", "become a new device of the person in the backup"),
      .init("tl restore tl-backup --label desk --no-input --passphrase-file ~/.secret/tl", "the same from a script"),
    ],
    positionals: [backupFile], options: [.label, plainKeys, .passphraseFile, .passphraseDescriptor]
  ) { invocation in
    ProcessSecrecy.forbidDumps()
    let label = try invocation.deviceLabel()
    let path = invocation.arguments.text(backupFile)
    let bytes = try PrivateFile.read(path, atMost: SealedBox.byteMaximum, requiringPrivate: false)
    let box: SealedBox
    do throws(IdentityError) { box = try SealedBox(decoding: bytes) } catch { throw error.about(file: path) }
    let directory = try invocation.emptyProfile()
    let passphrase = try invocation.secret("the backup")
    let backup = try BackupFile(opening: box, passphrase: passphrase)
    var record = backup.record
    let device = SigningKey()
    let number = try record.certify(device, label: label, with: backup.root)
    let sealing = invocation.arguments.has(plainKeys) ? nil : passphrase
    let keys = KeyStore(directory)
    try keys.save(.root(backup.root, person: record.id), passphrase: sealing)
    try makeStore(in: directory, record: record)
    try keys.save(.node(SigningKey()), passphrase: nil)
    try directory.keepPersonItem(of: record, signedBy: backup.root, at: Profile.now())
    try keys.save(.device(device, number: number.rawValue, person: record.id), passphrase: sealing)
    if sealing == nil {
      invocation.output.note("the keys have no passphrase: whoever can read \(directory.path) can post as you")
    } else {
      invocation.output.note("the keys here have the passphrase of the backup: tl login unlocks them")
    }
    invocation.output.note("now sync with somebody who holds your posts: tl sync PEER")
    try printOwn(
      invocation, record.id, name: backup.profileName, device: device.publicKey, number: number, label: label)
  }
}

extension Invocation {
  fileprivate func backupPassphrase() throws -> SecretBytes? {
    guard var bytes = try passphrase(isNew: true), !bytes.isEmpty else { return nil }
    return SecretBytes(wiping: &bytes)
  }
}

private let backupFile = Positional("FILE", .one, completion: .files, "the backup")
private let plainKeys = Option("no-passphrase", .flag, "keep the keys here without a passphrase")
