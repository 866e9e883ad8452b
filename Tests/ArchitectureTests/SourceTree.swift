import Foundation

/// The files of the package as they lie on disk.
struct SourceTree: Sendable {
  struct File: Sendable {
    /// Relative to the package, with forward slashes.
    let path: String
    let lines: [String]
  }

  let root: URL

  init() throws {
    var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    while !FileManager.default.fileExists(atPath: folder.appendingPathComponent("Package.swift").path) {
      guard folder.pathComponents.count > 1 else { throw CocoaError(.fileNoSuchFile) }
      folder = folder.deletingLastPathComponent()
    }
    root = folder
  }

  /// All text files below a folder with one of the given endings (all that are UTF-8 when none is given), by path.
  /// Hidden files, which include build folders, are left out.
  func files(under folder: String, endingIn endings: [String] = []) throws -> [File] {
    let base = root.appendingPathComponent(folder)
    let walk = FileManager.default.enumerator(
      at: base, includingPropertiesForKeys: [.isRegularFileKey], options: [.skipsHiddenFiles])
    var files: [File] = []
    while let url = walk?.nextObject() as? URL {
      guard endings.isEmpty || endings.contains(url.pathExtension),
        try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true,
        let text = String(validating: try Data(contentsOf: url), as: UTF8.self)
      else { continue }
      let path = folder + url.standardizedFileURL.path.dropFirst(base.standardizedFileURL.path.count)
      var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      if lines.last == "" { lines.removeLast() }
      files.append(File(path: path, lines: lines))
    }
    return files.sorted { $0.path < $1.path }
  }

  func swiftFiles(under folders: [String] = ["Sources", "tools", "benchmarks"]) throws -> [File] {
    try folders.flatMap { try files(under: $0, endingIn: ["swift"]) }
  }

  func folders(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(
      at: root.appendingPathComponent(folder), includingPropertiesForKeys: [.isDirectoryKey],
      options: [.skipsHiddenFiles]
    ).filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }
      .map(\.lastPathComponent).sorted()
  }
}

extension SourceTree.File {
  /// The modules that a Swift file imports, each with its line number. Knows access levels, attributes and the form
  /// `import struct Module.Type`.
  var imports: [(module: String, line: Int)] {
    lines.enumerated().compactMap { index, line in
      var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      while let word = words.first, word.hasPrefix("@") || Self.accessLevels.contains(String(word)) {
        words.removeFirst()
      }
      guard words.first == "import", words.count > 1 else { return nil }
      let name = Self.kinds.contains(String(words[1])) && words.count > 2 ? words[2] : words[1]
      return (String(name.prefix { $0 != "." && $0 != ";" }), index + 1)
    }
  }

  /// Lines that match, as `path:line`.
  func places<Output>(of pattern: Regex<Output>) -> [String] {
    lines.enumerated().filter { $0.element.firstMatch(of: pattern) != nil }.map { "\(path):\($0.offset + 1)" }
  }

  private static let accessLevels: Set<String> = ["public", "package", "internal", "fileprivate", "private"]
  private static let kinds: Set<String> = [
    "class", "enum", "func", "let", "protocol", "struct", "typealias", "var",
  ]
}
