import Events
public import Identity
public import Primitives

/// Everything that a store file holds, read page by page without SQLite and without changing anything, whatever state it
/// is in; and what is gone. Only what proves itself is called sound.
public struct Inspection {
  public struct FileFacts: Hashable, Sendable {
    public var path = ""
    /// nil when the file is missing.
    public var databaseBytes: Int?
    public var writeAheadBytes: Int?
    public var pageBytes = 0
    public var pages = 0
    public var freePages = 0
    public var applicationID = 0
    public var formatVersion = 0
    /// Frames of the write-ahead log that SQLite takes, and the transactions that they end.
    public var frames = 0
    public var commits = 0
    /// Whole frames that SQLite does not take: of a transaction that was not finished, or behind damage.
    public var unfinishedFrames = 0
    public var framesBehindDamage = 0
    public var instance: [UInt8]?
    /// The last writer ended without closing.
    public var isUnclean = false
    /// The newest change number, and how many epochs gave numbers out.
    public var newestChange: Int64 = 0
    public var epochs = 0
  }

  public struct PersonFacts: Sendable {
    public var pid: Int64
    public var id: PersonID
    public var change: Int64
    public var recordBytes: Int
    /// nil when the record does not read or does not verify.
    public var record: PersonRecord?
    public var problem: String?
  }

  public struct DeletionFacts: Hashable, Sendable {
    public var target: Reference
    /// The deleting event; the log is nil when its row is lost.
    public var log: LogID?
    public var by: SequenceNumber
  }

  public struct PeerFacts: Hashable, Sendable {
    public var node: [UInt8]
    public var instance: [UInt8]
    /// How far its changes were seen.
    public var change: Int64
    /// ms since 1970.
    public var lastSeen: Int64
    public var hasStatement: Bool
  }

  public internal(set) var file = FileFacts()
  /// Damage of the file that is not of one log.
  public internal(set) var damage: [FileDamage] = []
  public internal(set) var trees: [TreeSize] = []
  /// In the order of their row numbers.
  public internal(set) var persons: [PersonFacts] = []
  /// In the order of their row numbers.
  public internal(set) var logs: [InspectedLog] = []
  public internal(set) var deletions: [DeletionFacts] = []
  public internal(set) var peers: [PeerFacts] = []

  /// Nothing is damaged and nothing is lost. Holes in logs, which were never filled, are no damage.
  public var isSound: Bool { damage.isEmpty && logs.allSatisfy(\.isSound) && persons.allSatisfy { $0.problem == nil } }

  public init(_ image: StoreImage) {
    self.init(image, takesBroken: false)
    guard file.framesBehindDamage > 0 else { return }
    // What SQLite will not show any more, because it lies behind a damaged frame.
    let whole = Inspection(image, takesBroken: true)
    for other in whole.logs {
      guard let other = other.soundHead else { continue }
      let mine = logs.firstIndex { $0.key == other.log }
      let held = mine.flatMap { logs[$0].soundHead }?.sequence ?? SequenceNumber(0)
      guard other.sequence > held else { continue }
      let lost = InspectedLog.Loss(
        range: (held + 1)...other.sequence, reason: "lies in the write-ahead log behind a damaged frame",
        isReadable: true)
      if let mine {
        logs[mine].losses.append(lost)
      } else if var added = whole.logs.first(where: { $0.key == other.log }) {
        added.losses.append(lost)
        added.pieces = []
        logs.append(added)
      }
    }
  }

  private init(_ image: StoreImage, takesBroken: Bool) {
    let pages = PageFile(image, takesBroken: takesBroken)
    let walk = TreeWalk(pages)
    var reader = InspectionReader(pages, walk)
    reader.read()
    file = reader.facts
    file.path = image.path
    trees = reader.trees
    persons = reader.persons
    logs = reader.judgedLogs()
    deletions = reader.judgedDeletions()
    peers = reader.peers
    if image.isMixed { walk.note(nil, nil, "the store was written to while it was being copied") }
    damage = walk.problems
  }

  public func log(_ key: LogID) -> InspectedLog? { logs.first { $0.key == key } }
}
