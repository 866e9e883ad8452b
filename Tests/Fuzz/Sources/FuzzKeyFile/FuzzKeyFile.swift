import Identity

/// Key files, sessions and recovery files. What is accepted is written the same way. Sealed boxes are not opened: the
/// cost that they ask for is the point of them. Each input is also tried with its checksum appended, or nothing behind
/// the checksum would ever be reached.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  check(bytes)
  check(bytes + Digest(hashing: bytes).bytes.prefix(16))
  return 0
}

private func check(_ bytes: [UInt8]) {
  func expectSame(_ written: SecretBytes) {
    precondition(written.matches(SecretBytes(bytes)), "another encoding of the file")
  }
  if let box = try? SealedBox(decoding: bytes), !box.isSealed {
    if let key = try? KeyFile(opening: box, passphrase: nil) { expectSame(key.encodedPlain()) }
  }
  if let session = try? LoginSession(decoding: bytes) { expectSame(session.encoded()) }
  if let recovery = try? RecoveryFile(decoding: bytes) {
    let written = recovery.encoded().withUnsafeBytes { Array($0) }
    precondition((try? RecoveryFile(decoding: written))?.person == recovery.person, "does not last")
  }
}
