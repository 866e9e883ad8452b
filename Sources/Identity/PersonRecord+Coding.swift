internal import Primitives

/// The canonical bytes, which disk, wire and hash share (schemas/person.md):
///
///     CBOR map  0: version = 1   1: root key 1   2: recovery key   3: array of statements in bytewise order
extension PersonRecord {
  public static let version: UInt64 = 1

  public var encoded: [UInt8] {
    var writer = CBORWriter(reserving: 80 + statements.reduce(0) { $0 + $1.bytes.count })
    writer.map(4)
    writer.unsigned(0)
    writer.unsigned(Self.version)
    writer.unsigned(1)
    writer.byteString(firstRoot)
    writer.unsigned(2)
    writer.byteString(recovery)
    writer.unsigned(3)
    writer.array(statements.count)
    for statement in statements { writer.encoded(statement.bytes) }
    return writer.bytes
  }

  /// Reads a record from anybody and verifies all of it: form, order, limits, every signature, every consent, and that
  /// each root is proven by a rotation. Whoever expects a certain person compares `id`.
  /// - Throws: `IdentityError` that names the statement and the byte.
  public init(decoding bytes: [UInt8]) throws(IdentityError) {
    try self.init(decoding: bytes, verifying: true)
  }

  /// Reads a record that was verified before it was stored. The form is checked, the signatures are not.
  package init(verified bytes: [UInt8]) throws(IdentityError) {
    try self.init(decoding: bytes, verifying: false)
  }

  private init(decoding bytes: [UInt8], verifying: Bool) throws(IdentityError) {
    let name = "person record"
    guard bytes.count <= Self.byteMaximum else {
      throw IdentityError(.limit, "\(bytes.count) bytes, more than \(Self.byteMaximum)", in: name)
    }
    var reader = CBORReader(bytes)
    let (version, headOffset) = try decoding(name) { () throws(ByteError) in
      guard try reader.mapCount() == 4 else { throw ByteError(at: 0, "not a map of 4") }
      try reader.key(0)
      return (try reader.unsigned(), reader.offset)
    }
    guard version == Self.version else {
      throw IdentityError(.unsupported, "version \(version)", in: "\(name), byte \(headOffset)")
    }
    let (firstRoot, recovery, count) = try decoding(name) { () throws(ByteError) in
      try reader.key(1)
      let root: PublicKey = try reader.bytes32()
      try reader.key(2)
      let recovery: PublicKey = try reader.bytes32()
      try reader.key(3)
      return (root, recovery, try reader.arrayCount(atMost: Self.statementMaximum))
    }
    var statements: [PersonStatement] = []
    var slots: Set<PersonStatement.Slot> = []
    statements.reserveCapacity(count)
    for index in 0..<count {
      let start = reader.offset
      let place = "\(name), statement \(index)"
      let range = try decoding(place) { () throws(ByteError) in
        try reader.skip()
        return start..<reader.offset
      }
      let statement: PersonStatement
      do throws(ByteError) {
        statement = try PersonStatement(decoding: Array(bytes[range]))
      } catch {
        throw IdentityError(ByteError(at: start + error.offset, error.reason), in: place)
      }
      if let last = statements.last, !last.precedes(statement) {
        throw IdentityError(.malformed, "statements not in bytewise order", in: "\(place), byte \(start)")
      }
      guard slots.insert(statement.slot).inserted else {
        throw IdentityError(
          .malformed, "second statement for one root, kind and subject", in: "\(place), byte \(start)")
      }
      statements.append(statement)
    }
    try decoding(name) { () throws(ByteError) in try reader.expectEnd() }
    if verifying {
      let person = Self.id(root: firstRoot, recovery: recovery)
      var roots: Set<Root> = [Root(number: 1, key: firstRoot)]
      for statement in statements where statement.content == .rotate { roots.insert(statement.root) }
      for (index, statement) in statements.enumerated() {
        let place = "\(name), statement \(index)"
        guard roots.contains(statement.root) else {
          throw IdentityError(.verification, "\(statement.kind) by a root that no rotation names", in: place)
        }
        guard statement.isValid(person: person, recovery: recovery) else {
          throw IdentityError(.verification, "\(statement.kind) with a signature that does not hold", in: place)
        }
      }
    }
    self.init(firstRoot: firstRoot, recovery: recovery, statements: statements)
  }
}

extension CBORReader {
  /// Takes a map key that must be this one.
  mutating func key(_ wanted: UInt64) throws(ByteError) {
    let start = offset
    guard try unsigned() == wanted else { throw ByteError(at: start, "field \(wanted) is missing") }
  }
}

extension CBORReader {
  /// Takes a map key that must be this one and a number that must lie in the range.
  mutating func unsigned(_ key: UInt64, in range: ClosedRange<UInt64>, _ name: String) throws(ByteError) -> UInt64 {
    try self.key(key)
    let start = offset
    let value = try unsigned()
    guard range.contains(value) else {
      throw ByteError(at: start, "\(name) outside \(range.lowerBound)…\(range.upperBound)")
    }
    return value
  }
}
