import Identity
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let exporting = Command("export", "write out what is here", subcommands: [.exportNDJSON, .exportTwtxt])

  static let exportNDJSON = Command(
    "ndjson", "write events with their signatures, so that others can check them",
    discussion: "Nothing is lost: \"tl import ndjson\" makes the same logs of it. Without WHO it writes everybody.",
    examples: [
      .init("tl export ndjson > everything.ndjson", "write all that is here"),
      .init("tl export ndjson ann bob | gzip > friends.ndjson.gz", "write two persons"),
    ],
    positionals: [whom]
  ) { invocation in
    let reading = try invocation.reading()
    let words = invocation.arguments.all(whom)
    let persons = words.isEmpty ? nil : try words.map { try reading.heldPerson($0) }
    let count = try NDJSONExport.run(reading.store, persons: persons) { try invocation.output.data($0) }
    invocation.output.detail("\(count) events written")
  }

  static let exportTwtxt = Command(
    "twtxt", "write a person's posts as a twtxt feed",
    examples: [
      .init("tl export twtxt > twtxt.txt", "write your own posts"),
      .init("tl export twtxt ann --url https://example.org/ann.txt", "ann's, and where the feed will lie"),
    ],
    positionals: [optionalWho], options: [url]
  ) { invocation in
    let reading = try invocation.reading()
    let person = try invocation.arguments.optional(optionalWho).map { try reading.heldPerson($0) }
    try reading.timelines.exportTwtxt(
      person ?? reading.profile.person, url: invocation.arguments.text(url), now: reading.now
    ) { try invocation.output.data($0) }
  }
}

extension Reading {
  /// WHO, of whom a record is here.
  fileprivate func heldPerson(_ words: String) throws -> PersonID {
    let person = try person(words)
    guard try store.record(of: person) != nil else {
      throw CommandFailure(.notFound, "nothing of \(words) is here", hint: "follow and sync first")
    }
    return person
  }
}

private let whom = Positional("WHO", .any, "persons (everybody)")
private let url = Option("url", .text("URL"), "state this as the feed's place")
