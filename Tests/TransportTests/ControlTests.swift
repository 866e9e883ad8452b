import CLinux
import Dispatch
import Glibc
import Primitives
import Testing
import Transport

/// A 0700 directory for one test, removed with what is in it.
final class ScratchDirectory: Sendable {
  let path: String

  init(_ parent: String? = nil) {
    var template = Array((parent ?? "/tmp").utf8CString.dropLast()) + Array("/tl-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil, "no scratch directory")
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit { remove(path) }

  private func remove(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR, let directory = opendir(path) else {
      unlink(path)
      return
    }
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { remove(path + "/" + name) }
    }
    closedir(directory)
    rmdir(path)
  }
}

/// Runs what blocks on a thread of its own: a handler must find a free thread in Swift's pool, which is small.
private func blocking(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
    DispatchQueue(label: "blocking").async { continuation.resume(with: Result { try body() }) }
  }
}

private func mode(_ path: String) -> mode_t {
  var status = stat()
  return lstat(path, &status) == 0 ? status.st_mode : 0
}

@Suite(.serialized, .timeLimit(.minutes(1))) struct ControlTests {
  let queue = DispatchQueue(label: "control")

  /// Counts up to the number in the request, then answers with it; type 9 waits for its cancellation.
  func listen(_ path: String, cancelled: AsyncStream<Void>.Continuation? = nil) throws -> ControlListener {
    try queue.sync {
      try ControlListener(path: path, queue: queue) { request, reply in
        if request.type == 9 {
          while (try? await reply.send(Frame(type: 1, body: [UInt8](repeating: 0, count: 100_000)))) != nil {}
          if Task.isCancelled { cancelled?.yield() }
          return Frame(type: 2)
        }
        for number in 0..<(request.body.first ?? 0) { try? await reply.send(Frame(type: 1, body: [number])) }
        return Frame(type: 2, body: request.body)
      }
    }
  }

  @Test("a request gets its progress and its answer, again and again")
  func calls() async throws {
    try await blocking {
      let directory = ScratchDirectory()
      let path = directory.path + "/control.sock"
      let listener = try listen(path)
      var client = try ControlClient.connect(path)
      for count: UInt8 in [0, 3, 200] {
        var seen: [UInt8] = []
        let answer = try client.call(Frame(type: 5, body: [count])) { frame in
          #expect(frame.type == 1)
          seen += frame.body
        }
        #expect(answer == Frame(type: 2, body: [count]) && seen == Array(0..<count))
      }
      queue.sync { listener.close() }
      #expect(mode(path) == 0)
      #expect(throws: TransportError.self) { try client.call(Frame(type: 5)) }
      let error = #expect(throws: TransportError.self) { _ = try ControlClient.connect(path) }
      #expect(error?.code == .refused)
    }
  }

  @Test("the socket is 0600 in a directory of 0700, and no other directory is taken")
  func rights() async throws {
    try await blocking {
      let directory = ScratchDirectory()
      let path = directory.path + "/new/control.sock"
      let listener = try listen(path)
      #expect(mode(directory.path + "/new") & 0o777 == 0o700)
      #expect(mode(path) & 0o777 == 0o600 && mode(path) & S_IFMT == S_IFSOCK)
      queue.sync { listener.close() }
      chmod(directory.path + "/new", 0o750)
      let error = #expect(throws: TransportError.self) { try listen(path) }
      #expect(error?.code == .address && mode(path) == 0)
    }
  }

  @Test("a path of several hundred bytes works")
  func longPath() async throws {
    try await blocking {
      let directory = ScratchDirectory()
      var path = directory.path
      for _ in 0..<4 {
        path += "/" + String(repeating: "d", count: 100)
        mkdir(path, 0o700)
      }
      path += "/control.sock"
      let listener = try listen(path)
      var client = try ControlClient.connect(path)
      #expect(try client.call(Frame(type: 1)).type == 2)
      queue.sync { listener.close() }
      #expect(throws: TransportError.self) { try listen(directory.path + "/" + String(repeating: "n", count: 200)) }
      #expect(throws: TransportError.self) { try listen(directory.path + "/") }
    }
  }

  @Test("a socket left behind is replaced; one in use and a file are not")
  func stale() async throws {
    try await blocking {
      let directory = ScratchDirectory()
      let path = directory.path + "/control.sock"
      let first = try listen(path)
      let inUse = #expect(throws: TransportError.self) { try listen(path) }
      #expect(inUse?.message.contains("another node") == true)
      rename(path, path + ".kept")
      queue.sync { first.close() }  // does not find its socket any more, as after a kill
      rename(path + ".kept", path)
      let second = try listen(path)
      var client = try ControlClient.connect(path)
      #expect(try client.call(Frame(type: 1)).type == 2)
      queue.sync { second.close() }
      close(open(path, O_CREAT | O_WRONLY, 0o600))
      #expect(throws: TransportError.self) { try listen(path) }
      #expect(mode(path) & S_IFMT == S_IFREG)
    }
  }

  @Test("bytes that are no request end the connection, and the listener goes on", arguments: UInt64(0)..<10)
  func foreignFrames(seed: UInt64) async throws {
    try await blocking {
      let directory = ScratchDirectory()
      let path = directory.path + "/control.sock"
      let listener = try listen(path)
      var random = SeededRandom(seed: seed)
      let inputs: [[UInt8]] = [
        [0, 0, 0, 0, 1], [255, 255, 255, 255, 1], encodeFrame(Frame(type: 0x85)), Array("GET / HTTP/1.1\r\n\r\n".utf8),
        encodeFrame(Frame(type: 9)) + encodeFrame(Frame(type: 9)), [255] + random.bytes(300),
      ]
      for input in inputs {
        let descriptor = rawConnect(path)
        #expect(send(descriptor, input, input.count, Int32(MSG_NOSIGNAL)) == input.count)
        #expect(waitForEnd(descriptor))
        close(descriptor)
      }
      var client = try ControlClient.connect(path)
      #expect(try client.call(Frame(type: 1)).type == 2)
      queue.sync { listener.close() }
    }
  }

  @Test("a command that goes away ends its task, and one that does not read makes it wait")
  func cancellation() async throws {
    let directory = ScratchDirectory()
    let path = directory.path + "/control.sock"
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    let listener = try listen(path, cancelled: continuation)
    try await blocking { try abandon(path) }
    var iterator = stream.makeAsyncIterator()
    #expect(await iterator.next() != nil)
    queue.sync { listener.close() }
  }

  /// Asks for an endless answer and goes away after some of it.
  private func abandon(_ path: String) throws {
    struct Enough: Error {}
    var client = try ControlClient.connect(path)
    var count = 0
    #expect(throws: Enough.self) {
      _ = try client.call(Frame(type: 9)) { _ in
        count += 1
        if count == 30 { throw Enough() }
      }
    }
  }
}

/// A Unix connection through a short path, blocking.
private func rawConnect(_ path: String) -> Int32 {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
  let result = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
  precondition(result == 0, "connect \(path): \(errno)")
  return descriptor
}
