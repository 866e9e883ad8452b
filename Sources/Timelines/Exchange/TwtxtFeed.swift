public import Primitives

/// A twtxt feed, read strictly: https://twtxt.readthedocs.io/en/latest/user/twtxtfile.html and the metadata headers of
/// https://twtxt.dev/exts/metadata.html.
///
/// Lines end at LF; one CR before it belongs to the line end, any other is text. A line is empty, a comment (`#` first), a
/// post (RFC 3339 date-time, TAB, text), or bad. The text is whatever follows the first TAB, nothing and white space
/// included.
public struct TwtxtFeed: Hashable, Sendable {
  public struct Post: Hashable, Sendable {
    /// Counted from 1.
    public let line: Int
    public let time: Timestamp
    public let text: String
    /// The whole line without its end, as it came.
    public let bytes: [UInt8]
  }

  /// A line that is kept out, and why.
  public struct BadLine: Hashable, Sendable {
    public let line: Int
    public let reason: Reason

    public init(line: Int, reason: Reason) {
      self.line = line
      self.reason = reason
    }
  }

  public enum Reason: String, Hashable, Sendable {
    case notUTF8 = "not UTF-8"
    case whiteSpace = "white space only"
    case noTab = "no TAB between date and text"
    case noDate = "no RFC 3339 date-time before the TAB"
    case tooLong = "text over 8192 bytes"
    case future = "dated in the future"
  }

  /// `# follow = NICK URL`. Neither part is to be trusted or fetched.
  public struct Follow: Hashable, Sendable {
    public let line: Int
    public let nick: String
    public let url: String
  }

  /// In the order of the file.
  public private(set) var posts: [Post] = []
  public private(set) var badLines: [BadLine] = []
  public private(set) var follows: [Follow] = []
  /// The first `# nick = …`.
  public private(set) var nick: String?
  /// The first `# url = …`.
  public private(set) var url: String?

  /// A post has at most this many bytes of text (DESIGN §4).
  public static let textMaximum = 8_192

  public init(_ bytes: [UInt8]) {
    var start = 0
    var line = 1
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
      var range = start..<end
      if bytes[range].last == 0x0D { range = start..<(end - 1) }
      read(bytes[range], line)
      start = end + 1
      line += 1
    }
  }

  private mutating func read(_ bytes: ArraySlice<UInt8>, _ line: Int) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return badLines.append(BadLine(line: line, reason: .notUTF8))
    }
    if bytes.isEmpty { return }
    if bytes.first == UInt8(ascii: "#") { return comment(text, line) }
    if text.unicodeScalars.allSatisfy(Self.isSpace) {
      return badLines.append(BadLine(line: line, reason: .whiteSpace))
    }
    guard let tab = bytes.firstIndex(of: 0x09) else {
      return badLines.append(BadLine(line: line, reason: .noTab))
    }
    guard let time = Timestamp(rfc3339: String(decoding: bytes[..<tab], as: UTF8.self)) else {
      return badLines.append(BadLine(line: line, reason: .noDate))
    }
    let words = bytes[(tab + 1)...]
    guard words.count <= Self.textMaximum else { return badLines.append(BadLine(line: line, reason: .tooLong)) }
    posts.append(Post(line: line, time: time, text: String(decoding: words, as: UTF8.self), bytes: Array(bytes)))
  }

  private mutating func comment(_ text: String, _ line: Int) {
    guard let equals = text.firstIndex(of: "=") else { return }
    let key = Self.trim(text[text.index(after: text.startIndex)..<equals])
    let value = Self.trim(text[text.index(after: equals)...])
    switch key {
    case "nick": if nick == nil, !value.isEmpty { nick = value }
    case "url": if url == nil, !value.isEmpty { url = value }
    case "follow":
      // The nick may hold spaces, a URL none.
      guard let space = value.lastIndex(where: { $0 == " " || $0 == "\t" }) else { return }
      follows.append(
        Follow(line: line, nick: Self.trim(value[..<space]), url: String(value[value.index(after: space)...])))
    default: break
    }
  }

  private static func trim(_ text: Substring) -> String {
    String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }

  // The separators U+001C–U+001F count as white space too, as they do in Python.
  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
  }
}
