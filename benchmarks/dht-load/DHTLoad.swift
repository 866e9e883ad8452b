import DHT
import Glibc
import Identity
import Primitives

/// Asks a network of DHT nodes, ours or others', as fast as it answers, and as one client one thing after the other.
///
///     dht-load PID ADDRESS:PORT…      PID is the process of all these nodes
///
/// One JSON line a figure: `name`, `value`, and what the process used meanwhile for each (`userMicroseconds`,
/// `systemMicroseconds`).
@main enum DHTLoad {
  static let findSeconds = 2.0
  static let puts = 4_000
  static let single = 200
  /// Questions at a time.
  static let window = 64

  static func main() {
    let arguments = CommandLine.arguments.dropFirst()
    let endpoints = arguments.dropFirst().compactMap(endpoint)
    guard let process = arguments.first.flatMap({ Int32($0) }), endpoints.count == arguments.count - 1,
      !endpoints.isEmpty
    else { fail("usage: dht-load PID ADDRESS:PORT…") }
    let socket = Socket(on: Endpoint(IPAddress(127, 250, 1, 1), port: 0))
    // A packet to every node first: where one does not know an address its first answers are slower.
    var flood = Flood(socket: socket, endpoints: endpoints, process: process)
    flood.findNodes(for: 0.3, isShown: false)
    flood.findNodes(for: findSeconds, isShown: true)
    flood.verifiedPuts(puts)
    var client = Client(endpoints, process: process)
    client.measure(single)
  }

  static func endpoint(_ text: String) -> Endpoint? {
    let parts = text.split(whereSeparator: { $0 == "." || $0 == ":" }).compactMap { UInt16($0) }
    guard parts.count == 5, parts[..<4].allSatisfy({ $0 < 256 }) else { return nil }
    return Endpoint(IPAddress(parts[..<4].map { UInt8($0) })!, port: parts[4])
  }

  static func fail(_ message: String) -> Never {
    let text = Array("dht-load: \(message)\n".utf8)
    _ = write(STDERR_FILENO, text, text.count)
    exit(2)
  }

  static func show(
    _ name: String, _ value: Double, per count: Int, _ used: ProcessTime, _ notes: [(String, Double)] = []
  ) {
    let figures =
      [
        ("value", value), ("userMicroseconds", used.user / Double(max(1, count))),
        ("systemMicroseconds", used.system / Double(max(1, count))),
      ] + notes
    print("{\"name\":\"\(name)\"" + figures.map { ",\"\($0)\":\($1)" }.joined() + "}")
  }
}

/// What a process used, in µs.
struct ProcessTime {
  var user: Double
  var system: Double

  /// From /proc, in the kernel's hundredths of a second.
  init(of process: Int32) {
    var text = [UInt8](repeating: 0, count: 1024)
    let file = open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC)
    let count = read(file, &text, text.count)
    close(file)
    // After the name, which is in brackets and may hold anything; utime and stime are the 12th and 13th after it.
    let tail = String(
      decoding: text.prefix(max(0, count)).split(separator: UInt8(ascii: ")")).last ?? [], as: UTF8.self)
    let fields = tail.split(separator: " ")
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
      DHTLoad.fail("no process \(process)")
    }
    let tick = 1_000_000 / Double(sysconf(Int32(_SC_CLK_TCK)))
    self.user = user * tick
    self.system = system * tick
  }

  func since(_ before: ProcessTime) -> ProcessTime {
    var used = self
    used.user -= before.user
    used.system -= before.system
    return used
  }
}

func now() -> Moment {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  let instant = Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  clock_gettime(CLOCK_REALTIME, &time)
  return Moment(
    instant: instant, wall: Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000))
}

/// A datagram socket without any loop around it.
final class Socket {
  private let descriptor: Int32
  private var buffer = [UInt8](repeating: 0, count: 2048)

  init(on endpoint: Endpoint) {
    descriptor = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var size: Int32 = 4_194_304
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    let bound = Self.with(endpoint) { bind(descriptor, $0, $1) }
    guard bound == 0 else { DHTLoad.fail("cannot use \(endpoint)") }
  }

  private static func with<Result>(_ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result)
    -> Result
  {
    guard case .v4(let value) = endpoint.address else { DHTLoad.fail("\(endpoint) is not IPv4") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = endpoint.port.bigEndian
    address.sin_addr.s_addr = value.bigEndian
    return withUnsafeBytes(of: address) {
      body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
  }

  func send(_ bytes: [UInt8], to endpoint: Endpoint) {
    _ = Self.with(endpoint) { sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT), $0, $1) }
  }

  /// The next datagram, waited for at most so many ms.
  func receive(within milliseconds: Int32) -> (bytes: ArraySlice<UInt8>, source: Endpoint)? {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    while true {
      let count = withUnsafeMutablePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          recvfrom(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT), $0, &size)
        }
      }
      if count >= 0 {
        let source = Endpoint(
          .v4(UInt32(bigEndian: address.sin_addr.s_addr)), port: UInt16(bigEndian: address.sin_port))
        return (buffer[..<count], source)
      }
      guard milliseconds > 0 else { return nil }
      var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      if Glibc.poll(&poll, 1, milliseconds) == 0 { return nil }
    }
  }
}
