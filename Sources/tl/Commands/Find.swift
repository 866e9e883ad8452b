import Identity
import Node
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let find = Command(
    "find", "look for a person by name in the network",
    discussion: """
      Asks nodes that know the name, and lists whom they mean: anybody can take any name, so compare the fingerprint with what \
      the person gave you. With #PREFIX only those whose fingerprint begins so.
      """,
    examples: [
      .init("tl find ann", "everybody called ann whom the network knows"),
      .init("tl find ann#k3jx", "of those the one whose fingerprint begins like this"),
    ],
    positionals: [wanted]
  ) { invocation in
    let words = invocation.arguments.text(wanted)
    let profile = try invocation.profile()
    let handle = try words.contains("#") ? Handle(words) : nil
    let name = handle?.name ?? words
    guard !name.isEmpty else { throw CommandFailure(.usage, "a name is needed", hint: "tl find ann#k3jx") }
    let found = try invocation.namesakes(of: name, profile)
    let candidates = found.candidates.filter { handle?.matches($0.person) ?? true }
    for candidate in candidates {
      if invocation.wantsJSON {
        var line = JSONObject.line()
        line.add("kind", "candidate")
        line.add("person", candidate.person.hex)
        line.add("name", candidate.name)
        line.add("handle", candidate.person.handle(name: candidate.name, showing: Handle.unattendedPrefixMinimum))
        line.add("peers", candidate.peers)
        line.add("asked", found.asked)
        try invocation.output.line(line)
      } else {
        let shown = candidate.person.handle(name: candidate.name, showing: PersonID.fingerprintCount)
        try invocation.output.line(
          "\(shown, .bold)  \(candidate.person.hex)  said by \(candidate.peers) of \(found.asked)")
      }
    }
    if candidates.isEmpty {
      throw CommandFailure(
        .notFound, found.answered == 0 ? "nobody answered who knows \(words)" : "nobody who answered knows \(words)",
        hint: "a full id or a tl:// ticket names anybody")
    }
  }
}

extension Invocation {
  /// Who goes by the name, as the network says.
  func namesakes(of name: String, _ profile: Profile) throws -> LocalNames {
    try Name.check(name, in: "name")
    return try withService(profile) { service in
      guard case .foundNames(let names) = try await service.perform(.findName(name)) else {
        throw CommandFailure.oddReply
      }
      return names
    }
  }

  /// The one person in the network whom a handle means that nobody here has; the full id is what is kept of it.
  func personInNetwork(_ handle: Handle, _ reading: Reading) throws -> LocalNames.Candidate? {
    guard !handle.name.isEmpty, reading.profile.directory.contains(.network) else { return nil }
    // Where nobody can be asked, only a prefix that nobody finds by trying keys will do.
    guard mayAsk || arguments.has(.yes) || handle.prefix.utf8.count >= Handle.unattendedPrefixMinimum else {
      throw CommandFailure(
        .usage, "\(handle.prefix.utf8.count) characters of a fingerprint could be imitated",
        hint: "give \(Handle.unattendedPrefixMinimum) or more, or say --yes")
    }
    let fitting = try namesakes(of: handle.name, reading.profile).candidates.filter { handle.matches($0.person) }
    guard fitting.count <= 1 else {
      throw CommandFailure(
        .usage, "\(handle.description) fits \(fitting.count) persons",
        hints: fitting.prefix(20).map {
          "did you mean \($0.person.handle(name: $0.name, showing: Handle.unattendedPrefixMinimum))? (said by \($0.peers))"
        })
    }
    return fitting.first
  }
}

private let wanted = Positional("NAME", .one, "a name, or name#fingerprint")
