private import COpenSSL
private import Glibc
public import Identity
public import Primitives

/// One side of a TLS 1.3 connection, without a socket: bytes from the wire go in by `feed`, bytes for the wire come
/// out by `drain` or `consumeOutput`.
///
/// Not Sendable: it belongs to whoever pumps it. After a thrown error the engine is of no more use, except that the
/// alert for the other side can still be drained.
public final class TLSEngine {
  public enum Role: Sendable { case client, server }

  public enum ReadResult: Hashable, Sendable {
    /// So many bytes were read; there may be more.
    case bytes(Int)
    /// Nothing more without another `feed`.
    case needsInput
    /// The other side said that it sends no more.
    case closed
  }

  /// Most bytes that a handshake may take in one direction; ours takes about 1,100.
  public static let handshakeBytesMaximum = 65_536
  /// Most bytes of certificates that are looked at: one of ours has about 300, one with many extensions a few thousand.
  static let certificateBytesMaximum = 16_384
  /// What `drain` hands out at once.
  public static let drainMaximum = 262_144
  /// A new traffic key after so many bytes: far below the 2^24.5 full records of RFC 8446 §5.5.
  static let rekeyBytes = 1 << 36

  public let role: Role
  /// The key that the other side proved to have: of a certificate that keeps the rules of `PeerCertificate`. Trust
  /// it once `isEstablished`.
  public private(set) var peerKey: PublicKey?
  public private(set) var isEstablished = false
  /// Whether the other side has sent its close_notify.
  public private(set) var isPeerClosed = false

  /// TLS bytes up to the end of our handshake, in each direction.
  public private(set) var handshakeBytesSent = 0
  public private(set) var handshakeBytesReceived = 0
  /// Bytes inside TLS, in each direction.
  public private(set) var applicationBytesSent = 0
  public private(set) var applicationBytesReceived = 0

  private let connection: OpaquePointer  // SSL
  private let input: OpaquePointer  // BIO, owned by the connection
  private let output: OpaquePointer  // BIO, owned by the connection
  private let identity: TLSIdentity
  private let expected: PublicKey?
  private let wall: Timestamp?
  private let rekeyInterval: Int
  private var outputOffset = 0  // bytes at the front of the output BIO that were taken already
  private var bytesTaken = 0
  private var bytesFed = 0
  private var bytesSinceRekey = 0
  private var refusal: TransportError?
  private var isClosing = false

  /// - Parameters:
  ///   - expecting: the only key that is accepted; nil accepts any.
  ///   - wall: the time by which certificates are judged; nil asks the system.
  public convenience init(
    identity: TLSIdentity, role: Role, expecting: PublicKey? = nil, wall: Timestamp? = nil
  ) throws(TransportError) {
    try self.init(identity: identity, role: role, expecting: expecting, wall: wall, rekeyInterval: Self.rekeyBytes)
  }

