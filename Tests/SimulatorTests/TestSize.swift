import Glibc

/// How often a test that repeats itself with other seeds does so: less often under a sanitizer, where each run costs many
/// times as much and touches the same code; always in full with TL_LONG=1.
enum TestSize {
  static let isLong = isSet("TL_LONG")
  /// Set by the sanitizers' steps.
  static let isSmall = isSet("TL_SANITIZER") && !isLong

  private static func isSet(_ name: String) -> Bool { getenv(name).map { String(cString: $0) == "1" } ?? false }
}
