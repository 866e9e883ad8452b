public import Identity
public import Primitives

/// Info-hashes under which nodes of `tl` meet (BEP 5); schemas/records.md. Whatever is found there is a hint of strangers.
extension NodeID {
  /// Where those announce themselves who serve a person's logs.
  public static func swarm(of person: PersonID) -> NodeID { NodeID(sha1: Array("tl/swarm/1".utf8) + person.bytes) }

  /// Where those announce themselves who know somebody of this name.
  public static func name(_ name: String) -> NodeID { NodeID(sha1: Array("tl/name/1".utf8) + Name.folded(name).utf8) }
}

/// Which addresses a node believes that it learns from the DHT (PROTOCOLS 4.5), and tells there.
public struct AddressRules: Hashable, Sendable {
  /// Of everybody's network; else of one's own.
  public var isPublic: Bool

  public init(isPublic: Bool) { self.isPublic = isPublic }

  /// Whether an address may be published or dialled on somebody's word. In public only what can be reached from
  /// everywhere, and no port of a system service: else anybody could point us at machines that only we can reach.
  public func allows(_ endpoint: Endpoint) -> Bool {
    switch endpoint.address.addressClass {
    case .global: endpoint.port >= (isPublic ? Self.portMinimum : 1)
    case .privateNetwork, .loopback: !isPublic && endpoint.port >= 1
    case .martian: false
    }
  }

  /// The first port that needs no privilege.
  public static let portMinimum: UInt16 = 1024
}

/// What items of `tl` have in common: the value is one byte string, so that clients that read nothing else do not refuse
/// it, and its first byte is a version.
enum ItemValue {
  /// The number of an item that is published now: microseconds, and higher than any before (BEP 44).
  static func sequence(after last: Int64?, at now: Timestamp) -> Int64 {
    let (micros, overflow) = now.milliseconds.multipliedReportingOverflow(by: 1000)
    let clock = overflow || micros < 1 ? 1 : micros
    guard let last, last >= clock else { return clock }
    return last == .max ? last : last + 1
  }

  static func bencoded(_ content: [UInt8]) -> [UInt8] {
    var writer = BencodeWriter(reserving: content.count + 5)
    writer.string(content)
    return writer.bytes
  }

  /// Reads the one byte string of a value, version included.
  static func reader(_ value: [UInt8], version: UInt8) throws(ByteError) -> ByteReader {
    guard value.count <= MutableItem.valueByteCountComfortable else {
      throw ByteError(at: 0, "a value of \(value.count) bytes, more than \(MutableItem.valueByteCountComfortable)")
    }
    let read = try Bencode(value)
    guard read.isCanonical, let content = read.string(read.root) else {
      throw ByteError(at: 0, "a value that is no byte string")
    }
    var reader = ByteReader(value, content.startIndex..<content.endIndex)
    let found = try reader.byte()
    guard found == version else { throw ByteError(at: content.startIndex, "an item of version \(found)") }
    return reader
  }
}

extension ByteReader {
  /// A family byte (4 or 6), the address and a port that is not 0. There is one form: an IPv4 address is written as such.
  mutating func endpoint() throws(ByteError) -> Endpoint {
    let start = offset
    let count: Int
    switch try byte() {
    case 4: count = 4
    case 6: count = 16
    case let family: throw ByteError(at: start, "an address of family \(family)")
    }
    guard let address = IPAddress(try array(count)), address.isIPv4 == (count == 4) else {
      throw ByteError(at: start, "an IPv4 address in the form of IPv6")
    }
    let port: UInt16 = try integer()
    guard port != 0 else { throw ByteError(at: offset - 2, "port 0") }
    return Endpoint(address, port: port)
  }

  mutating func byteCount(atMost maximum: Int) throws(ByteError) -> Int {
    let count = Int(try byte())
    guard count <= maximum else { throw ByteError(at: offset - 1, "count \(count) over \(maximum)") }
    return count
  }
}

extension ByteWriter {
  mutating func endpoint(_ endpoint: Endpoint) {
    byte(endpoint.address.isIPv4 ? 4 : 6)
    append(endpoint.compact)
  }
}
