import Identity
import Primitives
import Testing

@Suite struct HandleTests {
  private let person = PersonID(Hex.decode("00443214c74254b635cf84653a56d7c675be77df3b7d7e3f1ae7b4fa4de0b3aa")!)!

  @Test("a handle shows the name and eight characters of the fingerprint")
  func display() {
    #expect(person.fingerprint == Base32.encode(person.bytes) && person.fingerprint.count == 52)
    #expect(person.handle(name: "alice") == "alice#\(person.fingerprint.prefix(8))")
    #expect(person.handle(name: "", showing: 1) == "#\(person.fingerprint.prefix(4))")
  }

  @Test("a whole id reads back from hex and from base32, in either case")
  func wholeID() {
    for text in [person.hex, person.fingerprint, person.hex.uppercased(), person.fingerprint.uppercased()] {
      #expect(PersonID(text: text) == person)
      #expect(PersonID(text: text.dropLast()) == nil)
      #expect(PersonID(text: text + "a") == nil)
      #expect(PersonID(text: "!" + text.dropFirst()) == nil)
    }
    // Four bits of the last character are not part of the id and must be zero.
    #expect(PersonID(text: String(repeating: "a", count: 51) + "b") == nil)
  }

  @Test("every prefix of at least four characters matches its person, a changed one does not")
  func prefixes() throws {
    for count in 4...52 {
      let prefix = String(person.fingerprint.prefix(count))
      let handle = try Handle("alice#" + prefix.uppercased())
      #expect(handle.matches(person) && handle.matches(person, name: "alice") && !handle.matches(person, name: "bob"))
      #expect(try Handle("#" + prefix).matches(person, name: "bob"))
      #expect(handle.bounds.contains(person), "\(count)")
      #expect(try Handle(handle.description) == handle)
      let last = prefix.last == "a" ? "q" : "a"
      let other = try Handle("#" + prefix.dropLast() + last)
      #expect(!other.matches(person))
      #expect(!other.bounds.contains(person), "\(count)")
    }
  }

  @Test("the bounds of a handle hold exactly the ids that match it")
  func bounds() throws {
    var random = SeededRandom(seed: 4)
    for _ in 0..<300 {
      let near = PersonID(person.bytes.prefix(3) + random.bytes(29))!
      for count in [4, 5, 8, 16] {
        let handle = try Handle("#" + person.fingerprint.prefix(count))
        #expect(handle.bounds.contains(near) == handle.matches(near))
      }
    }
  }

  @Test(
    "what is no handle is refused",
    arguments: ["", "alice", "alice#", "alice#abc", "alice#abc1", "a\u{202E}#abcd", "al\u{7}ice#abcd", "a#b#ab"])
  func refused(text: String) {
    #expect(throws: IdentityError.self) { try Handle(text) }
  }

  @Test("scripts can ask for sixteen characters, and over-long texts are refused")
  func minimum() throws {
    let short = "alice#" + person.fingerprint.prefix(15)
    #expect(throws: IdentityError.self) { try Handle(short, prefixMinimum: Handle.unattendedPrefixMinimum) }
    #expect(try Handle(short).matches(person))
    #expect(throws: IdentityError.self) { try Handle("#" + person.fingerprint + "a") }
    #expect(throws: IdentityError.self) { try Handle("#" + person.fingerprint.dropLast() + "b") }
    #expect(throws: IdentityError.self) { try Handle(String(repeating: "x", count: 5000) + "#abcd") }
  }

  @Test(
    "names may be in any script",
    arguments: ["alice", "Zoë", "名前", "اسم", "a b", "👩‍👩‍👧", "O'Neil-2", String(repeating: "x", count: 32)])
  func names(name: String) { #expect(Name.isValid(name)) }

  @Test(
    "names hold no control, bidirectional or invisible character, no '#', no outer space, and keep their limits",
    arguments: [
      "", " a", "a ", "a\nb", "a\u{1B}[2J", "a\u{9B}", "a\u{202E}b", "a\u{2066}b", "a\u{200B}b", "a#b", "a\u{2028}b",
      "\u{E000}", "a\u{FEFF}", "a\u{00A0}b", String(repeating: "x", count: 33), String(repeating: "名", count: 43),
      "a" + String(repeating: "\u{0301}", count: 17),
    ])
  func badNames(name: String) { #expect(!Name.isValid(name)) }
}
