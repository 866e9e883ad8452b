/// RFC 3339 and the proleptic Gregorian calendar, without a time zone database: text for people is the shell's work.
extension Timestamp {
  /// `2026-11-20T13:19:54.000Z`. Years outside 0–9999 are clamped, so the form never changes.
  public var rfc3339: String {
    let lowest: Int64 = -62_167_219_200_000  // 0000-01-01
    let highest: Int64 = 253_402_300_799_999  // 9999-12-31
    let clamped = min(max(milliseconds, lowest), highest)
    let day = floorDivide(clamped, 86_400_000)
    let inDay = clamped - day * 86_400_000
    let (year, month, dayOfMonth) = civil(fromDay: day)
    let seconds = inDay / 1000
    return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(dayOfMonth, 2) + "T" + pad(seconds / 3600, 2) + ":"
      + pad(seconds / 60 % 60, 2) + ":" + pad(seconds % 60, 2) + "." + pad(inDay % 1000, 3) + "Z"
  }

  /// Reads an RFC 3339 §5.6 date-time. Needs a full date, `T` (or `t`, or one space), seconds, and `Z` or an offset;
  /// takes any number of fraction digits and drops those below a millisecond. A leap second counts as the next second.
  public init?(rfc3339 text: some StringProtocol) {
    var digits = Digits(Array(text.utf8))
    guard let year = digits.number(4), digits.take("-"), let month = digits.number(2), digits.take("-"),
      let day = digits.number(2), (1...12).contains(month), day >= 1, day <= daysIn(month: month, year: year),
      digits.take("T") || digits.take("t") || digits.take(" "),
      let hour = digits.number(2), digits.take(":"), let minute = digits.number(2), digits.take(":"),
      let second = digits.number(2), hour < 24, minute < 60, second <= 60
    else { return nil }
    var fraction: Int64 = 0
    if digits.take(".") {
      var scale: Int64 = 100
      var count = 0
      while let digit = digits.number(1) {
        fraction += digit * scale
        scale /= 10
        count += 1
      }
      if count == 0 { return nil }
    }
    var offset: Int64 = 0
    if !(digits.take("Z") || digits.take("z")) {
      let sign: Int64
      if digits.take("+") { sign = 1 } else if digits.take("-") { sign = -1 } else { return nil }
      guard let hours = digits.number(2), digits.take(":"), let minutes = digits.number(2), hours < 24, minutes < 60
      else { return nil }
      offset = sign * (hours * 60 + minutes)
    }
    guard digits.isAtEnd else { return nil }
    let seconds = dayNumber(year, month, day) * 86_400 + hour * 3600 + (minute - offset) * 60 + second
    self.init(milliseconds: seconds * 1000 + fraction)
  }
}

private struct Digits {
  let units: [UInt8]
  var index = 0

  init(_ units: [UInt8]) { self.units = units }

  var isAtEnd: Bool { index == units.count }

  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard index < units.count, units[index] == UInt8(ascii: scalar) else { return false }
    index += 1
    return true
  }

  mutating func number(_ count: Int) -> Int64? {
    guard index + count <= units.count else { return nil }
    var value: Int64 = 0
    for unit in units[index..<(index + count)] {
      guard (0x30...0x39).contains(unit) else { return nil }
      value = value * 10 + Int64(unit - 0x30)
    }
    index += count
    return value
  }
}

private func floorDivide(_ a: Int64, _ b: Int64) -> Int64 { a / b - (a % b < 0 ? 1 : 0) }

private func pad(_ value: Int64, _ width: Int) -> String {
  let text = String(value)
  return String(repeating: "0", count: max(0, width - text.count)) + text
}

private func daysIn(month: Int64, year: Int64) -> Int64 {
  switch month {
  case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
  case 4, 6, 9, 11: 30
  default: 31
  }
}

// Days since 1970-01-01 with years that begin in March, so that the leap day comes last.
private func dayNumber(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
  let y = month <= 2 ? year - 1 : year
  let era = floorDivide(y, 400)
  let yearOfEra = y - era * 400
  let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
  return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}

private func civil(fromDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
  let shifted = day + 719_468
  let era = floorDivide(shifted, 146_097)
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let marchMonth = (5 * dayOfYear + 2) / 153
  let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
}
