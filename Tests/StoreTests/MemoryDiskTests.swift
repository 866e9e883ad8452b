import Primitives
import Store
import Testing

@Suite struct MemoryDiskTests {
  /// Numbers acknowledged before the fault, in order.
  private func run(on disk: MemoryDisk, synchronous: String, commits: Int) -> [Int64] {
    var acknowledged: [Int64] = []
    var options = Database.Options()
    options.synchronous = synchronous
    options.checkpointBytes = 40_000
    do {
      let database = try Database(
        path: "store", mode: .writer, environment: StorageEnvironment(disk: disk), options: options)
      try database.execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b)")
      for number in 0..<Int64(commits) {
        try database.transaction {
          let insert = try database.statement("INSERT INTO t VALUES(?, zeroblob(600))")
          insert.bind(number, at: 0)
          try insert.run()
        }
        acknowledged.append(number)
      }
    } catch {}
    return acknowledged
  }

  private func survivors(on disk: MemoryDisk) throws -> [Int64] {
    let database = try Database(path: "store", mode: .writer, environment: StorageEnvironment(disk: disk))
    #expect(try database.statement("PRAGMA integrity_check").first { $0.text(0) } == "ok")
    guard try database.number("SELECT count(*) FROM sqlite_schema") != 0 else { return [] }
    return try database.statement("SELECT a FROM t ORDER BY a").map { $0.int(0) }
  }

  @Test("with synchronous=FULL no acknowledged commit is lost, wherever of 200 operations the power goes")
  func fullLosesNothing() throws {
    var crashes = 0
    for point in 0..<200 {
      for (keeping, seed) in [(0.0, UInt64(0)), (0.5, UInt64(point)), (0.9, UInt64(point + 1000))] {
        let disk = MemoryDisk()
        disk.schedule(.powerCut, atOperation: point)
        let acknowledged = run(on: disk, synchronous: "FULL", commits: 60)
        #expect(acknowledged.count < 60)
        disk.crash(keeping: keeping, seed: seed)
        let found = try survivors(on: disk)
        #expect(found.starts(with: acknowledged), "crash at \(point), keeping \(keeping)")
        #expect(found.count <= acknowledged.count + 1)
        crashes += 1
      }
    }
    #expect(crashes == 600)
  }

  @Test("with synchronous=OFF the harness catches lost commits")
  func offLoses() throws {
    var losses = 0
    for point in stride(from: 20, to: 200, by: 5) {
      let disk = MemoryDisk()
      disk.schedule(.powerCut, atOperation: point)
      let acknowledged = run(on: disk, synchronous: "OFF", commits: 100)
      disk.crash()
      if let found = try? survivors(on: disk), found.starts(with: acknowledged) { continue }
      losses += 1
    }
    #expect(losses > 10)
  }

  @Test("a full disk at any operation is named, loses nothing, and the store goes on once there is space")
  func full() throws {
    for point in 8..<80 {
      let disk = MemoryDisk()
      disk.schedule(.fullFromHere, atOperation: point)
      let acknowledged = run(on: disk, synchronous: "FULL", commits: 60)
      disk.clearFaults()
      let found = try survivors(on: disk)
      #expect(found.starts(with: acknowledged))
      let database = try Database(path: "store", mode: .writer, environment: StorageEnvironment(disk: disk))
      try database.execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b)")
      try database.transaction { try database.execute("INSERT INTO t VALUES(1000, NULL)") }
    }
  }

  @Test("after a failed sync the connection acknowledges nothing more")
  func failedSync() throws {
    for point in 0..<40 {
      let disk = MemoryDisk()
      let database = try Database(path: "store", mode: .writer, environment: StorageEnvironment(disk: disk))
      try database.execute("CREATE TABLE t(a)")
      disk.schedule(.inputOutputError, atOperation: disk.operations + point)
      var failed = false
      for number in 0..<60 {
        do {
          try database.transaction { try database.execute("INSERT INTO t VALUES(\(number))") }
          #expect(!failed)
        } catch let error as StoreError {
          #expect(error.code == .io)
          failed = true
        }
      }
      #expect(failed)
    }
  }

  @Test("handles from before a crash are dead")
  func deadHandles() throws {
    let disk = MemoryDisk()
    let database = try Database(path: "store", mode: .writer, environment: StorageEnvironment(disk: disk))
    try database.execute("CREATE TABLE t(a)")
    disk.crash()
    #expect(throws: StoreError.self) { try database.transaction { try database.execute("INSERT INTO t VALUES(1)") } }
    let again = try Database(path: "store", mode: .writer, environment: StorageEnvironment(disk: disk))
    #expect(try again.number("SELECT count(*) FROM t") == 0)
  }

  @Test("equal seeds tear equally")
  func deterministic() throws {
    func image(seed: UInt64) -> [[UInt8]?] {
      let disk = MemoryDisk(seed: 1)
      disk.schedule(.powerCut, atOperation: 97)
      _ = run(on: disk, synchronous: "OFF", commits: 60)
      disk.crash(keeping: 0.5, seed: seed)
      return disk.paths.map(disk.contents)
    }
    #expect(image(seed: 5) == image(seed: 5))
    #expect(image(seed: 5) != image(seed: 6))
  }
}
