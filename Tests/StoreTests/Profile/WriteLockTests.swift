import Foundation
import Glibc
import Store
import Testing

@Suite struct WriteLockTests {
  private let temporary = ScratchFolder()

  private func directory() throws -> ProfileDirectory { try ProfileDirectory(creating: temporary.path + "/profile") }

  @Test("a second writer is refused with the process id of the first, until that one lets go")
  func exclusive() throws {
    let directory = try directory()
    var lock: WriteLock? = try WriteLock.acquire(in: directory, waiting: .zero)
    #expect(WriteLock.holder(of: directory) == getpid())
    let error = #expect(throws: StoreError.self) { try WriteLock.acquire(in: directory, waiting: .zero) }
    #expect(error?.code == .locked && error?.message == "in use by process \(getpid())")
    _ = lock
    lock = nil
    #expect(WriteLock.holder(of: directory) == nil)
    _ = try WriteLock.acquire(in: directory, waiting: .zero)
  }

  @Test("letting go frees the lock, although a child that is being started still holds a copy of the descriptor")
  func copied() throws {
    let directory = try directory()
    let path = directory.path(of: .lock)
    var lock: WriteLock? = try WriteLock.acquire(in: directory, waiting: .zero)
    let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
    let own = open.compactMap { Int32($0) }.filter {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
    }
    try #require(own.count == 1)
    let copy = dup(own[0])
    defer { close(copy) }
    _ = lock
    lock = nil
    _ = try WriteLock.acquire(in: directory, waiting: .zero)
  }

  @Test("waiting ends when the time is up, without burning the processor")
  func waiting() throws {
    let directory = try directory()
    let lock = try WriteLock.acquire(in: directory)
    let start = ContinuousClock.now
    #expect(throws: StoreError.self) { try WriteLock.acquire(in: directory, waiting: .milliseconds(120)) }
    let waited = ContinuousClock.now - start
    #expect(waited >= .milliseconds(120))
    _ = lock
  }

  @Test("the lock holds against another process, and one that is killed leaves it free")
  func processes() throws {
    let directory = try directory()
    let path = directory.path(of: .lock)
    func attempt() throws -> Int32 {
      let other = Process()
      other.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
      other.arguments = ["-n", path, "true"]
      try other.run()
      other.waitUntilExit()
      return other.terminationStatus
    }
    var lock: WriteLock? = try WriteLock.acquire(in: directory)
    #expect(try attempt() == 1)
    _ = lock
    lock = nil
    #expect(try attempt() == 0)

    // `exec` makes the waiting program the one that inherits the lock, so killing it frees it.
    let holder = Process()
    let output = Pipe()
    holder.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
    holder.arguments = ["-n", "-F", path, "sh", "-c", "echo held; exec cat"]
    let input = Pipe()
    holder.standardInput = input
    holder.standardOutput = output
    try holder.run()
    #expect(output.fileHandleForReading.readData(ofLength: 5) == Data("held\n".utf8))
    #expect(throws: StoreError.self) { try WriteLock.acquire(in: directory, waiting: .zero) }
    kill(holder.processIdentifier, SIGKILL)
    holder.waitUntilExit()
    _ = try WriteLock.acquire(in: directory, waiting: .zero)
    #expect(ScratchFolder.mode(path) == 0o600)
    _ = input
  }

  @Test("a link in the place of the lock is refused")
  func link() throws {
    let directory = try directory()
    symlink(temporary.path + "/elsewhere", directory.path(of: .lock))
    #expect(throws: StoreError.self) { try WriteLock.acquire(in: directory, waiting: .zero) }
    #expect(!PrivateFile.exists(temporary.path + "/elsewhere"))
  }
}
