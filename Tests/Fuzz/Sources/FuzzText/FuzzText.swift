import Primitives
import Transport

/// Addresses, times, base32 and hexadecimal as people type or paste them; the first byte says which.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let first = bytes.first else { return 0 }
  let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
  switch first % 4 {
  case 0:
    for use in [PeerAddress.Use.dialing, .listening] {
      guard let address = try? PeerAddress(text, for: use) else { continue }
      precondition((try? PeerAddress(address.description, for: use)) == address, "address")
    }
  case 1:
    // An offset can carry a time beyond the years 0 to 9999, which are all that is written.
    if let time = Timestamp(rfc3339: text), (-62_167_219_200_000...253_402_300_799_999).contains(time.milliseconds) {
      precondition(Timestamp(rfc3339: time.rfc3339) == time, "time")
    }
  case 2: if let value = Base32.decode(text) { precondition(Base32.encode(value) == text.lowercased(), "base32") }
  default: if let value = Hex.decode(text) { precondition(Hex.encode(value) == text.lowercased(), "hexadecimal") }
  }
  return 0
}
