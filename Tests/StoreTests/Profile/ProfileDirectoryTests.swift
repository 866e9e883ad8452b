import Glibc
import Identity
import Primitives
import Store
import Testing

@Suite struct ProfileDirectoryTests {
  private let temporary = ScratchFolder()

  private func failure(_ body: () throws -> Void) -> StoreError? {
    do {
      try body()
      return nil
    } catch {
      return error as? StoreError
    }
  }

  @Test("a profile is made with its parents, 0700 each, and opened again")
  func creating() throws {
    let path = temporary.path + "/a/b/profile"
    let made = try ProfileDirectory(creating: path + "//")
    #expect(made.path == path && made.path(of: .database) == path + "/tl.db")
    for part in ["/a", "/a/b", "/a/b/profile"] { #expect(ScratchFolder.mode(temporary.path + part) == 0o700) }
    #expect(try ProfileDirectory(opening: path) == made)
    #expect(try ProfileDirectory(creating: path) == made)
    #expect(failure { _ = try ProfileDirectory(opening: path + "x") }?.code == .notFound)
    try PrivateFile.write([1], to: temporary.path + "/file")
    #expect(failure { _ = try ProfileDirectory(creating: temporary.path + "/file") }?.code == .permissions)
  }

  @Test(
    "a directory that others may enter is refused, with the command that closes it", arguments: [0o750, 0o701, 0o770])
  func openDirectory(mode: UInt32) throws {
    let path = temporary.path + "/it's mine"
    _ = try ProfileDirectory(creating: path)
    chmod(path, mode)
    let error = failure { _ = try ProfileDirectory(opening: path) }
    #expect(error?.code == .permissions && error?.path == path)
    #expect(error?.message.hasSuffix("run: chmod 700 '\(temporary.path)/it'\\''s mine'") ?? false)
    #expect(error?.message.contains("mode 0\(String(mode, radix: 8))") ?? false)
    #expect(failure { _ = try ProfileDirectory(creating: path) }?.code == .permissions)
  }

  @Test("under umask 000 nothing is open to others, and under 777 the owner can still read")
  func umasks() async {
    await #expect(processExitsWith: .success) {
      let temporary = ScratchFolder()
      let passphrase = SecretBytes(Array("x".utf8))
      for mask: mode_t in [0, 0o777, 0o277] {
        umask(mask)
        let directory = try ProfileDirectory(creating: temporary.path + "/\(mask)/deep/profile")
        let keys = KeyStore(
          directory, cost: SealingCost(unchecked: 8, passes: 1), floor: .init(unchecked: 8, passes: 1))
        let key = SigningKey(seed: [UInt8](repeating: 3, count: 32))!
        let person = PersonID(hashing: [])
        try keys.save(.device(key, number: 1, person: person), passphrase: nil)
        try keys.save(.root(key, person: person), passphrase: passphrase)
        try keys.save(.recovery(key, person: person), passphrase: nil)
        let lock = try WriteLock.acquire(in: directory)
        let session = LoginSession(device: key, number: 1, person: person, notAfter: .init(milliseconds: 5))
        let sessions = try LoginSessions(runtimeDirectory: directory.path + "/runtime")
        try sessions.logIn(session)
        var found = 0
        func walk(_ path: String) {
          found += 1
          let mode = ScratchFolder.mode(path)
          precondition(mode == 0o600 || mode == 0o700, "\(path) has mode \(String(mode, radix: 8)) under \(mask)")
          for name in ScratchFolder.names(in: path) { walk("\(path)/\(name)") }
        }
        walk(temporary.path + "/\(mask)")
        precondition(found == 9, "\(found) files")
        _ = try keys.load(.device)
        _ = lock
      }
    }
  }

  @Test("writing replaces a file whole and leaves no other file behind")
  func replacing() throws {
    let path = temporary.path + "/file"
    try PrivateFile.write([UInt8](repeating: 1, count: 100_000), to: path)
    chmod(path, 0o644)
    try PrivateFile.write([2, 3], to: path)
    #expect(try PrivateFile.read(path, atMost: 2) == [2, 3])
    #expect(ScratchFolder.mode(path) == 0o600)
    #expect(failure { try PrivateFile.write([4], to: path, replacing: false) }?.code == .misuse)
    try PrivateFile.write([5], to: path + "2", replacing: false)
    #expect(try PrivateFile.read(path + "2", atMost: 10) == [5])
    #expect(failure { _ = try PrivateFile.read(path, atMost: 1) }?.code == .damaged)
    #expect(failure { try PrivateFile.write([1], to: temporary.path + "/none/file") }?.code == .notFound)
    #expect(ScratchFolder.names(in: temporary.path) == ["file", "file2"])
    try PrivateFile.remove(path)
    try PrivateFile.remove(path)
    #expect(failure { _ = try PrivateFile.read(path, atMost: 1) }?.code == .notFound)
  }

  @Test("a process that forbids dumps is told that it worked")
  func dumps() async {
    await #expect(processExitsWith: .success) {
      precondition(ProcessSecrecy.forbidDumps())
    }
  }

  @Test("a full disk is named as such, and the old content stays")
  func noSpace() async {
    await #expect(processExitsWith: .success) {
      let temporary = ScratchFolder()
      let path = temporary.path + "/file"
      try PrivateFile.write([1, 2, 3], to: path)
      var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
      setrlimit(__rlimit_resource_t(UInt32(RLIMIT_FSIZE.rawValue)), &limit)
      signal(SIGXFSZ, SIG_IGN)
      do throws(StoreError) {
        try PrivateFile.write([UInt8](repeating: 1, count: 10_000), to: path)
        fatalError("wrote beyond the limit")
      } catch {
        precondition(error.code == .noSpace && error.path == path, "\(error)")
      }
      let content = try PrivateFile.read(path, atMost: 10)
      precondition(content == [1, 2, 3] && ScratchFolder.names(in: temporary.path) == ["file"])
    }
  }
}
