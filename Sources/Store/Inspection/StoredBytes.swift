import Glibc

/// Bytes that are only ever read: an image in memory, or a private copy of a file that has no name any more.
///
/// The copy lies in an unlinked 0600 file, so nobody else can open it and nothing is left behind, whatever ends the
/// process.
final class StoredBytes {
  private enum Source {
    case memory([UInt8])
    case file(Int32)
  }

  let count: Int
  /// Parts of the original that the disk would not give; they read as zeros.
  let unreadable: [Range<Int>]
  private let source: Source

  init(_ bytes: [UInt8]) {
    source = .memory(bytes)
    count = bytes.count
    unreadable = []
  }

  /// Copies a file. A sector that does not read becomes zeros and is noted.
  init(copying path: String) throws(StoreError) {
    let original = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard original >= 0 else { throw PrivateFile.systemError("cannot read", path) }
    defer { Glibc.close(original) }
    let copy = try Self.temporary()
    var offset = 0
    var holes: [Range<Int>] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      var length = buffer.withUnsafeMutableBytes { pread(original, $0.baseAddress, $0.count, off_t(offset)) }
      if length < 0, errno == EINTR { continue }
      if length < 0 {
        // Sector by sector past what the disk refuses, up to the end that the file claims.
        var status = stat()
        guard errno == EIO, fstat(original, &status) == 0, offset < Int(status.st_size) else {
          Glibc.close(copy)
          throw PrivateFile.systemError("cannot read", path)
        }
        length = buffer.withUnsafeMutableBytes { pread(original, $0.baseAddress, Self.sectorBytes, off_t(offset)) }
        if length <= 0 {
          length = min(Self.sectorBytes, Int(status.st_size) - offset)
          for index in 0..<length { buffer[index] = 0 }
          holes.append(offset..<(offset + length))
        }
      }
      if length == 0 { break }
      guard buffer.withUnsafeBytes({ pwrite(copy, $0.baseAddress, length, off_t(offset)) }) == length else {
        Glibc.close(copy)
        throw StoreError(.noSpace, "no space for a private copy", path: path)
      }
      offset += length
    }
    source = .file(copy)
    count = offset
    unreadable = holes
  }

  /// Reads a file where it is. Not for a database that SQLite has open: closing would drop its locks.
  init(reading path: String) throws(StoreError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw PrivateFile.systemError("cannot read", path) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      Glibc.close(descriptor)
      throw PrivateFile.systemError("cannot read", path)
    }
    source = .file(descriptor)
    count = Int(status.st_size)
    unreadable = []
  }

  deinit { if case .file(let descriptor) = source { Glibc.close(descriptor) } }

  /// nil when the range does not lie within the bytes.
  func read(_ offset: Int, _ length: Int) -> [UInt8]? {
    guard offset >= 0, length >= 0, offset <= count - length else { return nil }
    switch source {
    case .memory(let bytes): return Array(bytes[offset..<(offset + length)])
    case .file(let descriptor):
      var done = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: length) { target, filled in
        while done < length {
          let got = pread(descriptor, target.baseAddress! + done, length - done, off_t(offset + done))
          if got < 0, errno == EINTR { continue }
          guard got > 0 else { break }
          done += got
        }
        filled = done
      }
      return done == length ? bytes : nil
    }
  }

  private static let sectorBytes = 512

  private static func temporary() throws(StoreError) -> Int32 {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(folder)/tl-log-XXXXXX".utf8CString)
    // 0600 by POSIX, whatever the umask.
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { throw PrivateFile.systemError("cannot make a private copy in", folder) }
    unlink(&template)
    return descriptor
  }
}
