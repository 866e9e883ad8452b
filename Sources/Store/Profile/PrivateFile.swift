import CLinux
import Glibc
public import Identity
internal import Primitives

/// Reads and writes small files that others must not see: keys, sessions, backups. Whatever the umask is, what it
/// writes has mode 0600; what it writes is on the disk, whole, when the call returns.
public enum PrivateFile {
  /// Replaces the file, or makes it: temporary file beside it, fsync, rename, fsync of the directory. After a crash the
  /// old or the new content is there.
  /// - Parameter replacing: false refuses to replace an existing file.
  /// - Throws: `StoreError`: `.noSpace`, `.permissions`, `.notFound` (the directory), `.misuse` (exists), `.io`.
  public static func write(
    _ bytes: UnsafeRawBufferPointer, to path: String, replacing: Bool = true
  ) throws(StoreError) {
    let (parent, name) = split(path)
    let directory = try openDirectory(parent)
    defer { close(directory) }
    try write(bytes, named: name, in: directory, path: path, replacing: replacing)
  }

  /// As above for bytes that are no secret, or for sealed ones.
  public static func write(_ bytes: [UInt8], to path: String, replacing: Bool = true) throws(StoreError) {
    try bytes.withUnsafeBytes { attempt($0, path, replacing) }.get()
  }

  /// As above for bytes that leave locked memory only into the file.
  public static func write(_ bytes: SecretBytes, to path: String, replacing: Bool = true) throws(StoreError) {
    try bytes.withUnsafeBytes { attempt($0, path, replacing) }.get()
  }

  /// Reads a whole file.
  /// - Parameters:
  ///   - maximum: more bytes than this are refused.
  ///   - requiringPrivate: refuses a symbolic link, a file of another owner, and any mode with bits for group or others,
  ///     as ssh does. False is for files that carry their own protection (a sealed backup on a stick).
  /// - Returns: the bytes; the caller wipes them if they are secret.
  public static func read(
    _ path: String, atMost maximum: Int, requiringPrivate: Bool = true
  ) throws(StoreError) -> [UInt8] {
    let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (requiringPrivate ? O_NOFOLLOW : 0)
    let file = Glibc.open(path, flags)
    guard file >= 0 else {
      if errno == ELOOP {
        throw StoreError(.permissions, "is a symbolic link, which is not accepted for a key file", path: path)
      }
      throw systemError("cannot open", path)
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw systemError("cannot examine", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw StoreError(.permissions, "is not a regular file", path: path)
    }
    if requiringPrivate { try expectPrivate(status, path, "600") }
    guard status.st_size <= maximum else {
      throw StoreError(.damaged, "has \(status.st_size) bytes, more than the \(maximum) that it can have", path: path)
    }
    // One byte more than the size shows a file that grows; the buffer is never moved, so no copy of a secret stays.
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size) + 1)
    var count = 0
    while count < bytes.count {
      let got = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress! + count, $0.count - count) }
      if got < 0 {
        if errno == EINTR { continue }
        let error = systemError("cannot read", path)
        bytes.wipe()
        throw error
      }
      if got == 0 { break }
      count += got
    }
    guard count <= Int(status.st_size) else {
      bytes.wipe()
      throw StoreError(.io, "changed while it was read", path: path)
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  /// Removes a file for good; one that is not there is no error.
  public static func remove(_ path: String) throws(StoreError) {
    let (parent, _) = split(path)
    guard unlink(path) == 0 else {
      if errno == ENOENT { return }
      throw systemError("cannot remove", path)
    }
    let directory = try openDirectory(parent)
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw systemError("cannot sync", parent) }
  }

  /// Whether anything, a dangling link included, has this name.
  public static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  private static func attempt(
    _ bytes: UnsafeRawBufferPointer, _ path: String, _ replacing: Bool
  ) -> Result<Void, StoreError> {
    Result { () throws(StoreError) in try write(bytes, to: path, replacing: replacing) }
  }

  static func write(
    _ bytes: UnsafeRawBufferPointer, named name: String, in directory: Int32, path: String, replacing: Bool
  ) throws(StoreError) {
    if !replacing, exists(path) { throw StoreError(.misuse, "exists already and is not replaced", path: path) }
    let temporary = ".\(name).\(getpid()).\(Hex.encode(SystemRandom.bytes(4))).tmp"
    let file = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw systemError("cannot create", path) }
    do throws(StoreError) {
      defer { close(file) }
      // The umask can only have taken bits away; give the owner's back.
      guard fchmod(file, 0o600) == 0 else { throw systemError("cannot set the mode of", path) }
      var done = 0
      while done < bytes.count {
        let wrote = Glibc.write(file, bytes.baseAddress! + done, bytes.count - done)
        if wrote < 0 {
          if errno == EINTR { continue }
          throw systemError("cannot write", path)
        }
        done += wrote
      }
      guard fsync(file) == 0 else { throw systemError("cannot sync", path) }
      if replacing {
        guard renameat(directory, temporary, directory, name) == 0 else { throw systemError("cannot replace", path) }
      } else {
        // A link fails if the name has appeared meanwhile, which a rename would not notice.
        guard linkat(directory, temporary, directory, name, 0) == 0 else { throw systemError("cannot create", path) }
        unlinkat(directory, temporary, 0)
      }
    } catch {
      unlinkat(directory, temporary, 0)
      throw error
    }
    guard fsync(directory) == 0 else { throw systemError("cannot sync the directory of", path) }
  }

  static func openDirectory(_ path: String) throws(StoreError) -> Int32 {
    let directory = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw systemError("cannot open the directory", path) }
    return directory
  }

  /// Refuses what belongs to somebody else or is open to group or others, and says which command closes it.
  static func expectPrivate(_ status: stat, _ path: String, _ wanted: String) throws(StoreError) {
    guard status.st_uid == geteuid() else {
      throw StoreError(.permissions, "belongs to user \(status.st_uid), not to you (\(geteuid()))", path: path)
    }
    let mode = status.st_mode & 0o7777
    guard mode & 0o077 == 0 else {
      let octal = String(mode, radix: 8)
      throw StoreError(
        .permissions,
        "mode 0\(octal) lets others in, so it is not used; if nobody did get in, run: chmod \(wanted) \(shellQuoted(path))",
        path: path)
    }
  }

  /// The error that `errno` names just after a system call failed.
  static func systemError(_ what: String, _ path: String) -> StoreError {
    let number = errno
    let reason = String(cString: strerror(number))
    let code: StoreError.Code
    switch number {
    case ENOSPC, EDQUOT, EFBIG: code = .noSpace
    case EACCES, EPERM, EROFS: code = .permissions
    case ENOENT: code = .notFound
    case EEXIST: code = .misuse
    default: code = .io
    }
    return StoreError(code, "\(what): \(reason)", path: path)
  }

  static func split(_ path: String) -> (parent: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
  }

  private static func shellQuoted(_ path: String) -> String {
    let plain = path.utf8.allSatisfy { byte in
      (0x2D...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x5F
    }
    return plain
      ? path : "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}

/// Keeps this process out of core dumps and away from other processes' debuggers, as it holds keys in memory.
public enum ProcessSecrecy {
  /// - Returns: whether the system agreed.
  @discardableResult
  public static func forbidDumps() -> Bool { tl_forbid_dumps() == 0 }
}
