import Glibc
public import Identity
public import Primitives

/// What the store takes from the world besides its path: the file layer, randomness and the wall clock. The simulator
/// and the crash tests hand in their own.
public struct StorageEnvironment: Sendable {
  /// SQLite's name of the file layer; nil is the operating system's.
  public let vfsName: String?
  /// True where the file layer has no shared memory, so that one connection keeps the database to itself.
  public let exclusive: Bool
  /// That many unpredictable bytes.
  public let random: @Sendable (Int) -> [UInt8]
  /// The wall clock.
  public let now: @Sendable () -> Timestamp
  /// Keeps the file layer alive as long as anybody may open a file on it.
  private let disk: MemoryDisk?

  /// The real disk.
  public init(
    random: @escaping @Sendable (Int) -> [UInt8] = SystemRandom.bytes,
    now: @escaping @Sendable () -> Timestamp = StorageEnvironment.systemNow
  ) {
    vfsName = nil
    exclusive = false
    self.random = random
    self.now = now
    disk = nil
  }

  /// A disk in memory that can crash.
  public init(
    disk: MemoryDisk,
    random: @escaping @Sendable (Int) -> [UInt8] = SystemRandom.bytes,
    now: @escaping @Sendable () -> Timestamp = StorageEnvironment.systemNow
  ) {
    vfsName = disk.vfsName
    exclusive = true
    self.random = random
    self.now = now
    self.disk = disk
  }

  /// The length of a file; nil when it is missing.
  func size(of path: String) -> Int? {
    if let disk { return disk.contents(path)?.count }
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : nil
  }

  /// A file's bytes where they lie. Not for the database itself.
  func bytes(of path: String) throws(StoreError) -> StoredBytes {
    if let disk { return StoredBytes(disk.contents(path) ?? []) }
    return try StoredBytes(reading: path)
  }

  @Sendable
  public static func systemNow() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }
}
