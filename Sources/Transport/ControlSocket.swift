import CLinux
import Glibc

/// A Unix stream socket in a directory that is ours alone: path, rights and owner.
enum ControlSocket {
  /// Set in the type of a response that is followed by another one.
  static let moreFollows: UInt8 = 0x80

  private static let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

  /// Binds, so that nobody else can connect at any moment: the directory is 0700, and the socket becomes 0600 before
  /// it listens. A socket that nobody listens on any more is replaced; the caller holds the profile's lock, so that
  /// two nodes do not do so at once.
  static func listen(at path: String) throws(TransportError) -> (descriptor: Int32, inode: ino_t) {
    let (directoryPath, name) = split(path)
    if mkdir(directoryPath, 0o700) != 0, errno != EEXIST {
      throw .system("mkdir", errno, "cannot make the directory of \(path)")
    }
    let directory = try openDirectory(directoryPath, for: path)
    defer { Glibc.close(directory) }
    var status = stat()
    guard fstat(directory, &status) == 0 else {
      throw .system("fstat", errno, "cannot look at the directory of \(path)")
    }
    guard status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
      throw TransportError(.address, "the directory of \(path) must be ours and closed to others (0700)")
    }
    let descriptor = socket(AF_UNIX, flags | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw .system("socket", errno, "no control socket") }
    do throws(TransportError) {
      var bound = try withAddress(directory, name, path) { bind(descriptor, $0, $1) }
      if bound == EADDRINUSE {
        try removeStale(directory, name, path)
        bound = try withAddress(directory, name, path) { bind(descriptor, $0, $1) }
      }
      guard bound == 0 else { throw .system("bind", bound, "cannot make \(path)") }
      guard fchmodat(directory, name, 0o600, 0) == 0 else {
        throw .system("chmod", errno, "cannot close \(path) to others")
      }
      guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0, Glibc.listen(descriptor, backlog) == 0 else {
        throw .system("listen", errno, "cannot listen on \(path)")
      }
      return (descriptor, status.st_ino)
    } catch {
      Glibc.close(descriptor)
      throw error
    }
  }

  /// Connects, blocking. Throws `.refused` when nobody listens there.
  static func connect(to path: String) throws(TransportError) -> Int32 {
    let (directoryPath, name) = split(path)
    let directory = try openDirectory(directoryPath, for: path)
    defer { Glibc.close(directory) }
    let descriptor = socket(AF_UNIX, flags, 0)
    guard descriptor >= 0 else { throw .system("socket", errno, "no control socket") }
    do throws(TransportError) {
      let result = try withAddress(directory, name, path) { Glibc.connect(descriptor, $0, $1) }
      guard result == 0 else { throw .system("connect", result, "no node listens on \(path)") }
      guard isOurs(descriptor) else { throw TransportError(.refused, "\(path) belongs to another user") }
      return descriptor
    } catch {
      Glibc.close(descriptor)
      throw error
    }
  }

  /// Whether the other end is a process of our user, or root.
  static func isOurs(_ descriptor: Int32) -> Bool {
    var other = tl_peer_credentials()
    var count = socklen_t(MemoryLayout<tl_peer_credentials>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &other, &count) == 0 else { return false }
    return isAllowed(user: other.uid, own: geteuid())
  }

  static func isAllowed(user: uid_t, own: uid_t) -> Bool { user == own || user == 0 }

  /// Removes the socket that we made, if it is still that one.
  static func remove(_ path: String, inode: ino_t) {
    var status = stat()
    if lstat(path, &status) == 0, status.st_ino == inode { unlink(path) }
  }

  private static func removeStale(_ directory: Int32, _ name: String, _ path: String) throws(TransportError) {
    var status = stat()
    guard fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
      throw TransportError(.address, "\(path) exists and is no socket")
    }
    let probe = socket(AF_UNIX, flags | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard probe >= 0 else { throw .system("socket", errno, "no control socket") }
    defer { Glibc.close(probe) }
    let result = try withAddress(directory, name, path) { Glibc.connect(probe, $0, $1) }
    guard result == ECONNREFUSED else { throw TransportError(.address, "another node listens on \(path)") }
    guard unlinkat(directory, name, 0) == 0 || errno == ENOENT else {
      throw .system("unlink", errno, "cannot replace \(path)")
    }
  }

  private static func split(_ path: String) -> (directory: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let directory = path[..<slash]
    return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
  }

  private static func openDirectory(_ directory: String, for path: String) throws(TransportError) -> Int32 {
    let descriptor = open(directory, tl_open_path_only | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system("open", errno, "no directory for \(path)") }
    return descriptor
  }

  /// Calls with the address of `name` in the directory, and answers errno or 0. An address has 108 bytes and a path
  /// more, so the directory is named by its descriptor.
  private static func withAddress(
    _ directory: Int32, _ name: String, _ path: String, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) throws(TransportError) -> Int32 {
    let short = Array("/proc/self/fd/\(directory)/\(name)".utf8)
    var address = sockaddr_un()
    let room = MemoryLayout.size(ofValue: address.sun_path) - 1
    guard !name.isEmpty, short.count <= room, !short.contains(0) else {
      throw TransportError(.address, "'\(name)' cannot be the name of a socket")
    }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: short) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        call($0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 ? 0 : errno
      }
    }
  }

  private static let backlog: Int32 = 64
}
