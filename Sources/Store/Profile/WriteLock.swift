import CLinux
import Glibc

/// The right to write to a profile. One process has it at a time: the node while it runs, else the command.
///
/// It is a `flock` on the file `lock`, so the kernel takes it back when its holder ends in whatever way; the file stays.
/// The holder's process id stands in the file for messages, and nothing relies on it.
public final class WriteLock: Sendable {
  private let file: Int32

  /// What a command waits for another one that is about to finish.
  public static let patience: Duration = .seconds(2)

  /// Takes the lock, trying again every few milliseconds until the time is up.
  /// - Parameter waiting: zero tries once.
  /// - Throws: `.locked`, with the holder's process id in the message if it is known.
  public static func acquire(
    in directory: ProfileDirectory, waiting: Duration = WriteLock.patience
  ) throws(StoreError) -> WriteLock {
    let path = directory.path(of: .lock)
    let file = Glibc.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw PrivateFile.systemError("cannot open", path) }
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: waiting)
    var pause: Int64 = 2_000_000  // ns; doubled up to 50 ms, so a short wait is short and a long one costs nothing
    while flock(file, LOCK_EX | LOCK_NB) != 0 {
      let number = errno
      guard number == EWOULDBLOCK || number == EINTR else {
        let error = PrivateFile.systemError("cannot lock", path)
        close(file)
        throw error
      }
      if clock.now >= deadline {
        close(file)
        throw StoreError(
          .locked, "in use by \(holder(of: directory).map { "process \($0)" } ?? "another process")", path: path)
      }
      var span = timespec(tv_sec: 0, tv_nsec: Int(pause))
      nanosleep(&span, nil)
      pause = min(2 * pause, 50_000_000)
    }
    let lock = WriteLock(file)
    guard fchmod(file, 0o600) == 0 else { throw PrivateFile.systemError("cannot set the mode of", path) }
    lock.note("\(getpid())\n")
    return lock
  }

  /// The process id that the lock's last holder left there; nil if nobody holds it or nothing can be read.
  public static func holder(of directory: ProfileDirectory) -> Int32? {
    let file = Glibc.open(directory.path(of: .lock), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = Glibc.read(file, &bytes, bytes.count)
    guard count > 0 else { return nil }
    return Int32(String(decoding: bytes[..<count].prefix { $0 != 0x0A }, as: UTF8.self))
  }

  private init(_ file: Int32) { self.file = file }

  // Unlocked by name: a child that another thread is just starting holds a copy of the descriptor until its `execve`, and
  // closing ours alone would leave the lock with that copy.
  deinit {
    note("")
    flock(file, LOCK_UN)
    close(file)
  }

  // Only messages depend on the text, so a failure to write it changes nothing.
  private func note(_ text: String) {
    guard ftruncate(file, 0) == 0 else { return }
    let bytes = Array(text.utf8)
    _ = pwrite(file, bytes, bytes.count, 0)
  }
}
