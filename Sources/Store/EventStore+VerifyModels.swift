import Events
import Identity

extension EventStore {
  /// Checks that read models say what the logs say: they are made once more beside the store, in memory, and compared.
  /// Costs as much as a rebuild.
  ///
  /// - Parameter models: new ones of the kinds that the store keeps; a store opened for writing knows its own.
  /// - Returns: nothing for sound read models, and also when damaged events stand in the way of comparing.
  public func verifyReadModels(_ models: [any ReadModel]) throws -> [Damage] {
    guard !models.isEmpty else { return [] }
    return try snapshot {
      do {
        let scratch = try Database(path: Database.inMemory, mode: .writer)
        defer { scratch.close() }
        var made: [Digest] = []
        try scratch.transaction {
          try copyNames(to: scratch)
          for model in models {
            try scratch.execute(type(of: model).schema)
            try addEverything(to: model, in: scratch)
            made.append(try model.digest(in: scratch))
          }
        }
        for (model, digest) in zip(models, made) where try model.digest(in: database) != digest {
          return [
            Damage(log: nil, range: nil, message: "\(type(of: model)) does not say what the logs say: rebuild it")
          ]
        }
        return []
      } catch let error as StoreError where error.code == .damaged {
        return [Damage(log: nil, range: nil, message: error.message)]
      }
    }
  }

  /// The rows that read models join with: whose the local numbers are.
  private func copyNames(to scratch: Database) throws {
    for table in Schema.tables { try scratch.execute(table) }
    let person = try scratch.statement(
      "INSERT INTO person(pid, key, record, record_hash, change) VALUES(?,?,x'',x'',0)")
    try database.statement("SELECT pid, key FROM person").eachRow {
      person.bind($0.int(0), at: 0)
      person.bind($0.blob(1), at: 1)
      try person.run()
    }
    let log = try scratch.statement(
      """
      INSERT INTO log(lid, key, pid, first, head, head_hash, previous, lower, state, want_head, change) \
      VALUES(?,?,?,0,0,x'',x'',0,0,0,0)
      """)
    try database.statement("SELECT lid, key, pid FROM log").eachRow {
      log.bind($0.int(0), at: 0)
      log.bind($0.blob(1), at: 1)
      log.bind($0.int(2), at: 2)
      try log.run()
    }
  }

  private func addEverything(to model: any ReadModel, in scratch: Database) throws {
    for lid in try database.statement("SELECT lid FROM log ORDER BY lid").map({ $0.int(0) }) {
      guard let entry = try entry(row: lid) else { continue }
      for segment in entry.segments {
        var next = segment.first
        while next <= segment.last {
          let part = try part(entry, containing: next)
          try model.add(part.stretch, 0..<part.stretch.count, of: entry.identity, in: scratch)
          next = part.last + 1
        }
      }
    }
  }
}
