import Events
import Identity
public import Primitives

extension Message {
  public var body: [UInt8] {
    var writer = CBORWriter()
    switch self {
    case .hello(let hello): hello.write(to: &writer)
    case .statement(let bytes): return bytes
    case .interests(let persons, let more):
      writer.array(2)
      writer.bool(more)
      writer.byteString(packed(persons))
    case .digest(let digest): digest.write(to: &writer)
    case .digestNext, .done, .alive: break
    case .recordWant(let persons): return packed(persons)
    case .record(let person, let bytes, let more):
      writer.array(3)
      writer.byteString(person)
      writer.bool(more)
      writer.byteString(bytes)
    case .want(let want): want.write(to: &writer)
    case .run(let bytes): return bytes
    case .end(let codes):
      var bytes = ByteWriter()
      for (number, code) in codes.sorted(by: { $0.key < $1.key }) {
        bytes.varint(UInt64(number))
        bytes.byte(code.rawValue)
      }
      return bytes.bytes
    case .evidenceWant(let names):
      var bytes = ByteWriter()
      for name in names { name.write(to: &bytes) }
      return bytes.bytes
    case .evidence(let log, let bytes): return log.bytes + bytes
    case .bye(let reason): writer.unsigned(reason.rawValue)
    case .join(let join):
      writer.array(4)
      writer.byteString(join.secret)
      writer.byteString(join.device)
      writer.text(join.label)
      writer.byteString(join.consent.bytes)
    case .joined(let bytes, let more):
      writer.array(2)
      writer.bool(more)
      writer.byteString(bytes)
    case .find(let name): writer.text(name)
    case .found(let persons):
      writer.array(persons.count)
      for person in persons {
        writer.array(2)
        writer.byteString(person.person)
        writer.text(person.name)
      }
    case .dialBack(let port): writer.unsigned(UInt64(port))
    case .dialled(let outcome): writer.unsigned(outcome.rawValue)
    }
    return writer.bytes
  }

