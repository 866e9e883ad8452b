private import CSodium
public import Primitives

public enum KeyRole {}
/// An Ed25519 public key (RFC 8032).
public typealias PublicKey = Bytes32<KeyRole>
/// A log is named by the key of the device that writes it.
public typealias LogID = PublicKey

public enum PersonRole {}
/// Names a person for ever: BLAKE2b-256("tl-person-v1\0" ‖ root public key 1 ‖ recovery public key).
public typealias PersonID = Bytes32<PersonRole>

/// An Ed25519 signature, 64 bytes.
@frozen
public struct Signature: Hashable, Sendable {
  public static let byteCount = 64
  @usableFromInline var low: Bytes32<KeyRole>
  @usableFromInline var high: Bytes32<KeyRole>

  /// Takes exactly 64 bytes; any other count is refused.
  @inlinable
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == 64, let low = Bytes32<KeyRole>(bytes.prefix(32)), let high = Bytes32<KeyRole>(bytes.suffix(32))
    else { return nil }
    self.low = low
    self.high = high
  }

  public var bytes: [UInt8] { low.bytes + high.bytes }
}

/// What a signature is for. Every signature of ours covers "tl-NAME-v1\0" and then the signed bytes, so none can be
/// taken for another (DESIGN §3).
public enum SignatureDomain: String, Sendable, CaseIterable {
  case event, node, consent, certify, revoke, rotate, deposit

  public var prefix: [UInt8] { Array("tl-\(rawValue)-v1".utf8) + [0] }
}

extension PublicKey {
  /// Whether `signature` is this key's over the domain's prefix and `message`. Strict: libsodium refuses a
  /// non-canonical S, a non-canonical key and keys of small order.
  public func verifies(_ signature: Signature, of message: [UInt8], in domain: SignatureDomain) -> Bool {
    verifies(signature, ofRaw: domain.prefix + message)
  }

  /// As above over the bare bytes, for formats that bring their own domain (BEP 44).
  public func verifies(_ signature: Signature, ofRaw message: [UInt8]) -> Bool {
    let signatureBytes = signature.bytes
    return withUnsafeBytes { key in
      crypto_sign_verify_detached(
        signatureBytes, message, UInt64(message.count), key.bindMemory(to: UInt8.self).baseAddress!) == 0
    }
  }
}

/// Bytes that must not leak: kept in locked, guarded memory that is wiped when the last owner lets go.
///
/// `@unchecked Sendable`: the memory is written only inside `init`, before anybody else can see the object.
public final class SecretBytes: @unchecked Sendable {
  private let memory: UnsafeMutableRawPointer
  public let count: Int

  /// Copies the bytes. The caller wipes or forgets its own copy.
  public init(_ bytes: [UInt8]) {
    _ = sodium_init()
    count = bytes.count
    guard let memory = sodium_malloc(max(1, bytes.count)) else {
      preconditionFailure("no locked memory for \(bytes.count) bytes")
    }
    self.memory = memory
    memory.copyMemory(from: bytes, byteCount: bytes.count)
    sodium_mprotect_readonly(memory)
  }

  deinit { sodium_free(memory) }

  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try body(UnsafeRawBufferPointer(start: memory, count: count))
  }
}

/// An Ed25519 key pair. The secret half stays in locked memory and has no textual form.
public final class SigningKey: Sendable {
  public let publicKey: PublicKey
  private let secret: SecretBytes  // libsodium's 64 bytes: seed ‖ public key

  public static let seedByteCount = 32

  /// A fresh key from the operating system's randomness.
  public convenience init() {
    var seed = SystemRandom.bytes(Self.seedByteCount)
    defer { seed.wipe() }
    self.init(seed: seed)!
  }

  /// The key of a 32-byte seed (RFC 8032 §5.1.5); nil for another length.
  public init?(seed: [UInt8]) {
    guard seed.count == Self.seedByteCount else { return nil }
    _ = sodium_init()
    var secretBytes = [UInt8](repeating: 0, count: 64)
    var publicBytes = [UInt8](repeating: 0, count: 32)
    crypto_sign_seed_keypair(&publicBytes, &secretBytes, seed)
    secret = SecretBytes(secretBytes)
    sodium_memzero(&secretBytes, secretBytes.count)
    publicKey = PublicKey(publicBytes)!
  }

  /// Hands out the seed for sealing and for nothing else.
  public func withSeed<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try secret.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[0..<Self.seedByteCount])) }
  }

  public func sign(_ message: [UInt8], in domain: SignatureDomain) -> Signature {
    sign(raw: domain.prefix + message)
  }

  /// Signs bare bytes, for formats that bring their own domain (BEP 44).
  public func sign(raw message: [UInt8]) -> Signature {
    var output = [UInt8](repeating: 0, count: 64)
    secret.withUnsafeBytes { key in
      _ = crypto_sign_detached(
        &output, nil, message, UInt64(message.count), key.bindMemory(to: UInt8.self).baseAddress!)
    }
    return Signature(output)!
  }
}

/// The operating system's randomness. Shells and key making use it; cores never do.
public enum SystemRandom {
  public static func bytes(_ count: Int) -> [UInt8] {
    _ = sodium_init()
    var bytes = [UInt8](repeating: 0, count: count)
    if count > 0 { randombytes_buf(&bytes, count) }
    return bytes
  }
}
