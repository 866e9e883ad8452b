public import Primitives

/// What a node keeps for its next start: its id and contacts that answered (schemas/dht.md).
public struct SavedContacts: Hashable, Sendable {
  public var id: NodeID
  /// At most 400, those that answered last first.
  public var contacts: [Contact]

  /// Enough to find the network again after a week; a packet each is affordable.
  public static let contactsMaximum = 400
  /// Of a file that is read: more is none of ours.
  public static let byteCountMaximum = 32_768

  public init(id: NodeID, contacts: [Contact]) {
    self.id = id
    self.contacts = Array(contacts.prefix(Self.contactsMaximum))
  }

  /// A bencoded dictionary: `id`, `nodes` and `nodes6` in the compact forms of BEP 5 and 32.
  public var bytes: [UInt8] {
    var writer = BencodeWriter()
    writer.beginDictionary()
    writer.key("id")
    writer.string(id)
    writer.key("nodes")
    writer.list(contacts.filter(\.endpoint.address.isIPv4))
    writer.key("nodes6")
    writer.list(contacts.filter { !$0.endpoint.address.isIPv4 })
    writer.end()
    return writer.bytes
  }

  /// Reads what `bytes` wrote; unknown keys are ignored. Throws `ByteError` for anything else.
  public init(_ bytes: [UInt8]) throws(ByteError) {
    guard bytes.count <= Self.byteCountMaximum else { throw ByteError(at: 0, "saved contacts of \(bytes.count) bytes") }
    let saved = try Bencode(bytes)
    guard let id = saved.string(saved.value("id", in: saved.root)).flatMap({ NodeID($0) }) else {
      throw ByteError(at: 0, "saved contacts without id")
    }
    func contacts(_ key: StaticString, _ width: Int) -> [Contact] {
      saved.elements(of: saved.value(key, in: saved.root)).compactMap { place in
        guard let bytes = saved.string(place), bytes.count == width, let id = NodeID(bytes.prefix(20)),
          let endpoint = Endpoint(compact: bytes.dropFirst(20)), endpoint.port != 0
        else { return nil }
        return Contact(id, at: endpoint)
      }
    }
    self.init(id: id, contacts: contacts("nodes", 26) + contacts("nodes6", 38))
  }
}

extension BencodeWriter {
  fileprivate mutating func list(_ contacts: [Contact]) {
    beginList()
    for contact in contacts { string(contact.id.bytes + contact.endpoint.compact) }
    end()
  }
}
