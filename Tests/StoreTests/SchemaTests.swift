import Events
import Glibc
import Primitives
import Store
import Testing

@Suite struct SchemaTests {
  private func normalized(_ sql: String) -> String {
    sql.split(separator: "\n").map { $0.split(separator: "--", omittingEmptySubsequences: false)[0] }
      .joined(separator: " ").split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
  }

  private func documented() throws -> [String] {
    let path = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/schemas/store.sql"
    let file = try #require(fopen(path, "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 18)
    bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
    return normalized(String(decoding: bytes, as: UTF8.self)).split(separator: ";").map {
      $0.split(separator: " ").joined(separator: " ")
    }.filter { !$0.isEmpty }
  }

  @Test("schemas/store.sql says exactly what a new store is made of")
  func documentedSchema() throws {
    let disk = MemoryDisk()
    let store = try EventStore.inMemory(disk)
    let made = try store.database.statement(
      "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL"
    ).map { normalized($0.text(0)) }
    let documented = try documented()
    for statement in made { #expect(documented.contains(statement), "\(statement) is not in schemas/store.sql") }
    // Read models add theirs; here only the store's own tables are made.
    let names = Set(try store.database.statement("SELECT name FROM sqlite_schema").map { $0.text(0) })
    #expect(names.count > 15)
  }

  @Test("the pragmas that the design rests on are in force")
  func pragmas() throws {
    let disk = MemoryDisk()
    let store = try EventStore.inMemory(disk)
    func text(_ name: String) throws -> String? { try store.database.statement("PRAGMA \(name)").first { $0.text(0) } }
    #expect(try text("journal_mode") == "wal")
    #expect(try text("synchronous") == "2")
    #expect(try text("secure_delete") == "1")
    #expect(try text("auto_vacuum") == "2")
    #expect(try text("foreign_keys") == "0")
    #expect(try text("application_id") == "\(0x746C_6F67)")
    #expect(try text("user_version") == "1")
  }

  @Test("a store of a newer format and a foreign database are refused in words")
  func refusals() throws {
    let disk = MemoryDisk()
    let store = try EventStore.inMemory(disk)
    try store.database.execute("PRAGMA user_version=2")
    store.close()
    #expect {
      try EventStore.inMemory(disk)
    } throws: { error in
      guard let error = error as? StoreError else { return false }
      return error.code == .unsupported && error.message.contains("newer tl")
    }
    let other = MemoryDisk()
    let database = try Database(path: "store", mode: .writer, environment: StorageEnvironment(disk: other))
    try database.execute("CREATE TABLE t(a)")
    database.close()
    #expect { try EventStore.inMemory(other) } throws: { ($0 as? StoreError)?.code == .unsupported }
  }
}
