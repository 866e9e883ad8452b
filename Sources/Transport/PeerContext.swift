public import Dispatch
public import Primitives

/// What every connection of one owner keeps to. The numbers are those of RELIABILITY §4 where it has one.
public struct PeerLimits: Sendable, Hashable {
  /// From dialling to a TCP connection, over all addresses of a name.
  public var connectTimeout = Duration.seconds(10)
  /// From the TCP connection to the end of the TLS handshake.
  public var handshakeTimeout = Duration.seconds(10)
  /// A peer whose queue does not move by `progressMinimum` bytes in this time is let go.
  public var stallTimeout = Duration.seconds(20)
  /// What counts as moving: a peer that takes one byte now and then is as bad as one that takes none.
  public var progressMinimum = 4_096
  /// How long the other side's farewell is waited for after ours.
  public var closeTimeout = Duration.seconds(3)
  /// Below this many unsent bytes `onDrained` is called, and a send of any size is taken.
  public var lowWater = 1_048_576
  /// Most unsent bytes of one peer, but for one send that began below `lowWater`.
  public var pendingMaximum = 4_194_304
  /// Live connections of one address (an IPv6 /64 counts as one).
  public var livePerSource = 8
  /// New connections of one address; each costs us a handshake. Loopback is not counted: whoever is on this machine can
  /// use up its processor without us, and all that a tunnel brings comes from that one address.
  public var newPerSource = [Rate(12, per: .seconds(1)), Rate(48, per: .seconds(60))]
  /// Addresses without a connection whose rate is remembered, for a minute at most; 4,096 take half a megabyte.
  public var idleSourcesMaximum = 4_096
  /// Connections that have not finished their handshake, in all and of one address.
  public var handshakesTotal = 64
  public var handshakesPerSource = 4
  /// Descriptors that accepting leaves free for files, the store and dialling.
  public var descriptorReserve = 16

  public init() {}
}

/// What all connections of one owner share: the queue, the node's identity, the limits and the working buffers.
///
/// `@unchecked Sendable`: the buffers are touched on `queue` alone, for the length of one call; the rest is constant.
public final class PeerContext: @unchecked Sendable {
  /// Everything happens here, the callbacks too: the queue of the owner's `QueueExecutor`.
  public let queue: DispatchQueue
  public let identity: TLSIdentity
  public let limits: PeerLimits

  /// Bytes off the wire. One buffer for a thousand idle connections, as each is empty between events.
  let received: UnsafeMutableRawBufferPointer
  /// The plain bytes of the same read: never more than it brought and one record that was waiting for its end.
  let plain: UnsafeMutableRawBufferPointer
  /// Frames on their way into TLS.
  let staged: UnsafeMutableRawBufferPointer

  static let batchBytes = 262_144

  public init(queue: DispatchQueue, identity: TLSIdentity, limits: PeerLimits = PeerLimits()) {
    self.queue = queue
    self.identity = identity
    self.limits = limits
    received = .allocate(byteCount: Self.batchBytes, alignment: 64)
    plain = .allocate(byteCount: Self.batchBytes + 32_768, alignment: 64)
    staged = .allocate(byteCount: Self.batchBytes, alignment: 64)
  }

  deinit {
    received.deallocate()
    plain.deallocate()
    staged.deallocate()
  }
}
