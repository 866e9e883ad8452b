private import CSodium
internal import Primitives

extension SecretBytes {
  /// Copies the bytes and wipes the caller's array, which must be its storage's only owner: another owner keeps its own.
  public convenience init(wiping bytes: inout [UInt8]) {
    self.init(bytes)
    bytes.wipe()
  }

  /// Whether the bytes are equal, in a time that does not depend on where they differ.
  public func matches(_ other: SecretBytes) -> Bool {
    guard count == other.count else { return false }
    return withUnsafeBytes { a in
      other.withUnsafeBytes { b in sodium_memcmp(a.baseAddress!, b.baseAddress!, count) == 0 }
    }
  }
}

extension SecretBytes: CustomStringConvertible {
  /// Says that there is a secret, never which.
  public var description: String { "secret of \(count) bytes" }
}

extension [UInt8] {
  /// Overwrites the array with zeros in a way that the optimizer keeps. Call it on the only owner of the storage.
  public mutating func wipe() {
    withUnsafeMutableBytes { if let base = $0.baseAddress { sodium_memzero(base, $0.count) } }
  }
}
