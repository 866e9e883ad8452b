public import Identity
public import Primitives

/// Who is logged in: one file per device in a 0700 runtime directory (which is the command line's to choose), gone with
/// the machine's memory where that directory is a tmpfs.
public struct LoginSessions: Sendable {
  private let directory: ProfileDirectory

  /// - Parameter runtimeDirectory: made with mode 0700 if it is missing; one that others may enter is refused.
  public init(runtimeDirectory path: String) throws(StoreError) {
    directory = try ProfileDirectory(creating: path)
  }

  /// Leaves the device key there until the session is over or `logOut`.
  public func logIn(_ session: LoginSession) throws(StoreError) {
    try PrivateFile.write(session.encoded(), to: path(session.device.publicKey))
  }

  /// The running session of a device, or nil. One that is over is removed.
  /// - Throws: `StoreError`, or `IdentityError` for a file that is damaged (log in again, and it is replaced).
  public func session(of device: PublicKey, at now: Timestamp) throws -> LoginSession? {
    let path = path(device)
    guard PrivateFile.exists(path) else { return nil }
    var bytes = try PrivateFile.read(path, atMost: Self.byteMaximum)
    defer { bytes.wipe() }
    let session: LoginSession
    do throws(IdentityError) {
      session = try LoginSession(decoding: bytes)
    } catch {
      throw error.about(file: path)
    }
    guard session.device.publicKey == device else {
      throw IdentityError(.verification, "the session of another device", in: path)
    }
    guard !session.isOver(at: now) else {
      try PrivateFile.remove(path)
      return nil
    }
    return session
  }

  /// Forgets the device key; nothing to forget is no error.
  public func logOut(_ device: PublicKey) throws(StoreError) { try PrivateFile.remove(path(device)) }

  private func path(_ device: PublicKey) -> String { "\(directory.path)/session-\(device.hex.prefix(32))" }

  private static let byteMaximum = 1024
}
