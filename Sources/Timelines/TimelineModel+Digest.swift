public import Identity
public import Primitives
public import Store

extension TimelineModel {
  /// Rows are named by the keys of their log and person instead of local numbers, so two stores that hold the same events
  /// have the same digest. The table `feed` is left out: it is a hint, and says nothing that `post` does not.
  public func digest(in database: Database) throws(StoreError) -> Digest {
    var sum = RowSum()
    try sum.rows(
      0, "SELECT l.key, t.seq, t.at, t.id, t.ttl, t.parent FROM post t JOIN log l ON l.lid=t.lid", keys: 1, numbers: 5,
      database)
    try sum.rows(
      1, "SELECT l.key, t.parent, t.seq FROM reply t JOIN log l ON l.lid=t.lid", keys: 1, numbers: 2, database)
    try sum.rows(
      2,
      """
      SELECT l.key, p.key, t.target, t.dot, t.seq, t.id, t.ttl FROM follow t JOIN log l ON l.lid=t.lid \
      JOIN person p ON p.pid=t.pid
      """, keys: 4, numbers: 3, database)
    try sum.rows(
      3,
      """
      SELECT l.key, p.key, t.target, t.dot, t.seq, t.id FROM unfollow t JOIN log l ON l.lid=t.lid \
      JOIN person p ON p.pid=t.pid
      """, keys: 4, numbers: 2, database)
    try sum.rows(
      4,
      """
      SELECT l.key, p.key, CAST(t.value AS BLOB), t.seq, t.field, t.id, t.ttl FROM profile t \
      JOIN log l ON l.lid=t.lid JOIN person p ON p.pid=t.pid
      """, keys: 3, numbers: 4, database)
    return sum.digest
  }
}

/// A sum over the hashes of rows: the same in whatever order they come. It finds mistakes of ours; it is no proof against
/// somebody who chooses the rows.
private struct RowSum {
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  private var count: UInt64 = 0

  /// Adds the rows of a query whose first `keys` columns are byte strings and the rest numbers.
  mutating func rows(
    _ table: UInt8, _ sql: String, keys: Int, numbers: Int, _ database: Database
  ) throws(StoreError) {
    let select = try database.statement(sql)
    var row = ByteWriter(reserving: 256)
    while try select.step() {
      row.bytes.removeAll(keepingCapacity: true)
      row.byte(table)
      for column in 0..<keys {
        select.withBlob(column) {
          row.varint(UInt64($0.count))
          row.append($0)
        }
      }
      for column in keys..<(keys + numbers) {
        row.byte(select.isNull(column) ? 0 : 1)
        row.integer(select.unsigned(column))
      }
      add(Digest(hashing: row.bytes))
    }
  }

  private mutating func add(_ digest: Digest) {
    count += 1
    digest.withUnsafeBytes {
      words.0 &+= $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self).littleEndian
      words.1 &+= $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self).littleEndian
      words.2 &+= $0.loadUnaligned(fromByteOffset: 16, as: UInt64.self).littleEndian
      words.3 &+= $0.loadUnaligned(fromByteOffset: 24, as: UInt64.self).littleEndian
    }
  }

  var digest: Digest {
    var writer = ByteWriter(reserving: 40)
    for word in [count, words.0, words.1, words.2, words.3] { writer.integer(word) }
    return Digest(hashing: writer.bytes)
  }
}
