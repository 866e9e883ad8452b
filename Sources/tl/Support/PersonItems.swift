import DHT
import Identity
import Node
import Primitives
import Store
import Terminal

extension Store.ProfileDirectory {
  /// Signs what the DHT shall say of the person, while the root key is at hand, and keeps it: a node publishes it, again
  /// and again, without the key.
  func keepPersonItem(of record: PersonRecord, signedBy root: SigningKey, at now: Timestamp) throws {
    let path = path(of: .personItem)
    var last: Int64?
    if PrivateFile.exists(path) {
      // One that does not read is replaced like any other.
      last = try? KeptItem(PrivateFile.read(path, atMost: KeptItem.byteCountMaximum)).item.sequence
    }
    let item = PersonItem(of: record).signed(by: root, after: last, at: now)
    try PrivateFile.write(KeptItem(item).bytes, to: path)
  }
}
