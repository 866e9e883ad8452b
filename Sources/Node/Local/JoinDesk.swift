import Identity
import Primitives
import Replication

/// The one ticket that may be out, and the devices that showed its secret and wait for their certificate.
struct JoinDesk {
  private struct Offer {
    let secret: SecretBytes
    let progress: @Sendable (LocalProgress) -> Void
    let ending: AsyncStream<Result<Void, NodeError>>.Continuation
  }

  private var offer: Offer?
  private var asking: [UInt32: PublicKey] = [:]
  private var waiting: [UInt32: CheckedContinuation<[UInt8]?, Never>] = [:]
  private var nextNumber: UInt32 = 1
  /// The device that the ticket goes to: nobody else's answer counts from then on.
  private var taker: UInt32?

  /// Devices that may wait at one time: whoever knows the secret has it from the ticket, so one is usual.
  static let waitingMaximum = 8
  static let ranOut = NodeError(.refused, "the ticket has run out")
  static let isTaken = NodeError(.refused, "another device has used this ticket")

  /// - Returns: what comes when the offer is over.
  mutating func open(
    _ offer: LocalJoinOffer, _ progress: @escaping @Sendable (LocalProgress) -> Void
  ) throws(NodeError) -> AsyncStream<Result<Void, NodeError>> {
    guard self.offer == nil else { throw NodeError(.refused, "another device is being added at this moment") }
    let (ends, ending) = AsyncStream.makeStream(of: Result<Void, NodeError>.self, bufferingPolicy: .bufferingOldest(1))
    self.offer = Offer(secret: SecretBytes(offer.secret), progress: progress, ending: ending)
    return ends
  }

  /// Refuses everybody who still waits.
  mutating func close() {
    for number in waiting.keys.sorted() { waiting[number]?.resume(returning: nil) }
    waiting = [:]
    asking = [:]
    taker = nil
    offer = nil
  }

  /// The offer is over: well, or with an error.
  func end(throwing error: NodeError?) { offer?.ending.yield(error.map { .failure($0) } ?? .success(())) }

  /// The number of a device that knows the secret, told to whoever made the offer; nil for any other.
  mutating func admit(_ request: Message.JoinRequest) -> UInt32? {
    guard let offer, taker == nil, offer.secret.matches(SecretBytes(request.secret)) else { return nil }
    // A device that asks again has lost its connection: its first request has nobody to answer any more.
    for (number, device) in asking where device == request.device { drop(number) }
    guard asking.count < Self.waitingMaximum else { return nil }
    let number = nextNumber
    nextNumber += 1
    asking[number] = request.device
    offer.progress(.joinRequest(number: number, request))
    return number
  }

  mutating func wait(for number: UInt32, _ continuation: CheckedContinuation<[UInt8]?, Never>) {
    guard asking[number] != nil else { return continuation.resume(returning: nil) }
    waiting[number] = continuation
  }

  /// Gives the ticket to a device that waits, before anything is signed off for it; the ticket is good once.
  mutating func take(_ number: UInt32) throws(NodeError) {
    guard taker == nil else { throw Self.isTaken }
    guard waiting[number] != nil else { throw Self.isUnknown(number) }
    taker = number
  }

  /// The ticket's taker could not be certified after all: it is good again.
  mutating func giveBack(_ number: UInt32) { if taker == number { taker = nil } }

  private static func isUnknown(_ number: UInt32) -> NodeError {
    NodeError(.notFound, "no device waits under number \(number)")
  }

  mutating func answer(_ number: UInt32, _ record: [UInt8]?) throws(NodeError) {
    guard let continuation = waiting.removeValue(forKey: number) else {
      throw Self.isUnknown(number)
    }
    asking[number] = nil
    continuation.resume(returning: record)
    // Whoever still waits would keep a connection open for a ticket that is used up.
    if record != nil { for number in asking.keys.sorted() { drop(number) } }
  }

  private mutating func drop(_ number: UInt32) {
    asking[number] = nil
    waiting.removeValue(forKey: number)?.resume(returning: nil)
  }
}
