import Primitives

/// Deterministic short posts: words by Zipf's law, now and then a tag, a mention or a link; about 102 bytes on average.
struct Corpus {
  private var random: SeededRandom
  private let words: [String]
  private let wordWeights: CumulativeWeights
  private let authorWeights: CumulativeWeights

  /// - Parameter authors: how many there are to pick from.
  init(seed: UInt64, authors: Int = 1000) {
    random = SeededRandom(seed: seed)
    words = Self.vocabulary(of: 4000, &random)
    wordWeights = CumulativeWeights((0..<words.count).map { 1 / Double($0 + 3) })
    authorWeights = CumulativeWeights((0..<authors).map { 1 / Double($0 + 20) })
  }

  mutating func text() -> String {
    let target = Int.random(in: 60...140, using: &random)
    var text = ""
    var length = 0
    for count in 0..<40 where length < target {
      var word = words[wordWeights.pick(&random)]
      switch Double.random(in: 0..<1, using: &random) {
      case ..<0.02: word = "#" + word
      case ..<0.035: word = "@" + word
      case ..<0.042: word = "https://ex.am/" + Hex.encode(random.bytes(3))
      default: break
      }
      if count > 0 { text += " " }
      text += word
      length += word.utf8.count + 1
    }
    return text.prefix(1).uppercased() + text.dropFirst()
  }

  /// Few write much and many write little.
  mutating func author() -> Int { authorWeights.pick(&random) }

  private static func vocabulary(of size: Int, _ random: inout SeededRandom) -> [String] {
    let consonants = Array("bcdfghjklmnprstvwz")
    let vowels = Array("aeiou")
    var words = common.split(separator: " ").map(String.init)
    var seen = Set(words)
    while words.count < size {
      var word = ""
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        word.append(consonants.randomElement(using: &random)!)
        word.append(vowels.randomElement(using: &random)!)
        if Double.random(in: 0..<1, using: &random) < 0.4 { word.append(consonants.randomElement(using: &random)!) }
      }
      if seen.insert(word).inserted { words.append(word) }
    }
    return words
  }

  private static let common = """
    the of and to in a is that for it as was with be by on not he i this are or his from at which but have an had they \
    you were their one all we can her has there been if more when will would who so no just like get about out up what \
    time people new now day good first today really think know going work love want make see back right after year \
    still great never last night live news home world life team game help need best way down video check free morning \
    happy show thanks watch read open source code release update build test server network data log peer sync key \
    message event
    """
}

/// Picks an index with a chance in proportion to its weight.
struct CumulativeWeights {
  private let sums: [Double]

  init(_ weights: [Double]) {
    var sum = 0.0
    sums = weights.map {
      sum += $0
      return sum
    }
  }

  func pick(_ random: inout SeededRandom) -> Int {
    let target = Double.random(in: 0..<sums[sums.count - 1], using: &random)
    var low = 0
    var high = sums.count - 1
    while low < high {
      let middle = (low + high) / 2
      if sums[middle] <= target { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
