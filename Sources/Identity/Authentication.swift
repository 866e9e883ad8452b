private import CSodium
public import Primitives

public enum AuthenticationRole {}
/// A secret of 32 bytes, or what HMAC-SHA256 makes of one and a message.
public typealias AuthenticationCode = Bytes32<AuthenticationRole>

extension AuthenticationCode {
  /// HMAC-SHA256 (RFC 2104, FIPS 180-4) of the message under a key of 32 bytes.
  public init(authenticating message: [UInt8], with key: AuthenticationCode) {
    self.init { output in
      key.withUnsafeBytes { key in
        _ = crypto_auth_hmacsha256(
          output.bindMemory(to: UInt8.self).baseAddress!, message, UInt64(message.count),
          key.bindMemory(to: UInt8.self).baseAddress!)
      }
    }
  }

  /// Whether `bytes` are the first bytes of this code, in time that tells nothing about the bytes. None is no match.
  public func begins(with bytes: [UInt8]) -> Bool {
    guard !bytes.isEmpty, bytes.count <= Self.byteCount else { return false }
    return withUnsafeBytes { sodium_memcmp($0.baseAddress!, bytes, bytes.count) == 0 }
  }
}
