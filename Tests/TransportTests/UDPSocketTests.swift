import Dispatch
import Primitives
import Testing
import Transport

@Suite struct UDPSocketTests {
  static let loopback = [IPAddress(127, 0, 0, 1), IPAddress([UInt8](repeating: 0, count: 15) + [1])!]

  /// Two sockets on one queue; the first reports what it gets.
  final class Pair: @unchecked Sendable {
    let queue = DispatchQueue(label: "datagrams")
    let received: AsyncStream<([UInt8], Endpoint)>
    let first: UDPSocket
    let second: UDPSocket

    init(_ address: IPAddress) throws {
      let (stream, continuation) = AsyncStream.makeStream(of: ([UInt8], Endpoint).self)
      received = stream
      let queue = queue
      first = try queue.sync {
        try UDPSocket(on: Endpoint(address, port: 0), queue: queue) { continuation.yield(($0, $1)) }
      }
      second = try queue.sync { try UDPSocket(on: Endpoint(address, port: 0), queue: queue) { _, _ in } }
    }

    deinit {
      queue.sync {
        first.close()
        second.close()
        second.close()
      }
    }
  }

  @Test("a datagram arrives whole, with where it came from", arguments: loopback)
  func arrives(address: IPAddress) async throws {
    let pair = try Pair(address)
    #expect(pair.first.endpoint.port != 0 && pair.first.endpoint != pair.second.endpoint)
    var incoming = pair.received.makeAsyncIterator()
    for count in [0, 1, 1024, UDPSocket.byteCountMaximum] {
      let bytes = [UInt8](repeating: UInt8(count & 255), count: count)
      pair.queue.sync { pair.second.send(bytes, to: pair.first.endpoint) }
      let next = await incoming.next()
      let (datagram, source) = try #require(next)
      #expect(datagram == bytes && source == pair.second.endpoint)
    }
  }

  @Test("what is too long is counted and dropped; the next one arrives")
  func overlong() async throws {
    let pair = try Pair(Self.loopback[0])
    var incoming = pair.received.makeAsyncIterator()
    pair.queue.sync {
      pair.second.send([UInt8](repeating: 1, count: UDPSocket.byteCountMaximum + 1), to: pair.first.endpoint)
      pair.second.send([2], to: pair.first.endpoint)
    }
    let next = await incoming.next()
    #expect(next?.0 == [2])
    #expect(pair.queue.sync { pair.first.overlongCount } == 1)
  }

  @Test("what nobody takes is counted; an address that is taken is refused")
  func failures() throws {
    let pair = try Pair(Self.loopback[0])
    let queue = pair.queue
    queue.sync { pair.second.send([UInt8](repeating: 0, count: 70_000), to: pair.first.endpoint) }
    #expect(queue.sync { pair.second.unsentCount } == 1)
    #expect(throws: TransportError.self) {
      _ = try queue.sync { try UDPSocket(on: pair.first.endpoint, queue: queue) { _, _ in } }
    }
  }
}
