package import Identity
package import Primitives

/// Proofs that whoever wants to store asked us from the same address a while ago (BEP 5).
///
/// A token is the first 8 bytes of HMAC-SHA256(secret of the period, address ‖ target). A period is 5 minutes; the tokens
/// of this one and the one before are taken, so one lives 5 to 10 minutes.
package struct Tokens: Sendable {
  package static let byteCount = 8
  package static let period = Duration.seconds(300)

  private let secret: AuthenticationCode
  private let began: Instant
  /// Keys of the period they are for and the one before.
  private var number: Int64 = -2
  private var current = AuthenticationCode()
  private var previous = AuthenticationCode()

  /// - Parameter secret: known to nobody else; of the operating system's randomness.
  package init(secret: AuthenticationCode, at now: Instant) {
    self.secret = secret
    began = now
  }

  package mutating func token(for address: IPAddress, target: NodeID, at now: Instant) -> [UInt8] {
    turn(at: now)
    return Array(
      AuthenticationCode(authenticating: address.bytes + target.bytes, with: current).bytes.prefix(Self.byteCount))
  }

  package mutating func accepts(_ token: [UInt8], from address: IPAddress, target: NodeID, at now: Instant) -> Bool {
    turn(at: now)
    guard token.count == Self.byteCount else { return false }
    let message = address.bytes + target.bytes
    return AuthenticationCode(authenticating: message, with: current).begins(with: token)
      || AuthenticationCode(authenticating: message, with: previous).begins(with: token)
  }

  private mutating func turn(at now: Instant) {
    let period = (now.nanoseconds - began.nanoseconds) / 300_000_000_000
    guard period != number else { return }
    previous = period == number + 1 ? current : key(period - 1)
    current = key(period)
    number = period
  }

  private func key(_ period: Int64) -> AuthenticationCode {
    AuthenticationCode(
      authenticating: Array("token".utf8) + withUnsafeBytes(of: period.bigEndian) { Array($0) }, with: secret)
  }
}

/// Transaction ids that nobody can guess from the ones that were seen: who could, could answer in another's name.
struct TransactionNumbers: Sendable {
  private let secret: AuthenticationCode
  private var counter: UInt64 = 0
  private var left: [UInt32] = []

  init(secret: AuthenticationCode) { self.secret = secret }

  mutating func next() -> UInt32 {
    if let number = left.popLast() { return number }
    counter += 1
    let message = Array("transaction".utf8) + withUnsafeBytes(of: counter.bigEndian) { Array($0) }
    AuthenticationCode(authenticating: message, with: secret).withUnsafeBytes { bytes in
      for offset in stride(from: 0, to: 32, by: 4) {
        left.append(bytes.load(fromByteOffset: offset, as: UInt32.self).bigEndian)
      }
    }
    return left.removeLast()
  }
}
