import DHT
import Identity
import Node
import Primitives
import Store
import Terminal

extension Command {
  static let dhtPut = Command(
    "put", "store a value in the DHT",
    discussion: """
      By default the value is your own: signed by this device, and only it can change it. With --immutable the value is \
      named by its hash, which is printed, and no KEY is given. With --open it lies on a whiteboard: anybody can read it, \
      overwrite it and lock it. Nobody's value is private. A running node stores it again until it expires, a day later \
      or as --ttl says; without one it fades after two hours. Up to 1,000,000 bytes; a long value takes many items. It \
      says how many nodes took it: five or more are durable, fewer are weak; when none has it, not even this one, it exits with 6.
      """,
    examples: [
      .init("tl dht put colour blue", "store \"blue\" as your own \"colour\""),
      .init("echo hello | tl dht put --immutable - --ttl 12h", "store standard input under its hash"),
    ],
    positionals: [valueWords], options: [isOwn, isImmutable, isOpen, valueLifetime, replication]
  ) { invocation in
    let words = invocation.arguments.all(valueWords)
    let space = try invocation.space()
    guard words.count == (space == .immutable ? 1 : 2) else {
      throw CommandFailure(
        .usage, space == .immutable ? "say the value alone: its hash will be its key" : "say a key and a value",
        hint: "- as the value reads standard input")
    }
    let text = words[words.count - 1]
    let value =
      text == "-" ? try Input.bytes("-", maximum: StoredValue.byteCountMaximum) : Array(text.utf8)
    let put = LocalDHTPut(
      name: try space.name(words[0], []), value: value, lifetime: try invocation.valueSeconds(),
      copies: invocation.arguments.number(replication))
    let stored = try invocation.withService(try invocation.profile()) { service in
      guard case .dhtStored(let stored) = try await service.perform(.dht(.put(put))) else {
        throw CommandFailure.oddReply
      }
      return stored
    }
    try stored.show(invocation, hasHash: space == .immutable)
  }

  static let dhtGet = Command(
    "get", "fetch a value from the DHT",
    discussion: """
      By default your own, of any of your devices, or with --of another person's. The newest counts; one that has expired \
      is not shown, and counts as not found (exit code 4).
      """,
    examples: [
      .init("tl dht get colour", "your own \"colour\""),
      .init("tl dht get colour --of ann", "the \"colour\" of ann"),
    ],
    positionals: [valueKey], options: [isOwn, isImmutable, isOpen, valueOwner]
  ) { invocation in
    let space = try invocation.space()
    let words = invocation.arguments.text(valueKey)
    var devices: [PublicKey] = []
    if space == .own {
      devices = try invocation.devices(of: invocation.arguments.text(valueOwner))
    } else if invocation.arguments.text(valueOwner) != nil {
      throw CommandFailure(.usage, "--of is for values that belong to somebody")
    }
    let name = try space.name(words, devices)
    if name == .immutable(nil) {
      throw CommandFailure(.usage, "the key of an immutable value has 40 hexadecimal digits")
    }
    let found = try invocation.withService(try invocation.profile()) { service in
      guard case .dhtValue(let value) = try await service.perform(.dht(.get(name))) else {
        throw CommandFailure.oddReply
      }
      return value
    }
    guard let found else { throw CommandFailure(.notFound, "nothing is stored as \"\(words)\"") }
    try found.show(invocation)
  }
}

private enum Space {
  case own, immutable, open

  func name(_ words: String, _ devices: [PublicKey]) throws(CommandFailure) -> LocalDHTName {
    switch self {
    case .own, .open:
      let key = Array(words.utf8)
      guard !key.isEmpty, key.count <= LocalLimits.keyBytes else {
        throw CommandFailure(.usage, "a key has 1 to \(LocalLimits.keyBytes) bytes")
      }
      guard !words.hasPrefix("tl/") else { throw CommandFailure(.usage, "keys that begin with tl/ are reserved") }
      return self == .own ? .own(key, of: devices) : .open(key)
    case .immutable: return .immutable(NodeID(hex: words))
    }
  }
}

