private import CSodium
public import Primitives

public enum ContentRole {}
/// BLAKE2b-256 of some bytes (RFC 7693, no key).
public typealias Digest = Bytes32<ContentRole>

extension Bytes32 {
  /// BLAKE2b-256 of a whole buffer.
  public init(hashing bytes: UnsafeRawBufferPointer) {
    self.init(fill: { output in
      let base = bytes.bindMemory(to: UInt8.self).baseAddress
      let code = crypto_generichash(
        output.bindMemory(to: UInt8.self).baseAddress!, 32, base, UInt64(bytes.count), nil, 0)
      precondition(code == 0, "BLAKE2b refused \(bytes.count) bytes")
    })
  }

  public init(hashing bytes: [UInt8]) {
    self = bytes.withUnsafeBytes { Self(hashing: $0) }
  }
}
