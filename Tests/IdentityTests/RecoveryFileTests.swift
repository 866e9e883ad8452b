import Identity
import Primitives
import Testing

@Suite struct RecoveryFileTests {
  private func encoded() throws -> (RecoveryFile, [UInt8]) {
    let file = RecoveryFile(key: People.key(2), person: try People.record().id)
    return (file, file.encoded().withUnsafeBytes { Array($0) })
  }

  @Test("a recovery file reads back, also when typed in capitals, in one line, with hyphens")
  func roundTrip() throws {
    let (file, text) = try encoded()
    let string = String(decoding: text, as: UTF8.self)
    let lines = string.split(separator: "\n")
    #expect(lines[0] == "tl recovery key, version 1" && lines.count == 6)
    let typed = [
      string, string.replacing("\n", with: "\r\n"), String(string.dropLast()),
      lines[0] + "\n" + lines[2...].joined().uppercased().replacing(" ", with: "-"),
    ]
    for variant in typed {
      let read = try RecoveryFile(decoding: Array(variant.utf8))
      #expect(read.key.publicKey == file.key.publicKey && read.person == file.person)
    }
  }

  @Test("every wrong character is found, and the error names its place or the checksum")
  func typos() throws {
    let (_, text) = try encoded()
    let start = text.count - 140
    #expect(text[start - 1] == 0x0A)
    for index in start..<text.count where text[index] > 0x20 {
      var changed = text
      changed[index] = text[index] == UInt8(ascii: "q") ? UInt8(ascii: "7") : UInt8(ascii: "q")
      let error = #expect(throws: IdentityError.self) { try RecoveryFile(decoding: changed) }
      #expect(error?.message.contains("checksum") ?? false)
      changed[index] = UInt8(ascii: "1")
      let place = #expect(throws: IdentityError.self) { try RecoveryFile(decoding: changed) }
      #expect(place?.context.contains(", column ") ?? false)
    }
    for count in text.indices { _ = try? RecoveryFile(decoding: Array(text[..<count])) }
    #expect(throws: IdentityError.self) { try RecoveryFile(decoding: Array(text.dropLast(3))) }
    #expect(throws: IdentityError.self) { try RecoveryFile(decoding: text + Array("a".utf8)) }
    let later = Array("tl recovery key, version 2\nabcd".utf8)
    #expect(#expect(throws: IdentityError.self) { try RecoveryFile(decoding: later) }?.code == .unsupported)
  }
}
