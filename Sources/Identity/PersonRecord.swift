public import Primitives

/// Where a revoked device's log ends: the last sequence that is its own, and the hash of that event. At sequence 0
/// nothing of the log counts and the hash is the person id, which is what the first event's `previous` would be.
public struct Revocation: Hashable, Sendable {
  public let sequence: SequenceNumber
  public let hash: EventHash

  public init(sequence: SequenceNumber, hash: EventHash) {
    self.sequence = sequence
    self.hash = hash
  }
}

/// One installation of a person, as the current root certifies it.
public struct Device: Hashable, Sendable {
  /// The machine field of a Snowflake id has 10 bits.
  public static let numberMaximum: UInt16 = 1023

  public let key: PublicKey
  /// 0–1023; makes id collisions rare, is never checked or trusted.
  public let number: UInt16
  /// At most 128 bytes, as the person's devices wrote it: clean it before it reaches a terminal.
  public let label: String
  public let revocation: Revocation?
}

/// Who a person is: the root and recovery keys that make the id, and everything they have said about devices.
///
/// A record proves itself against its id and never expires. Merging any records of one person in any order and
/// grouping gives the same record: per slot (root, kind, subject) the bytewise lowest statement is kept, and of more
/// than 4,096 slots the first in `PersonStatement.Slot` order. Both rules look at a statement alone, which is why order cannot
/// matter; rotations come first, so a statement never stays without the rotation that proves its root. So a thief of a
/// root who fills the record is outranked by one rotation: what the new root says precedes all of his.
public struct PersonRecord: Sendable {
  public static let statementMaximum = 4096
  /// Bound on the encoded form: every statement with the longest head, and the keys.
  public static let byteMaximum = statementMaximum * PersonStatement.byteMaximum + 128

  public let id: PersonID
  public let firstRoot: PublicKey
  public let recovery: PublicKey
  /// In bytewise order, one per slot.
  public private(set) var statements: [PersonStatement]

  // Derived from the statements.
  public private(set) var root: Root
  /// The devices that the current root certifies, revoked ones too, in order of their keys.
  public private(set) var devices: [Device]
  private var revocations: [(key: PublicKey, revocation: Revocation)]
  /// BLAKE2b-256 of the encoded record, and so over the statements in bytewise order.
  public private(set) var hash: Digest

  /// BLAKE2b-256("tl-person-v1\0" ‖ root key 1 ‖ recovery key).
  public static func id(root: PublicKey, recovery: PublicKey) -> PersonID {
    PersonID(hashing: Array("tl-person-v1".utf8) + [0] + root.bytes + recovery.bytes)
  }

  /// A new person without devices. The recovery key's secret half is not needed here.
  public init(creating root: SigningKey, recovery: PublicKey) {
    self.init(firstRoot: root.publicKey, recovery: recovery, statements: [])
  }

  init(firstRoot: PublicKey, recovery: PublicKey, statements: [PersonStatement]) {
    self.firstRoot = firstRoot
    self.recovery = recovery
    self.statements = statements
    id = Self.id(root: firstRoot, recovery: recovery)
    root = Root(number: 1, key: firstRoot)
    devices = []
    revocations = []
    hash = Digest()
    derive()
  }

  public var currentRoot: PublicKey { root.key }
  public var rootNumber: UInt32 { root.number }

  /// Nil for a key that the current root does not certify.
  public func device(_ key: PublicKey) -> Device? {
    find(key, in: devices, by: \.key)
  }

  /// Whether this log is the person's. It stays so after a revocation, up to the event that the revocation names.
  public func isAuthor(_ key: PublicKey) -> Bool { device(key) != nil }

  /// Whether the device is certified and not revoked, and so may speak for the person now.
  public func isActive(_ key: PublicKey) -> Bool {
    guard let device = device(key) else { return false }
    return device.revocation == nil
  }

  /// The current root's revocation of a device, certified or not.
  public func revocation(of key: PublicKey) -> Revocation? {
    find(key, in: revocations, by: \.key)?.revocation
  }

  /// Takes what another record of the same person says. Commutative, associative, idempotent.
  /// - Returns: whether anything changed.
  /// - Precondition: both records have the same id.
  @discardableResult
  public mutating func merge(_ other: PersonRecord) -> Bool {
    precondition(id == other.id, "merging the record of \(other.id) into that of \(id)")
    return hash == other.hash ? false : add(other.statements)
  }

  /// Adds statements that are known to be valid.
  mutating func add(_ more: [PersonStatement]) -> Bool {
    var slots: [PersonStatement.Slot: PersonStatement] = [:]
    slots.reserveCapacity(statements.count + more.count)
    for statement in statements { slots[statement.slot] = statement }
    var changed = false
    for statement in more {
      let slot = statement.slot
      if let held = slots[slot], !statement.precedes(held) { continue }
      slots[slot] = statement
      changed = true
    }
    guard changed else { return false }
    if slots.count > Self.statementMaximum {
      for slot in slots.keys.sorted().dropFirst(Self.statementMaximum) { slots[slot] = nil }
    }
    let before = hash
    statements = slots.values.sorted { $0.precedes($1) }
    derive()
    return hash != before
  }

  private mutating func derive() {
    var current = Root(number: 1, key: firstRoot)
    for statement in statements where statement.content == .rotate && statement.root.outranks(current) {
      current = statement.root
    }
    root = current
    var cuts: [PublicKey: Revocation] = [:]
    for statement in statements where statement.root == current {
      if case .revoke(let device, let revocation) = statement.content { cuts[device] = revocation }
    }
    var found: [Device] = []
    for statement in statements where statement.root == current {
      guard case .certify(let key, let number, let label, _) = statement.content else { continue }
      found.append(Device(key: key, number: number, label: label, revocation: cuts[key]))
    }
    devices = found.sorted { $0.key < $1.key }
    revocations = cuts.map { ($0.key, $0.value) }.sorted { $0.key < $1.key }
    hash = Digest(hashing: encoded)
  }

  private func find<Element>(
    _ key: PublicKey, in sorted: [Element], by keyOf: (Element) -> PublicKey
  ) -> Element? {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if keyOf(sorted[middle]) < key { low = middle + 1 } else { high = middle }
    }
    return low < sorted.count && keyOf(sorted[low]) == key ? sorted[low] : nil
  }
}

extension PersonRecord: Hashable {
  public static func == (a: Self, b: Self) -> Bool { a.id == b.id && a.hash == b.hash }
  public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
