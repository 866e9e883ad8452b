import Identity
import Node
import Primitives
import Replication
import Testing

@Suite struct NamesTests {
  static func person(_ byte: UInt8) -> PersonID { PersonID([UInt8](repeating: byte, count: 32))! }

  /// Each of another node.
  private func answers(_ persons: [[FoundPerson]]) -> [FoundPersons] {
    persons.enumerated().map { FoundPersons(node: PublicKey(hashing: [UInt8($0.offset)]), persons: $0.element) }
  }

  @Test("whom most peers name comes first; a peer counts once, and only for the name that was asked for")
  func counting() {
    let ann = FoundPerson(person: Self.person(9), name: "Ann")
    let other = FoundPerson(person: Self.person(1), name: "ann")
    let found = ProfileService.count(
      answers([[ann, ann, other], [ann], [FoundPerson(person: Self.person(5), name: "bob")], []]), of: "ANN", asked: 8)
    #expect(found.candidates.map(\.person) == [Self.person(9), Self.person(1)])
    #expect(found.candidates.map(\.peers) == [2, 1])
    #expect(found.asked == 8 && found.answered == 4)
  }

  @Test("one person who is named in two ways is one candidate, and a flood of them is bounded")
  func flood() {
    let twice = [FoundPerson(person: Self.person(1), name: "Ann"), FoundPerson(person: Self.person(1), name: "ann")]
    #expect(ProfileService.count(answers([twice]), of: "ann", asked: 1).candidates.count == 1)
    let many = (0..<1_000).map { number in
      FoundPerson(person: PersonID(hashing: [UInt8(number >> 8), UInt8(number & 255)]), name: "ann")
    }
    #expect(ProfileService.count(answers([many]), of: "ann", asked: 1).candidates.count == LocalLimits.candidates)
  }

  @Test("a node that answers at many addresses counts once")
  func manyAddresses() {
    let ann = FoundPerson(person: Self.person(9), name: "ann")
    let lies = (0..<7).map { _ in FoundPersons(node: PublicKey(hashing: [1]), persons: [ann]) }
    let found = ProfileService.count(lies, of: "ann", asked: 8)
    #expect(found.candidates.map(\.peers) == [1] && found.answered == 1)
  }

  @Test("of each network out in the world one address is asked, of one's own site all")
  func networks() {
    let site: UInt64 = 0x2A00_1450_0001_0001
    let endpoints = [
      (IPAddress(93, 184, 216, 34), 1), (IPAddress(93, 184, 216, 34), 2), (IPAddress(93, 184, 216, 99), 1),
      (IPAddress(93, 184, 217, 1), 1), (IPAddress(192, 168, 0, 1), 1), (IPAddress(192, 168, 0, 2), 1),
      (IPAddress(127, 0, 0, 1), 1), (IPAddress(127, 0, 0, 1), 2), (.v6(site, 1), 1), (.v6(site, 2), 1),
      (.v6(site + 1, 1), 1),
    ].map { Endpoint($0.0, port: $0.1) }
    let kept = [0, 3, 4, 5, 6, 7, 8, 10].map { endpoints[$0] }
    #expect(ProfileService.spread(endpoints) == kept)
  }
}
