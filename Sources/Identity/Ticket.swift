public import Primitives

/// One line of text that carries what one person must tell another: `tl://` and lower-case base32 of
///
///     0 version u8 = 1 | 1 kind u8 | 2 CBOR map | checksum 4 = BLAKE2b-256 of all bytes before it, the first four
///
/// Addresses are `host:port` in printable ASCII; Transport reads them further. Case does not matter (a QR code in
/// alphanumeric mode has capitals only).
public enum Ticket: Sendable {
  case person(Person)
  case join(Join)
  case network(Network)

  /// Who somebody is and where replicas of them are.
  ///
  ///     kind 1: 0: person id, 1: name (text, may be empty), 2: node key (only if given), 3: addresses (array of text)
  public struct Person: Hashable, Sendable {
    public let person: PersonID
    /// A claim; empty if there is none.
    public let name: String
    /// The node to expect at the addresses.
    public let node: PublicKey?
    public let addresses: [String]

    public init(person: PersonID, name: String, node: PublicKey?, addresses: [String]) {
      self.person = person
      self.name = name
      self.node = node
      self.addresses = addresses
    }
  }

  /// An invitation, good once, to become a device of a person.
  ///
  ///     kind 2: 0: person id, 1: node key, 2: addresses, 3: secret (16 bytes), 4: not after (ms since 1970)
  public struct Join: Sendable {
    public static let secretCount = 16
    public let person: PersonID
    /// The node that gave the ticket out; the joining side talks to no other.
    public let node: PublicKey
    public let addresses: [String]
    /// Proves to that node that the ticket is its own.
    public let secret: SecretBytes
    public let notAfter: Timestamp

    public init(person: PersonID, node: PublicKey, addresses: [String], secret: SecretBytes, notAfter: Timestamp) {
      self.person = person
      self.node = node
      self.addresses = addresses
      self.secret = secret
      self.notAfter = notAfter
    }
  }

  public static let scheme = "tl://"
  /// As many places as a QR code takes easily.
  public static let addressMaximum = 3
  /// The longest DNS name, brackets, colon and port.
  public static let addressByteMaximum = 261
  /// Longest ticket in characters.
  public static let textMaximum = 2048

  /// The ticket as text.
  /// - Throws: `.limit` or `.malformed` for a name, address or secret that a ticket cannot carry.
  public func text() throws(IdentityError) -> String {
    var writer = CBORWriter(reserving: 256)
    let kind: UInt8
    switch self {
    case .person(let ticket):
      kind = 1
      if !ticket.name.isEmpty { try Name.check(ticket.name, in: "ticket") }
      try Self.check(ticket.addresses, minimum: 0)
      writer.map(ticket.node == nil ? 3 : 4)
      writer.unsigned(0)
      writer.byteString(ticket.person)
      writer.unsigned(1)
      writer.text(ticket.name)
      if let node = ticket.node {
        writer.unsigned(2)
        writer.byteString(node)
      }
      writer.unsigned(3)
      Self.write(ticket.addresses, to: &writer)
    case .join(let ticket):
      kind = 2
      try Self.check(ticket.addresses, minimum: 1)
      guard ticket.secret.count == Join.secretCount else {
        throw IdentityError(.malformed, "a join secret has \(Join.secretCount) bytes", in: "ticket")
      }
      writer.map(5)
      writer.unsigned(0)
      writer.byteString(ticket.person)
      writer.unsigned(1)
      writer.byteString(ticket.node)
      writer.unsigned(2)
      Self.write(ticket.addresses, to: &writer)
      writer.unsigned(3)
      ticket.secret.withUnsafeBytes { writer.byteString($0) }
      writer.unsigned(4)
      writer.integer(ticket.notAfter.milliseconds)
    case .network(let ticket):
      kind = 3
      try Self.check(ticket.addresses, minimum: 0)
      ticket.write(to: &writer)
    }
    let bytes = [Self.version, kind] + writer.bytes
    return Self.scheme + Base32.encode(bytes + Digest(hashing: bytes).bytes.prefix(Self.checksumCount))
  }

