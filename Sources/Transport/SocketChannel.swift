import CLinux
import Dispatch
import Glibc

/// A nonblocking stream socket on a dispatch queue: says when it can be read and written, and closes the descriptor
/// exactly once, after its source has let go of it.
///
/// libdispatch's epoll loop has two traps that this type is shaped by (event_epoll.c). A reader that is registered
/// while a writer of the same descriptor waits is filed as a writer and never told of input: so writing is watched on
/// a duplicate. After a hang-up a source is told once and never again: so whoever stops reading early must come back
/// by `readAgain`.
///
/// While it is not cancelled it keeps itself alive through the handlers; `cancel` lets go of everything.
/// `@unchecked Sendable`: everything happens on `queue`, which each entry checks.
final class SocketChannel: @unchecked Sendable {
  let descriptor: Int32
  let queue: DispatchQueue
  var onReadable: () -> Void = {}
  var onWritable: () -> Void = {}

  private let readSource: any DispatchSourceRead
  private var writeSource: (any DispatchSourceWrite)?  // made when the socket is full for the first time
  private var isReading = false
  private var isWriting = false
  private var isCancelled = false
  private var isReadScheduled = false

  /// Takes the descriptor over. Neither reads nor writes are reported yet.
  init(descriptor: Int32, queue: DispatchQueue) {
    self.descriptor = descriptor
    self.queue = queue
    readSource = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    readSource.setEventHandler { self.readable() }
    readSource.setCancelHandler { Self.closeOwned(descriptor) }
  }

  func setReading(_ wanted: Bool) {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isCancelled, wanted != isReading else { return }
    isReading = wanted
    if wanted { readSource.resume() } else { readSource.suspend() }
  }

  /// Calls `onReadable` in a later turn of the queue, whether or not there is news.
  func readAgain() {
    guard !isReadScheduled, !isCancelled else { return }
    isReadScheduled = true
    queue.async { [self] in
      isReadScheduled = false
      readable()
    }
  }

  /// False when there is no descriptor left to watch with.
  func setWriting(_ wanted: Bool) -> Bool {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isCancelled, wanted != isWriting else { return true }
    guard let source = writeSource ?? makeWriteSource() else { return false }
    writeSource = source
    isWriting = wanted
    if wanted { source.resume() } else { source.suspend() }
    return true
  }

  /// Gives the second descriptor back until `setWriting` is called again.
  func releaseWriter() {
    guard let source = writeSource else { return }
    writeSource = nil
    source.cancel()
    if !isWriting { source.resume() }  // a suspended source never runs its cancel handler
    isWriting = false
  }

  /// Idempotent. The descriptor is closed soon afterwards, on the queue.
  func cancel() {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isCancelled else { return }
    isCancelled = true
    onReadable = {}
    onWritable = {}
    releaseWriter()
    readSource.cancel()
    if !isReading { readSource.resume() }
  }

  private func makeWriteSource() -> (any DispatchSourceWrite)? {
    let duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard duplicate >= 0 else { return nil }
    let source = DispatchSource.makeWriteSource(fileDescriptor: duplicate, queue: queue)
    source.setEventHandler { self.writable() }
    source.setCancelHandler { Self.closeOwned(duplicate) }
    return source
  }

  private func readable() {
    if !isCancelled, isReading { onReadable() }
  }

  private func writable() {
    if !isCancelled, isWriting { onWritable() }
  }

  private static func closeOwned(_ descriptor: Int32) {
    let result = Glibc.close(descriptor)
    precondition(result == 0 || errno != EBADF, "descriptor \(descriptor) was closed by somebody else")
  }

  // MARK: System calls

  enum Transfer {
    case moved(Int)
    case wouldBlock
    case ended  // of reading only
    case failed(Int32)
  }

  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    while true {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 { return .moved(count) }
      if count == 0 { return .ended }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wouldBlock
      default: return .failed(errno)
      }
    }
  }

  func transmit(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    while true {
      let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count >= 0 { return .moved(count) }
      switch errno {
      case EINTR: continue
      case EAGAIN: return .wouldBlock
      default: return .failed(errno)
      }
    }
  }

  func endWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }
}
