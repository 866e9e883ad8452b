private import CSodium
public import Primitives

public enum ContentRole {}
/// BLAKE2b-256 of some bytes (RFC 7693, no key).
public typealias Digest = Bytes32<ContentRole>

extension Bytes32 {
  /// BLAKE2b-256 of a whole buffer.
  @inlinable
  public init(hashing bytes: UnsafeRawBufferPointer) { self.init(memory: hash32(bytes)) }

  @inlinable
  public init(hashing bytes: [UInt8]) { self.init(memory: bytes.withUnsafeBytes { hash32($0) }) }
}

/// Knows no role, so that the hash of each role is not a generic call: that cost as much as the hash.
@usableFromInline
func hash32(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64, UInt64, UInt64) {
  precondition(isReady, "libsodium does not start")
  var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  let code = withUnsafeMutableBytes(of: &words) { output in
    crypto_generichash(
      output.bindMemory(to: UInt8.self).baseAddress!, 32, bytes.bindMemory(to: UInt8.self).baseAddress,
      UInt64(bytes.count), nil, 0)
  }
  precondition(code == 0, "BLAKE2b refused \(bytes.count) bytes")
  return words
}

/// libsodium picks the code for this processor when it starts; without that it takes the slowest.
private let isReady = sodium_init() >= 0
