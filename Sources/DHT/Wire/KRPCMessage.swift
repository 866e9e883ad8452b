public import Identity
public import Primitives

/// One packet of the DHT (BEP 5, 32, 42, 43, 44, 51; PROTOCOLS 2.1).
public struct KRPCMessage: Hashable, Sendable {
  /// Chosen by who asks, echoed by who answers; any bytes, also none.
  public var transaction: [UInt8]
  public var body: Body
  /// What the sender is: two letters and a version, mostly. Kept, never relied on.
  public var version: [UInt8]?
  /// Where the sender of a reply saw us (BEP 42).
  public var observed: Endpoint?
  /// The sender answers no queries and wants to be in no table (BEP 43).
  public var isReadOnly = false

  public enum Body: Hashable, Sendable {
    case query(KRPCQuery)
    case reply(KRPCReply)
    case error(KRPCError)
  }

  public init(
    transaction: [UInt8], body: Body, version: [UInt8]? = nil, observed: Endpoint? = nil, isReadOnly: Bool = false
  ) {
    self.transaction = transaction
    self.body = body
    self.version = version
    self.observed = observed
    self.isReadOnly = isReadOnly
  }

  /// Longest packet that is read.
  public static let receivedByteCountMaximum = 2048
  /// Longest packet that is sent (BEP 32): it passes everywhere in one piece.
  public static let sentByteCountMaximum = 1024
  /// The same for a reply with a value over 460 bytes, which BEP 44 allows and 1024 bytes do not hold: still one Ethernet
  /// frame, IPv6 and tunnels included.
  public static let sentByteCountMaximumWithLargeValue = 1400
}

public enum KRPCMethod: String, Sendable, CaseIterable {
  case ping
  case findNode = "find_node"
  case getPeers = "get_peers"
  case announcePeer = "announce_peer"
  case get
  case put
  case sampleInfohashes = "sample_infohashes"

  var name: StaticString {
    switch self {
    case .ping: "ping"
    case .findNode: "find_node"
    case .getPeers: "get_peers"
    case .announcePeer: "announce_peer"
    case .get: "get"
    case .put: "put"
    case .sampleInfohashes: "sample_infohashes"
    }
  }

  private static let all = allCases

  init?(_ name: ArraySlice<UInt8>) {
    let method = Self.all.first { method in
      method.name.withUTF8Buffer { $0.count == name.count && name.elementsEqual($0) }
    }
    guard let method else { return nil }
    self = method
  }
}

/// Which families of nodes the asker wants (BEP 32).
public struct Families: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  public static let ipv4 = Families(rawValue: 1)
  public static let ipv6 = Families(rawValue: 2)
}

public struct KRPCQuery: Hashable, Sendable {
  /// What the asker calls itself.
  public var id: NodeID
  public var ask: Ask

  public enum Ask: Hashable, Sendable {
    case ping
    case findNode(target: NodeID, want: Families)
    case getPeers(infoHash: NodeID, want: Families)
    /// `port` is nil for the port that the packet came from.
    case announcePeer(infoHash: NodeID, port: UInt16?, token: [UInt8])
    /// With a number, only a mutable item with a higher one is wanted whole.
    case get(target: NodeID, sequence: Int64?, want: Families)
    case putImmutable(ImmutableItem, token: [UInt8])
    /// With `compareAndSwap`, only if that is the number stored so far.
    case putMutable(MutableItem, token: [UInt8], compareAndSwap: Int64?)
    case sampleInfohashes(target: NodeID, want: Families)
    /// A method of tomorrow. With a target it is answered as find_node.
    case unknown(target: NodeID?, want: Families)
  }

  public init(id: NodeID, ask: Ask) {
    self.id = id
    self.ask = ask
  }

  /// Nil for an unknown one.
  public var method: KRPCMethod? {
    switch ask {
    case .ping: .ping
    case .findNode: .findNode
    case .getPeers: .getPeers
    case .announcePeer: .announcePeer
    case .get: .get
    case .putImmutable, .putMutable: .put
    case .sampleInfohashes: .sampleInfohashes
    case .unknown: nil
    }
  }
}

/// An answer, as it came: which fields count is decided by what was asked, never by the shape of the answer.
public struct KRPCReply: Hashable, Sendable {
  public var id: NodeID
  /// Nodes of IPv4; nil if the field was not there.
  public var nodes: [Contact]?
  /// Nodes of IPv6.
  public var nodes6: [Contact]?
  /// Needed to store at this node. At most 255 bytes are kept.
  public var token: [UInt8]?
  /// Peers of an info-hash.
  public var values: [Endpoint] = []
  /// A value, bencoded, as it was received.
  public var value: [UInt8]?
  public var key: PublicKey?
  public var sequence: Int64?
  public var signature: Signature?
  /// Seconds until asking for samples again is welcome.
  public var interval: Int64?
  /// How many info-hashes there are to sample from.
  public var count: Int64?
  public var samples: [NodeID]?

  public init(id: NodeID) { self.id = id }

  static let tokenByteCountMaximum = 255
}

public struct KRPCError: Hashable, Sendable, Error {
  public var code: Code
  public var message: String

  /// The codes of BEP 5 and BEP 44; others may come.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let generic = Code(rawValue: 201)
    public static let server = Code(rawValue: 202)
    public static let protocolViolation = Code(rawValue: 203)
    public static let methodUnknown = Code(rawValue: 204)
    public static let valueTooBig = Code(rawValue: 205)
    public static let signatureInvalid = Code(rawValue: 206)
    public static let saltTooBig = Code(rawValue: 207)
    public static let compareAndSwapMismatch = Code(rawValue: 301)
    public static let sequenceTooLow = Code(rawValue: 302)
  }

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}