  /// Reads a ticket. Spaces and line ends around it are ignored.
  /// - Throws: `IdentityError` that names the character or byte at fault.
  public init(_ text: String) throws(IdentityError) {
    let units = Self.trimmed(text)
    guard units.count <= Self.textMaximum else {
      throw IdentityError(.limit, "\(units.count) characters, more than \(Self.textMaximum)", in: "ticket")
    }
    let scheme = Array(Self.scheme.utf8)
    guard units.count > scheme.count,
      String(decoding: units.prefix(scheme.count), as: UTF8.self).lowercased() == Self.scheme
    else { throw IdentityError(.malformed, "does not begin with \(Self.scheme)", in: "ticket") }
    for (index, unit) in units.enumerated().dropFirst(scheme.count)
    where !Base32.isPrefix(String(decoding: [unit], as: UTF8.self)) {
      throw IdentityError(.malformed, "a character outside a–z and 2–7", in: "ticket, character \(index + 1)")
    }
    guard let bytes = Base32.decode(digits: units.dropFirst(scheme.count)), bytes.count > 2 + Self.checksumCount else {
      throw IdentityError(.malformed, "cut short", in: "ticket, character \(units.count)")
    }
    let end = bytes.count - Self.checksumCount
    guard Digest(hashing: Array(bytes[..<end])).bytes.prefix(Self.checksumCount) == bytes[end...] else {
      throw IdentityError(.malformed, "the checksum does not hold: a character is wrong or missing", in: "ticket")
    }
    guard bytes[0] == Self.version else { throw IdentityError(.unsupported, "version \(bytes[0])", in: "ticket") }
    switch bytes[1] {
    case 1: self = .person(try Self.person(bytes, end))
    case 2: self = .join(try Self.join(bytes, end))
    case 3: self = .network(try Network(bytes, 2..<end))
    default: throw IdentityError(.unsupported, "kind \(bytes[1])", in: "ticket")
    }
  }

  private static func person(_ bytes: [UInt8], _ end: Int) throws(IdentityError) -> Person {
    let ticket = try decoding("person ticket") { () throws(ByteError) in
      var reader = CBORReader(bytes, 2..<end)
      let count = try reader.mapCount()
      guard (3...4).contains(count) else { throw ByteError(at: 2, "\(count) fields, not 3 or 4") }
      try reader.key(0)
      let person: PersonID = try reader.bytes32()
      try reader.key(1)
      let name = try reader.text(atMost: Name.byteMaximum)
      var node: PublicKey?
      if count == 4 {
        try reader.key(2)
        node = try reader.bytes32()
      }
      try reader.key(3)
      let addresses = try addresses(&reader)
      try reader.expectEnd()
      return Person(person: person, name: name, node: node, addresses: addresses)
    }
    if !ticket.name.isEmpty { try Name.check(ticket.name, in: "person ticket") }
    return ticket
  }

  private static func join(_ bytes: [UInt8], _ end: Int) throws(IdentityError) -> Join {
    try decoding("join ticket") { () throws(ByteError) in
      var reader = CBORReader(bytes, 2..<end)
      guard try reader.mapCount() == 5 else { throw ByteError(at: 2, "not a map of 5") }
      try reader.key(0)
      let person: PersonID = try reader.bytes32()
      try reader.key(1)
      let node: PublicKey = try reader.bytes32()
      try reader.key(2)
      let start = reader.offset
      let addresses = try addresses(&reader)
      guard !addresses.isEmpty else { throw ByteError(at: start, "no address") }
      try reader.key(3)
      let secretOffset = reader.offset
      let range = try reader.byteString(atMost: Join.secretCount)
      guard range.count == Join.secretCount else { throw ByteError(at: secretOffset, "secret of another length") }
      try reader.key(4)
      let notAfter = Timestamp(milliseconds: try reader.integer())
      try reader.expectEnd()
      return Join(
        person: person, node: node, addresses: addresses, secret: SecretBytes(Array(bytes[range])), notAfter: notAfter)
    }
  }

  static func addresses(_ reader: inout CBORReader) throws(ByteError) -> [String] {
    var found: [String] = []
    for _ in 0..<(try reader.arrayCount(atMost: addressMaximum)) {
      let start = reader.offset
      let address = try reader.text(atMost: addressByteMaximum)
      guard isAddress(address) else { throw ByteError(at: start, "not a host:port") }
      found.append(address)
    }
    return found
  }

  private static func check(_ addresses: [String], minimum: Int) throws(IdentityError) {
    guard (minimum...addressMaximum).contains(addresses.count) else {
      throw IdentityError(.limit, "\(addresses.count) addresses, not \(minimum)–\(addressMaximum)", in: "ticket")
    }
    for (index, address) in addresses.enumerated() where !isAddress(address) {
      throw IdentityError(.malformed, "not a host:port", in: "ticket, address \(index + 1)")
    }
  }

  // Enough to print it safely; Transport's parser judges the rest when somebody dials.
  private static func isAddress(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard bytes.count <= addressByteMaximum, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
      let colon = bytes.lastIndex(of: UInt8(ascii: ":")), colon > 0
    else { return false }
    let digits = bytes[(colon + 1)...]
    guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return false }
    return UInt16(String(decoding: digits, as: UTF8.self)).map { $0 > 0 } ?? false
  }

  static func write(_ addresses: [String], to writer: inout CBORWriter) {
    writer.array(addresses.count)
    for address in addresses { writer.text(address) }
  }

  private static func trimmed(_ text: String) -> [UInt8] {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
    return Array(text.utf8.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }

  private static let version: UInt8 = 1
  private static let checksumCount = 4
}
