public import DHT
import Identity
import Primitives
import Store
import Timelines

extension ProfileStore: FindingStore {
  /// Own person and followed ones, with what is held of each.
  public func survey() throws -> Survey {
    let now = environment.now()
    let own = try reader.label(person, now: now)
    let others = try reader.following(person, now: now).map(\.label).filter { $0.person != person }
    return Survey(
      persons: [
        try store.survey(person, isOwn: true, name: own.name, device: device.key, item: personItem())
      ] + (try others.map { try store.survey($0.person, isOwn: false, name: $0.name, device: nil) }))
  }

  /// Signs by the device key, if it can be had without asking anybody.
  public func sign(_ head: HeadItem, after last: Int64?) throws -> MutableItem? {
    let now = environment.now()
    do { return head.signed(by: try keys.device(at: now).key, after: last, at: now) } catch let error as NodeError {
      guard error.code == .locked else { throw error }
      return nil
    }
  }

  /// What the root key last signed about this person. A file that does not read is as good as none: the next change of the
  /// record makes another one.
  private func personItem() -> MutableItem? {
    let path = keys.store.directory.path(of: .personItem)
    guard PrivateFile.exists(path), let bytes = try? PrivateFile.read(path, atMost: KeptItem.byteCountMaximum) else {
      return nil
    }
    return try? KeptItem(bytes).item
  }
}