  package init(
    identity: TLSIdentity, role: Role, expecting: PublicKey?, wall: Timestamp?, rekeyInterval: Int
  ) throws(TransportError) {
    OpenSSLErrors.clear()
    guard let connection = SSL_new(identity.context) else {
      throw OpenSSLErrors.failure(.resources, "no TLS connection")
    }
    guard let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem()) else {
      SSL_free(connection)  // a BIO that was made leaks here; there is no memory anyway
      throw OpenSSLErrors.failure(.resources, "no TLS buffers")
    }
    SSL_set0_rbio(connection, input)
    SSL_set0_wbio(connection, output)
    self.connection = connection
    self.input = input
    self.output = output
    self.identity = identity
    self.role = role
    self.wall = wall
    self.rekeyInterval = rekeyInterval
    expected = expecting
    SSL_set_ex_data(connection, 0, Unmanaged.passUnretained(self).toOpaque())
    switch role {
    case .client: SSL_set_connect_state(connection)
    case .server: SSL_set_accept_state(connection)
    }
  }

  deinit { SSL_free(connection) }

  // MARK: The wire

  /// Takes bytes that came from the wire. Read or shake hands afterwards; what lies here is not bounded otherwise.
  public func feed(_ bytes: UnsafeRawBufferPointer) throws(TransportError) {
    guard bytes.count > 0 else { return }
    if !isEstablished, bytesFed >= Self.handshakeBytesMaximum {
      throw TransportError(.handshake, "a handshake over \(Self.handshakeBytesMaximum) bytes")
    }
    bytesFed += bytes.count
    OpenSSLErrors.clear()
    guard BIO_write(input, bytes.baseAddress, Int32(bytes.count)) == Int32(bytes.count) else {
      throw OpenSSLErrors.failure(.resources, "no memory for received bytes")
    }
  }

  public func feed(_ bytes: [UInt8]) throws(TransportError) {
    var failure: TransportError?
    bytes.withUnsafeBytes { bytes in
      do throws(TransportError) { try feed(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Bytes that wait for the wire.
  public var outputByteCount: Int { Int(tl_BIO_pending(output)) - outputOffset }

  /// Shows the bytes that wait for the wire, in place; the closure answers how many of them it took.
  public func consumeOutput(_ take: (UnsafeRawBufferPointer) throws -> Int) rethrows {
    var start: UnsafeMutablePointer<CChar>?
    let count = tl_BIO_memory(output, &start)
    guard let start, count > outputOffset else { return }
    let taken = try take(UnsafeRawBufferPointer(start: start + outputOffset, count: count - outputOffset))
    precondition(taken >= 0 && taken <= count - outputOffset, "took \(taken) of \(count - outputOffset)")
    outputOffset += taken
    bytesTaken += taken
    if outputOffset == count {
      tl_BIO_reset(output)
      outputOffset = 0
    }
  }

  /// The next bytes for the wire; empty when there are none.
  public func drain(atMost maximum: Int = drainMaximum) -> [UInt8] {
    var bytes: [UInt8] = []
    consumeOutput { output in
      bytes = Array(output.prefix(maximum))
      return bytes.count
    }
    return bytes
  }

  // MARK: The handshake

  /// Goes as far as the fed bytes allow; true once the connection stands. A client stands before the server has
  /// judged its certificate: a refusal arrives later, as an alert in `read`.
  public func handshake() throws(TransportError) -> Bool {
    if isEstablished { return true }
    if let refusal { throw refusal }
    OpenSSLErrors.clear()
    let result = SSL_do_handshake(connection)
    if result == 1 {
      guard peerKey != nil else { throw TransportError(.handshake, "a handshake without a certificate") }
      isEstablished = true
      handshakeBytesSent = bytesTaken + outputByteCount
      handshakeBytesReceived = bytesFed - Int(tl_BIO_pending(input))
      return true
    }
    switch SSL_get_error(connection, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return false
    case SSL_ERROR_ZERO_RETURN:
      isPeerClosed = true
      throw TransportError(.handshake, "closed during the handshake")
    default:
      let failure = OpenSSLErrors.failure(.handshake, "the TLS handshake failed")
      let error = refusal ?? failure
      refusal = error
      throw error
    }
  }

  /// Judges the peer's certificate; called from inside the handshake.
  func accept(certificate: OpaquePointer, outOf count: Int) -> Bool {
    do throws(TransportError) {
      guard count == 1 else { throw TransportError(.handshake, "\(count) certificates where one is wanted") }
      let now = wall ?? Timestamp(milliseconds: Int64(time(nil)) * 1_000)
      let key = try PeerCertificate.key(of: certificate, at: now)
      if let expected, key != expected {
        throw TransportError(.handshake, "another key than the expected one", cause: "\(key) instead of \(expected)")
      }
      peerKey = key
      return true
    } catch {
      refusal = error
      return false
    }
  }

  // MARK: Inside TLS

  /// Encrypts all of the bytes into the output. Drain it before it grows: nothing here bounds it.
  /// - Precondition: the connection stands.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(TransportError) {
    precondition(isEstablished && !isClosing, "write outside an open TLS connection")
    guard bytes.count > 0 else { return }
    OpenSSLErrors.clear()
    if bytesSinceRekey >= rekeyInterval {
      bytesSinceRekey = 0
      guard SSL_key_update(connection, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 else {
        throw OpenSSLErrors.failure(.closed, "no new traffic key")
      }
    }
    var written = 0
    guard SSL_write_ex(connection, bytes.baseAddress, bytes.count, &written) == 1, written == bytes.count else {
      throw OpenSSLErrors.failure(.closed, "TLS could not send")
    }
    applicationBytesSent += written
    bytesSinceRekey += written
  }

  public func write(_ bytes: [UInt8]) throws(TransportError) {
    var failure: TransportError?
    bytes.withUnsafeBytes { bytes in
      do throws(TransportError) { try write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Decrypts into the buffer, at most one record (16 KiB) at a time. A record that was tampered with throws
  /// `.protocolViolation`; an alert of the other side before its first byte throws `.handshake`, later `.closed`.
  public func read(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> ReadResult {
    guard isEstablished else { return .needsInput }
    OpenSSLErrors.clear()
    var count = 0
    let result = SSL_read_ex(connection, buffer.baseAddress, buffer.count, &count)
    if result == 1 {
      applicationBytesReceived += count
      return .bytes(count)
    }
    switch SSL_get_error(connection, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsInput
    case SSL_ERROR_ZERO_RETURN:
      isPeerClosed = true
      return .closed
    default:
      let reason = ERR_GET_REASON(ERR_peek_error())
      // Reasons from 1,000 on are alerts that the other side sent (openssl/sslerr.h).
      guard reason >= 1_000 else { throw OpenSSLErrors.failure(.protocolViolation, "a TLS record was refused") }
      throw applicationBytesReceived == 0
        ? OpenSSLErrors.failure(.handshake, "the other side refused our certificate or key")
        : OpenSSLErrors.failure(.closed, "the other side ended TLS with an alert")
    }
  }

  /// Says that we send no more (close_notify). Reading goes on. Idempotent; nothing happens before the handshake.
  public func close() {
    guard isEstablished, !isClosing else { return }
    isClosing = true
    OpenSSLErrors.clear()
    _ = SSL_shutdown(connection)
    OpenSSLErrors.clear()
  }
}
