public import DHT
import Events
public import Identity
public import Primitives
public import Store

extension EventStore {
  /// What is held of a person, as the finder wants to know it.
  /// - Parameters:
  ///   - device: this very device, of whose log the floor is told; nil for the persons of others.
  ///   - item: what a root key has signed for the DHT; it counts if it speaks of the record that is held.
  public func survey(
    _ id: PersonID, isOwn: Bool, name: String?, device: LogID?, item: MutableItem? = nil
  ) throws -> Survey.Person {
    // A record that rotted counts as none: it comes again from any replica.
    guard let record = try soundRecord(of: id) else { return Survey.Person(id: id, isOwn: isOwn, name: name) }
    let logs = try logs(of: id).filter(\.isAuthorized).compactMap { log -> Survey.Log? in
      let isOwnDevice = log.identity.log == device
      // Where a fork or a revocation cut the log, nobody has more that counts.
      let wanted = log.end == nil ? log.want?.sequence : nil
      guard log.head != nil || isOwnDevice || wanted != nil else { return nil }
      let sequence = log.head?.sequence ?? SequenceNumber(0)
      return Survey.Log(
        log: log.identity.log, sequence: sequence, hash: log.head?.hash ?? id.cast(),
        floor: isOwnDevice ? try floor(of: log) : min(.first, sequence), wanted: wanted, isOwnDevice: isOwnDevice)
    }
    let fits = item.flatMap { item -> MutableItem? in
      guard item.key == record.currentRoot, let says = try? PersonItem(value: item.value) else { return nil }
      return says.recordHash == record.hash ? item : nil
    }
    return Survey.Person(
      id: id, isOwn: isOwn, name: name, root: record.currentRoot, recordHash: record.hash,
      devices: record.devices.filter { $0.revocation == nil }.map(\.key), logs: logs, item: fits)
  }

  private func soundRecord(of id: PersonID) throws -> PersonRecord? {
    do { return try record(of: id) } catch let error as StoreError where error.code == .damaged { return nil }
  }

  private func floor(of log: LogSummary) throws -> SequenceNumber {
    guard let head = log.head, let event = try event(log.identity.log, head.sequence) else { return SequenceNumber(0) }
    return head.sequence - Int(event.header.live)
  }
}
