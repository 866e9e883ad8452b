import DHT
import Events
import Identity
public import Primitives
import Replication

extension LocalRequest {
  public var encoded: [UInt8] {
    switch self {
    case .append(let drafts):
      LocalEnvelope.write(0, fields: 1) { writer in
        writer.array(drafts.count)
        for draft in drafts { draft.write(to: &writer) }
      }
    case .mergeRecord(let record): LocalEnvelope.write(1, fields: 1) { $0.byteString(record) }
    case .importExport(let path): LocalEnvelope.write(2, fields: 1) { $0.text(path) }
    case .sync(let targets, let options):
      LocalEnvelope.write(3, fields: 2) { writer in
        writer.array(targets.count)
        for target in targets { target.write(to: &writer) }
        options.write(to: &writer)
      }
    case .rebuild: LocalEnvelope.write(4, fields: 0)
    case .offerJoin(let offer):
      LocalEnvelope.write(5, fields: 3) { writer in
        writer.byteString(offer.secret)
        writer.integer(offer.notAfter.milliseconds)
        writer.optional(offer.listen) { $0.text($1) }
      }
    case .answerJoin(let number, let record):
      LocalEnvelope.write(6, fields: 2) { writer in
        writer.unsigned(UInt64(number))
        writer.optional(record) { $0.byteString($1) }
      }
    case .status: LocalEnvelope.write(7, fields: 0)
    case .repair: LocalEnvelope.write(8, fields: 0)
    case .setNetwork(let network, let replaces):
      LocalEnvelope.write(9, fields: 2) { writer in
        writer.byteString(network)
        writer.bool(replaces)
      }
    case .dht(let request): LocalEnvelope.write(10, fields: 1) { request.write(to: &$0) }
    case .findName(let name): LocalEnvelope.write(12, fields: 1) { $0.text(name) }
    case .search(let options): LocalEnvelope.write(11, fields: 1) { options.write(to: &$0) }
    }
  }

  /// Reads what `encoded` writes, and nothing else.
  public init(decoding bytes: [UInt8]) throws(ByteError) {
    self = try LocalEnvelope.read(bytes) { (kind, fields, reader) throws(ByteError) in
      switch kind {
      case 0:
        try LocalEnvelope.expect(fields, 1)
        var drafts: [LocalDraft] = []
        for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.drafts)) {
          drafts.append(try LocalDraft(from: &reader))
        }
        return .append(drafts)
      case 1:
        try LocalEnvelope.expect(fields, 1)
        return .mergeRecord(try reader.bytes(atMost: LocalLimits.recordBytes))
      case 2:
        try LocalEnvelope.expect(fields, 1)
        return .importExport(path: try reader.text(atMost: LocalLimits.pathBytes))
      case 3:
        try LocalEnvelope.expect(fields, 2)
        var targets: [NodeCore.Target] = []
        for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.targets)) {
          targets.append(try NodeCore.Target(from: &reader))
        }
        return .sync(targets, try Exchange.Options(from: &reader))
      case 4:
        try LocalEnvelope.expect(fields, 0)
        return .rebuild
      case 5:
        try LocalEnvelope.expect(fields, 3)
        let start = reader.offset
        let secret = try reader.bytes(atMost: Ticket.Join.secretCount)
        guard secret.count == Ticket.Join.secretCount else { throw ByteError(at: start, "secret of another length") }
        let notAfter = Timestamp(milliseconds: try reader.integer())
        let listen = try reader.optional { (reader) throws(ByteError) in
          try reader.text(atMost: LocalLimits.addressBytes)
        }
        return .offerJoin(LocalJoinOffer(secret: secret, notAfter: notAfter, listen: listen))
      case 6:
        try LocalEnvelope.expect(fields, 2)
        let number = try reader.number(UInt32.self)
        let record = try reader.optional { (reader) throws(ByteError) in
          try reader.bytes(atMost: LocalLimits.recordBytes)
        }
        return .answerJoin(number: number, record: record)
      case 7:
        try LocalEnvelope.expect(fields, 0)
        return .status
      case 8:
        try LocalEnvelope.expect(fields, 0)
        return .repair
      case 9:
        try LocalEnvelope.expect(fields, 2)
        let network = try reader.bytes(atMost: NetworkConfiguration.byteCountMaximum)
        return .setNetwork(network, replaces: try reader.bool())
      case 10:
        try LocalEnvelope.expect(fields, 1)
        return .dht(try LocalDHTRequest(from: &reader))
      case 11:
        try LocalEnvelope.expect(fields, 1)
        return .search(try Exchange.Options(from: &reader))
      case 12:
        try LocalEnvelope.expect(fields, 1)
        return .findName(try reader.text(atMost: Name.byteMaximum))
      default: throw ByteError(at: 0, "request of kind \(kind)")
      }
    }
  }
}

