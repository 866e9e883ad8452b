private import COpenSSL

extension NodeID {
  /// SHA-1 of the bytes: how BitTorrent makes a point from content. Nobody's safety rests on it alone; what is found under
  /// it is signed or hashed again.
  public init(sha1 bytes: [UInt8]) {
    var digest = [UInt8](repeating: 0, count: NodeID.byteCount)
    _ = COpenSSL.SHA1(bytes, bytes.count, &digest)
    self.init(digest)!
  }
}
