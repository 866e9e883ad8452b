import Events
import Glibc
import Identity
import Node
import Primitives
import Store
import Synchronization
import Terminal
import Timelines

extension Command {
  static let importing = Command("import", "bring events in", subcommands: [.importTwtxt, .importNDJSON])

  static let importTwtxt = Command(
    "twtxt", "post the lines of a twtxt feed",
    discussion: """
      Each line becomes a post of yours that keeps the line's date and does not expire unless --ttl says so. Importing the \
      same file again adds nothing; a file that gzip packed is unpacked. Lines that are no posts are reported with their number and kept out. "# follow" \
      headers become follows where the nick is a petname of yours, or the URL the link or the feed of one person here.
      """,
    examples: [
      .init("tl import twtxt twtxt.txt", "import a feed"),
      .init("curl -s https://example.org/twtxt.txt | tl import twtxt - --name example", "import one from the web"),
    ],
    positionals: [feedFile], options: [feedName, .ttl, .keep]
  ) { invocation in
    try takeTwtxt(invocation)
  }

  static let importNDJSON = Command(
    "ndjson", "take in a signed export",
    discussion: """
      Reads what "tl export ndjson" wrote, of any persons. Every signature is checked; a line that does not hold is \
      reported with its number and kept out.
      """,
    examples: [
      .init("tl import ndjson friends.ndjson", "take an export in"),
      .init("zcat friends.ndjson.gz | tl import ndjson -", "from standard input"),
    ],
    positionals: [exportFile]
  ) { invocation in
    try takeNDJSON(invocation)
  }
}

private func takeTwtxt(_ invocation: Invocation) throws {
  let reading = try invocation.reading()
  let path = invocation.arguments.text(feedFile)
  let lifetime = try invocation.lifetime() ?? 0
  let feed = TwtxtFeed(
    try Input.unpackedBytes(path, maximum: feedBytesMaximum, in: invocation.surroundings))
  let name = invocation.arguments.text(feedName) ?? String(path.split(separator: "/").last ?? "-")
  let feeds = feed.follows.isEmpty ? [:] : try reading.feeds()
  let plan = TwtxtImport(
    feed, name: name, now: reading.now, known: try reading.timelines.importedLines(of: reading.profile.person)
  ) { nick, url in
    reading.petnames.persons[nick] ?? feeds[url]
  }
  let drafts =
    plan.posts.map { post in
      LocalDraft.post(.init(text: post.text, ttl: lifetime, written: post.written, source: post.source))
    } + plan.follows.filter { $0 != reading.profile.person }.map(LocalDraft.follow)
  let results = drafts.isEmpty ? [] : try invocation.withService(reading.profile) { try await $0.append(drafts) }
  let posts = results.prefix(plan.posts.count).count { if case .appended = $0 { true } else { false } }
  let follows = results.dropFirst(plan.posts.count).count { if case .appended = $0 { true } else { false } }
  for bad in plan.badLines { invocation.output.warn("line \(bad.line): \(bad.reason.rawValue)") }
  for follow in plan.unknownFollows {
    invocation.output.detail("line \(follow.line): nobody known here is \(follow.nick) at \(follow.url)")
  }
  let counts = ImportCounts(
    posts: posts, known: plan.knownCount + plan.posts.count - posts, bad: plan.badLines.count, follows: follows,
    unknownFollows: plan.unknownFollows.count)
  try counts.print(invocation)
}

private struct ImportCounts {
  var posts: Int
  var known: Int
  var bad: Int
  var follows: Int
  var unknownFollows: Int

  func print(_ invocation: Invocation) throws {
    guard invocation.wantsJSON else {
      var words = "\(counted(posts, "post")) imported, \(known) known, \(counted(bad, "bad line"))"
      if follows > 0 { words += ", \(counted(follows, "follow"))" }
      if unknownFollows > 0 { words += ", \(counted(unknownFollows, "follow")) of persons not known here" }
      return try invocation.output.line("\(words)")
    }
    var line = JSONObject.line()
    line.add("kind", "summary")
    line.add("events", posts + follows)
    line.add("posts", posts)
    line.add("follows", follows)
    line.add("known", known)
    line.add("bad", bad)
    line.add("unknownFollows", unknownFollows)
    try invocation.output.line(line)
  }
}

