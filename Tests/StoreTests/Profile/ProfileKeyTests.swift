import Glibc
import Identity
import Primitives
import Store
import Testing

@Suite struct ProfileKeyTests {
  private let temporary = ScratchFolder()
  private let passphrase = SecretBytes(Array("correct horse".utf8))
  private let person = PersonID(hashing: [1])
  private let cheap = SealingCost(unchecked: 8, passes: 1)

  private func key(_ number: UInt8) -> SigningKey { SigningKey(seed: [UInt8](repeating: number, count: 32))! }

  private func keys() throws -> KeyStore {
    KeyStore(try ProfileDirectory(creating: temporary.path + "/profile"), cost: cheap, floor: cheap)
  }

  private var files: [KeyFile] {
    [
      .device(key(3), number: 7, person: person), .root(key(1), person: person), .recovery(key(2), person: person),
      .node(key(9)),
    ]
  }

  @Test("keys are saved and loaded, plain and sealed, and say who they are without the passphrase")
  func roundTrip() throws {
    let keys = try keys()
    #expect(try !keys.isSealed() && keys.publicPart(.device) == nil)
    for sealed in [false, true] {
      for file in files {
        try keys.save(file, passphrase: sealed ? passphrase : nil)
        let part = try #require(try keys.publicPart(file.kind))
        #expect(part.isSealed == sealed && part.key == file.key.publicKey && part.person == file.person)
        let read = try keys.load(file.kind, passphrase: passphrase)
        #expect(read.key.publicKey == file.key.publicKey && read.deviceNumber == file.deviceNumber)
        if sealed {
          let error = #expect(throws: IdentityError.self) { try keys.load(file.kind) }
          #expect(error?.code == .sealed && error?.context.hasPrefix(keys.directory.path) ?? false)
        } else {
          _ = try keys.load(file.kind)
        }
      }
      #expect(try keys.isSealed() == sealed)
    }
    #expect(try keys.unlock(passphrase: passphrase).key.publicKey == key(3).publicKey)
    let wrong = SecretBytes(Array("wrong".utf8))
    #expect(#expect(throws: IdentityError.self) { try keys.unlock(passphrase: wrong) }?.code == .passphrase)
    try keys.remove(.recovery)
    #expect(#expect(throws: StoreError.self) { try keys.load(.recovery) }?.code == .notFound)
    #expect(ScratchFolder.names(in: keys.directory.path) == ["device.key", "node.key", "root.key"])
  }

  @Test("the production store opens what the floor allows and refuses a cheap seal")
  func floor() throws {
    let keys = try keys()
    try keys.save(files[0], passphrase: passphrase)
    let production = KeyStore(keys.directory)
    #expect(#expect(throws: IdentityError.self) { try production.unlock(passphrase: passphrase) }?.code == .limit)
  }

  @Test("a key file with any bit for others is refused, as is a link, and the error names file and command")
  func wrongModes() throws {
    let keys = try keys()
    try keys.save(files[0], passphrase: nil)
    let path = keys.directory.path(of: .deviceKey)
    for mode: UInt32 in [0o640, 0o604, 0o660, 0o620, 0o601, 0o610] {
      chmod(path, mode)
      let error = #expect(throws: StoreError.self) { try keys.load(.device) }
      #expect(error?.code == .permissions && error?.path == path)
      #expect(error?.message.contains("mode 0\(String(mode, radix: 8)) ") ?? false)
      #expect(error?.message.hasSuffix("run: chmod 600 \(path)") ?? false)
      #expect(throws: StoreError.self) { try keys.publicPart(.device) }
    }
    for mode: UInt32 in [0o600, 0o400] {
      chmod(path, mode)
      _ = try keys.load(.device)
    }
    rename(path, path + ".moved")
    symlink(path + ".moved", path)
    let error = #expect(throws: StoreError.self) { try keys.load(.device) }
    #expect(error?.code == .permissions && error?.message.contains("symbolic link") ?? false)
    unlink(path)
    mkfifo(path, 0o600)
    #expect(#expect(throws: StoreError.self) { try keys.load(.device) }?.code == .permissions)
  }

  @Test("a damaged key file and one of another kind are refused, whatever byte it is")
  func damage() throws {
    let keys = try keys()
    try keys.save(files[0], passphrase: nil)
    let path = keys.directory.path(of: .deviceKey)
    let bytes = try PrivateFile.read(path, atMost: 1000)
    for index in bytes.indices {
      var changed = bytes
      changed[index] ^= 4
      try changed.withUnsafeBytes { try PrivateFile.write($0, to: path) }
      // Never what a malformed argument gives.
      #expect(#expect(throws: IdentityError.self) { try keys.load(.device) }?.code != .malformed)
    }
    try PrivateFile.write(files[1].encodedPlain(), to: path)
    #expect(#expect(throws: IdentityError.self) { try keys.load(.device) }?.code == .damaged)
    #expect(#expect(throws: IdentityError.self) { try keys.publicPart(.device) }?.code == .damaged)
    for count in bytes.indices {
      try bytes[..<count].withUnsafeBytes { try PrivateFile.write($0, to: path) }
      #expect(#expect(throws: IdentityError.self) { try keys.publicPart(.device) }?.code == .damaged, "\(count)")
    }
  }

  @Test("a login lasts until its end or the logout, and its file is private")
  func sessions() throws {
    let path = temporary.path + "/runtime"
    let sessions = try LoginSessions(runtimeDirectory: path)
    let end = Timestamp(milliseconds: 1000)
    let before = Timestamp(milliseconds: 999)
    let device = key(3).publicKey
    let session = LoginSession(device: key(3), number: 7, person: person, notAfter: end)
    #expect(try sessions.session(of: device, at: before) == nil)
    try sessions.logIn(session)
    #expect(try sessions.session(of: device, at: before)?.device.publicKey == device)
    #expect(try sessions.session(of: key(4).publicKey, at: before) == nil)
    let file = "\(path)/\(ScratchFolder.names(in: path)[0])"
    #expect(ScratchFolder.mode(file) == 0o600)
    chmod(file, 0o604)
    #expect(throws: StoreError.self) { try sessions.session(of: device, at: before) }
    try sessions.logIn(session)
    #expect(try sessions.session(of: device, at: end) == nil)
    #expect(ScratchFolder.names(in: path).isEmpty)
    try sessions.logIn(session)
    try sessions.logOut(device)
    try sessions.logOut(device)
    #expect(try sessions.session(of: device, at: before) == nil)
    chmod(path, 0o755)
    #expect(throws: StoreError.self) { try LoginSessions(runtimeDirectory: path) }
  }
}
