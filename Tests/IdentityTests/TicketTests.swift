import Identity
import Primitives
import Testing

@Suite struct TicketTests {
  private func person(addresses: [String] = ["example.org:4000", "[2001:db8::1]:1"], node: Bool = true) throws
    -> Ticket.Person
  {
    Ticket.Person(
      person: try People.record().id, name: "Zoë", node: node ? People.key(9).publicKey : nil, addresses: addresses)
  }

  @Test("a person ticket is one line and reads back, also in capitals and between spaces")
  func personTicket() throws {
    for ticket in [try person(), try person(addresses: [], node: false)] {
      let text = try Ticket.person(ticket).text()
      #expect(text.hasPrefix("tl://") && !text.contains("\n"))
      for variant in [text, text.uppercased(), "  \(text)\n"] {
        guard case .person(let read) = try Ticket(variant) else {
          Issue.record("another kind")
          continue
        }
        #expect(read == ticket)
      }
    }
  }

  @Test("a join ticket reads back with its secret")
  func joinTicket() throws {
    let secret = SecretBytes(Array(1...16))
    let ticket = Ticket.Join(
      person: try People.record().id, node: People.key(9).publicKey, addresses: ["127.0.0.1:4000"], secret: secret,
      notAfter: .init(milliseconds: 1_763_600_000_000))
    let text = try Ticket.join(ticket).text()
    guard case .join(let read) = try Ticket(text) else {
      Issue.record("another kind")
      return
    }
    #expect(read.person == ticket.person && read.node == ticket.node && read.addresses == ticket.addresses)
    #expect(read.secret.matches(secret) && read.notAfter == ticket.notAfter)
    #expect(!secret.matches(SecretBytes(Array(2...17))) && !secret.matches(SecretBytes([1])))
    #expect(!"\(read)".contains("1, 2, 3"))
  }

  @Test("a network ticket reads back, and one whose id is not the key's is refused")
  func networkTicket() throws {
    let key = AuthenticationCode([UInt8](0..<32))!
    for addresses in [[], ["example.org:4000", "[2001:db8::1]:1", "127.0.0.1:9"]] {
      let text = try Ticket.network(.init(key: key, addresses: addresses)).text()
      guard case .network(let read) = try Ticket(text) else {
        Issue.record("another kind")
        return
      }
      #expect(read.key == key && read.addresses == addresses)
    }
    #expect(throws: IdentityError.self) {
      try Ticket.network(.init(key: key, addresses: Array(repeating: "a:1", count: 4))).text()
    }
    let text = try Ticket.network(.init(key: key, addresses: [])).text()
    var bytes = Base32.decode(digits: Array(text.utf8.dropFirst(Ticket.scheme.utf8.count)))!.dropLast(4)
    bytes[6] ^= 1
    let forged = Array(bytes)
    #expect(throws: IdentityError.self) {
      try Ticket(Ticket.scheme + Base32.encode(forged + Digest(hashing: forged).bytes.prefix(4)))
    }
  }

  @Test("every wrong, missing or added character is refused")
  func typos() throws {
    let text = try Ticket.person(try person()).text()
    let units = Array(text.utf8)
    for index in units.indices {
      for other in ["a", "q", "1", "%"] as [Unicode.Scalar] where units[index] != UInt8(ascii: other) {
        var changed = units
        changed[index] = UInt8(ascii: other)
        #expect(throws: IdentityError.self, "\(index)") { try Ticket(String(decoding: changed, as: UTF8.self)) }
      }
      #expect(throws: IdentityError.self) { try Ticket(String(decoding: units[..<index], as: UTF8.self)) }
    }
    #expect(throws: IdentityError.self) { try Ticket(text + "a") }
    let place = #expect(throws: IdentityError.self) { try Ticket(text.prefix(20) + "!" + text.dropFirst(21)) }
    #expect(place?.context == "ticket, character 21")
    #expect(throws: IdentityError.self) { try Ticket("tl://" + String(repeating: "a", count: 5000)) }
    #expect(throws: IdentityError.self) { try Ticket("https://example.org") }
  }

  @Test(
    "addresses are host:port in printable ASCII, at most three",
    arguments: [
      ["a:1", "b:1", "c:1", "d:1"], ["a"], ["a:"], [":1"], ["a:0"], ["a:65536"], ["a b:1"], ["a\u{1B}:1"], ["ä:1"],
      [String(repeating: "a", count: 260) + ":1"], ["a:+1"],
    ])
  func addresses(list: [String]) throws {
    #expect(throws: IdentityError.self) { try Ticket.person(try person(addresses: list)).text() }
  }

  @Test("a join ticket needs an address and a secret of 16 bytes")
  func joinLimits() throws {
    for (addresses, count) in [([], 16), (["a:1"], 15)] as [([String], Int)] {
      let ticket = Ticket.Join(
        person: try People.record().id, node: People.key(9).publicKey, addresses: addresses,
        secret: SecretBytes([UInt8](repeating: 1, count: count)), notAfter: .init(milliseconds: 1))
      #expect(throws: IdentityError.self) { try Ticket.join(ticket).text() }
    }
  }
}
