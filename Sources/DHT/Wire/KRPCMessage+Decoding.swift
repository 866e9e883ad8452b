internal import Identity
internal import Primitives

/// What came of a packet (PROTOCOLS 2.6).
public enum KRPCDecoding: Hashable, Sendable {
  case message(KRPCMessage)
  /// A query that is answered with an error.
  case refused(transaction: [UInt8], KRPCError)
  /// Nothing is answered; the reason is for counting.
  case silence(Silence)

  public enum Silence: Hashable, Sendable, CaseIterable {
    case tooLong
    /// Not one bencoded dictionary, or without `t` or a `y` that is q, r or e.
    case malformed
    /// A reply or an error that says too little to be one.
    case incomplete
    /// Of another network than ours.
    case foreign
  }
}

extension KRPCMessage {
  /// Reads a packet.
  ///
  /// - Parameters:
  ///   - key: only packets of that private network are read; nil reads packets of any, tagged or not.
  ///   - isStrict: a query whose bytes are not canonical is refused, whichever it is. A put always is.
  public static func decode(_ bytes: [UInt8], for key: NetworkKey? = nil, isStrict: Bool = false) -> KRPCDecoding {
    guard bytes.count <= receivedByteCountMaximum else { return .silence(.tooLong) }
    guard let packet = try? Bencode(bytes), packet.kind(of: packet.root) == .dictionary else {
      return .silence(.malformed)
    }
    if let key {
      guard let (name, value) = packet.entry("tn", in: packet.root), let tag = packet.string(value) else {
        return .silence(.foreign)
      }
      let untagged = bytes[..<packet.range(of: name).lowerBound] + bytes[packet.range(of: value).upperBound...]
      guard key.verifies(tag, of: Array(untagged)) else { return .silence(.foreign) }
    }
    guard let transaction = packet.string(packet.value("t", in: packet.root)),
      let type = packet.string(packet.value("y", in: packet.root)), type.count == 1
    else { return .silence(.malformed) }
    let body: Body
    switch type.first {
    case UInt8(ascii: "q"):
      do throws(KRPCError) {
        body = .query(try KRPCQuery(packet, isStrict: isStrict))
      } catch {
        return .refused(transaction: Array(transaction), error)
      }
    case UInt8(ascii: "r"):
      guard let reply = KRPCReply(packet) else { return .silence(.incomplete) }
      body = .reply(reply)
    case UInt8(ascii: "e"):
      guard let error = KRPCError(packet) else { return .silence(.incomplete) }
      body = .error(error)
    default: return .silence(.malformed)
    }
    return .message(
      KRPCMessage(
        transaction: Array(transaction), body: body,
        version: packet.string(packet.value("v", in: packet.root)).map(Array.init),
        observed: packet.string(packet.value("ip", in: packet.root)).flatMap {
          $0.withUnsafeBytes { Endpoint(packed: $0) }
        },
        isReadOnly: packet.integer(packet.value("ro", in: packet.root)) == 1))
  }
}

extension KRPCQuery {
  fileprivate init(_ packet: Bencode, isStrict: Bool) throws(KRPCError) {
    func refuse(_ message: String) -> KRPCError { KRPCError(.protocolViolation, message) }
    guard let name = packet.string(packet.value("q", in: packet.root)) else { throw refuse("missing 'q' key") }
    guard let arguments = packet.value("a", in: packet.root), packet.kind(of: arguments) == .dictionary else {
      throw refuse("missing 'a' key")
    }
    func identifier(_ key: StaticString) throws(KRPCError) -> NodeID {
      guard let bytes = packet.string(packet.value(key, in: arguments)), let id = NodeID(bytes) else {
        throw refuse("'\(key)' is not 20 bytes")
      }
      return id
    }
    if isStrict, !packet.isCanonical { throw refuse("keys out of order") }
    id = try identifier("id")
    let want = Families(
      packet.elements(of: packet.value("want", in: arguments)).map {
        switch packet.string($0) {
        case [UInt8(ascii: "n"), UInt8(ascii: "4")]: .ipv4
        case [UInt8(ascii: "n"), UInt8(ascii: "6")]: .ipv6
        default: []
        }
      })
    func token() throws(KRPCError) -> [UInt8] {
      guard let token = packet.string(packet.value("token", in: arguments)) else { throw refuse("missing 'token'") }
      return Array(token)
    }
    switch KRPCMethod(name) {
    case .ping: ask = .ping
    case .findNode: ask = .findNode(target: try identifier("target"), want: want)
    case .getPeers: ask = .getPeers(infoHash: try identifier("info_hash"), want: want)
    case .announcePeer:
      let infoHash = try identifier("info_hash")
      var port: UInt16?
      if packet.integer(packet.value("implied_port", in: arguments)) ?? 0 == 0 {
        guard let number = packet.integer(packet.value("port", in: arguments)), number > 0, number <= 65_535 else {
          throw refuse("invalid port")
        }
        port = UInt16(number)
      }
      ask = .announcePeer(infoHash: infoHash, port: port, token: try token())
    case .get:
      ask = .get(
        target: try identifier("target"), sequence: packet.integer(packet.value("seq", in: arguments)), want: want)
    case .put: ask = try Self.put(packet, arguments, token: try token())
    case .sampleInfohashes: ask = .sampleInfohashes(target: try identifier("target"), want: want)
    case nil:
      let target = (try? identifier("target")) ?? (try? identifier("info_hash"))
      guard let target else { throw KRPCError(.methodUnknown, "unknown method") }
      ask = .unknown(target: target, want: want)
    }
  }

