private import COpenSSL
public import Identity
public import Primitives

/// A node key and its self-signed certificate, ready for any number of connections in either role.
///
/// The certificate is a pure function of the key: fixed dates, a serial number out of the key, and Ed25519 signatures
/// are deterministic. TLS 1.3 alone, client certificates required, no tickets, no early data (DESIGN §7).
///
/// `@unchecked Sendable`: the SSL_CTX is changed only inside `init`; afterwards OpenSSL reads it and counts its
/// references atomically.
public final class TLSIdentity: @unchecked Sendable {
  public let publicKey: PublicKey
  /// The certificate as peers see it (DER).
  public let certificate: [UInt8]
  /// SSL_CTX
  package let context: OpaquePointer

  /// Throws `.resources` when OpenSSL has no memory or no Ed25519.
  public convenience init(_ key: SigningKey) throws(TransportError) {
    let secret = key.withSeed { seed in
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed.bindMemory(to: UInt8.self).baseAddress, seed.count)
    }
    guard let secret else { throw OpenSSLErrors.failure(.resources, "no private key for TLS") }
    defer { EVP_PKEY_free(secret) }
    guard let certificate = Self.makeCertificate(secret, for: key.publicKey) else {
      throw OpenSSLErrors.failure(.resources, "no certificate for TLS")
    }
    defer { X509_free(certificate) }
    try self.init(certificate: certificate, secret: secret, publicKey: key.publicKey)
  }

  private init(certificate: OpaquePointer, secret: OpaquePointer, publicKey: PublicKey) throws(TransportError) {
    self.publicKey = publicKey
    guard let context = Self.makeContext() else { throw OpenSSLErrors.failure(.resources, "no TLS context") }
    self.context = context
    var encoded: UnsafeMutablePointer<UInt8>?
    let count = i2d_X509(certificate, &encoded)
    self.certificate = count > 0 ? Array(UnsafeBufferPointer(start: encoded, count: Int(count))) : []
    CRYPTO_free(encoded, nil, 0)
    guard count > 0, SSL_CTX_use_certificate(context, certificate) == 1,
      SSL_CTX_use_PrivateKey(context, secret) == 1, SSL_CTX_check_private_key(context) == 1
    else { throw OpenSSLErrors.failure(.resources, "certificate and key refused") }
  }

  deinit { SSL_CTX_free(context) }

  /// A context with our rules and no certificate yet.
  private static func makeContext() -> OpaquePointer? {
    guard let context = SSL_CTX_new(TLS_method()) else { return nil }
    tl_SSL_CTX_strict_options(context)
    tl_SSL_CTX_max_certificate_bytes(context, TLSEngine.certificateBytesMaximum)
    SSL_CTX_set_num_tickets(context, 0)
    SSL_CTX_set_max_early_data(context, 0)
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    SSL_CTX_set_cert_verify_callback(context, verifyPeerCertificate, nil)
    // Everything else here has 128 bits of strength, so AES-128 goes first; it is also the fastest.
    guard tl_SSL_CTX_only_tls13(context) == 1, tl_SSL_CTX_algorithms(context, "ed25519", "X25519:P-256") == 1,
      SSL_CTX_set_ciphersuites(
        context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1
    else {
      SSL_CTX_free(context)
      return nil
    }
    return context
  }

  private static func makeCertificate(_ secret: OpaquePointer, for key: PublicKey) -> OpaquePointer? {
    guard let certificate = X509_new() else { return nil }
    let name = X509_get_subject_name(certificate)
    let made =
      X509_set_version(certificate, 2) == 1  // counted from 0: version 3
      && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), key.prefix64 >> 1 | 1) == 1
      && X509_NAME_add_entry_by_txt(name, "CN", Self.asciiString, "tl node", -1, -1, 0) == 1
      && X509_set_issuer_name(certificate, name) == 1
      && ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20240101000000Z") == 1
      // RFC 5280 §4.1.2.5: no well-defined expiration. Keys are replaced, certificates do not run out.
      && ASN1_TIME_set_string(X509_getm_notAfter(certificate), "99991231235959Z") == 1
      && X509_set_pubkey(certificate, secret) == 1
      && X509_sign(certificate, secret, nil) > 0
    if made { return certificate }
    X509_free(certificate)
    return nil
  }

  /// MBSTRING_ASC, a macro with a nested one.
  private static let asciiString: Int32 = 0x1001
}

/// OpenSSL keeps its errors in a queue per thread. It is emptied before each call and read after a failed one.
enum OpenSSLErrors {
  static func clear() { ERR_clear_error() }

  /// Empties the queue into an error. The oldest entry is the cause.
  static func failure(_ code: TransportError.Code, _ message: String) -> TransportError {
    let oldest = ERR_get_error()
    ERR_clear_error()
    guard oldest != 0 else { return TransportError(code, message) }
    let text = ERR_reason_error_string(oldest).map { String(cString: $0) } ?? "OpenSSL error \(oldest)"
    return TransportError(code, message, cause: text)
  }
}
