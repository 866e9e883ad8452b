import DHT
import Identity
import Primitives

// What a search came to, as it crosses the control socket.

extension SearchReport {
  func write(to writer: inout CBORWriter) {
    writer.array(3)
    writer.array(logs.count)
    for log in logs {
      writer.array(5)
      writer.byteString(log.person)
      writer.optional(log.log) { $0.byteString($1) }
      writer.count(Self.states.firstIndex(of: log.state) ?? 0)
      writer.unsigned(log.held.rawValue)
      writer.optional(log.newest) { $0.unsigned($1.rawValue) }
    }
    writer.array(attempts.count)
    for attempt in attempts {
      writer.array(3)
      writer.byteString(attempt.person)
      writer.byteString(attempt.endpoint.compact)
      writer.count(attempt.source.rawValue)
    }
    writer.bool(isNetworkThere)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(3, of: "a search report")
    var logs: [Log] = []
    for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.searchedLogs)) {
      try reader.parts(5, of: "a log")
      let person: PersonID = try reader.bytes32()
      let log: LogID? = try reader.optional { (reader) throws(ByteError) in try reader.bytes32() }
      let state = Self.states[try reader.count(atMost: Self.states.count - 1)]
      let held = SequenceNumber(try reader.unsigned())
      let newest = try reader.optional { (reader) throws(ByteError) in SequenceNumber(try reader.unsigned()) }
      logs.append(Log(person: person, log: log, state: state, held: held, newest: newest))
    }
    var attempts: [Attempt] = []
    for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.targets)) {
      try reader.parts(3, of: "an attempt")
      let person: PersonID = try reader.bytes32()
      let endpoint = try reader.endpoint()
      let start = reader.offset
      guard let source = Finder.Source(rawValue: try reader.count(atMost: 255)) else {
        throw ByteError(at: start, "an unknown source")
      }
      attempts.append(Attempt(person: person, endpoint: endpoint, source: source))
    }
    self.init(logs: logs, attempts: attempts, isNetworkThere: try reader.bool())
  }

  private static let states: [Log.State] = [.upToDate, .partial, .nobodyFound]
}