extension Invocation {
  fileprivate func space() throws(CommandFailure) -> Space {
    let spaces: [(Option, Space)] = [(isOwn, .own), (isImmutable, .immutable), (isOpen, .open)]
    let said = spaces.filter { arguments.has($0.0) }
    guard said.count <= 1 else {
      throw CommandFailure(.usage, "--own, --immutable and --open exclude each other")
    }
    return said.first?.1 ?? .own
  }

  fileprivate func valueSeconds() throws(CommandFailure) -> UInt32? {
    guard let span = arguments.duration(valueLifetime) else { return nil }
    guard let seconds = UInt32(exactly: span.components.seconds), seconds > 0 else {
      throw CommandFailure(.usage, "--ttl takes a second or more")
    }
    return seconds
  }

  /// The devices whose values are a person's.
  fileprivate func devices(of words: String?) throws -> [PublicKey] {
    let reading = try reading()
    let person = try words.map { try reading.person($0) } ?? reading.profile.person
    guard let record = try reading.store.record(of: person) else {
      throw CommandFailure(
        .notFound, "no record of \(words ?? "you") is here", hint: "tl sync fetches those you follow")
    }
    return Array(record.devices.filter { $0.revocation == nil }.map(\.key).prefix(LocalLimits.devices))
  }
}

extension LocalDHTStored {
  private var word: String {
    switch durability {
    case .durable: "durable"
    case .weak: "weak"
    case .failed: "failed"
    }
  }

  fileprivate func show(_ invocation: Invocation, hasHash: Bool) throws {
    let output = invocation.output
    if isOutdone { throw CommandFailure(.failed, "somebody else holds the key with a higher number") }
    if nodes == 0, !isHeldHere { throw CommandFailure.nobodyAnswers }
    if invocation.wantsJSON {
      var line = JSONObject.line()
      line.add("kind", "stored")
      line.add("target", target.hex)
      line.add("nodes", nodes)
      line.add("durability", word)
      line.add("items", parts)
      line.add("heldHere", isHeldHere)
      line.add("kept", isKept)
      line.add("expires", expires?.rfc3339)
      return try output.line(line)
    }
    if hasHash { try output.line("\(target.hex)") }
    let items = parts == 1 ? "" : ", \(parts) items"
    let end = expires.map { ", until \($0.rfc3339)" } ?? ""
    output.note("\(word): \(counted(nodes, "node")) took it\(isHeldHere ? ", and this one" : "")\(items)\(end)")
    if !isKept { output.warn("no node of yours runs: the value fades after 2 hours") }
  }
}

extension LocalDHTValue {
  fileprivate func show(_ invocation: Invocation) throws {
    let output = invocation.output
    guard invocation.wantsJSON else {
      try output.data(value)
      if output.wrapCells != nil, value.last != UInt8(ascii: "\n") { try output.line() }
      return
    }
    var line = JSONObject.line()
    line.add("kind", "value")
    if let text = String(validating: value, as: UTF8.self) {
      line.add("text", text)
    } else {
      line.add("bytes", Hex.encode(value))
    }
    line.add("expires", expires?.rfc3339)
    line.add("key", key?.hex)
    line.add("sequence", sequence.map { String($0) })
    line.add("copies", copies)
    try output.line(line)
  }
}

private let valueWords = Positional(
  "KEY VALUE", .oneOrMore, "what it is called, and what it is; - reads standard input")
private let valueKey = Positional("KEY", .one, "what it is called; with --immutable its hash")
private let isOwn = Option("own", .flag, "a value of yours (the default)")
private let isImmutable = Option("immutable", .flag, "a value that is named by its hash")
private let isOpen = Option("open", .flag, "a value that anybody may overwrite")
private let valueLifetime = Option("ttl", .duration("SPAN"), "let it expire after this time (1d)")
private let replication = Option(
  "replication", .number("N", 1...LocalDHTPut.copiesMaximum), "store it at this many nodes")
private let valueOwner = Option("of", .text("WHO"), "whose value (yours)")
