import Glibc

/// What a process finds around itself. It is read once, so that everything that depends on it can be tested without a
/// terminal.
public struct Surroundings: Sendable {
  public var variables: [String: String]
  public var inputIsTerminal: Bool
  public var outputIsTerminal: Bool
  public var errorIsTerminal: Bool
  /// Columns of the terminal; 80 when it does not say.
  public var columns: Int

  public init(
    variables: [String: String] = [:], inputIsTerminal: Bool = false, outputIsTerminal: Bool = false,
    errorIsTerminal: Bool = false, columns: Int = 80
  ) {
    self.variables = variables
    self.inputIsTerminal = inputIsTerminal
    self.outputIsTerminal = outputIsTerminal
    self.errorIsTerminal = errorIsTerminal
    self.columns = columns
  }

  public static func ofProcess() -> Surroundings {
    var surroundings = Surroundings(
      variables: processVariables(), inputIsTerminal: isatty(0) == 1, outputIsTerminal: isatty(1) == 1,
      errorIsTerminal: isatty(2) == 1)
    if let asked = surroundings.variable("COLUMNS").flatMap({ Int($0) }), columnsRange.contains(asked) {
      surroundings.columns = asked
    } else if let columns = terminalColumns() {
      surroundings.columns = columns
    }
    return surroundings
  }

  /// A variable that is set to something; empty counts as unset, as the conventions of most variables have it.
  public func variable(_ name: String) -> String? {
    guard let value = variables[name], !value.isEmpty else { return nil }
    return value
  }

  private static func processVariables() -> [String: String] {
    var variables: [String: String] = [:]
    var entry: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = environ
    while let text = entry.pointee {
      let pair = String(cString: text)
      if let equals = pair.utf8.firstIndex(of: UInt8(ascii: "=")) {
        variables[String(pair[..<equals])] = String(pair[pair.utf8.index(after: equals)...])
      }
      entry += 1
    }
    return variables
  }

  private static func terminalColumns() -> Int? {
    for descriptor: Int32 in [1, 2, 0] {
      var size = winsize()
      if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, columnsRange.contains(Int(size.ws_col)) {
        return Int(size.ws_col)
      }
    }
    return nil
  }

  /// Outside of this a claimed width is a mistake.
  private static let columnsRange = 20...1000
}
