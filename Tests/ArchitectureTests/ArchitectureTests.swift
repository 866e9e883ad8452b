import Testing

@Suite struct ArchitectureTests {
  let tree: SourceTree

  init() throws { tree = try SourceTree() }

  @Test("a module imports only what the module map allows")
  func imports() throws {
    var wrong: [String] = []
    for file in try tree.swiftFiles() {
      guard let rule = ModuleMap.rule(for: file.path) else {
        wrong.append("\(file.path): in no module of the map")
        continue
      }
      for (module, line) in file.imports where !rule.mayImport.contains(module) {
        wrong.append("\(file.path):\(line): \(rule.folder) may not import \(module)")
      }
    }
    #expect(wrong == [])
  }

  @Test("every folder of Sources is in the module map")
  func foldersAreKnown() throws {
    let known = Set(ModuleMap.rules.map { String($0.folder.split(separator: "/")[1]) }).union(ModuleMap.foreign)
    #expect(try tree.folders(in: "Sources").filter { !known.contains($0) } == [])
  }

  @Test("the map keeps pure modules pure and every foreign library behind one module")
  func mapIsSound() {
    func users(of module: String) -> [String] {
      ModuleMap.rules.filter { $0.mayImport.contains(module) }.map(\.folder).filter { $0 != "benchmarks/tl-bench" }
    }
    #expect(users(of: "CSodium") == ["Sources/Identity"])
    #expect(users(of: "CSQLite") == ["Sources/Store"])
    #expect(users(of: "CLZ4") == ["Sources/Store"])
    #expect(users(of: "COpenSSL") == ["Sources/DHT", "Sources/Transport"])
    #expect(users(of: "Foundation") == [])
    #expect(ModuleMap.rule(for: "Sources/DHT/")?.mayImport.subtracting(ModuleMap.pure) == ["COpenSSL"])
    let pure = ["Sources/Primitives", "Sources/Events", "Sources/Replication", "Sources/Node/Core"]
    for rule in ModuleMap.rules where pure.contains(rule.folder) {
      #expect(rule.mayImport.isSubset(of: ModuleMap.pure), "\(rule.folder)")
    }
  }

  @Test(
    "an import is recognised in every form",
    arguments: [
      ("import Glibc", "Glibc"), ("  public import Events", "Events"), ("@preconcurrency import Dispatch", "Dispatch"),
      ("@preconcurrency package import Store", "Store"), ("private import struct Foundation.Data", "Foundation"),
      ("import CSodium // keys", "CSodium"), ("internal import Glibc;", "Glibc"),
    ])
  func importForms(line: String, module: String) {
    #expect(SourceTree.File(path: "a.swift", lines: [line]).imports.map(\.module) == [module])
  }

  @Test("what is not an import is not taken for one", arguments: ["// import Glibc", "let import1 = 2", "important()"])
  func notImports(line: String) {
    #expect(SourceTree.File(path: "a.swift", lines: [line]).imports.isEmpty)
  }

  @Test("no module has a type of its own name")
  func noTypeNamedLikeItsModule() throws {
    var wrong: [String] = []
    for file in try tree.swiftFiles() {
      let module = file.path.split(separator: "/")[1].replacing("-", with: "_")
      let declaration = try Regex(#"^[^/"]*\b(struct|class|enum|actor|protocol|typealias)\s+\#(module)\b"#)
      wrong += file.places(of: declaration)
    }
    #expect(wrong == [])
  }

  @Test("a source file has at most 500 lines")
  func fileLength() throws {
    let long = try tree.swiftFiles().filter { $0.lines.count > 500 }
    #expect(long.map { "\($0.path): \($0.lines.count) lines" } == [])
  }

  // The patterns are put together from pieces, so that this file does not match itself.

  @Test("no test waits by sleeping")
  func noSleepingTests() throws {
    let sleeps = try Regex(#"\b(Task\.sl"# + #"eep|usl"# + #"eep|sl"# + #"eep\s*\()"#)
    #expect(try tree.files(under: "Tests", endingIn: ["swift"]).flatMap { $0.places(of: sleeps) } == [])
  }

  @Test("no test is switched off")
  func noSkippedTests() throws {
    let skips = try Regex(#"\.disa"# + #"bled\(|XCTS"# + #"kip|\.ena"# + #"bled\(if: false"#)
    #expect(try tree.files(under: "Tests", endingIn: ["swift"]).flatMap { $0.places(of: skips) } == [])
  }

  @Test("nothing is left open in a comment", arguments: ["Sources", "Tests", "tools", "benchmarks", "schemas"])
  func noOpenEnds(folder: String) throws {
    let marks = try Regex(#"\b(TO"# + #"DO|FIX"# + #"ME)\b"#)
    #expect(try tree.files(under: folder).flatMap { $0.places(of: marks) } == [])
  }
}
