public import Identity
public import Primitives

extension EventContent {
  /// Parses the content of a payload (salt included) that lies at `range` of `bytes`.
  ///
  /// - Returns: nil for a kind that has no content known here.
  /// - Throws: where and how a payload of a known kind is malformed. Such an event is kept and not shown.
  public init?(_ kind: EventKind, _ bytes: [UInt8], _ range: Range<Int>) throws(ByteError) {
    guard [.post, .follow, .unfollow, .delete, .profile, .carry].contains(kind) else { return nil }
    guard range.count >= ContentLimits.saltBytes else { throw ByteError(at: range.lowerBound, "no salt") }
    var reader = CBORReader(bytes, (range.lowerBound + ContentLimits.saltBytes)..<range.upperBound)
    switch kind {
    case .post: self = .post(try Post(from: &reader, bytes))
    case .follow: self = .follow(try Follow(from: &reader))
    case .unfollow: self = .unfollow(try Unfollow(from: &reader))
    case .delete:
      var target: Reference?
      try reader.fields { key, value throws(ByteError) in
        if key == 1 { target = try Reference(from: &value) } else { try value.skip() }
      }
      self = .delete(try target.orThrow("no target", reader))
    case .profile: self = .profile(try Profile(from: &reader))
    case .carry: self = .carry(try Carry(from: &reader, bytes))
    default: return nil
    }
    try reader.expectEnd()
  }

  public init?(_ kind: EventKind, _ payload: [UInt8]) throws(ByteError) {
    try self.init(kind, payload, 0..<payload.count)
  }
}

/// What an index needs of a post, without making its text into a string.
public struct PostOutline: Hashable, Sendable {
  public var text: Range<Int>
  public var replyTo: Reference?
  public var mentions: [PersonID]
  public var written: Timestamp?
  public var source: Range<Int>?

  /// Reads the post payload at `range` of `bytes`, with the same verdict as `EventContent`.
  public init(_ bytes: [UInt8], _ range: Range<Int>) throws(ByteError) {
    guard range.count >= ContentLimits.saltBytes else { throw ByteError(at: range.lowerBound, "no salt") }
    var reader = CBORReader(bytes, (range.lowerBound + ContentLimits.saltBytes)..<range.upperBound)
    self = try PostOutline(from: &reader)
    try reader.expectEnd()
  }

  fileprivate init(from reader: inout CBORReader) throws(ByteError) {
    var text: Range<Int>?
    var replyTo: Reference?
    var mentions: [PersonID] = []
    var written: Timestamp?
    var source: Range<Int>?
    try reader.fields { key, value throws(ByteError) in
      switch key {
      case 1: text = try value.textRange(atMost: ContentLimits.textBytes)
      case 2: replyTo = try Reference(from: &value)
      case 3:
        for _ in 0..<(try value.arrayCount(atMost: ContentLimits.mentions)) { mentions.append(try value.bytes32()) }
      case 4: written = Timestamp(milliseconds: try value.integer())
      case 5:
        let start = value.offset
        guard try value.arrayCount(atMost: 2) == 2 else { throw ByteError(at: start, "a source has two parts") }
        _ = try value.textRange(atMost: ContentLimits.feedBytes)
        guard try value.byteString(atMost: 32).count == 32 else {
          throw ByteError(at: start, "a source's hash has 32 bytes")
        }
        source = start..<value.offset
      default: try value.skip()
      }
    }
    self.text = try text.orThrow("no text", reader)
    self.replyTo = replyTo
    self.mentions = mentions
    self.written = written
    self.source = source
  }
}

extension EventContent.Post {
  fileprivate init(from reader: inout CBORReader, _ bytes: [UInt8]) throws(ByteError) {
    let outline = try PostOutline(from: &reader)
    self.init(
      text: String(decoding: bytes[outline.text], as: UTF8.self), replyTo: outline.replyTo, mentions: outline.mentions,
      written: outline.written)
    if let range = outline.source {
      var part = CBORReader(bytes, range)
      _ = try part.arrayCount()
      source = EventContent.Source(feed: try part.text(), line: try part.bytes32())
    }
  }
}

extension EventContent.Follow {
  fileprivate init(from reader: inout CBORReader) throws(ByteError) {
    var person: PersonID?
    var renews: EventContent.Dot?
    try reader.fields { key, value throws(ByteError) in
      switch key {
      case 1: person = try value.bytes32()
      case 2: renews = try EventContent.Dot(from: &value)
      default: try value.skip()
      }
    }
    self.init(person: try person.orThrow("no person", reader), renews: renews)
  }
}

extension EventContent.Unfollow {
  fileprivate init(from reader: inout CBORReader) throws(ByteError) {
    var person: PersonID?
    var dots: [EventContent.Dot] = []
    try reader.fields { key, value throws(ByteError) in
      switch key {
      case 1: person = try value.bytes32()
      case 2:
        for _ in 0..<(try value.arrayCount(atMost: ContentLimits.dots)) {
          let start = value.offset
          let dot = try EventContent.Dot(from: &value)
          if let last = dots.last, dot <= last { throw ByteError(at: start, "dots not in order") }
          dots.append(dot)
        }
      default: try value.skip()
      }
    }
    self.init(person: try person.orThrow("no person", reader), dots: dots)
  }
}

extension EventContent.Profile {
  fileprivate init(from reader: inout CBORReader) throws(ByteError) {
    self.init()
    var profile = self
    try reader.fields { key, value throws(ByteError) in
      switch key {
      case 1: profile.name = try value.text(atMost: ContentLimits.nameBytes)
      case 2: profile.about = try value.text(atMost: ContentLimits.aboutBytes)
      case 3: profile.link = try value.text(atMost: ContentLimits.linkBytes)
      default: try value.skip()
      }
    }
    self = profile
  }
}

extension EventContent.Carry {
  fileprivate init(from reader: inout CBORReader, _ bytes: [UInt8]) throws(ByteError) {
    var header: EventHeader?
    var payload: [UInt8]?
    try reader.fields { key, value throws(ByteError) in
      switch key {
      case 1:
        let range = try value.byteString(atMost: EventHeader.byteCount)
        header = try EventHeader(decoding: Array(bytes[range]))
      case 2: payload = Array(bytes[try value.byteString(atMost: ContentLimits.carryBytes)])
      default: try value.skip()
      }
    }
    self.init(header: try header.orThrow("no header", reader), payload: try payload.orThrow("no payload", reader))
    guard [.post, .profile, .delete].contains(self.header.kind) else {
      throw ByteError(at: reader.offset, "a carry of a \(self.header.kind.name)")
    }
    // A carried event counts as itself, so its header must be one that a chain can hold.
    var judge = HeaderJudge(person: nil)
    if let rule = judge.judge(self.header) {
      throw ByteError(at: reader.offset, "a carried header that breaks the rule of \(rule)")
    }
    if !self.header.matches(self.payload) {
      throw ByteError(at: reader.offset, "a carried payload that is not its header's")
    }
  }
}

extension Optional {
  fileprivate func orThrow(_ reason: String, _ reader: CBORReader) throws(ByteError) -> Wrapped {
    guard let self else { throw ByteError(at: reader.offset, reason) }
    return self
  }
}
