import Primitives

/// What the file spends on one table or index.
public struct TreeSize: Hashable, Sendable {
  public var name: String
  public var isIndex: Bool
  /// Page at the top; 0 for rows whose tree is lost.
  public var root: Int
  public var pages = 0
  public var rows = 0
  /// Bytes of the rows themselves.
  public var rowBytes = 0
}

/// Walks the trees of a page file, row by row. What does not read is noted and passed over.
final class TreeWalk {
  let file: PageFile
  /// Which tree each page belongs to.
  private(set) var owners: [Int: String] = [:]
  var problems: [FileDamage] = []

  init(_ file: PageFile) { self.file = file }

  func own(_ pages: some Sequence<Int>, as name: String) {
    for page in pages {
      if let other = owners.updateValue(name, forKey: page) {
        note(page, name, "page \(page) also belongs to \(other)")
      }
    }
  }

  /// - Parameter isTable: rows by number; otherwise rows are keys (an index, or a table WITHOUT ROWID).
  func walk(_ name: String, root: Int, isTable: Bool, isIndex: Bool = false, _ visit: (BareRow) -> Void) -> TreeSize {
    var size = TreeSize(name: name, isIndex: isIndex, root: root)
    var lastRow: Int64?
    func take(_ cell: PageFile.Cell, _ index: Int, _ page: PageFile.Page) {
      own(cell.overflow, as: name)
      size.pages += cell.overflow.count
      size.rows += 1
      size.rowBytes += cell.payload.count
      if isTable {
        if let last = lastRow, cell.rowid <= last {
          note(page.number, name, "row \(cell.rowid) comes after row \(last)")
        }
        lastRow = cell.rowid
      }
      do throws(ByteError) {
        visit(try BareRow(cell, page: page.number, index: index))
      } catch {
        note(page.number, name, "cell \(index) of page \(page.number) does not read: \(error)")
      }
    }
    func descend(_ number: Int, _ depth: Int, _ expected: Int64?) {
      guard depth < Self.depthMaximum, owners[number] == nil else {
        note(number, name, "page \(number) hangs in the tree twice")
        return
      }
      let page: PageFile.Page
      do throws(ByteError) {
        page = try file.page(number)
      } catch {
        owners[number] = name
        let rows = expected.map { " (rows up to \($0)\(lastRow.map { ", after \($0)" } ?? ""))" } ?? ""
        note(number, name, "\(error.reason)\(rows)")
        return
      }
      own([number], as: name)
      size.pages += 1
      guard page.kind.isTable == isTable else {
        note(number, name, "page \(number) is of another kind of tree")
        return
      }
      for index in 0..<page.cellCount {
        do throws(ByteError) {
          let cell = try file.cell(page, index)
          if !page.kind.isLeaf { descend(cell.left, depth + 1, isTable ? cell.rowid : nil) }
          if page.kind != .tableInterior { take(cell, index, page) }
        } catch {
          note(number, name, "cell \(index) of page \(number) does not read: \(error)")
        }
      }
      if !page.kind.isLeaf { descend(page.right, depth + 1, nil) }
    }
    descend(root, 0, nil)
    return size
  }

  /// Rows on pages that no tree leads to.
  func strays(_ visit: (BareRow) -> Void) -> Int {
    var pages = 0
    for number in stride(from: 2, through: file.pageCount, by: 1) where owners[number] == nil {
      guard let page = try? file.page(number), page.kind != .tableInterior else { continue }
      var found = false
      for index in 0..<page.cellCount {
        guard let cell = try? file.cell(page, index), let row = try? BareRow(cell, page: number, index: index) else {
          continue
        }
        visit(row)
        found = true
      }
      if found {
        pages += 1
        owners[number] = "(stray)"
      }
    }
    return pages
  }

  func note(_ page: Int?, _ table: String?, _ message: String) {
    problems.append(FileDamage(page: page, table: table, message: message))
  }

  /// Twenty levels hold more rows than there are numbers.
  private static let depthMaximum = 20
}

/// Something wrong with the file itself.
public struct FileDamage: Hashable, Sendable {
  public var page: Int?
  public var table: String?
  public var message: String
}