  /// Reads one frame. Nil for a frame type of a later version, which is stepped over.
  public init?(type: UInt8, body: [UInt8]) throws(ByteError) {
    var reader = CBORReader(body)
    switch type {
    case 1: self = .hello(try Hello(from: &reader))
    case 2:
      guard body.count <= MessageLimits.statementBytes else { throw ByteError(at: 0, "statement too long") }
      self = .statement(body)
      return
    case 3:
      guard try reader.arrayCount(atMost: 2) == 2 else { throw ByteError(at: 0, "interests have two parts") }
      let more = try reader.bool()
      let range = try reader.byteString(atMost: MessageLimits.interestsPerMessage * 32)
      self = .interests(try unpacked(Array(body[range])), more: more)
    case 4: self = .digest(try Digest(from: &reader, body))
    case 5: self = .digestNext
    case 13: self = .done
    case 6:
      self = .recordWant(try unpacked(body, atMost: MessageLimits.recordsPerMessage))
      return
    case 7:
      guard try reader.arrayCount(atMost: 3) == 3 else { throw ByteError(at: 0, "a record has three parts") }
      let person: PersonID = try reader.bytes32()
      let more = try reader.bool()
      self = .record(person, Array(body[try reader.byteString(atMost: MessageLimits.recordPartBytes)]), more: more)
    case 8: self = .want(try Want(from: &reader, body))
    case 9:
      self = .run(body)
      return
    case 10:
      var bytes = ByteReader(body)
      var codes: [UInt32: EndCode] = [:]
      var last: UInt32?
      while !bytes.isAtEnd {
        let start = bytes.offset
        let number = UInt32(try bytes.count(atMost: Int(UInt32.max)))
        guard last.map({ $0 < number }) ?? true, codes.count < MessageLimits.wantItems else {
          throw ByteError(at: start, "ends that do not rise, or too many")
        }
        guard let code = EndCode(rawValue: try bytes.byte()) else { throw ByteError(at: start, "unknown end") }
        codes[number] = code
        last = number
      }
      self = .end(codes)
      return
    case 11:
      var bytes = ByteReader(body)
      var names: [LogName] = []
      while !bytes.isAtEnd {
        guard names.count < MessageLimits.evidencePerMessage else { throw ByteError(at: bytes.offset, "too many logs") }
        names.append(try LogName(from: &bytes))
      }
      self = .evidenceWant(names)
      return
    case 12:
      guard body.count >= 32, body.count <= MessageLimits.evidenceBytes + 32 else {
        throw ByteError(at: 0, "evidence size")
      }
      self = .evidence(LogID(body[..<32])!, Array(body[32...]))
      return
    case 14: self = .bye(Farewell(rawValue: try reader.unsigned()) ?? .trouble)
    case 15:
      guard try reader.arrayCount(atMost: 4) == 4 else { throw ByteError(at: 0, "a join has four parts") }
      let secret = Array(body[try reader.byteString(atMost: Ticket.Join.secretCount)])
      guard secret.count == Ticket.Join.secretCount else { throw ByteError(at: 0, "secret of another length") }
      let device: PublicKey = try reader.bytes32()
      let label = try reader.text(atMost: MessageLimits.labelBytes)
      guard let consent = Signature(body[try reader.byteString(atMost: 64)]) else {
        throw ByteError(at: 0, "no consent")
      }
      self = .join(JoinRequest(secret: secret, device: device, label: label, consent: consent))
    case 16:
      guard try reader.arrayCount(atMost: 2) == 2 else { throw ByteError(at: 0, "a part of a record has two parts") }
      let more = try reader.bool()
      self = .joined(Array(body[try reader.byteString(atMost: MessageLimits.recordPartBytes)]), more: more)
    case 17: self = .alive
    case 18:
      let name = try reader.text(atMost: MessageLimits.nameBytes)
      guard !name.isEmpty else { throw ByteError(at: 0, "an empty name") }
      self = .find(name)
    case 19:
      var persons: [FoundPerson] = []
      for _ in 0..<(try reader.arrayCount(atMost: MessageLimits.foundPersons)) {
        let start = reader.offset
        guard try reader.arrayCount(atMost: 2) == 2 else { throw ByteError(at: start, "no person and name") }
        persons.append(
          FoundPerson(person: try reader.bytes32(), name: try reader.text(atMost: MessageLimits.nameBytes)))
      }
      self = .found(persons)
    case 20:
      guard let port = UInt16(exactly: try reader.unsigned()), port > 0 else { throw ByteError(at: 0, "no port") }
      self = .dialBack(port: port)
    case 21: self = .dialled(DialBackOutcome(rawValue: try reader.unsigned()) ?? .notReached)
    default: return nil
    }
    try reader.expectEnd()
  }
}

private func packed<Role>(_ values: [Bytes32<Role>]) -> [UInt8] {
  var writer = ByteWriter(reserving: values.count * 32)
  for value in values { writer.append(value) }
  return writer.bytes
}

private func unpacked<Role>(_ bytes: [UInt8], atMost maximum: Int = .max) throws(ByteError) -> [Bytes32<Role>] {
  guard bytes.count % 32 == 0, bytes.count / 32 <= maximum else {
    throw ByteError(at: 0, "not a list of 32 bytes each")
  }
  var reader = ByteReader(bytes)
  var values: [Bytes32<Role>] = []
  values.reserveCapacity(bytes.count / 32)
  while !reader.isAtEnd { values.append(try reader.bytes32()) }
  return values
}

extension LogName {
  /// 8 → one byte 0 and the prefix; 32 → one byte 1 and the key.
  fileprivate func write(to writer: inout ByteWriter) {
    if let whole {
      writer.byte(1)
      writer.append(whole)
    } else {
      writer.byte(0)
      writer.integer(prefix)
    }
  }

  fileprivate init(from reader: inout ByteReader) throws(ByteError) {
    switch try reader.byte() {
    case 0: self.init(prefix: try reader.integer())
    case 1: self.init(try reader.bytes32(), whole: true)
    default: throw ByteError(at: reader.offset - 1, "unknown form of a log's name")
    }
  }
}

