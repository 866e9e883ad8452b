import Events
import Identity
import Node
import Primitives
import Store
import Terminal

/// `tl init --join`: makes a device key, has it certified by the node that gave the ticket out, and keeps the record that
/// comes back. What fails leaves nothing behind, so that it can be tried again.
func join(_ invocation: Invocation, _ words: String) throws {
  guard case .join(let ticket) = try Ticket(words) else {
    throw CommandFailure(.usage, "this ticket invites no device", hint: "\"tl devices add\" prints one that does")
  }
  guard ticket.notAfter > Profile.now() else {
    throw CommandFailure(.failed, "the ticket has run out", hint: "\"tl devices add\" prints a new one")
  }
  let label = try invocation.deviceLabel()
  let directory = try invocation.emptyProfile()
  let passphrase = try invocation.newPassphrase()
  let runtimePath = Terminal.ProfileDirectory.runtimePath(profile: directory.path, in: invocation.surroundings)
  let device = SigningKey()
  do {
    let record = try certified(invocation, ticket, device, label, passphrase, directory, runtimePath)
    guard let own = record.device(device.publicKey), let number = DeviceNumber(rawValue: own.number) else {
      throw IdentityError(.verification, "the record that came does not certify this device", in: "join")
    }
    try KeyStore(directory).save(
      .device(device, number: own.number, person: record.id), passphrase: passphrase)
    if passphrase == nil {
      invocation.output.note("the keys have no passphrase: whoever can read \(directory.path) can post as you")
    }
    invocation.output.note("you are one person on one more device; now sync with somebody who holds your posts")
    try printOwn(invocation, record.id, name: "", device: device.publicKey, number: number, label: label)
  } catch {
    try LoginSessions(runtimeDirectory: runtimePath).logOut(device.publicKey)
    try removeProfile(directory)
    throw error
  }
}

private func certified(
  _ invocation: Invocation, _ ticket: Ticket.Join, _ device: SigningKey, _ label: String, _ passphrase: SecretBytes?,
  _ directory: Store.ProfileDirectory, _ runtimePath: String
) throws -> PersonRecord {
  // The number is the root's to give; this one only stands until then.
  try KeyStore(directory).save(.device(device, number: 0, person: ticket.person), passphrase: passphrase)
  if passphrase != nil {
    let minute = Profile.now().advanced(milliseconds: 60_000)
    try LoginSessions(runtimeDirectory: runtimePath).logIn(
      LoginSession(device: device, number: 0, person: ticket.person, notAfter: minute))
  }
  var options = ProfileService.Options(runtimeDirectory: runtimePath)
  options.version = invocation.table.version
  let lock = try WriteLock.acquire(in: directory)
  let service = try ProfileService(directory, lock: lock, options: options)
  let record = try waiting {
    do {
      let record = try await service.join(ticket, label: label)
      await service.close()
      return record
    } catch {
      await service.close()
      throw error
    }
  }
  if passphrase != nil { try LoginSessions(runtimeDirectory: runtimePath).logOut(device.publicKey) }
  return record
}

/// Removes the files of a profile that did not come about.
private func removeProfile(_ directory: Store.ProfileDirectory) throws {
  for item in [Store.ProfileDirectory.Item.deviceKey, .nodeKey, .database] {
    try PrivateFile.remove(directory.path(of: item))
  }
  for suffix in ["-wal", "-shm"] { try PrivateFile.remove(directory.path(of: .database) + suffix) }
}
