internal import Primitives

/// How a node behaves. Take one of the two modes and change what has to be changed.
public struct DHTSettings: Sendable {
  /// Which packets count: with a key those of that private network only; nil reads and sends plain Mainline.
  public var networkKey: NetworkKey?
  /// IPv4 or IPv6: they are two networks (BEP 32), and one node is in one of them.
  public var family = Families.ipv4
  /// Addresses that are talked to and passed on. A global one goes to everybody, another only within its class.
  public var addressClasses: Set<AddressClass> = [.global, .privateNetwork, .loopback]
  /// Ports below this are never contacted on somebody's word: they belong to other services.
  public var portMinimum: UInt16 = 1
  /// Asks, but answers nobody, and says so (BEP 43).
  public var isReadOnly = false
  /// Answers only once its address is known to others, a dial-back came through, and it is up for 15 min; its id follows
  /// from the address (BEP 42). Without, it answers at once under a random id.
  public var provesReachability = false
  /// Refuses every query whose bytes are not canonical, not only a put.
  public var isStrict = false
  /// Asks a node that is slow to answer `get` once for nodes: old clients know nothing of items.
  public var asksOldNodes = false

  /// Size of the set of nearest nodes (BEP 5).
  public var k = 8
  /// Queries of one lookup in flight. More is faster and dearer: 3 to 5 are usual.
  public var alpha = 4
  /// Contacts in the first buckets; see `RoutingTable.Options`.
  public var firstBucketSizes = [128, 64, 32, 16]
  /// One contact per address, one per site and bucket.
  public var isSpread = false

  /// See `RateLimits.Options`.
  public var packetsPerSecond = 2_000
  public var silence = Duration.seconds(300)
  public var replyBytesPerSecond = 32_768
  public var amplificationMaximum: Int?
  public var writesPerHour: Int?
  public var sentPerSecond: Int?

  /// See `PeerStore.Limits` and `ItemStore.Limits`.
  public var hashesMaximum = 2_000
  public var peersPerHashMaximum = 200
  public var portsPerAddressMaximum: Int?
  public var itemsMaximum = 2_000
  public var itemBytesMaximum = 8_388_608
  /// See `ItemStore.Limits`. Nil for clients whose numbers are no time.
  public var sequenceAheadMaximum: Duration? = .seconds(60)

  /// Peers fade after 30 to 45 min.
  public var announceInterval = Duration.seconds(15 * 60)
  /// Items fade after 2 h.
  public var republishInterval = Duration.seconds(3600)
  /// After fewer than five acknowledgements.
  public var weakRepublishInterval = Duration.seconds(300)
  /// What we call ourselves: two letters and a version.
  public var version: [UInt8] = [0x54, 0x4C, 0, 1]

  /// Plain Mainline without any of the public network's caution; tests build on it.
  public init() {}

  /// A network of one's own: whoever has the key is trusted not to flood, not to be right.
  public static func privateNetwork(_ key: NetworkKey) -> DHTSettings {
    var settings = DHTSettings()
    settings.networkKey = key
    return settings
  }

  /// The Mainline DHT of everybody.
  public static var publicMainline: DHTSettings {
    var settings = DHTSettings()
    settings.addressClasses = [.global]
    settings.portMinimum = 1024
    settings.provesReachability = true
    settings.asksOldNodes = true
    settings.isSpread = true
    settings.packetsPerSecond = 5
    settings.replyBytesPerSecond = 8_000
    settings.amplificationMaximum = 5
    settings.writesPerHour = 60
    settings.sentPerSecond = 4
    settings.portsPerAddressMaximum = 4
    return settings
  }
}

extension DHTSettings {
  var tableOptions: RoutingTable.Options {
    var options = RoutingTable.Options()
    options.bucketSize = k
    options.firstBucketSizes = firstBucketSizes
    options.isSpread = isSpread
    return options
  }

  var lookupOptions: Lookup.Options {
    var options = Lookup.Options()
    options.k = k
    options.alpha = alpha
    options.isSpread = isSpread
    return options
  }

  var rateOptions: RateLimits.Options {
    var options = RateLimits.Options()
    options.packetsPerSecond = packetsPerSecond
    options.silence = silence
    options.replyBytesPerSecond = replyBytesPerSecond
    options.amplificationMaximum = amplificationMaximum
    options.writesPerHour = writesPerHour
    options.sentPerSecond = sentPerSecond
    return options
  }

  var peerLimits: PeerStore.Limits {
    var limits = PeerStore.Limits()
    limits.hashesMaximum = hashesMaximum
    limits.peersMaximum = peersPerHashMaximum
    limits.portsPerAddressMaximum = portsPerAddressMaximum
    return limits
  }

  var itemLimits: ItemStore.Limits {
    var limits = ItemStore.Limits()
    limits.itemsMaximum = itemsMaximum
    limits.bytesMaximum = itemBytesMaximum
    limits.sequenceAheadMaximum = sequenceAheadMaximum
    return limits
  }

  /// Whether a packet may come from there or go there.
  func accepts(_ endpoint: Endpoint) -> Bool {
    endpoint.port != 0 && endpoint.address.isIPv4 == (family == .ipv4)
      && addressClasses.contains(endpoint.address.addressClass)
  }

  /// Whether an address that `source` named is taken, or that is known may be named to `source`: addresses of one class are
  /// not told to another, or a stranger could point us, or others through us, at machines only we or they can reach.
  func passes(_ endpoint: Endpoint, with source: IPAddress) -> Bool {
    let kind = endpoint.address.addressClass
    return accepts(endpoint) && endpoint.port >= portMinimum && (kind == .global || kind == source.addressClass)
  }
}
