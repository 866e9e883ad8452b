public import Identity
public import Primitives
import Store

extension TimelineReader {
  /// Whoever is called so now, upper and lower case taken as one (`Name.folded`), in the order of ids. Names are claims:
  /// several persons may have one.
  ///
  /// Reads every name that is held.
  /// - Throws: `StoreError`.
  public func persons(
    named name: String, maximum: Int, now: Timestamp
  ) throws -> [(person: PersonID, name: String)] {
    let folded = Name.folded(name)
    return try database.snapshot {
      try forgetWhenChanged()
      let select = try database.statement(
        "SELECT p.key, f.value FROM profile f JOIN person p ON p.pid=f.pid WHERE f.field=1 ORDER BY p.key")
      let claimed = try select.map { row -> PersonID? in
        Name.folded(row.text(1)) == folded ? row.bytes32(0) : nil
      }.compactMap { $0 }
      var found: [(person: PersonID, name: String)] = []
      for person in claimed where found.last?.person != person && found.count < maximum {
        // Another name may have taken its place, or it has expired.
        guard let name = try label(person, now: now).name, Name.folded(name) == folded else { continue }
        found.append((person, name))
      }
      return found
    }
  }
}
