import Events
import Identity
import Primitives

/// One line of the lossless export (schemas/export.md).
enum ExportLine: Hashable {
  /// The bytes of a person record.
  case person([UInt8])
  /// The log, and the bytes of the proof that froze it.
  case evidence(LogID, [UInt8])
  case event(Event, Signature?)

  /// Longest line that is read: the longest person record in hexadecimal, with room for the rest.
  static let byteMaximum = 2 * PersonRecord.byteMaximum + 1_024

  func append(to bytes: inout [UInt8]) {
    switch self {
    case .person(let record):
      bytes += #"{"v":1,"kind":"person","record":""#.utf8
      Self.append(hex: record, to: &bytes)
    case .evidence(let log, let proof):
      bytes += #"{"v":1,"kind":"evidence","log":""#.utf8
      Self.append(hex: log.bytes, to: &bytes)
      bytes += #"","proof":""#.utf8
      Self.append(hex: proof, to: &bytes)
    case .event(let event, let signature):
      bytes += #"{"v":1,"kind":"event","header":""#.utf8
      Self.append(hex: event.header.encoded, to: &bytes)
      switch event.payload {
      case .present(let payload):
        bytes += #"","payload":""#.utf8
        Self.append(hex: payload, to: &bytes)
      case .absent(let reason):
        bytes += #"","absent":""#.utf8
        bytes += Self.name(reason).utf8
      }
      if let signature {
        bytes += #"","signature":""#.utf8
        Self.append(hex: signature.bytes, to: &bytes)
      }
    }
    bytes += "\"}\n".utf8
  }

  /// Reads a line without its end. Members that are not known are stepped over.
  init(parsing line: [UInt8]) throws(ByteError) {
    let object = try JSON(parsing: line)
    guard object.members != nil else { throw ByteError(at: 0, "not a JSON object") }
    guard object["v"]?.integer == 1 else { throw ByteError(at: 0, "not of version 1") }
    switch object["kind"]?.text {
    case "person": self = .person(try Self.hex("record", object))
    case "evidence":
      guard let log = LogID(try Self.hex("log", object)) else { throw ByteError(at: 0, "a log key has 32 bytes") }
      self = .evidence(log, try Self.hex("proof", object))
    case "event":
      let header = try Self.hex("header", object)
      guard header.count == EventHeader.byteCount else { throw ByteError(at: 0, "a header has 128 bytes") }
      var signature: Signature?
      if object["signature"] != nil {
        signature = Signature(try Self.hex("signature", object))
        if signature == nil { throw ByteError(at: 0, "a signature has 64 bytes") }
      }
      let event = Event(header: try EventHeader(decoding: header), payload: try Self.payload(object))
      if case .present(let payload) = event.payload, !event.header.matches(payload) {
        throw ByteError(at: 0, "a payload that is not its header's")
      }
      self = .event(event, signature)
    case let kind?: throw ByteError(at: 0, "a line of unknown kind \"\(kind)\"")
    case nil: throw ByteError(at: 0, "no kind")
    }
  }

  private static func payload(_ object: JSON) throws(ByteError) -> Payload {
    guard let reason = object["absent"] else { return .present(try hex("payload", object)) }
    let known = [Absence.expired, .deleted, .policy, .notHad].first { name($0) == reason.text }
    guard let known, object["payload"] == nil else { throw ByteError(at: 0, "no reason why the payload is absent") }
    return .absent(known)
  }

  private static func name(_ reason: Absence) -> String {
    switch reason {
    case .expired: "expired"
    case .deleted: "deleted"
    case .policy: "policy"
    case .notHad: "not-had"
    }
  }

  private static func hex(_ key: String, _ object: JSON) throws(ByteError) -> [UInt8] {
    guard let text = object[key]?.text, let bytes = Hex.decode(text) else {
      throw ByteError(at: 0, "\"\(key)\" is not hexadecimal")
    }
    return bytes
  }

  private static func append(hex bytes: [UInt8], to target: inout [UInt8]) {
    for byte in bytes {
      target.append(digits[Int(byte >> 4)])
      target.append(digits[Int(byte & 15)])
    }
  }

  private static let digits = Array("0123456789abcdef".utf8)
}
