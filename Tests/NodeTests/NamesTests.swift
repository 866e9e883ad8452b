import Identity
import Node
import Primitives
import Replication
import Testing

@Suite struct NamesTests {
  static func person(_ byte: UInt8) -> PersonID { PersonID([UInt8](repeating: byte, count: 32))! }

  @Test("whom most peers name comes first; a peer counts once, and only for the name that was asked for")
  func counting() {
    let ann = FoundPerson(person: Self.person(9), name: "Ann")
    let other = FoundPerson(person: Self.person(1), name: "ann")
    let found = ProfileService.count(
      [[ann, ann, other], [ann], [FoundPerson(person: Self.person(5), name: "bob")], []], of: "ANN", asked: 8)
    #expect(found.candidates.map(\.person) == [Self.person(9), Self.person(1)])
    #expect(found.candidates.map(\.peers) == [2, 1])
    #expect(found.asked == 8 && found.answered == 4)
  }

  @Test("one person who is named in two ways is one candidate, and a flood of them is bounded")
  func flood() {
    let twice = [FoundPerson(person: Self.person(1), name: "Ann"), FoundPerson(person: Self.person(1), name: "ann")]
    #expect(ProfileService.count([twice], of: "ann", asked: 1).candidates.count == 1)
    let many = (0..<1_000).map { number in
      FoundPerson(person: PersonID(hashing: [UInt8(number >> 8), UInt8(number & 255)]), name: "ann")
    }
    #expect(ProfileService.count([many], of: "ann", asked: 1).candidates.count == LocalLimits.candidates)
  }
}
