import Glibc
import Primitives

/// Reading what a command is given: whole texts and lines, from a file or, for `-`, from standard input.
public enum Input {
  /// Everything there is, at most `maximum` bytes.
  public static func bytes(_ path: String, maximum: Int) throws(CommandFailure) -> [UInt8] {
    let source = try ByteSource(path)
    var bytes: [UInt8] = []
    while let part = try source.next() {
      guard bytes.count + part.count <= maximum else {
        throw CommandFailure(.usage, "\(source.name) has more than \(maximum) bytes")
      }
      bytes += part
    }
    return bytes
  }

  /// A text in UTF-8 without a line feed at its end; anything else is a mistake of whoever wrote it (exit code 2).
  public static func text(_ path: String, maximum: Int) throws(CommandFailure) -> String {
    try text(try bytes(path, maximum: maximum), name: path == "-" ? "standard input" : path)
  }

  package static func text(
    _ bytes: [UInt8], name: String, keepsLineFeeds: Bool = false
  ) throws(CommandFailure) -> String {
    guard var text = String(validating: bytes, as: UTF8.self) else {
      throw CommandFailure(.usage, "\(name) is not UTF-8: bad byte at position \(firstInvalidUTF8(bytes)!)")
    }
    while !keepsLineFeeds, text.unicodeScalars.last == "\n" { text.unicodeScalars.removeLast() }
    return text
  }
}

/// Lines of a file or of standard input, one at a time, whatever their bytes are. A line keeps its CR.
public final class LineReader {
  /// The number of the line last read, from 1.
  public private(set) var number = 0
  private let source: ByteSource
  private let lineMaximum: Int
  private var buffer: [UInt8] = []
  private var position = 0
  private var ended = false

  /// - Parameter lineMaximum: bytes; a longer line is an error, so that a file without line feeds cannot fill the memory.
  public init(_ path: String, lineMaximum: Int) throws(CommandFailure) {
    source = try ByteSource(path)
    self.lineMaximum = lineMaximum
  }

  /// The next line without its line feed; nil after the last.
  public func next() throws(CommandFailure) -> [UInt8]? {
    var searched = position
    while true {
      if let end = buffer.withUnsafeBytes({ find(0x0A, in: $0, from: searched) }) {
        defer { position = end + 1 }
        return try line(position..<end)
      }
      searched = buffer.count
      if ended {
        guard position < buffer.count else { return nil }
        defer { position = buffer.count }
        return try line(position..<buffer.count)
      }
      guard buffer.count - position <= lineMaximum else { throw tooLong(number + 1) }
      if position > 0 {
        buffer.removeFirst(position)
        searched -= position
        position = 0
      }
      if let part = try source.next() { buffer += part } else { ended = true }
    }
  }

  private func line(_ range: Range<Int>) throws(CommandFailure) -> [UInt8] {
    number += 1
    guard range.count <= lineMaximum else { throw tooLong(number) }
    return Array(buffer[range])
  }

  private func tooLong(_ number: Int) -> CommandFailure {
    CommandFailure(.usage, "\(source.name): line \(number) has more than \(lineMaximum) bytes")
  }

  private func find(_ byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard start < bytes.count, let base = bytes.baseAddress,
      let found = memchr(base + start, Int32(byte), bytes.count - start)
    else { return nil }
    return UnsafeRawPointer(found) - base
  }
}

private final class ByteSource {
  let name: String
  private let descriptor: Int32

  init(_ path: String) throws(CommandFailure) {
    if path == "-" {
      name = "standard input"
      descriptor = 0
      return
    }
    name = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      let reason = String(cString: strerror(errno))
      throw CommandFailure(errno == ENOENT ? .notFound : .failed, "cannot open \(path): \(reason)")
    }
  }

  deinit {
    if descriptor > 0 { close(descriptor) }
  }

  func next() throws(CommandFailure) -> [UInt8]? {
    while true {
      var count = 0
      let part = [UInt8](unsafeUninitializedCapacity: partBytes) { buffer, initialized in
        count = read(descriptor, buffer.baseAddress!, partBytes)
        initialized = max(count, 0)
      }
      if count > 0 { return part }
      if count == 0 { return nil }
      if errno != EINTR {
        throw CommandFailure(.failed, "cannot read \(name): \(String(cString: strerror(errno)))")
      }
    }
  }
}

private let partBytes = 64 * 1024
