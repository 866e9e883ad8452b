import CLinux
import Dispatch
import Glibc

/// A nonblocking stream socket on a dispatch queue: says when it can be read and written, and closes the descriptor
/// exactly once, after both of its sources have let go of it.
///
/// While it is not cancelled it keeps itself alive through the handlers; `cancel` lets go of everything.
/// `@unchecked Sendable`: everything happens on `queue`, which each entry checks.
final class SocketChannel: @unchecked Sendable {
  let descriptor: Int32
  let queue: DispatchQueue
  var onReadable: () -> Void = {}
  var onWritable: () -> Void = {}

  private let readSource: any DispatchSourceRead
  private let writeSource: any DispatchSourceWrite
  private var isReading = false
  private var isWriting = false
  private var isCancelled = false
  private var sourcesAlive = 2

  /// Takes the descriptor over. Neither reads nor writes are reported yet.
  init(descriptor: Int32, queue: DispatchQueue) {
    self.descriptor = descriptor
    self.queue = queue
    readSource = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    writeSource = DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
    readSource.setEventHandler { self.readable() }
    writeSource.setEventHandler { self.writable() }
    readSource.setCancelHandler { self.sourceEnded() }
    writeSource.setCancelHandler { self.sourceEnded() }
  }

  func setReading(_ wanted: Bool) {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isCancelled, wanted != isReading else { return }
    isReading = wanted
    if wanted { readSource.resume() } else { readSource.suspend() }
  }

  func setWriting(_ wanted: Bool) {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isCancelled, wanted != isWriting else { return }
    isWriting = wanted
    if wanted { writeSource.resume() } else { writeSource.suspend() }
  }

  /// Idempotent. The descriptor is closed soon afterwards, on the queue.
  func cancel() {
    dispatchPrecondition(condition: .onQueue(queue))
    guard !isCancelled else { return }
    isCancelled = true
    onReadable = {}
    onWritable = {}
    readSource.cancel()
    writeSource.cancel()
    // A suspended source never runs its cancel handler.
    if !isReading { readSource.resume() }
    if !isWriting { writeSource.resume() }
  }

  private func readable() {
    if !isCancelled, isReading { onReadable() }
  }

  private func writable() {
    if !isCancelled, isWriting { onWritable() }
  }

  private func sourceEnded() {
    sourcesAlive -= 1
    if sourcesAlive == 0 { Glibc.close(descriptor) }
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
