import Glibc

/// A store as it lies on disk, file and write-ahead log, copied so that looking at it changes nothing.
public struct StoreImage {
  let database: StoredBytes?
  let writeAheadLog: StoredBytes?
  /// What was asked for.
  public let path: String
  /// It was written to each time it was being copied, so the copy may mix two states.
  public let isMixed: Bool

  /// Images in memory; nil for a missing file.
  public init(database: [UInt8]?, writeAheadLog: [UInt8]?, path: String = "") {
    self.database = database.map { StoredBytes($0) }
    self.writeAheadLog = writeAheadLog.map { StoredBytes($0) }
    self.path = path
    isMixed = false
  }

  /// Copies the store in a profile directory, or a database file with the write-ahead log beside it.
  ///
  /// - Throws: `.notFound` when neither file is there, `.io` or `.permissions` when they do not open.
  public init(copying path: String) throws(StoreError) {
    var status = stat()
    var file = path
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      file = "\(path)/\(ProfileDirectory.Item.database.rawValue)"
    }
    let log = "\(file)-wal"
    guard PrivateFile.exists(file) || PrivateFile.exists(log) else {
      throw StoreError(.notFound, "there is no store here", path: path)
    }
    self.path = file
    // A writer only changes the file when it moves pages out of its log. While the file stays as it is, what the log
    // held before and holds now fits it.
    for attempt in 1... {
      let before = Self.stamp(file)
      let database = PrivateFile.exists(file) ? try StoredBytes(copying: file) : nil
      let tail = PrivateFile.exists(log) ? try StoredBytes(copying: log) : nil
      let isSteady = Self.stamp(file) == before
      guard isSteady || attempt == Self.attemptMaximum else { continue }
      self.database = database
      writeAheadLog = tail
      isMixed = !isSteady
      return
    }
    preconditionFailure("the loop above returns")
  }

  private static let attemptMaximum = 5

  private struct Stamp: Equatable {
    var size: Int
    var seconds: Int
    var nanoseconds: Int
  }

  private static func stamp(_ path: String) -> Stamp? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return Stamp(size: Int(status.st_size), seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
  }
}
