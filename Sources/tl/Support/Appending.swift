import Events
import Identity
import Node
import Primitives
import Store
import Terminal
import Timelines

extension Invocation {
  /// Appends one event and prints it: its line with `--json`, else its id alone. Nil when there was nothing to do.
  @discardableResult
  func append(_ draft: LocalDraft, in profile: Profile, otherwise nothingToDo: String) throws -> Reference? {
    let results = try withService(profile) { service in try await service.append([draft]) }
    guard case .appended(let reference, let id)? = results.first else {
      output.note("\(nothingToDo)")
      return nil
    }
    try printAppended(reference, id, profile)
    output.note("stored on this disk; followers get it when they sync")
    return reference
  }

  private func printAppended(_ reference: Reference, _ id: EventID, _ profile: Profile) throws {
    guard wantsJSON else { return try output.line("\(id)") }
    guard let item = try Reading(profile).item(reference) else {
      throw StoreError(.damaged, "event \(id) was stored and cannot be read", path: profile.databasePath)
    }
    try output.line(item.line)
  }
}
