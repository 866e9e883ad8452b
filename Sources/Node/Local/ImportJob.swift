import Glibc
import Store
import Timelines

/// An export on its way into the store, piece by piece, so that peers and other commands have their turn between two.
///
/// `@unchecked Sendable`: touched only on the store's queue, where it is made.
final class ImportJob: @unchecked Sendable {
  private let file: Int32
  private let path: String
  private var importer: NDJSONImport
  private var told = 0

  /// About 10 ms of verifying and storing.
  private static let pieceBytes = 1 << 20

  /// - Throws: `NodeError` `.notFound` and `.refused` for what is no file; `StoreError` `.permissions` and `.io`.
  init(_ path: String, into store: EventStore) throws {
    // Not waiting for a pipe's writer: what is no file is refused.
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    self.path = path
    importer = NDJSONImport(into: store)
    guard file >= 0 else {
      let number = errno
      let reason = String(cString: strerror(number))
      switch number {
      case ENOENT, ENOTDIR: throw NodeError(.notFound, "cannot open \(path): \(reason)")
      case EACCES, EPERM: throw StoreError(.permissions, "cannot open: \(reason)", path: path)
      default: throw StoreError(.io, "cannot open: \(reason)", path: path)
      }
    }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw NodeError(.refused, "\(path) is not a file")
    }
  }

  // It also runs when `init` throws.
  deinit {
    if file >= 0 { close(file) }
  }

  /// Takes the next piece.
  /// - Returns: the counts when the file has ended.
  func step(_ progress: (LocalProgress) -> Void) throws -> LocalImport? {
    var count = 0
    var failure: Int32 = 0
    let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, filled in
      repeat { count = read(file, buffer.baseAddress, buffer.count) } while count < 0 && errno == EINTR
      failure = errno
      filled = max(0, count)
    }
    guard count >= 0 else {
      throw StoreError(.io, "cannot read: \(String(cString: strerror(failure)))", path: path)
    }
    if count > 0 {
      try importer.take(piece)
    } else {
      _ = try importer.finish()
    }
    let summary = importer.summary
    for refusal in summary.refusals[told...] { progress(.badLines(refusal.lines, reason: refusal.reason)) }
    told = summary.refusals.count
    progress(.importing(lines: importer.lineCount, events: summary.events))
    guard count == 0 else { return nil }
    return LocalImport(
      lines: importer.lineCount, persons: summary.persons, events: summary.events, known: summary.knownEvents,
      bad: summary.refusedLines)
  }
}