extension LocalDraft {
  func write(to writer: inout CBORWriter) {
    switch self {
    case .post(let post):
      writer.array(6)
      writer.unsigned(0)
      writer.text(post.text)
      writer.optional(post.replyTo) { $1.write(to: &$0) }
      writer.unsigned(UInt64(post.ttl))
      writer.optional(post.written) { $0.integer($1.milliseconds) }
      writer.optional(post.source) { writer, source in
        writer.array(2)
        writer.text(source.feed)
        writer.byteString(source.line)
      }
    case .follow(let person):
      writer.array(2)
      writer.unsigned(1)
      writer.byteString(person)
    case .unfollow(let person):
      writer.array(2)
      writer.unsigned(2)
      writer.byteString(person)
    case .delete(let reference):
      writer.array(2)
      writer.unsigned(3)
      reference.write(to: &writer)
    case .profile(let profile):
      writer.array(4)
      writer.unsigned(4)
      for field in [profile.name, profile.about, profile.link] { writer.optional(field) { $0.text($1) } }
    }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    let start = reader.offset
    let parts = try reader.arrayCount(atMost: 6)
    let kind = try reader.unsigned()
    switch (kind, parts) {
    case (0, 6):
      var post = Post(text: try reader.text(atMost: ContentLimits.textBytes))
      post.replyTo = try reader.optional { (reader) throws(ByteError) in try Reference(from: &reader) }
      post.ttl = try reader.number()
      post.written = try reader.optional { (reader) throws(ByteError) in
        Timestamp(milliseconds: try reader.integer())
      }
      post.source = try reader.optional { (reader) throws(ByteError) in
        try reader.parts(2, of: "a source")
        let feed = try reader.text(atMost: ContentLimits.feedBytes)
        return EventContent.Source(feed: feed, line: try reader.bytes32())
      }
      self = .post(post)
    case (1, 2): self = .follow(try reader.bytes32())
    case (2, 2): self = .unfollow(try reader.bytes32())
    case (3, 2): self = .delete(try Reference(from: &reader))
    case (4, 4):
      let limits = [ContentLimits.nameBytes, ContentLimits.aboutBytes, ContentLimits.linkBytes]
      var fields: [String?] = []
      for limit in limits {
        fields.append(try reader.optional { (reader) throws(ByteError) in try reader.text(atMost: limit) })
      }
      self = .profile(EventContent.Profile(name: fields[0], about: fields[1], link: fields[2]))
    default: throw ByteError(at: start, "draft of kind \(kind) with \(parts) parts")
    }
  }
}

extension NodeCore.Target {
  func write(to writer: inout CBORWriter) {
    writer.array(2)
    writer.text(address)
    writer.optional(node) { $0.byteString($1) }
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(2, of: "a target")
    let address = try reader.text(atMost: LocalLimits.addressBytes)
    self.init(
      address: address, node: try reader.optional { (reader) throws(ByteError) in try reader.bytes32() })
  }
}

extension Exchange.Options {
  func write(to writer: inout CBORWriter) {
    writer.array(5)
    writer.optional(newest) { $0.count($1) }
    writer.optional(bytesMaximum) { $0.count($1) }
    let (seconds, attoseconds) = stallMaximum.components
    writer.unsigned(
      UInt64(
        max(
          0,
          min(seconds, LocalLimits.stallNanoseconds / 1_000_000_000) * 1_000_000_000
            + attoseconds / 1_000_000_000)))
    writer.count(backlogMaximum)
    writer.count(unsentMaximum)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(5, of: "a sync's options")
    let newest = try reader.optional { (reader) throws(ByteError) in try reader.count() }
    self.init(
      newest: newest, bytesMaximum: try reader.optional { (reader) throws(ByteError) in try reader.count() })
    stallMaximum = .nanoseconds(try reader.count(atMost: Int(LocalLimits.stallNanoseconds) + 999_999_999))
    backlogMaximum = try reader.count()
    unsentMaximum = try reader.count()
  }
}
