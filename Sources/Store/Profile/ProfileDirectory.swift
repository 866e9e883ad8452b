import CLinux
import Glibc

/// The directory of one profile: keys, database, lock and control socket, open to its owner alone.
///
/// Where it lies (`--home`, TL_HOME, XDG) is the command line's to say; this type is given a path.
public struct ProfileDirectory: Hashable, Sendable {
  public enum Item: String, Sendable, CaseIterable {
    case database = "tl.db"
    case deviceKey = "device.key"
    case rootKey = "root.key"
    case recoveryKey = "recovery.key"
    case nodeKey = "node.key"
    case network
    case contacts = "dht-contacts"
    case contactsIPv6 = "dht-contacts6"
    /// What the root key last said of the person in the DHT.
    case personItem = "person.item"
    case lock
    case controlSocket = "control.sock"
  }

  /// Without a slash at its end.
  public let path: String

  /// Opens an existing directory.
  /// - Throws: `.notFound`, or `.permissions` for one that others may enter, that belongs to somebody else, or that is
  ///   no directory.
  public init(opening path: String) throws(StoreError) {
    self.path = Self.normalized(path)
    try check()
  }

  /// Opens the directory, making it and missing parents with mode 0700 whatever the umask is.
  public init(creating path: String) throws(StoreError) {
    self.path = Self.normalized(path)
    try Self.make(self.path)
    try check()
  }

  public func path(of item: Item) -> String { "\(path)/\(item.rawValue)" }

  public func contains(_ item: Item) -> Bool { PrivateFile.exists(path(of: item)) }

  /// Refuses a directory that others may enter. A link to it is followed: what it leads to is judged.
  public func check() throws(StoreError) {
    var status = stat()
    guard stat(path, &status) == 0 else { throw PrivateFile.systemError("cannot open the profile", path) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw StoreError(.permissions, "is not a directory", path: path) }
    try PrivateFile.expectPrivate(status, path, "700")
  }

  private static func normalized(_ path: String) -> String {
    var path = path.isEmpty ? "." : path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }

  private static func make(_ path: String) throws(StoreError) {
    if mkdir(path, 0o700) == 0 {
      // A umask may have taken the owner's bits.
      guard chmod(path, 0o700) == 0 else { throw PrivateFile.systemError("cannot set the mode of", path) }
      let parent = try PrivateFile.openDirectory(PrivateFile.split(path).parent)
      defer { close(parent) }
      guard fsync(parent) == 0 else { throw PrivateFile.systemError("cannot sync the directory of", path) }
      return
    }
    switch errno {
    case EEXIST: return
    case ENOENT:
      let parent = PrivateFile.split(path).parent
      guard parent != path, parent != "." else { throw PrivateFile.systemError("cannot create", path) }
      try make(parent)
      // The parent is there now, so this does not come back here.
      guard PrivateFile.exists(parent) else { throw StoreError(.io, "vanished while it was made", path: parent) }
      try make(path)
    default: throw PrivateFile.systemError("cannot create", path)
    }
  }
}
