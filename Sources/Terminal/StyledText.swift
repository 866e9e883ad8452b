/// How a stretch of text looks on a terminal with colours. The words say the same without.
public enum Style: Sendable {
  case plain, bold, dim, red, green, yellow, blue, magenta, cyan

  var code: String? {
    switch self {
    case .plain: nil
    case .bold: "1"
    case .dim: "2"
    case .red: "31"
    case .green: "32"
    case .yellow: "33"
    case .blue: "34"
    case .magenta: "35"
    case .cyan: "36"
    }
  }
}

/// Text for people, with styles: `"\(name, .bold)  \(time, .dim)"`. Only a style makes an escape sequence; what the text
/// itself holds is made safe when it is printed, wherever it came from.
public struct StyledText: Sendable, ExpressibleByStringInterpolation {
  public struct Span: Sendable {
    public let text: String
    public let style: Style
  }

  public private(set) var spans: [Span] = []

  public init(_ text: String, _ style: Style = .plain) { spans = [Span(text: text, style: style)] }
  public init(stringLiteral value: String) { self.init(value) }
  public init(stringInterpolation: Interpolation) { spans = stringInterpolation.spans }

  public static func + (a: StyledText, b: StyledText) -> StyledText {
    var sum = a
    sum.spans += b.spans
    return sum
  }

  /// The words without styles, not made safe.
  public var plain: String { spans.reduce("") { $0 + $1.text } }

  /// Text that may go to a terminal: on one line, or with the line feeds it has.
  public func rendered(colours: Bool, keepsLineFeeds: Bool = false) -> String {
    var result = ""
    for span in spans {
      let text = keepsLineFeeds ? SafeText.block(span.text) : SafeText.line(span.text)
      if colours, let code = span.style.code, !text.isEmpty {
        result += "\u{1B}[\(code)m\(text)\u{1B}[0m"
      } else {
        result += text
      }
    }
    return result
  }

  public struct Interpolation: StringInterpolationProtocol {
    var spans: [Span] = []

    public init(literalCapacity: Int, interpolationCount: Int) {}

    public mutating func appendLiteral(_ literal: String) {
      if !literal.isEmpty { spans.append(Span(text: literal, style: .plain)) }
    }

    public mutating func appendInterpolation(_ value: some CustomStringConvertible, _ style: Style = .plain) {
      spans.append(Span(text: value.description, style: style))
    }

    public mutating func appendInterpolation(_ value: StyledText) { spans += value.spans }
  }
}

/// `--color`.
public enum ColourChoice: String, Sendable, CaseIterable {
  case auto, always, never

  /// Whether a stream gets colours. A flag wins over the environment; NO_COLOR (no-color.org) wins over FORCE_COLOR and
  /// CLICOLOR_FORCE; without a word from anybody a terminal that is not dumb gets them.
  public func applies(toTerminal isTerminal: Bool, in surroundings: Surroundings) -> Bool {
    switch self {
    case .always: return true
    case .never: return false
    case .auto: break
    }
    if surroundings.variable("NO_COLOR") != nil || surroundings.variable("TL_NO_COLOR") != nil { return false }
    if let force = surroundings.variable("FORCE_COLOR") ?? surroundings.variable("CLICOLOR_FORCE"), force != "0" {
      return true
    }
    return isTerminal && surroundings.variable("TERM") != "dumb" && surroundings.variable("CLICOLOR") != "0"
  }
}
