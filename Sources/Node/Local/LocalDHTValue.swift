public import DHT
public import Identity
public import Primitives

/// What a value is called, and who may change it.
public enum LocalDHTName: Hashable, Sendable {
  /// A value of a device; only its key can write it. To fetch, the devices to ask about; none for one's own.
  case own([UInt8], of: [PublicKey])
  /// Named by its hash; nil while it is being stored.
  case immutable(NodeID?)
  /// A whiteboard: anybody may overwrite it.
  case open([UInt8])
  /// The same for the key of the voidphone API; commands have no such.
  case voidphone([UInt8])
}

/// A value to be stored.
public struct LocalDHTPut: Hashable, Sendable {
  public var name: LocalDHTName
  /// At most `StoredValue.byteCountMaximum` bytes.
  public var value: [UInt8]
  /// Seconds; nil for the default, and never for an immutable value that is one item.
  public var lifetime: UInt32?
  /// Nodes to store it at, 1 to 20; nil for as many as keep it well.
  public var copies: Int?

  public static let copiesMaximum = 20
  /// A day.
  public static let lifetimeDefault: UInt32 = 86_400

  public init(name: LocalDHTName, value: [UInt8], lifetime: UInt32? = nil, copies: Int? = nil) {
    self.name = name
    self.value = value
    self.lifetime = lifetime
    self.copies = copies
  }
}

/// Who stored a value.
public struct LocalDHTStored: Hashable, Sendable {
  /// Where it lies; for an immutable one its name.
  public var target: NodeID
  /// Nodes that said so: of the part that has fewest.
  public var nodes: Int
  /// Items that it took.
  public var parts: Int
  /// Whether this node is among those that hold it.
  public var isHeldHere: Bool
  /// Whether it is stored again until it expires.
  public var isKept: Bool
  public var expires: Timestamp?
  /// Somebody else's value has a higher number.
  public var isOutdone: Bool

  public var durability: DHTNode.Storage.Durability {
    nodes >= DHTNode.Storage.durableMinimum ? .durable : nodes == 0 ? .failed : .weak
  }

  public init(
    target: NodeID, nodes: Int, parts: Int, isHeldHere: Bool, isKept: Bool, expires: Timestamp?, isOutdone: Bool
  ) {
    self.target = target
    self.nodes = nodes
    self.parts = parts
    self.isHeldHere = isHeldHere
    self.isKept = isKept
    self.expires = expires
    self.isOutdone = isOutdone
  }
}

/// A value that was found.
public struct LocalDHTValue: Hashable, Sendable {
  public var value: [UInt8]
  public var expires: Timestamp?
  /// Who signed it.
  public var key: PublicKey?
  public var sequence: UInt64?
  /// Nodes that gave it, as far as they were asked.
  public var copies: Int

  public init(value: [UInt8], expires: Timestamp?, key: PublicKey?, sequence: UInt64?, copies: Int) {
    self.value = value
    self.expires = expires
    self.key = key
    self.sequence = sequence
    self.copies = copies
  }
}

// MARK: Coding

extension LocalDHTName {
  func write(to writer: inout CBORWriter) {
    switch self {
    case .own(let key, let devices):
      writer.array(3)
      writer.unsigned(0)
      writer.byteString(key)
      writer.array(devices.count)
      for device in devices { writer.byteString(device) }
    case .immutable(let target):
      writer.array(2)
      writer.unsigned(1)
      writer.optional(target) { $0.byteString($1.bytes) }
    case .open(let key):
      writer.array(2)
      writer.unsigned(2)
      writer.byteString(key)
    case .voidphone: preconditionFailure("keys of the voidphone API do not cross the control socket")
    }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    let start = reader.offset
    let parts = try reader.arrayCount(atMost: 3)
    switch (try reader.unsigned(), parts) {
    case (0, 3):
      let key = try reader.bytes(atMost: LocalLimits.keyBytes)
      var devices: [PublicKey] = []
      for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.devices)) { devices.append(try reader.bytes32()) }
      self = .own(key, of: devices)
    case (1, 2):
      self = .immutable(try reader.optional { (reader) throws(ByteError) in try reader.nodeID() })
    case (2, 2): self = .open(try reader.bytes(atMost: LocalLimits.keyBytes))
    case (let kind, _): throw ByteError(at: start, "name of kind \(kind) with \(parts) parts")
    }
  }
}

extension LocalDHTStored {
  func write(to writer: inout CBORWriter) {
    writer.array(7)
    writer.byteString(target.bytes)
    writer.count(nodes)
    writer.count(parts)
    writer.bool(isHeldHere)
    writer.bool(isKept)
    writer.optional(expires) { $0.integer($1.milliseconds) }
    writer.bool(isOutdone)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(7, of: "what became of a value")
    target = try reader.nodeID()
    nodes = try reader.count()
    parts = try reader.count()
    isHeldHere = try reader.bool()
    isKept = try reader.bool()
    expires = try reader.time()
    isOutdone = try reader.bool()
  }
}

extension LocalDHTValue {
  func write(to writer: inout CBORWriter) {
    writer.array(5)
    writer.byteString(value)
    writer.optional(expires) { $0.integer($1.milliseconds) }
    writer.optional(key) { $0.byteString($1) }
    writer.optional(sequence) { $0.unsigned($1) }
    writer.count(copies)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(5, of: "a value")
    value = try reader.bytes(atMost: StoredValue.byteCountMaximum)
    expires = try reader.time()
    key = try reader.optional { (reader) throws(ByteError) in try reader.bytes32() }
    sequence = try reader.optional { (reader) throws(ByteError) in try reader.unsigned() }
    copies = try reader.count()
  }
}

extension CBORReader {
  fileprivate mutating func time() throws(ByteError) -> Timestamp? {
    try optional { (reader) throws(ByteError) in Timestamp(milliseconds: try reader.integer()) }
  }
}
