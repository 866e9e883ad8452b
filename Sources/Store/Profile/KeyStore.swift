public import Identity

/// The keys of a profile on disk. Errors are `StoreError` for the file and `IdentityError` for what is in it
/// (`.sealed`: a passphrase is needed, `.passphrase`: it does not open, `.damaged`: it is no key file).
public struct KeyStore: Sendable {
  public let directory: ProfileDirectory
  private let cost: SealingCost
  private let floor: SealingCost

  public init(_ directory: ProfileDirectory) {
    self.init(directory, cost: .moderate, floor: .floor)
  }

  /// For tests, which cannot wait for real costs.
  package init(_ directory: ProfileDirectory, cost: SealingCost, floor: SealingCost) {
    self.directory = directory
    self.cost = cost
    self.floor = floor
  }

  /// Writes a key file, sealed if there is a passphrase. The recovery key without one is written as a recovery file.
  public func save(_ key: KeyFile, passphrase: SecretBytes?) throws {
    let path = directory.path(of: try Self.item(key.kind))
    if let passphrase {
      try PrivateFile.write(try key.encodedSealed(passphrase: passphrase, cost: cost), to: path)
    } else if case .recovery(let signing, let person) = key {
      try PrivateFile.write(RecoveryFile(key: signing, person: person).encoded(), to: path)
    } else {
      try PrivateFile.write(key.encodedPlain(), to: path)
    }
  }

  /// Reads a key.
  /// - Throws: `StoreError` `.notFound`, `.permissions`, `.io`; `IdentityError`.
  public func load(_ kind: SealedBox.Kind, passphrase: SecretBytes? = nil) throws -> KeyFile {
    try read(kind) { (bytes) throws(IdentityError) in
      if kind == .recovery, bytes.starts(with: RecoveryFile.header.utf8) {
        return try RecoveryFile(decoding: bytes).keyFile
      }
      return try KeyFile(opening: try box(bytes, kind), passphrase: passphrase)
    }
  }

  /// What a key file tells without its passphrase; nil if there is no such file.
  public func publicPart(_ kind: SealedBox.Kind) throws -> KeyFile.PublicPart? {
    guard directory.contains(try Self.item(kind)) else { return nil }
    return try read(kind) { (bytes) throws(IdentityError) in
      if kind == .recovery, bytes.starts(with: RecoveryFile.header.utf8) {
        return KeyFile.publicPart(of: try RecoveryFile(decoding: bytes).keyFile)
      }
      return try KeyFile.publicPart(of: try box(bytes, kind))
    }
  }

  /// Whether the device key needs a passphrase. False without a device key.
  public func isSealed() throws -> Bool { try publicPart(.device)?.isSealed ?? false }

  /// The device key. The same as `load(.device, passphrase:)`.
  public func unlock(passphrase: SecretBytes?) throws -> KeyFile { try load(.device, passphrase: passphrase) }

  /// Removes a key file, as when the recovery key has been moved away.
  public func remove(_ kind: SealedBox.Kind) throws {
    try PrivateFile.remove(directory.path(of: try Self.item(kind)))
  }

  // Reads the file, wipes the bytes afterwards, and lets errors about them name the file.
  private func read<Content>(
    _ kind: SealedBox.Kind, _ body: ([UInt8]) throws(IdentityError) -> Content
  ) throws -> Content {
    let path = directory.path(of: try Self.item(kind))
    var bytes = try PrivateFile.read(path, atMost: Self.byteMaximum)
    defer { bytes.wipe() }
    do throws(IdentityError) {
      return try body(bytes)
    } catch {
      throw error.about(file: path)
    }
  }

  private func box(_ bytes: [UInt8], _ kind: SealedBox.Kind) throws(IdentityError) -> SealedBox {
    let box = try SealedBox(decoding: bytes, floor: floor)
    guard box.kind == kind else {
      throw IdentityError(.malformed, "holds a key of kind \(box.kind), not \(kind)", in: "key file")
    }
    return box
  }

  private static func item(_ kind: SealedBox.Kind) throws(StoreError) -> ProfileDirectory.Item {
    switch kind {
    case .device: return .deviceKey
    case .root: return .rootKey
    case .recovery: return .recoveryKey
    case .node: return .nodeKey
    case .backup, .session: throw StoreError(.misuse, "a \(kind) file is not kept among the keys")
    }
  }

  /// Key files are about 200 bytes, recovery files about 350.
  private static let byteMaximum = 8192
}
