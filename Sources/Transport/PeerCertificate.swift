private import COpenSSL
public import Identity
public import Primitives

/// The rules for a peer's certificate, as libp2p has them: exactly one, self-signed, with an Ed25519 key, its own
/// signature good, not run out. Names and extensions mean nothing here.
public enum PeerCertificate {
  /// How far a clock may be off before dates count, in either direction: DESIGN §6 puts the border at 24 h.
  public static let clockTolerance = Duration.seconds(24 * 3_600)

  /// The key of a certificate in DER that keeps the rules at the given time; throws `.handshake` otherwise.
  public static func key(ofDER bytes: [UInt8], at now: Timestamp) throws(TransportError) -> PublicKey {
    OpenSSLErrors.clear()
    var certificate: OpaquePointer?
    let consumed: Int? = bytes.withUnsafeBufferPointer { bytes in
      var position = bytes.baseAddress
      certificate = d2i_X509(nil, &position, bytes.count)
      guard let start = bytes.baseAddress, let position else { return nil }
      return position - start
    }
    guard let certificate else { throw OpenSSLErrors.failure(.handshake, "the certificate cannot be read") }
    defer { X509_free(certificate) }
    guard consumed == bytes.count else { throw TransportError(.handshake, "bytes after the certificate") }
    return try key(of: certificate, at: now)
  }

  /// As above, of an X509.
  static func key(of certificate: OpaquePointer, at now: Timestamp) throws(TransportError) -> PublicKey {
    OpenSSLErrors.clear()
    guard let secret = X509_get0_pubkey(certificate), EVP_PKEY_get_base_id(secret) == EVP_PKEY_ED25519 else {
      throw OpenSSLErrors.failure(.handshake, "the certificate's key is not Ed25519")
    }
    guard X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0 else {
      throw TransportError(.handshake, "the certificate is not self-signed")
    }
    guard X509_verify(certificate, secret) == 1 else {
      throw OpenSSLErrors.failure(.handshake, "the certificate's own signature is wrong")
    }
    var latestStart = Int(clamping: now.milliseconds / 1_000 + clockTolerance.components.seconds)
    var earliestEnd = Int(clamping: now.milliseconds / 1_000 - clockTolerance.components.seconds)
    guard X509_cmp_time(X509_get0_notBefore(certificate), &latestStart) == -1 else {
      throw TransportError(.handshake, "the certificate is not valid yet")
    }
    guard X509_cmp_time(X509_get0_notAfter(certificate), &earliestEnd) == 1 else {
      throw TransportError(.handshake, "the certificate has expired")
    }
    var bytes = [UInt8](repeating: 0, count: PublicKey.byteCount)
    var count = bytes.count
    guard EVP_PKEY_get_raw_public_key(secret, &bytes, &count) == 1, let key = PublicKey(bytes.prefix(count)) else {
      throw OpenSSLErrors.failure(.handshake, "the certificate's key cannot be read")
    }
    return key
  }
}

/// Called by OpenSSL instead of its X.509 path validation. Tells the engine of the connection what was found.
func verifyPeerCertificate(_ store: OpaquePointer?, _: UnsafeMutableRawPointer?) -> Int32 {
  guard let connection = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
    let owner = SSL_get_ex_data(OpaquePointer(connection), 0)
  else { return 0 }
  let engine = Unmanaged<TLSEngine>.fromOpaque(owner).takeUnretainedValue()
  guard let certificate = X509_STORE_CTX_get0_cert(store) else { return 0 }
  let count = Int(OPENSSL_sk_num(X509_STORE_CTX_get0_untrusted(store)))
  if engine.accept(certificate: certificate, outOf: count) { return 1 }
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION)
  return 0
}