  private static func put(
    _ packet: Bencode, _ arguments: Bencode.Place, token: [UInt8]
  ) throws(KRPCError) -> Ask {
    func refuse(_ message: String) -> KRPCError { KRPCError(.protocolViolation, message) }
    // What is stored goes on to others, who may be stricter: it has one form.
    guard packet.isCanonical else { throw refuse("keys out of order") }
    guard let place = packet.value("v", in: arguments) else { throw refuse("missing 'v'") }
    let range = packet.range(of: place)
    guard range.count <= MutableItem.valueByteCountMaximum else { throw KRPCError(.valueTooBig, "message too big") }
    let value = Array(packet.bytes[range])
    let key = packet.value("k", in: arguments)
    let sequence = packet.value("seq", in: arguments)
    let signature = packet.value("sig", in: arguments)
    let salt = packet.value("salt", in: arguments)
    if key == nil, sequence == nil, signature == nil, salt == nil {
      return .putImmutable(ImmutableItem(value: value), token: token)
    }
    if let salt = packet.string(salt), salt.count > MutableItem.saltByteCountMaximum {
      throw KRPCError(.saltTooBig, "salt too big")
    }
    // libtorrent takes a put with a key and without number and signature for an immutable one, and then hides the real item
    // behind it (PROTOCOLS 2.5). All three or none.
    guard let key = packet.string(key), let key = PublicKey(key), let sequence = packet.integer(sequence),
      let signature = packet.string(signature), let signature = Signature(signature)
    else { throw refuse("a mutable item needs k, seq and sig") }
    guard sequence >= 0 else { throw refuse("invalid seq") }
    var saltBytes: [UInt8] = []
    if let salt {
      guard let bytes = packet.string(salt) else { throw refuse("invalid salt") }
      saltBytes = Array(bytes)
    }
    var expected: Int64?
    if let place = packet.value("cas", in: arguments) {
      guard let number = packet.integer(place) else { throw refuse("invalid cas") }
      expected = number
    }
    let item = MutableItem(key: key, salt: saltBytes, sequence: sequence, value: value, signature: signature)
    return .putMutable(item, token: token, compareAndSwap: expected)
  }
}

extension KRPCReply {
  fileprivate init?(_ packet: Bencode) {
    guard let fields = packet.value("r", in: packet.root), packet.kind(of: fields) == .dictionary,
      let id = packet.string(packet.value("id", in: fields)).flatMap({ NodeID($0) })
    else { return nil }
    self.init(id: id)
    func string(_ key: StaticString) -> ArraySlice<UInt8>? { packet.string(packet.value(key, in: fields)) }
    nodes = string("nodes").map { Self.contacts($0, bytesEach: 26) }
    nodes6 = string("nodes6").map { Self.contacts($0, bytesEach: 38) }
    token = string("token").flatMap { $0.count <= Self.tokenByteCountMaximum ? Array($0) : nil }
    // Either family, also mixed (BEP 32); port 0 is nowhere.
    values = packet.elements(of: packet.value("values", in: fields)).compactMap { place in
      packet.string(place).flatMap { $0.withUnsafeBytes { Endpoint(packed: $0) } }.flatMap { $0.port == 0 ? nil : $0 }
    }
    value = packet.value("v", in: fields).map { Array(packet.bytes[packet.range(of: $0)]) }
    key = string("k").flatMap { PublicKey($0) }
    sequence = packet.integer(packet.value("seq", in: fields))
    signature = string("sig").flatMap { Signature($0) }
    interval = packet.integer(packet.value("interval", in: fields))
    count = packet.integer(packet.value("num", in: fields))
    samples = string("samples").map { bytes in
      stride(from: bytes.startIndex, through: bytes.endIndex - 20, by: 20).compactMap { NodeID(bytes[$0..<($0 + 20)]) }
    }
  }

  /// What is left over at the end is ignored, as is a node at port 0.
  private static func contacts(_ bytes: ArraySlice<UInt8>, bytesEach: Int) -> [Contact] {
    bytes.withUnsafeBytes { bytes in
      stride(from: 0, through: bytes.count - bytesEach, by: bytesEach).compactMap { start in
        let address = UnsafeRawBufferPointer(rebasing: bytes[(start + 20)..<(start + bytesEach)])
        guard let id = NodeID(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + 20)])),
          let endpoint = Endpoint(packed: address), endpoint.port != 0
        else { return nil }
        return Contact(id, at: endpoint)
      }
    }
  }
}

extension Endpoint {
  /// As `init(compact:)`. Most of a reply are these.
  fileprivate init?(packed bytes: UnsafeRawBufferPointer) {
    if bytes.count == 6 {
      let value = UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))
      self.init(.v4(value), port: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
    } else {
      self.init(compact: bytes)
    }
  }
}

extension KRPCError {
  fileprivate init?(_ packet: Bencode) {
    let parts = packet.elements(of: packet.value("e", in: packet.root))
    guard let code = parts.first, let code = packet.integer(code), let code = Int(exactly: code) else { return nil }
    let text = parts.count > 1 ? packet.string(parts[1]) : nil
    self.init(Code(rawValue: code), String(decoding: text?.prefix(Self.messageByteCountMaximum) ?? [], as: UTF8.self))
  }

  /// Of what others say, for diagnostics.
  static let messageByteCountMaximum = 100
}
