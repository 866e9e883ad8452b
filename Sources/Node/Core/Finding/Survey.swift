public import DHT
public import Identity
public import Primitives

/// What a node holds of those whom it wants, at one moment: what the finder decides by.
public struct Survey: Hashable, Sendable {
  /// One's own person first, then the followed ones.
  public var persons: [Person]

  public init(persons: [Person] = []) { self.persons = persons }

  public struct Person: Hashable, Sendable {
    public var id: PersonID
    public var isOwn: Bool
    /// What the person is called, by their own word; nil or empty for nothing.
    public var name: String?
    /// The root in force; nil while the record is not held.
    public var root: PublicKey?
    public var recordHash: Digest?
    /// Devices that write, the newest first.
    public var devices: [PublicKey]
    public var logs: [Log]
    /// The person item that fits the record, if it is held.
    public var item: MutableItem?

    public init(
      id: PersonID, isOwn: Bool = false, name: String? = nil, root: PublicKey? = nil, recordHash: Digest? = nil,
      devices: [PublicKey] = [], logs: [Log] = [], item: MutableItem? = nil
    ) {
      self.id = id
      self.isOwn = isOwn
      self.name = name
      self.root = root
      self.recordHash = recordHash
      self.devices = devices
      self.logs = logs
      self.item = item
    }
  }

  public struct Log: Hashable, Sendable {
    public var log: LogID
    /// The newest event that is held; 0 for none.
    public var sequence: SequenceNumber
    public var hash: EventHash
    public var floor: SequenceNumber
    /// The newest event that a peer has named and that is not held.
    public var wanted: SequenceNumber?
    /// Of this very device: what it says of its head is ours to sign.
    public var isOwnDevice: Bool

    public init(
      log: LogID, sequence: SequenceNumber, hash: EventHash, floor: SequenceNumber,
      wanted: SequenceNumber? = nil, isOwnDevice: Bool = false
    ) {
      self.wanted = wanted
      self.log = log
      self.sequence = sequence
      self.hash = hash
      self.floor = floor
      self.isOwnDevice = isOwnDevice
    }
  }
}

/// A store that can say what it holds and speak for its device.
public protocol FindingStore: AnyObject {
  /// What is held now.
  func survey() throws -> Survey
  /// The head as an item of the DHT; nil while the device key cannot be had.
  /// - Parameter last: the number of the item before.
  func sign(_ head: HeadItem, after last: Int64?) throws -> MutableItem?
}
