import Events
public import Identity
public import Primitives
public import Store

/// The lossless export: one JSON line a person record, proof of a broken log, and event (schemas/export.md). What it says
/// is signed by its authors, so whoever imports it need not trust whoever wrote it.
public enum NDJSONExport {
  /// Writes everything held of these persons: persons in order of their ids, logs in order of their keys, events from the
  /// lowest sequence number up. Equal stores give equal bytes.
  ///
  /// - Parameters:
  ///   - persons: nil for everybody.
  ///   - write: gets whole lines, some at a time.
  /// - Returns: how many events were written.
  @discardableResult
  public static func run(
    _ store: EventStore, persons: [PersonID]? = nil, write: (_ lines: [UInt8]) throws -> Void
  ) throws -> Int {
    var buffer: [UInt8] = []
    var count = 0
    func flush(atLeast size: Int) throws {
      guard buffer.count >= size, !buffer.isEmpty else { return }
      try write(buffer)
      buffer.removeAll(keepingCapacity: true)
    }
    try store.snapshot {
      for person in Set(try persons ?? store.persons()).sorted() {
        guard let record = try store.record(of: person) else { continue }
        ExportLine.person(record.encoded).append(to: &buffer)
        for log in try store.logs(of: person).sorted(by: { $0.identity.log < $1.identity.log }) {
          let key = log.identity.log
          if let evidence = try store.evidence(of: key) {
            ExportLine.evidence(key, evidence.encoded).append(to: &buffer)
          }
          for range in log.ranges {
            try store.forEachEvent(key, range) { event, _, signature in
              ExportLine.event(event, signature).append(to: &buffer)
              count += 1
              try flush(atLeast: bufferBytes)
            }
          }
          try flush(atLeast: bufferBytes)
        }
      }
    }
    try flush(atLeast: 1)
    return count
  }

  private static let bufferBytes = 1 << 18
}
