import Events
import Identity
import Node
import Primitives
import Store
import Terminal

extension Command {
  static let devices = Command(
    "devices", "the devices of your person", subcommands: [.devicesList, .devicesAdd, .devicesRevoke])

  static let devicesList = Command(
    "list", "list your devices",
    examples: [
      .init("tl devices list", "show labels, numbers and logs"),
      .init("tl devices list --json", "the same for programs"),
    ]
  ) { invocation in
    let reading = try invocation.reading()
    let record = try reading.ownRecord()
    let output = invocation.output
    for device in record.devices {
      let isThis = device.key == reading.profile.device
      let head = try reading.store.log(device.key)?.head
      if invocation.wantsJSON {
        var line = JSONObject.line()
        line.add("kind", "device")
        line.add("device", device.number)
        line.add("label", device.label)
        line.add("log", device.key.hex)
        line.add("head", head?.sequence.description)
        line.add("this", isThis)
        line.add("revoked", device.revocation != nil)
        line.add("lastGood", device.revocation?.sequence.description)
        try output.line(line)
      } else {
        var notes: [String] = []
        if isThis { notes.append("this device") }
        if let revocation = device.revocation { notes.append("revoked after event \(revocation.sequence)") }
        let events = head.map { counted(Int($0.sequence.rawValue), "event") } ?? "no events here"
        try output.line(
          "\(device.key.hex.prefix(16), .yellow)  \(device.label, .bold)  number \(device.number)  \(events)  \(notes.joined(separator: ", "), .cyan)"
        )
      }
    }
  }

  static let devicesRevoke = Command(
    "revoke", "end a device's log",
    discussion: """
      The device's log ends with the newest event of it that is held here, or with the one that --after names; what it \
      posts later counts nowhere. Sync first, so that nothing good is cut off. It cannot be undone.
      """,
    examples: [
      .init("tl devices revoke phone", "end the log of the device labelled phone"),
      .init("tl devices revoke 1f3a9c0e77d2b481 --after 120 --yes", "keep 120 events of it, without a question"),
    ],
    positionals: [deviceName], options: [after, .yes, .passphraseFile, .passphraseDescriptor]
  ) { invocation in
    let reading = try invocation.reading()
    var record = try reading.ownRecord()
    let device = try record.device(named: invocation.arguments.text(deviceName))
    let end = try lastGood(reading, device, invocation.arguments.number(after))
    try invocation.confirm(
      "End the log of \"\(device.label)\" (\(device.key.hex.prefix(16))) after event \(end.sequence)?", yes: .yes)
    let root = try invocation.rootKey(reading.profile).key
    try record.revoke(device: device.key, lastGood: end.sequence, hash: end.hash, with: root)
    try invocation.mergeRecord(record, into: reading.profile)
    try reading.profile.directory.keepPersonItem(of: record, signedBy: root, at: Profile.now())
    invocation.output.note("revoked; every replica learns it when you sync")
  }
}

extension Reading {
  /// The record of the profile's person.
  func ownRecord() throws -> PersonRecord {
    guard let record = try store.record(of: profile.person) else {
      throw CommandFailure(.verificationFailed, "the store has lost your person record", hint: "tl log verify")
    }
    return record
  }
}

extension Invocation {
  /// Stores a record that this command signed.
  func mergeRecord(_ record: PersonRecord, into profile: Profile) throws {
    let bytes = record.encoded
    _ = try withService(profile) { service in try await service.perform(.mergeRecord(bytes)) }
  }
}

private func lastGood(_ reading: Reading, _ device: Device, _ asked: Int?) throws -> Revocation {
  let head = try reading.store.log(device.key)?.head
  guard let asked else {
    guard let head else {
      return Revocation(sequence: SequenceNumber(0), hash: reading.profile.person.cast())
    }
    return Revocation(sequence: head.sequence, hash: head.hash)
  }
  if asked == 0 { return Revocation(sequence: SequenceNumber(0), hash: reading.profile.person.cast()) }
  let sequence = SequenceNumber(UInt64(asked))
  guard let reference = try reading.store.reference(device.key, sequence) else {
    throw CommandFailure(.notFound, "event \(asked) of that device is not held here", hint: "sync first")
  }
  return Revocation(sequence: sequence, hash: reference.hash)
}

private let deviceName = Positional("DEVICE", .one, "its label, its number, or 8 or more digits of its log")
private let after = Option("after", .number("SEQ", 0...Int(Int32.max)), "the last event that counts (the newest here)")
