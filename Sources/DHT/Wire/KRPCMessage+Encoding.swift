public import Identity
public import Primitives

/// What keeps a private network apart from all others: every packet proves that its sender has the key, and what does not
/// is dropped without a word (PROTOCOLS 4.5).
public struct NetworkKey: Hashable, Sendable {
  public var secret: AuthenticationCode

  public init(_ secret: AuthenticationCode) { self.secret = secret }

  static let tagByteCount = 8

  /// First 8 bytes of HMAC-SHA256 over the packet as it is without the tag.
  func tag(_ packet: [UInt8]) -> [UInt8] {
    Array(AuthenticationCode(authenticating: packet, with: secret).bytes.prefix(Self.tagByteCount))
  }

  func verifies(_ tag: some Collection<UInt8>, of packet: [UInt8]) -> Bool {
    guard tag.count == Self.tagByteCount else { return false }
    return AuthenticationCode(authenticating: packet, with: secret).begins(with: Array(tag))
  }
}

extension KRPCMessage {
  /// The packet. A reply that would be longer than may be sent loses nodes first (the last are the farthest), then values.
  ///
  /// - Parameters:
  ///   - key: makes it a packet of that private network.
  ///   - allowance: bytes that the receiver is to get at most. A value that does not fit into them is left out.
  public func encoded(for key: NetworkKey? = nil, within allowance: Int = .max) -> [UInt8] {
    guard case .reply(var reply) = body else { return bytes(reply: nil, for: key) }
    let large = (reply.value?.count ?? 0) > MutableItem.valueByteCountComfortable
    let maximum = min(large ? Self.sentByteCountMaximumWithLargeValue : Self.sentByteCountMaximum, allowance)
    var bytes = bytes(reply: reply, for: key)
    while bytes.count > maximum {
      let excess = bytes.count - maximum
      if let nodes = reply.nodes6, !nodes.isEmpty {
        reply.nodes6 = nodes.dropLast((excess + 37) / 38)
      } else if let nodes = reply.nodes, !nodes.isEmpty {
        reply.nodes = nodes.dropLast((excess + 25) / 26)
      } else if !reply.values.isEmpty {
        reply.values = reply.values.dropLast((excess + 7) / 8)
      } else if let samples = reply.samples, !samples.isEmpty {
        reply.samples = samples.dropLast((excess + 19) / 20)
      } else if reply.value != nil, maximum == allowance {
        (reply.value, reply.key, reply.signature) = (nil, nil, nil)
      } else {
        break
      }
      bytes = self.bytes(reply: reply, for: key)
    }
    return bytes
  }

  /// A packet that is long enough for a stranger to answer it with a whole value, when it gives no more than five bytes
  /// for each: a string of zeros is added as `z`, which nobody reads and which stands last.
  static func padded(_ bytes: [UInt8]) -> [UInt8] {
    let missing = Self.paddedByteCount - bytes.count - 7
    guard missing >= 100 else { return bytes }
    var writer = BencodeWriter(reserving: Self.paddedByteCount)
    writer.raw(bytes.dropLast())
    writer.key("z")
    writer.string([UInt8](repeating: 0, count: missing))
    writer.end()
    return writer.bytes
  }

  /// A fifth of the longest reply.
  static let paddedByteCount = sentByteCountMaximumWithLargeValue / 5

  private func bytes(reply: KRPCReply?, for key: NetworkKey?) -> [UInt8] {
    var writer = BencodeWriter(reserving: 320)
    writer.beginDictionary()
    if case .query(let query) = body {
      writer.key("a")
      query.write(to: &writer)
    }
    if case .error(let error) = body {
      writer.key("e")
      writer.beginList()
      writer.integer(Int64(error.code.rawValue))
      writer.string(Array(error.message.utf8))
      writer.end()
    }
    if let observed {
      writer.key("ip")
      writer.string(observed)
    }
    if case .query(let query) = body {
      writer.key("q")
      writer.key(query.method?.name ?? "unknown")
    }
    if let reply {
      writer.key("r")
      reply.write(to: &writer)
    }
    if isReadOnly {
      writer.key("ro")
      writer.integer(1)
    }
    writer.key("t")
    writer.string(transaction)
    let tagOffset = writer.bytes.count
    if let version {
      writer.key("v")
      writer.string(version)
    }
    writer.key("y")
    switch body {
    case .query: writer.key("q")
    case .reply: writer.key("r")
    case .error: writer.key("e")
    }
    writer.end()
    guard let key else { return writer.bytes }
    var tag = BencodeWriter()
    tag.key("tn")
    tag.string(key.tag(writer.bytes))
    writer.bytes.insert(contentsOf: tag.bytes, at: tagOffset)
    return writer.bytes
  }
}

