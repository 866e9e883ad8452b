import Events
import Identity
import Primitives

/// Reads one chunk row from the bare pages.
struct ChunkLoader {
  let file: PageFile
  let page: Int
  let cell: Int
  let entry: LogEntry

  struct Loaded {
    var row: ChunkRow
    var stretch: Stretch
    /// Why the row's own check refuses it, when it could be read all the same.
    var complaint: String?
  }

  func load() -> Loaded? { try? read() }

  /// Throws when the row does not read as a chunk at all.
  func read() throws -> Loaded {
    var bare = try BareRow(file.cell(file.page(page), cell), page: page, index: cell)
    bare.setAlias()
    let row = bare.columns([0, 2, 3, 4, 5, 6, 8, 9, 7])
    var complaint: String?
    let chunk: ChunkRow
    do throws(StoreError) {
      chunk = try EventStore.readChunk(row, of: entry, path: nil)
    } catch {
      // A wrong checksum over right bytes: the signature will tell.
      guard let previous: EventHash = row.bytes32(3), (1...256).contains(row.int(2)), row.int(5) >= 0,
        row.int(5) <= Int64(StretchColumns.rawBytesMaximum)
      else { throw error }
      complaint = error.message
      chunk = ChunkRow(
        row: row.int(0), checksum: row.blob(6), first: row.sequence(1), count: Int(row.int(2)), previous: previous,
        signature: row.isNull(4) ? nil : Signature(row.blob(4)),
        block: Block(rawBytes: row.int(5) == 0 ? nil : Int(row.int(5)), bytes: row.blob(7)))
    }
    guard let columns = chunk.block.columns() else {
      throw StoreError(.damaged, complaint ?? "the chunk does not decompress")
    }
    let stretch = try StretchColumns.decode(
      columns, log: entry.key, first: chunk.first, count: chunk.count, previous: chunk.previous)
    return Loaded(row: chunk, stretch: stretch, complaint: complaint)
  }
}
