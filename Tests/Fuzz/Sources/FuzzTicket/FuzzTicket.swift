import Identity
import Primitives

/// Text that people paste: tickets, handles, names, ids. What is accepted reads back from its own text.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  // As a ticket's bytes, with the checksum that nobody guesses.
  let inner = Ticket.scheme + Base32.encode(bytes + Digest(hashing: bytes).bytes.prefix(4))
  if let ticket = try? Ticket(inner) { precondition((try? ticket.text()) == inner, "two forms of one ticket") }

  let text = String(decoding: bytes, as: UTF8.self)
  if let ticket = try? Ticket(text) {
    guard let written = try? ticket.text(), let again = try? Ticket(written) else {
      preconditionFailure("an accepted ticket has no text")
    }
    precondition((try? again.text()) == written, "does not last")
  }
  if let handle = try? Handle(text) {
    precondition((try? Handle(handle.description)) == handle, "does not last")
    precondition(
      handle.matches(handle.bounds.lowerBound) && handle.matches(handle.bounds.upperBound), "bounds too wide")
  }
  if let person = PersonID(text: text) { precondition(PersonID(text: person.fingerprint) == person, "does not last") }
  _ = Name.isValid(text)
  return 0
}
