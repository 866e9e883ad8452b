import Events
public import Identity
public import Primitives

/// Posts as a twtxt feed: UTF-8, LF, `date TAB text`. Line breaks in a text become U+2028, as Yarn.social writes them;
/// other control characters, which no line may hold, are left out.
public enum TwtxtExport {
  /// The lines before the posts.
  public static func header(name: String?, url: String?) -> [UInt8] {
    var text = ""
    if let name, !name.isEmpty { text += "# nick = " + oneLine(name, breaks: " ") + "\n" }
    if let url, !url.isEmpty { text += "# url = " + oneLine(url, breaks: " ") + "\n" }
    return Array(text.utf8)
  }

  /// One line with its LF.
  public static func line(time: Timestamp, text: String) -> [UInt8] {
    Array((time.rfc3339 + "\t" + oneLine(text, breaks: "\u{2028}") + "\n").utf8)
  }

  private static func oneLine(_ text: String, breaks: Unicode.Scalar) -> String {
    var line = String.UnicodeScalarView()
    var afterReturn = false
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": if !afterReturn { line.append(breaks) }
      case "\r", "\u{85}", "\u{2029}": line.append(breaks)
      case _ where scalar.properties.generalCategory == .control: break
      default: line.append(scalar)
      }
      afterReturn = scalar == "\r"
    }
    return String(line)
  }
}

extension TimelineReader {
  /// The person's shown posts as a feed, oldest first, handed out line by line.
  public func exportTwtxt(
    _ person: PersonID, url: String? = nil, now: Timestamp, write: (_ line: [UInt8]) throws -> Void
  ) throws {
    let header = TwtxtExport.header(name: try label(person, now: now).name, url: url)
    if !header.isEmpty { try write(header) }
    var lines: [[UInt8]] = []
    var before: TimelinePosition?
    // Pages come newest first; a feed begins with the oldest, and its lines take less memory than its events.
    while true {
      let page = try posts(of: person, before: before, limit: 1_000, now: now)
      for item in page { lines.append(TwtxtExport.line(time: item.time, text: item.text ?? "")) }
      guard page.count == 1_000, let last = page.last else { break }
      before = last.position
    }
    for line in lines.reversed() { try write(line) }
  }
}