extension KRPCQuery {
  fileprivate func write(to writer: inout BencodeWriter) {
    writer.beginDictionary()
    if case .putMutable(_, _, let expected?) = ask {
      writer.key("cas")
      writer.integer(expected)
    }
    writer.key("id")
    writer.string(id)
    switch ask {
    case .ping: break
    case .findNode(let target, let want), .sampleInfohashes(let target, let want):
      writer.target(target, want)
    case .unknown(let target, let want):
      if let target { writer.target(target, want) }
    case .getPeers(let infoHash, let want):
      writer.key("info_hash")
      writer.string(infoHash)
      writer.want(want)
    case .announcePeer(let infoHash, let port, let token):
      if port == nil {
        writer.key("implied_port")
        writer.integer(1)
      }
      writer.key("info_hash")
      writer.string(infoHash)
      writer.key("port")
      writer.integer(Int64(port ?? 1))
      writer.key("token")
      writer.string(token)
    case .get(let target, let sequence, let want):
      if let sequence {
        writer.key("seq")
        writer.integer(sequence)
      }
      writer.target(target, want)
    case .putImmutable(let item, let token):
      writer.key("token")
      writer.string(token)
      writer.key("v")
      writer.raw(item.value)
    case .putMutable(let item, let token, _):
      writer.key("k")
      writer.string(item.key.bytes)
      if !item.salt.isEmpty {
        writer.key("salt")
        writer.string(item.salt)
      }
      writer.key("seq")
      writer.integer(item.sequence)
      writer.key("sig")
      writer.string(item.signature.bytes)
      writer.key("token")
      writer.string(token)
      writer.key("v")
      writer.raw(item.value)
    }
    writer.end()
  }
}

extension BencodeWriter {
  fileprivate mutating func target(_ target: NodeID, _ want: Families) {
    key("target")
    string(target)
    self.want(want)
  }

  fileprivate mutating func want(_ want: Families) {
    guard !want.isEmpty else { return }
    key("want")
    beginList()
    if want.contains(.ipv4) { key("n4") }
    if want.contains(.ipv6) { key("n6") }
    end()
  }

  fileprivate mutating func nodes(_ contacts: [Contact], bytesEach: Int) {
    length(contacts.count * bytesEach)
    for contact in contacts {
      contact.id.append(to: &bytes)
      contact.endpoint.append(to: &bytes)
    }
  }
}

extension KRPCReply {
  fileprivate func write(to writer: inout BencodeWriter) {
    writer.beginDictionary()
    writer.key("id")
    writer.string(id)
    if let interval {
      writer.key("interval")
      writer.integer(interval)
    }
    if let key {
      writer.key("k")
      writer.string(key.bytes)
    }
    if let nodes {
      writer.key("nodes")
      writer.nodes(nodes, bytesEach: 26)
    }
    if let nodes6 {
      writer.key("nodes6")
      writer.nodes(nodes6, bytesEach: 38)
    }
    if let count {
      writer.key("num")
      writer.integer(count)
    }
    if let samples {
      writer.key("samples")
      writer.length(samples.count * NodeID.byteCount)
      for sample in samples { sample.append(to: &writer.bytes) }
    }
    if let sequence {
      writer.key("seq")
      writer.integer(sequence)
    }
    if let signature {
      writer.key("sig")
      writer.string(signature.bytes)
    }
    if let token {
      writer.key("token")
      writer.string(token)
    }
    if let value {
      writer.key("v")
      writer.raw(value)
    }
    if !values.isEmpty {
      writer.key("values")
      writer.beginList()
      for value in values { writer.string(value) }
      writer.end()
    }
    writer.end()
  }
}
