/// What a command line said, checked against the command's description: reading a value cannot fail.
public struct Arguments: Sendable {
  var values: [Option: [String]] = [:]
  var positionals: [Positional: [String]] = [:]
  /// What may be asked for; anything else is a mistake in the command's code.
  let known: Set<Option>

  public func has(_ option: Option) -> Bool { count(option) > 0 }

  /// How often it was given.
  public func count(_ option: Option) -> Int { all(option).count }

  /// The last value given.
  public func text(_ option: Option) -> String? { all(option).last }

  /// All values of an option that repeats, in order.
  public func texts(_ option: Option) -> [String] { all(option) }

  public func number(_ option: Option) -> Int? {
    guard case .number = option.form else { preconditionFailure("--\(option.name) is not a number") }
    return text(option).flatMap { Int($0) }
  }

  public func duration(_ option: Option) -> Duration? {
    guard case .duration = option.form else { preconditionFailure("--\(option.name) is not a duration") }
    return text(option).flatMap(Quantity.duration).map { .seconds($0) }
  }

  public func bytes(_ option: Option) -> Int? {
    guard case .bytes = option.form else { preconditionFailure("--\(option.name) is not a size") }
    return text(option).flatMap(Quantity.bytes)
  }

  /// The value of a positional that must be there.
  public func text(_ positional: Positional) -> String {
    guard let value = optional(positional) else { preconditionFailure("\(positional.name) is optional") }
    return value
  }

  public func optional(_ positional: Positional) -> String? { positionals[positional]?.first }
  public func all(_ positional: Positional) -> [String] { positionals[positional] ?? [] }

  private func all(_ option: Option) -> [String] {
    precondition(known.contains(option), "--\(option.name) is not in the command's table")
    return values[option] ?? []
  }
}

/// Numbers with a unit, as people write them.
public enum Quantity {
  /// Seconds of `90`, `90s`, `15m`, `12h`, `30d` or `2w`; nil for anything else and for more than 136 years.
  public static func duration(_ text: String) -> Int? {
    guard let value = number(text, units: ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]) else { return nil }
    return value <= Int(UInt32.max) ? value : nil
  }

  /// Bytes of `4096`, `64K`, `10M` or `2G` (powers of 1,024; a `B` or `iB` behind them changes nothing).
  public static func bytes(_ text: String) -> Int? {
    var text = text[...]
    if text.hasSuffix("iB") { text = text.dropLast(2) } else if text.hasSuffix("B") { text = text.dropLast() }
    return number(String(text), units: ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "k": 1 << 10])
  }

  private static func number(_ text: String, units: [Character: Int]) -> Int? {
    guard let last = text.last else { return nil }
    let unit = units[last]
    let digits = unit == nil ? text[...] : text.dropLast()
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(digits) else {
      return nil
    }
    let (product, overflow) = value.multipliedReportingOverflow(by: unit ?? 1)
    return overflow ? nil : product
  }
}