extension Message.Hello {
  // Numbers of eight random bytes travel as byte strings: a CBOR integer would take nine as well, and hide the meaning.
  fileprivate func write(to writer: inout CBORWriter) {
    writer.map(5 + [cursor != nil, knownInterests != nil, knownStatement != nil, stands].count { $0 })
    writer.unsigned(1)
    writer.unsigned(version)
    writer.unsigned(2)
    writer.eight(instance)
    writer.unsigned(3)
    writer.unsigned(mark.number)
    writer.unsigned(4)
    writer.eight(mark.cookie)
    writer.unsigned(5)
    writer.eight(interests)
    if let cursor {
      writer.unsigned(6)
      writer.array(3)
      writer.eight(cursor.instance)
      writer.unsigned(cursor.mark.number)
      writer.eight(cursor.mark.cookie)
    }
    if let knownInterests {
      writer.unsigned(7)
      writer.eight(knownInterests)
    }
    if let knownStatement {
      writer.unsigned(8)
      writer.eight(knownStatement)
    }
    if stands {
      writer.unsigned(9)
      writer.bool(true)
    }
  }

  fileprivate init(from reader: inout CBORReader) throws(ByteError) {
    var version: UInt64?
    var instance: UInt64?
    var number: UInt64?
    var cookie: UInt64?
    var interests: UInt64?
    var cursor: (UInt64, ChangeMark)?
    var knownInterests: UInt64?
    var knownStatement: UInt64?
    var stands = false
    try reader.fields { key, value throws(ByteError) in
      switch key {
      case 1: version = try value.unsigned()
      case 2: instance = try value.eight()
      case 3: number = try value.unsigned()
      case 4: cookie = try value.eight()
      case 5: interests = try value.eight()
      case 6:
        let start = value.offset
        guard try value.arrayCount(atMost: 3) == 3 else { throw ByteError(at: start, "a cursor has three parts") }
        cursor = (try value.eight(), ChangeMark(number: try value.unsigned(), cookie: try value.eight()))
      case 7: knownInterests = try value.eight()
      case 8: knownStatement = try value.eight()
      case 9: stands = try value.bool()
      default: try value.skip()
      }
    }
    guard let version, let instance, let number, let cookie, let interests else {
      throw ByteError(at: 0, "a greeting without its fields")
    }
    self.init(
      version: version, instance: instance, mark: ChangeMark(number: number, cookie: cookie), interests: interests,
      cursor: cursor.map { (instance: $0.0, mark: $0.1) }, knownInterests: knownInterests,
      knownStatement: knownStatement, stands: stands)
  }
}

extension Message.Digest {
  fileprivate func write(to writer: inout CBORWriter) {
    writer.array(6)
    writer.unsigned(tier.rawValue)
    var persons = ByteWriter(reserving: page.persons.count * 16)
    for person in page.persons {
      persons.integer(person.prefix)
      persons.integer(person.record)
    }
    writer.byteString(persons.bytes)
    var logs = ByteWriter(reserving: page.logs.count * 20)
    for log in page.logs {
      logs.byte(log.state.rawValue)
      log.log.write(to: &logs)
      logs.varint(log.sequence.rawValue)
      logs.integer(log.hash)
    }
    writer.byteString(logs.bytes)
    if let next = page.next { writer.unsigned(next) } else { writer.null() }
    writer.unsigned(page.mark.number)
    writer.eight(page.mark.cookie)
  }

