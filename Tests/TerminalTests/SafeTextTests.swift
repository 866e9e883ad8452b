import Primitives
import Terminal
import Testing

@Suite struct SafeTextTests {
  @Test(
    "what a terminal could act on becomes visible",
    arguments: [
      ("plain", "plain"), ("a\u{1B}[31mb", "a␛[31mb"), ("a\u{7}", "a␇"), ("a\rb", "a␍b"), ("a\nb", "a␊b"),
      ("a\tb", "a␉b"),
      ("a\u{7F}", "a␡"), ("a\u{9B}31m", "a<U+009B>31m"), ("\u{202E}evil", "<U+202E>evil"), ("a\u{200B}b", "a<U+200B>b"),
      ("a\u{2028}b", "a<U+2028>b"), ("\u{301}a", "\u{25CC}\u{301}a"), ("a\0b", "a␀b"), ("a\u{FEFF}", "a<U+FEFF>"),
      ("a\u{E0041}", "a<U+E0041>"), ("a\u{AD}b", "a<U+00AD>b"), ("ㅤ", "<U+3164>"), ("\u{FFFE}", "<U+FFFE>"),
    ])
  func lines(text: String, safe: String) { #expect(SafeText.line(text) == safe) }

  @Test(
    "what people need stays as it is",
    arguments: [
      "Grüße", "日本語", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "☺️", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می‌خواهم", "क्‍ष", "שלום", "e\u{301}\u{323}", "٤٥", "\u{600}٤",
    ])
  func kept(text: String) { #expect(SafeText.line(text) == text) }

  @Test("a block keeps its lines")
  func block() {
    #expect(SafeText.block("a\r\nb\nc\u{2028}d\te") == "a\nb\nc\nd    e")
    #expect(SafeText.block("a\rb\u{1B}c") == "a␍b␛c")
  }

  @Test("a base carries sixteen marks at most")
  func marks() {
    let tower = "a" + String(repeating: "\u{301}", count: 500) + "b"
    #expect(
      SafeText.line(tower).unicodeScalars.map(\.value) == [0x61] + Array(repeating: 0x301, count: 16) + [0xFFFD, 0x62])
  }

  @Test("three hundred hostile strings leave nothing that acts or hides, and stay as they are the second time")
  func hostile() {
    for text in hostileStrings() {
      for safe in [SafeText.line(text), SafeText.block(text)] {
        #expect(!containsHazard(safe), "\(Hex.encode(text.utf8))")
        #expect(SafeText.line(SafeText.line(text)) == SafeText.line(text))
        #expect(SafeText.block(SafeText.block(text)) == SafeText.block(text))
      }
      #expect(!SafeText.line(text).utf8.contains(0x0A))
      #expect(!containsHazard(StyledText(text, .red).rendered(colours: false)))
      var object = JSONObject.line()
      object.add("text", text)
      #expect(!containsHazard(String(decoding: object.encoded, as: UTF8.self)))
      #expect(
        (try? JSON(parsing: object.encoded))?["text"]?.text?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
    }
  }
}

/// Escapes, control bytes, bidirectional and invisible characters and towers of marks, alone and in random order.
func hostileStrings() -> [String] {
  var strings = [
    "\u{1B}]52;c;cm0gLXJmIC8=\u{7}", "\u{1B}]8;;http://evil.example\u{1B}\\click\u{1B}]8;;\u{1B}\\",
    "\u{1B}[2J\u{1B}[H", "\u{1B}c",
    "\u{9B}31m", "\u{9D}0;title\u{9C}", "\u{90}q\u{9C}", "safe\rEVIL", "a\u{8}\u{8}b", "\u{202E}txt.exe",
    "\u{2066}a\u{2069}",
    "\u{200B}\u{200C}\u{200D}\u{2060}\u{FEFF}", "a\u{200D}\u{200D}b", "nul\0nul", "\u{E0001}\u{E0041}\u{E007F}",
    "\u{1F3F4}\u{E0067}\u{E0067}\u{E0067}\u{E0067}\u{E0067}\u{E0067}\u{E0067}\u{E0067}\u{E007F}", "\u{1F3F4}\u{E0067}",
    "a" + String(repeating: "\u{489}", count: 300), String(repeating: "\u{301}", count: 40), "a\u{FE0F}\u{FE0F}",
    "\u{FE0F}",
    "\u{180E}\u{17B4}\u{115F}\u{3164}", "\u{1D173}\u{FFF9}\u{61C}\u{85}\u{2029}", "\r\n\r\n", "\u{C}\u{B}",
  ]
  let parts: [String] =
    (0..<0x20).map { String(Unicode.Scalar($0)) } + (0x7F..<0xA0).map { String(Unicode.Scalar($0)) } + strings + [
      "a", "日", "👩", "e\u{301}", " ", "\u{200D}", "\u{200C}", "\u{FE0F}", "\u{E0100}", "\u{34F}", "[31m", "m",
    ]
  var random = SeededRandom(seed: 52)
  while strings.count < 300 {
    var text = ""
    for _ in 0..<Int.random(in: 1...20, using: &random) { text += parts.randomElement(using: &random)! }
    strings.append(text)
  }
  return strings
}

func containsHazard(_ text: String) -> Bool {
  var marks = 0
  for scalar in text.unicodeScalars {
    switch scalar.value {
    case 0x0A: break
    case 0..<0x20, 0x7F..<0xA0, 0x61C, 0x200B, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF: return true
    default: break
    }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: marks += 1
    default: marks = 0
    }
    // In JSON the marks of a text are its own affair: nothing is lost there.
    if marks > 18, !text.hasPrefix("{") { return true }
  }
  return false
}
