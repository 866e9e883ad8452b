import Glibc

/// What a benchmark may ask for.
struct Context: Sendable {
  /// A folder on the disk that is to be measured; not a memory file system.
  let scratch: String
  /// The folder with real input, if there is one (`irc/ubuntu-irc.tsv.gz` in it).
  let data: String?
  /// Sizes for a look rather than for a figure.
  let quick: Bool

  /// A size, or a hundredth of it for a quick look.
  func size(_ full: Int) -> Int { quick ? max(1, full / 100) : full }

  /// An empty folder of its own. What is in it is removed when the program ends.
  func folder(_ name: String) throws -> String {
    var template = Array((scratch + "/" + name + "-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw BenchmarkError(systemCall: "no folder in \(scratch)") }
    return template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  /// Short texts for a load, always the same ones: real chat lines of 90–110 bytes where the data is at hand, else
  /// generated ones.
  func chatTexts(_ count: Int) throws -> [String] {
    guard let log = try ChatLog(in: data) else {
      var corpus = Corpus(seed: 1)
      return (0..<count).map { _ in corpus.text() }
    }
    let texts = log.lines.lazy.map(\.text).filter { (90...110).contains($0.utf8.count) }
    var result: [String] = []
    result.reserveCapacity(count)
    while result.count < count { result.append(contentsOf: texts.prefix(count - result.count)) }
    return result
  }
}
