public import Identity
public import Primitives

/// A person's record with its local row number.
struct StoredPerson {
  var pid: Int64
  var record: PersonRecord
}

extension EventStore {
  /// The record of a person; nil when it is not here.
  public func record(of person: PersonID) throws -> PersonRecord? { try storedPerson(person)?.record }

  /// Everybody whose record is here, in the order they came.
  public func persons() throws -> [PersonID] {
    try database.statement("SELECT key FROM person ORDER BY pid").map {
      guard let key: PersonID = $0.bytes32(0) else {
        throw StoreError(.damaged, "a person row has no key", path: database.path)
      }
      return key
    }
  }

  func storedPerson(_ person: PersonID) throws -> StoredPerson? {
    if let cached = records.value(person) { return cached }
    let select = try database.statement("SELECT pid, record, record_hash FROM person WHERE key=?")
    select.bind(person, at: 0)
    guard let found = try select.first({ ($0.int(0), $0.blob(1), $0.bytes32(2, ContentRole.self)) }) else { return nil }
    let record: PersonRecord
    do throws(IdentityError) {
      record = try PersonRecord(verified: found.1)
    } catch {
      throw StoreError(.damaged, "the record of \(person) does not read", path: database.path, cause: error)
    }
    // The hash is over the encoded record, so it is the row's checksum too.
    guard record.id == person, found.2 == record.hash else {
      throw StoreError(.damaged, "the record of \(person) is not the one stored", path: database.path)
    }
    let stored = StoredPerson(pid: found.0, record: record)
    if database.mode == .writer { records.insert(stored, for: person, cost: found.1.count + 512) }
    return stored
  }

  /// As `storedPerson`, but a record that rotted counts as one that is not here: it comes again from any replica, and
  /// must not keep the others from theirs.
  func soundPerson(_ person: PersonID) throws -> StoredPerson? {
    do { return try storedPerson(person) } catch let error as StoreError where error.code == .damaged { return nil }
  }

  /// Takes what a verified record says, and applies the revocations in it to the logs that are here.
  ///
  /// - Returns: whether anything was new.
  @discardableResult
  public func merge(_ record: PersonRecord) throws -> Bool {
    try write {
      let pid: Int64
      var merged = record
      if let stored = try soundPerson(record.id) {
        merged = stored.record
        guard merged.merge(record) else { return false }
        pid = stored.pid
        let update = try database.statement("UPDATE person SET record=?, record_hash=? WHERE pid=?")
        update.bind(merged.encoded, at: 0)
        update.bind(merged.hash, at: 1)
        update.bind(pid, at: 2)
        try update.run()
      } else {
        // A row whose record rotted is written anew.
        let insert = try database.statement(
          """
          INSERT INTO person(key, record, record_hash, change) VALUES(?,?,?,0) \
          ON CONFLICT(key) DO UPDATE SET record=excluded.record, record_hash=excluded.record_hash
          """)
        insert.bind(record.id, at: 0)
        insert.bind(record.encoded, at: 1)
        insert.bind(record.hash, at: 2)
        try insert.run()
        let select = try database.statement("SELECT pid FROM person WHERE key=?")
        select.bind(record.id, at: 0)
        pid = try select.first { $0.int(0) } ?? database.lastInsertedRow
      }
      records.insert(StoredPerson(pid: pid, record: merged), for: merged.id, cost: merged.encoded.count + 512)
      markDirty(personRow: pid)
      // A row for every log that the record certifies, so that a name on the wire finds it before its first event.
      for device in merged.devices where try entry(device.key) == nil {
        _ = try makeEntry(device.key, person: merged.id, pid: pid)
      }
      let select = try database.statement("SELECT lid FROM log WHERE pid=?")
      select.bind(pid, at: 0)
      for lid in try select.map({ $0.int(0) }) {
        if let entry = try entry(row: lid) { try apply(merged, to: entry) }
      }
      return true
    }
  }
}
