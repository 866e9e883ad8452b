import Glibc
import Node
import Testing

@Suite struct ServiceNotifierTests {
  /// A datagram socket with a name, and what it was sent.
  final class Receiver {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    let isBound: Bool

    init(_ name: [UInt8]) {
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
      let count = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count
      let descriptor = descriptor
      isBound = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(count)) == 0 }
      }
    }

    deinit { close(descriptor) }

    func receive() -> String {
      var bytes = [UInt8](repeating: 0, count: 256)
      let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
      return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
  }

  @Test("a state reaches the socket of a path and one of the abstract namespace")
  func notify() throws {
    let path = "/tmp/tl-notify-\(getpid())"
    defer { unlink(path) }
    let file = Receiver(Array(path.utf8) + [0])
    let abstract = Receiver([0] + Array("tl-notify-\(getpid())".utf8))
    #expect(file.isBound && abstract.isBound)
    #expect(try #require(ServiceNotifier(socket: path)).notify("READY=1"))
    #expect(try #require(ServiceNotifier(socket: "@tl-notify-\(getpid())")).notify("STOPPING=1"))
    #expect(file.receive() == "READY=1")
    #expect(abstract.receive() == "STOPPING=1")
  }

  @Test("names that no socket can have are refused, and nobody there is no error")
  func names() throws {
    for name in ["", "/", "@", "relative", "/" + String(repeating: "a", count: 200)] {
      #expect(ServiceNotifier(socket: name) == nil)
    }
    #expect(try #require(ServiceNotifier(socket: "/tmp/tl-nobody-listens-here")).notify("READY=1") == false)
  }
}
