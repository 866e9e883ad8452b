import CSQLite
import Glibc
import Primitives

/// A disk in memory with two images of every file: the *live* one that programs see, and the *durable* one that a power
/// cut leaves. Only a sync moves writes from the first to the second. It owes the crash tests and the simulator the
/// truth about what SQLite made durable; it is an SQLite file layer of its own name, without shared memory.
///
/// `@unchecked Sendable`: every access to the mutable state holds `mutex`.
public final class MemoryDisk: @unchecked Sendable {
  /// What happens at one chosen operation. Operations are writes, truncations, syncs and deletions, counted from 0.
  public enum Fault: Sendable, Hashable {
    /// This one operation fails with an I/O error, and does nothing.
    case inputOutputError
    /// This one operation fails because the disk is full, and does nothing.
    case full
    /// From this operation on the disk is full, until `clearFaults()`.
    case fullFromHere
    /// The power goes: this operation and all later ones fail until `crash`.
    case powerCut
  }

  struct Write {
    var offset: Int
    /// nil truncates to `offset`.
    var bytes: [UInt8]?
  }

  final class File {
    let name: String
    var live: [UInt8] = []
    var unsynced: [Write] = []
    /// Lock level of each open handle, SQLite's numbers 1–4.
    var locks: [ObjectIdentifier: Int32] = [:]

    init(name: String) { self.name = name }
  }

  public let vfsName: String

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let vfs: UnsafeMutablePointer<sqlite3_vfs>
  private let cName: UnsafeMutablePointer<CChar>

  // Guarded by `mutex`.
  private var files: [String: File] = [:]
  private var durable: [String: [UInt8]] = [:]
  private var faults: [Int: Fault] = [:]
  private var operationCount = 0
  private var generation = 0
  private var powerIsCut = false
  private var isFull = false
  private var randomness: SeededRandom

  /// - Parameter seed: of the randomness that SQLite asks the disk for.
  public init(seed: UInt64 = 0) {
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    randomness = SeededRandom(seed: seed)
    vfs = .allocate(capacity: 1)
    vfs.initialize(to: sqlite3_vfs())
    // The address makes the name unique among the disks alive.
    vfsName = "tl-memory-\(UInt(bitPattern: vfs))"
    cName = strdup(vfsName)
    MemoryDiskLayer.fill(vfs, name: cName, disk: Unmanaged.passUnretained(self).toOpaque())
    sqlite3_vfs_register(vfs, 0)
  }

