import Events
import Identity
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let logWhy = Command(
    "why", "explain why an event is shown or not, and what vouches for it",
    discussion: "Looks everything up anew and checks the signature again.",
    shortForm: "why",
    examples: [
      .init("tl why 271828182845904523", "explain the event with this id"),
      .init("tl why 271828182845904523@ann --json", "the same for programs"),
    ],
    positionals: [.eventID]
  ) { invocation in
    let reading = try invocation.reading()
    let reference = try reading.event(invocation.arguments.text(.eventID))
    let explanation = try reading.timelines.explain(
      reference, for: reading.profile.person, in: reading.store, now: reading.now)
    if invocation.wantsJSON {
      try invocation.output.line(explanation.line)
    } else {
      try printWords(explanation, invocation, reading)
    }
  }
}

private func printWords(_ explanation: Explanation, _ invocation: Invocation, _ reading: Reading) throws {
  let output = invocation.output
  if let item = explanation.item { try EventPrinter(invocation, reading).print(item, showingKind: true) }
  if explanation.isShown {
    try output.line("\("shown", .green)      it stands in your timeline")
  } else {
    for reason in explanation.reasons { try output.line("\("not shown", .yellow)  \(reason.words)") }
  }
  let times = TimeText(utc: invocation.usesUTC)
  if let author = explanation.author { try output.line("author     \(EventPrinter(invocation, reading).name(author))") }
  if let device = explanation.device {
    try output.line("device     \(device.label), number \(device.number), certified by the person's root key")
  }
  switch explanation.end {
  case nil: break
  case .frozen(let cut, _):
    try output.line("log        frozen from event \(cut) on: there is proof of a fork or a broken rule")
  case .revoked(let revocation): try output.line("log        revoked after event \(revocation.sequence)")
  }
  try output.line("log        \(explanation.reference.log.hex)")
  let ranges = explanation.ranges.map { "\($0.lowerBound)–\($0.upperBound)" }.joined(separator: ", ")
  try output.line("held       events \(ranges.isEmpty ? "none" : ranges)")
  try output.line("hash       \(explanation.reference.hash.hex)")
  if let proof = explanation.proof {
    try output.line(
      "proof      \(proof.words); \(explanation.isProven ? "checked now, it holds" : "it does not hold", explanation.isProven ? .green : .red)"
    )
  }
  if let item = explanation.item {
    let bytes = explanation.payloadBytes.map { "\($0) bytes, " } ?? ""
    try output.line("payload    \(bytes)expires \(item.expiry.map(times.absolute) ?? "never")")
  }
  for delete in explanation.deletedBy {
    try output.line("deleted    by event \(delete.sequence) of log \(delete.log.hex.prefix(16))")
  }
}

extension Explanation {
  fileprivate var line: JSONObject {
    var line = item?.line ?? JSONObject.line()
    if item == nil {
      line.add("log", reference.log.hex)
      line.add("seq", reference.sequence.description)
      line.add("hash", reference.hash.hex)
    }
    line.add("shown", isShown)
    line.add("reasons", reasons.map(\.name))
    line.add("why", reasons.map(\.words))
    line.add("certified", device != nil)
    line.add("device", device?.number)
    line.add("root", root?.hex)
    line.add("proof", proof?.name)
    line.add("proven", isProven)
    line.add(
      "held",
      ranges.map { range in
        var object = JSONObject()
        object.add("first", range.lowerBound.description)
        object.add("last", range.upperBound.description)
        return object
      })
    line.add("deletedBy", deletedBy.map { $0.object(id: nil) })
    return line
  }
}

extension Explanation.Proof {
  fileprivate var name: String {
    switch self {
    case .signature: "signature"
    case .revocation: "revocation"
    case .evidence: "evidence"
    case .neighbour: "neighbour"
    }
  }

  fileprivate var words: String {
    switch self {
    case .signature(let sequence): "the author's signature over event \(sequence), to which it is chained"
    case .revocation: "the hash that the revocation of the device names"
    case .evidence: "the proof that ended the log"
    case .neighbour: "the event after it, which was proven when this one came"
    }
  }
}

extension Explanation.Reason {
  fileprivate var name: String {
    switch self {
    case .unknownLog: "unknownLog"
    case .notHeld: "notHeld"
    case .otherEvent: "otherEvent"
    case .notCertified: "notCertified"
    case .deleted: "deleted"
    case .absent: "absent"
    case .expired: "expired"
    case .future: "future"
    case .flagged: "flagged"
    case .malformed: "malformed"
    case .notAPost: "notAPost"
    case .authorNotFollowed: "authorNotFollowed"
    case .missingInTables: "missingInTables"
    }
  }

  fileprivate var words: String {
    switch self {
    case .unknownLog: "nothing is known of its log"
    case .notHeld: "it is not held here"
    case .otherEvent(let hash): "another event is held at this place (\(hash.hex.prefix(16)))"
    case .notCertified: "the person's record does not certify its log"
    case .deleted: "its author deleted it"
    case .absent(let reason): "its content is not here (\(reason))"
    case .expired(let time): "it expired at \(time.rfc3339)"
    case .future(let due): "it is dated in the future (\(due.rfc3339))"
    case .flagged(let flags): "it is encrypted or marked by a later version (flags \(flags))"
    case .malformed(let error): "its content does not read (\(error))"
    case .notAPost(let kind): "it is a \(kind.name), and timelines show posts"
    case .authorNotFollowed: "you do not follow its author"
    case .missingInTables: "the tables lack it; tl log rebuild makes them again"
    }
  }
}
