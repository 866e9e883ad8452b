import Glibc
import Primitives
import Store
import Testing

/// A directory for one test, removed afterwards.
final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/tl-store-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template)!)
  }

  func file(_ name: String) -> String { path + "/" + name }

  deinit {
    for suffix in ["", "-wal", "-shm"] {
      for name in ["store", "other"] { unlink(file(name) + suffix) }
    }
    rmdir(path)
  }
}

@Suite struct DatabaseTests {
  @Test("values of every type come back as they went in")
  func roundTrip() throws {
    let directory = TemporaryDirectory()
    let database = try Database(path: directory.file("store"), mode: .writer)
    try database.execute("CREATE TABLE t(a INTEGER, b BLOB, c TEXT, d)")
    let insert = try database.statement("INSERT INTO t VALUES(?,?,?,?)")
    let key = Bytes32<Int>(Array(0..<32))!
    try database.transaction {
      insert.bind(UInt64.max, at: 0)
      insert.bind([UInt8](), at: 1)
      insert.bind("a text", at: 2)
      insert.bindNull(at: 3)
      try insert.run()
      insert.bind(Int64.min, at: 0)
      insert.bind(key, at: 1)
      try [1, 2, 3].withUnsafeBytes {
        insert.bind(inPlace: $0, at: 3)
        try insert.run()
      }
    }
    let select = try database.statement("SELECT * FROM t ORDER BY rowid")
    #expect(try select.step())
    #expect(select.unsigned(0) == .max && select.blob(1) == [] && select.text(2) == "a text" && select.isNull(3))
    #expect(!select.isNull(1))
    #expect(try select.step())
    #expect(select.int(0) == .min && select.bytes32(1) == key)
    #expect(try !select.step())
  }

  @Test("a transaction that throws leaves nothing, also from inside another")
  func rollback() throws {
    struct Stop: Error {}
    let directory = TemporaryDirectory()
    let database = try Database(path: directory.file("store"), mode: .writer)
    try database.execute("CREATE TABLE t(a)")
    #expect(throws: Stop.self) {
      try database.transaction {
        try database.execute("INSERT INTO t VALUES(1)")
        try database.transaction { throw Stop() }
      }
    }
    #expect(try database.number("SELECT count(*) FROM t") == 0)
    try database.transaction { try database.execute("INSERT INTO t VALUES(1)") }
    #expect(try database.number("SELECT count(*) FROM t") == 1)
  }

  @Test("the file is readable by its owner alone")
  func permissions() throws {
    let directory = TemporaryDirectory()
    let database = try Database(path: directory.file("store"), mode: .writer)
    try database.execute("CREATE TABLE t(a)")
    for suffix in ["", "-wal", "-shm"] {
      var status = stat()
      #expect(stat(directory.file("store") + suffix, &status) == 0)
      #expect(status.st_mode & 0o077 == 0)
    }
  }

  @Test("a reader sees commits, keeps its snapshot, cannot write and neither waits nor makes the writer wait")
  func readers() throws {
    let directory = TemporaryDirectory()
    #expect(throws: StoreError.self) { try Database(path: directory.file("store"), mode: .reader) }
    let writer = try Database(path: directory.file("store"), mode: .writer)
    try writer.execute("CREATE TABLE t(a)")
    let reader = try Database(path: directory.file("store"), mode: .reader)
    #expect(throws: StoreError.self) { try reader.execute("INSERT INTO t VALUES(1)") }
    #expect(throws: StoreError.self) { try reader.transaction {} }
    try writer.transaction {
      try writer.execute("INSERT INTO t VALUES(1)")
      #expect(try reader.number("SELECT count(*) FROM t") == 0)
    }
    try reader.snapshot {
      #expect(try reader.number("SELECT count(*) FROM t") == 1)
      try writer.transaction { try writer.execute("INSERT INTO t VALUES(2)") }
      #expect(writer.checkpoint())
      #expect(try reader.number("SELECT count(*) FROM t") == 1)
    }
    #expect(try reader.number("SELECT count(*) FROM t") == 2)
  }

  @Test("the write-ahead log stays near its bound and is empty after the writer left")
  func checkpoints() throws {
    let directory = TemporaryDirectory()
    var options = Database.Options()
    options.checkpointBytes = 256 << 10
    let writer = try Database(path: directory.file("store"), mode: .writer, options: options)
    try writer.execute("CREATE TABLE t(a)")
    let reader = try Database(path: directory.file("store"), mode: .reader)
    for _ in 0..<100 {
      try writer.transaction { try writer.execute("INSERT INTO t VALUES(zeroblob(20000))") }
      #expect(try reader.number("SELECT count(*) FROM t")! > 0)
    }
    func walBytes() -> Int {
      var status = stat()
      return stat(directory.file("store-wal"), &status) == 0 ? Int(status.st_size) : 0
    }
    #expect(walBytes() < 512 << 10)
    writer.close()
    #expect(walBytes() == 0)
    #expect(try reader.number("SELECT count(*) FROM t") == 100)
  }

  @Test("a file that is no database is damaged, not a trap")
  func notADatabase() throws {
    let disk = MemoryDisk()
    disk.replace("store", with: [UInt8](repeating: 7, count: 8192))
    #expect {
      try Database(path: "store", mode: .writer, environment: StorageEnvironment(disk: disk))
    } throws: { ($0 as? StoreError)?.code == .damaged }
  }
}