  fileprivate init(from reader: inout CBORReader, _ body: [UInt8]) throws(ByteError) {
    guard try reader.arrayCount(atMost: 6) == 6, let tier = Tier(rawValue: try reader.unsigned()) else {
      throw ByteError(at: 0, "a digest has six parts")
    }
    var persons: [(prefix: UInt64, record: UInt64)] = []
    var bytes = ByteReader(body, try reader.byteString(atMost: MessageLimits.digestEntries * 16))
    while !bytes.isAtEnd { persons.append((try bytes.integer(), try bytes.integer())) }
    var logs: [LogDigest] = []
    bytes = ByteReader(body, try reader.byteString(atMost: MessageLimits.digestEntries * 60))
    while !bytes.isAtEnd {
      guard logs.count < MessageLimits.digestEntries, let state = LogDigest.State(rawValue: try bytes.byte()) else {
        throw ByteError(at: bytes.offset, "unknown state of a log, or too many")
      }
      let name = try LogName(from: &bytes)
      let sequence = try bytes.varint()
      guard sequence <= SequenceNumber.maximum.rawValue else {
        throw ByteError(at: bytes.offset, "sequence \(sequence)")
      }
      logs.append(LogDigest(log: name, state: state, sequence: SequenceNumber(sequence), hash: try bytes.integer()))
    }
    var next: UInt64?
    if try reader.peek() == .null { try reader.null() } else { next = try reader.unsigned() }
    let number = try reader.unsigned()
    self.init(
      tier: tier,
      page: DigestPage(
        persons: persons, logs: logs, next: next, mark: ChangeMark(number: number, cookie: try reader.eight())))
  }
}

extension Message.Want {
  fileprivate func write(to writer: inout CBORWriter) {
    writer.array(3)
    writer.unsigned(UInt64(first))
    if let bytesMaximum { writer.unsigned(UInt64(bytesMaximum)) } else { writer.null() }
    var list = ByteWriter(reserving: items.count * 16)
    for item in items {
      item.log.write(to: &list)
      list.varint(item.to.rawValue)
      // How many before `to`, doubled, and whether the asker holds the one before: mostly one byte.
      list.varint(UInt64(item.to - item.from) << 1 | (item.chained ? 1 : 0))
    }
    writer.byteString(list.bytes)
  }

  fileprivate init(from reader: inout CBORReader, _ body: [UInt8]) throws(ByteError) {
    guard try reader.arrayCount(atMost: 3) == 3 else { throw ByteError(at: 0, "a want has three parts") }
    let first = try reader.unsigned()
    var bytesMaximum: Int?
    if try reader.peek() == .null {
      try reader.null()
    } else {
      bytesMaximum = Int(min(try reader.unsigned(), UInt64(Int.max)))
    }
    var list = ByteReader(body, try reader.byteString(atMost: MessageLimits.wantItems * 52))
    var items: [Item] = []
    while !list.isAtEnd {
      let start = list.offset
      let name = try LogName(from: &list)
      let to = try list.varint()
      let packed = try list.varint()
      guard items.count < MessageLimits.wantItems, to <= SequenceNumber.maximum.rawValue, packed >> 1 < to else {
        throw ByteError(at: start, "a range that is none, or too many")
      }
      items.append(
        Item(
          log: name, from: SequenceNumber(to - packed >> 1), to: SequenceNumber(to), chained: packed & 1 == 1))
    }
    guard first <= UInt64(UInt32.max) - UInt64(items.count) else { throw ByteError(at: 0, "number over 32 bits") }
    // Otherwise a few bytes could ask for the same megabytes thousands of times.
    var lowest: [LogName: SequenceNumber] = [:]
    for item in items {
      if let above = lowest.updateValue(item.from, forKey: item.log), item.to >= above {
        throw ByteError(at: 0, "ranges of one log that overlap, or are not newest first")
      }
    }
    self.init(first: UInt32(first), items: items, bytesMaximum: bytesMaximum)
  }
}

extension CBORWriter {
  fileprivate mutating func eight(_ value: UInt64) {
    withUnsafeBytes(of: value.bigEndian) { byteString($0) }
  }
}

extension CBORReader {
  fileprivate mutating func eight() throws(ByteError) -> UInt64 {
    let start = offset
    let bytes = array(try byteString(atMost: 8))
    guard bytes.count == 8 else { throw ByteError(at: start, "not eight bytes") }
    return bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }
}