  // Open files own the disk, so nobody is inside the file layer any more.
  deinit {
    sqlite3_vfs_unregister(vfs)
    vfs.deallocate()
    free(cName)
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  // MARK: - What tests and the simulator do

  /// Operations so far. A run without faults tells how many points there are to crash at.
  public var operations: Int { locked { operationCount } }

  public func schedule(_ fault: Fault, atOperation operation: Int) {
    locked { faults[operation] = fault }
  }

  public func clearFaults() {
    locked {
      faults.removeAll()
      isFull = false
    }
  }

  /// The machine loses power and starts again. Handles still open are dead: every call through them fails.
  ///
  /// - Parameters:
  ///   - keeping: which part of the unsynced writes reached the platter anyway: 0 is none, 1 all. In between each is
  ///     drawn, and a write of several sectors may be torn at 512 bytes.
  ///   - seed: of those draws.
  public func crash(keeping: Double = 0, seed: UInt64 = 0) {
    locked {
      var random = SeededRandom(seed: seed)
      var survivors = durable
      for name in Set(files.keys).union(durable.keys).sorted() {
        guard let file = files[name] else {
          // Deleted without a synced directory: it is gone, or back.
          if Self.happens(1 - keeping, &random) == false { survivors[name] = nil }
          continue
        }
        guard keeping > 0, !file.unsynced.isEmpty else { continue }
        // A file whose entry was never synced may be missing as a whole.
        if durable[name] == nil, !Self.happens(keeping, &random) { continue }
        var image = durable[name] ?? []
        for write in file.unsynced { Self.apply(write, to: &image, keeping: keeping, &random) }
        survivors[name] = image
      }
      durable = survivors
      files = [:]
      for (name, bytes) in survivors {
        let file = File(name: name)
        file.live = bytes
        files[name] = file
      }
      generation += 1
      powerIsCut = false
      isFull = false
      faults.removeAll()
    }
  }

  public var paths: [String] { locked { files.keys.sorted() } }

  /// The live bytes of a file.
  public func contents(_ path: String) -> [UInt8]? { locked { files[path]?.live } }

  /// Puts bytes there as if they had always been durable: bit rot, a restored copy.
  public func replace(_ path: String, with bytes: [UInt8]?) {
    locked {
      durable[path] = bytes
      files[path] = bytes.map {
        let file = File(name: path)
        file.live = $0
        return file
      }
    }
  }

  // MARK: - What the file layer does

  /// One open file. It owns the disk.
  final class Handle {
    let disk: MemoryDisk
    let file: File
    let generation: Int
    let deletesOnClose: Bool

    init(disk: MemoryDisk, file: File, generation: Int, deletesOnClose: Bool) {
      self.disk = disk
      self.file = file
      self.generation = generation
      self.deletesOnClose = deletesOnClose
    }
  }

  func open(_ path: String?, create: Bool, deletesOnClose: Bool) -> Handle? {
    locked {
      if powerIsCut { return nil }
      let name = path ?? "temporary-\(operationCount)-\(files.count)"
      if files[name] == nil {
        guard create else { return nil }
        files[name] = File(name: name)
      }
      return Handle(disk: self, file: files[name]!, generation: generation, deletesOnClose: deletesOnClose)
    }
  }

  func close(_ handle: Handle) {
    locked {
      handle.file.locks[ObjectIdentifier(handle)] = nil
      if handle.deletesOnClose, handle.generation == generation { files[handle.file.name] = nil }
    }
  }

  func exists(_ path: String) -> Bool { locked { files[path] != nil && !powerIsCut } }

  func delete(_ path: String, syncsDirectory: Bool) -> Int32 {
    locked {
      if let failure = nextOperation() { return failure }
      guard files.removeValue(forKey: path) != nil else { return SQLITE_IOERR | 23 << 8 }  // _DELETE_NOENT
      if syncsDirectory { durable[path] = nil }
      return SQLITE_OK
    }
  }

  func read(_ handle: Handle, into target: UnsafeMutableRawBufferPointer, at offset: Int) -> Int32 {
    locked {
      if isDead(handle) { return SQLITE_IOERR }
      let live = handle.file.live
      let available = max(0, min(target.count, live.count - offset))
      if available > 0 {
        live.withUnsafeBytes {
          target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + available]))
        }
      }
      guard available < target.count else { return SQLITE_OK }
      memset(target.baseAddress! + available, 0, target.count - available)
      return SQLITE_IOERR | 2 << 8  // SQLITE_IOERR_SHORT_READ
    }
  }

  func write(_ handle: Handle, _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
    locked {
      if isDead(handle) { return SQLITE_IOERR }
      if let failure = nextOperation() { return failure }
      let write = Write(offset: offset, bytes: Self.copy(bytes))
      Self.apply(write, to: &handle.file.live)
      handle.file.unsynced.append(write)
      return SQLITE_OK
    }
  }

  func truncate(_ handle: Handle, to size: Int) -> Int32 {
    locked {
      if isDead(handle) { return SQLITE_IOERR }
      if let failure = nextOperation() { return failure }
      let write = Write(offset: size, bytes: nil)
      Self.apply(write, to: &handle.file.live)
      handle.file.unsynced.append(write)
      return SQLITE_OK
    }
  }

  func sync(_ handle: Handle) -> Int32 {
    locked {
      if isDead(handle) { return SQLITE_IOERR }
      if let failure = nextOperation() { return failure }
      // The file that owns the name becomes durable; one deleted meanwhile has nothing to keep.
      guard files[handle.file.name] === handle.file else { return SQLITE_OK }
      if durable[handle.file.name] == nil || handle.file.unsynced.count > 0 {
        var image = durable.removeValue(forKey: handle.file.name) ?? []
        for write in handle.file.unsynced { Self.apply(write, to: &image) }
        durable[handle.file.name] = image
        handle.file.unsynced.removeAll(keepingCapacity: true)
      }
      return SQLITE_OK
    }
  }

  func size(_ handle: Handle) -> Int { locked { handle.file.live.count } }

  func lock(_ handle: Handle, _ level: Int32) -> Int32 {
    locked {
      if isDead(handle) { return SQLITE_IOERR }
      let own = ObjectIdentifier(handle)
      if handle.file.locks[own, default: 0] >= level { return SQLITE_OK }
      let others = handle.file.locks.filter { $0.key != own }.map(\.value).max() ?? 0
      let highestCompatible: Int32 =
        level == SQLITE_LOCK_SHARED ? SQLITE_LOCK_RESERVED : level == SQLITE_LOCK_EXCLUSIVE ? 0 : SQLITE_LOCK_SHARED
      if others > highestCompatible { return SQLITE_BUSY }
      handle.file.locks[own] = level
      return SQLITE_OK
    }
  }

  func unlock(_ handle: Handle, _ level: Int32) {
    locked { handle.file.locks[ObjectIdentifier(handle)] = level == 0 ? nil : level }
  }

  func isReserved(_ handle: Handle) -> Bool {
    locked { handle.file.locks.values.contains { $0 >= SQLITE_LOCK_RESERVED } }
  }

  func randomBytes(_ count: Int) -> [UInt8] { locked { randomness.bytes(count) } }

  // MARK: - Under the lock

  private func isDead(_ handle: Handle) -> Bool { powerIsCut || handle.generation != generation }

  private func nextOperation() -> Int32? {
    if powerIsCut { return SQLITE_IOERR }
    defer { operationCount += 1 }
    switch faults[operationCount] {
    case .inputOutputError: return SQLITE_IOERR | 3 << 8  // SQLITE_IOERR_WRITE
    case .full: return SQLITE_FULL
    case .fullFromHere:
      isFull = true
      return SQLITE_FULL
    case .powerCut:
      powerIsCut = true
      return SQLITE_IOERR
    case nil: return isFull ? SQLITE_FULL : nil
    }
  }

  private func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  private static let sectorBytes = 512

  private static func happens(_ probability: Double, _ random: inout SeededRandom) -> Bool {
    Double(random.next() >> 11) / Double(1 << 53) < probability
  }

  // One memcpy, also in debug builds, where crash tests spend their time.
  private static func copy(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: bytes.count) { target, count in
      UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
      count = bytes.count
    }
  }

  private static func apply(_ write: Write, to image: inout [UInt8]) {
    guard let bytes = write.bytes else {
      if image.count > write.offset { image.removeLast(image.count - write.offset) }
      return
    }
    let end = write.offset + bytes.count
    if image.count < end { image += [UInt8](repeating: 0, count: end - image.count) }
    image.withUnsafeMutableBytes { target in
      bytes.withUnsafeBytes {
        target.baseAddress!.advanced(by: write.offset).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
      }
    }
  }

  private static func apply(
    _ write: Write, to image: inout [UInt8], keeping: Double, _ random: inout SeededRandom
  ) {
    guard keeping < 1, let bytes = write.bytes else {
      if happens(keeping, &random) { apply(write, to: &image) }
      return
    }
    switch random.next() % 4 {
    case 0:  // torn: each sector by itself
      for start in stride(from: 0, to: bytes.count, by: sectorBytes) where happens(keeping, &random) {
        let part = Array(bytes[start..<min(start + sectorBytes, bytes.count)])
        apply(Write(offset: write.offset + start, bytes: part), to: &image)
      }
    default:
      if happens(keeping, &random) { apply(write, to: &image) }
    }
  }
}