extension Reading {
  /// Whose feed lies at a URL, where it is one person's alone: by the link in their profile, or because the newest of
  /// their posts were imported from there. Both are claims, so that a second person with the same one makes it nobody's.
  fileprivate func feeds() throws -> [String: PersonID] {
    var found: [String: Set<PersonID>] = [:]
    for person in try store.persons() {
      if let link = try timelines.profile(person, now: now)?.link { found[link, default: []].insert(person) }
      for item in try timelines.posts(of: person, limit: 20, now: now) {
        if let feed = item.post?.source?.feed { found[feed, default: []].insert(person) }
      }
    }
    return found.compactMapValues { $0.count == 1 ? $0.first : nil }
  }
}

private func takeNDJSON(_ invocation: Invocation) throws {
  let profile = try invocation.profile()
  let given = invocation.arguments.text(exportFile)
  // Whoever writes opens the file itself, and may be another process, to which our input and our pipes mean nothing.
  let spool = given == "-" || !isFile(given) ? try Spool(of: given, in: profile.directory) : nil
  let path = try spool?.path ?? absolute(given)
  let bar = Mutex(ProgressBar("importing", on: invocation.output))
  let output = invocation.output
  let reply = try invocation.withService(profile) { service in
    try await service.perform(.importExport(path: path)) { progress in
      switch progress {
      case .importing(let lines, _): bar.withLock { $0.update(lines, at: .ofSystem()) }
      case .badLines(let lines, let reason):
        let numbers = lines.count == 1 ? "line \(lines.lowerBound)" : "lines \(lines.lowerBound)–\(lines.upperBound)"
        output.warn("\(numbers): \(reason)")
      case .syncing, .rebuilding, .listening, .joinRequest: break
      }
    }
  }
  bar.withLock { $0.finish() }
  guard case .imported(let result) = reply else { throw CommandFailure(.bug, "an import without a result") }
  if invocation.wantsJSON {
    var line = JSONObject.line()
    line.add("kind", "summary")
    line.add("lines", result.lines)
    line.add("persons", result.persons)
    line.add("events", result.events)
    line.add("known", result.known)
    line.add("bad", result.bad)
    return try output.line(line)
  }
  try output.line(
    "\(counted(result.events, "event")) imported from \(counted(result.lines, "line")), \(result.known) known, \(counted(result.bad, "bad line"))"
  )
}

/// What comes from standard input or a pipe, in a private file for as long as the value lives.
private final class Spool: Sendable {
  let path: String

  init(of source: String, in directory: Store.ProfileDirectory) throws {
    let input = source == "-" ? 0 : open(source, O_RDONLY | O_CLOEXEC)
    guard input >= 0 else {
      throw CommandFailure(
        errno == ENOENT ? .notFound : .failed, "cannot open \(source): \(String(cString: strerror(errno)))")
    }
    defer { if input > 0 { close(input) } }
    var template = Array("\(directory.path)/import-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else {
      throw CommandFailure(.failed, "cannot make a file in \(directory.path): \(String(cString: strerror(errno)))")
    }
    defer { close(file) }
    path = try absolute(template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(input, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw CommandFailure(.failed, "cannot read \(source): \(String(cString: strerror(errno)))")
      }
      if count == 0 { return }
      var done = 0
      while done < count {
        let wrote = buffer.withUnsafeBytes { write(file, $0.baseAddress! + done, count - done) }
        guard wrote >= 0 else {
          let code: ExitCode = errno == ENOSPC ? .noSpace : .failed
          throw CommandFailure(code, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        done += wrote
      }
    }
  }

  deinit { unlink(path) }
}

private func isFile(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}

private func absolute(_ path: String) throws(CommandFailure) -> String {
  guard let resolved = realpath(path, nil) else {
    throw CommandFailure(
      errno == ENOENT ? .notFound : .failed, "cannot open \(path): \(String(cString: strerror(errno)))")
  }
  defer { free(resolved) }
  return String(cString: resolved)
}

private let feedFile = Positional("FILE", .one, completion: .files, "the feed; - reads standard input")
private let exportFile = Positional("FILE", .one, completion: .files, "the export; - reads standard input")
private let feedName = Option("name", .text("NAME"), "how to name the feed when it states no URL (the file's name)")
/// More than a hundred times the largest feed in sight.
private let feedBytesMaximum = 256 << 20
