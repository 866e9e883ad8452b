import Identity
import Primitives
import Store

/// The keys of a profile, as far as they can be had without asking anybody.
struct ProfileKeys: Sendable {
  let store: KeyStore
  /// Where `tl login` leaves the device key; nil where there is no such place.
  let runtimeDirectory: String?

  /// What is known of this device without a passphrase.
  /// - Throws: `.notFound` when the profile has no device key.
  func devicePart() throws -> KeyFile.PublicPart {
    guard let part = try store.publicPart(.device) else {
      throw NodeError(.notFound, "this profile has no device key; run `tl init`")
    }
    return part
  }

  /// The device key: from its file if that is not sealed, else from the login session. It is read again each time, so a
  /// logout counts at once; reading costs a tenth of a millisecond.
  /// - Throws: `.locked` when it is sealed and nobody is logged in.
  func device(at now: Timestamp) throws -> KeyFile {
    let part = try devicePart()
    guard part.isSealed else { return try store.load(.device) }
    if let runtimeDirectory, PrivateFile.exists(runtimeDirectory),
      let session = try LoginSessions(runtimeDirectory: runtimeDirectory).session(of: part.key, at: now)
    {
      return session.keyFile
    }
    throw NodeError(.locked, "the device key is sealed and nobody is logged in; run `tl login`")
  }
}

extension ProfileStore {
  /// The key by which peers know this database, made when there is none. A key file that came with another database, or
  /// that does not read, is replaced: the database notes the public half of its own (DESIGN §7).
  func nodeKey(_ keys: ProfileKeys) throws -> SigningKey {
    if let bound = try note(.nodeKey), keys.store.directory.contains(.nodeKey) {
      do {
        let key = try keys.store.load(.node).key
        if key.publicKey.bytes == bound { return key }
      } catch is IdentityError {}
    }
    let key = SigningKey()
    try keys.store.save(.node(key), passphrase: nil)
    try setNote(.nodeKey, key.publicKey.bytes)
    return key
  }

  /// Signs a fresh statement about the node key when the present one has less than half its life, or speaks of another
  /// key or device, and the device key can be had. Otherwise the present one stays as long as it holds.
  func renewStatement(node: PublicKey, _ keys: ProfileKeys) throws {
    let now = environment.now()
    let current = try note(.statement).flatMap { bytes -> NodeStatement? in
      do { return try NodeStatement(decoding: bytes) } catch { return nil }
    }
    let fits = current.map { $0.node == node && $0.device == device.key && $0.person == person && $0.notAfter > now }
    if fits == true, let current {
      spoken.statement = current.encoded
      // A clock that was wrong when it was signed would make it last too long to be believed.
      let left = current.notAfter.milliseconds - now.milliseconds
      if (NodeStatement.lifetimeMilliseconds / 2...NodeStatement.lifetimeMilliseconds).contains(left) { return }
    } else {
      spoken.statement = nil
    }
    let key: SigningKey
    do {
      key = try keys.device(at: now).key
    } catch let error as NodeError where error.code == .locked {
      return
    }
    let fresh = NodeStatement(node: node, person: person, now: now, device: key).encoded
    try setNote(.statement, fresh)
    spoken.statement = fresh
  }

  /// What the node keeps in the database beside the logs.
  private enum Note: String {
    /// The public half of `node.key`, 32 bytes.
    case nodeKey
    /// The encoded `NodeStatement`. It is kept, so that peers need not be sent another one by each command.
    case statement = "nodeStatement"
  }

  private func note(_ note: Note) throws -> [UInt8]? {
    let select = try store.database.statement("SELECT value FROM meta WHERE key=?")
    select.bind(note.rawValue, at: 0)
    return try select.first { $0.blob(0) }
  }

  private func setNote(_ note: Note, _ value: [UInt8]) throws {
    try store.database.transaction {
      let insert = try store.database.statement("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)")
      insert.bind(note.rawValue, at: 0)
      insert.bind(value, at: 1)
      try insert.run()
    }
  }
}
