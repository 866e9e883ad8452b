import Events
import Identity
import Primitives
import Store
import Terminal

/// For people: what is there, then what is wrong, then what is lost.
extension Report {
  func printText() throws {
    if !isFiltered { try textStore() }
    try output.line("persons".heading)
    for person in persons { try textPerson(person) }
    try output.line("logs".heading)
    for log in logs { try textLog(log) }
    if !isFiltered {
      try textRest()
      try textTrees()
    }
    try textDamage()
  }

  private func textStore() throws {
    let file = inspection.file
    try output.line("\("store", .bold) \(file.path)")
    let database = file.databaseBytes.map { "\($0) bytes" } ?? "missing"
    try output.line(
      "  file \(database), \(file.pages) pages of \(file.pageBytes), \(file.freePages) free; format \(file.formatVersion)"
    )
    let frames = "\(file.frames) frames, \(file.commits) transactions"
    let rest = file.unfinishedFrames > 0 ? ", \(file.unfinishedFrames) frames of an unfinished one" : ""
    try output.line("  write-ahead log \(file.writeAheadBytes.map { "\($0) bytes, \(frames)\(rest)" } ?? "none")")
    let instance = file.instance.map { Hex.encode($0) } ?? "lost"
    try output.line(
      "  instance \(instance), newest change \(file.newestChange), epochs \(file.epochs), \(file.isUnclean ? "not closed in order" : "closed in order")"
    )
  }

  private func textPerson(_ person: Inspection.PersonFacts) throws {
    try output.line(
      "  \(person.id.hex, .cyan) row \(person.pid), record \(person.recordBytes) bytes, change \(person.change)")
    if let record = person.record {
      try output.line("    root \(record.rootNumber) \(record.currentRoot.hex), \(record.statements.count) statements")
      for device in record.devices {
        let revoked = device.revocation.map { ", revoked after \($0.sequence)" } ?? ""
        try output.line("    device \(device.number) \(device.key.hex) “\(device.label)”\(revoked)")
      }
    }
    if let problem = person.problem { try output.line("    \("damaged:", .red) \(problem)") }
  }

  private func textLog(_ log: InspectedLog) throws {
    let ranges = log.ranges.map(text).joined(separator: ", ")
    try output.line("  \(log.key?.hex ?? "(key lost)", .cyan) row \(log.lid) of \(log.person?.hex ?? "(person lost)")")
    try output.line(
      "    holds \(ranges.isEmpty ? "nothing" : ranges): \(log.chunkCount) chunks, \(log.tailCount) in the tail, change \(log.change)"
    )
    if let head = log.head { try output.line("    head \(head.sequence) \(head.hash.hex)", dim: true) }
    if !log.holes.isEmpty { try output.line("    never came: \(log.holes.map(text).joined(separator: ", "))") }
    if let want = log.want { try output.line("    wanted up to \(want.sequence) \(want.hash.hex)") }
    switch log.end {
    case nil: break
    case .frozen(let cut, _): try output.line("    \("frozen", .yellow) from \(cut) on by evidence")
    case .revoked(let revocation): try output.line("    \("revoked", .yellow) after \(revocation.sequence)")
    }
    if let evidence = log.evidence {
      try output.line("    evidence of a \(evidence.kind == .fork ? "fork" : "broken rule") at \(evidence.cut)")
    }
    if let first = log.suspectFirst { try output.line("    a suspected fork, at or below \(first)") }
    for problem in log.problems { try output.line("    \("damaged:", .red) \(problem)") }
    for piece in log.pieces where listsChunks || piece.problem != nil { try textPiece(piece) }
    if listsEvents { try textEvents(log) }
  }

  private func textPiece(_ piece: InspectedLog.Piece) throws {
    let what = piece.row.map { "chunk \($0)" } ?? "tail"
    let chain = piece.chainHolds.map { $0 ? ", chain holds" : ", chain broken" } ?? ""
    let checksum = piece.checksumHolds ? "checksum holds" : "checksum wrong"
    try output.line(
      "    \(what) \(piece.first)–\(piece.last): \(piece.rawBytes) bytes as \(piece.storedBytes), \(checksum)\(chain), signature \(piece.signature.rawValue)"
    )
    if let problem = piece.problem { try output.line("      \("damaged:", .red) \(problem)") }
  }

  private func textEvents(_ log: InspectedLog) throws {
    try log.forEachEvent { found in
      let header = found.event.header
      let payload: String
      switch found.event.payload {
      case .present(let bytes): payload = postText(found.event).map { "“\($0)”" } ?? "\(bytes.count) bytes"
      case .absent(let reason): payload = "no content (\(reason))"
      }
      try output.line(
        "    \(header.sequence.description, .bold) \(header.id.time.rfc3339) \(header.id) \(header.kind.name) \(payload)"
      )
      try output.line(
        "      hash \(found.hash.hex) place \(header.place) flags \(header.flags) ttl \(header.ttl) live \(header.live) size \(header.payloadBytes) signature \(found.signature.rawValue)",
        dim: true)
    }
  }

  private func textRest() throws {
    if !inspection.deletions.isEmpty { try output.line("deletions".heading) }
    for deletion in inspection.deletions {
      try output.line(
        "  \(deletion.target.log.hex) \(deletion.target.sequence) by \(deletion.log?.hex ?? "a lost log") \(deletion.by)"
      )
    }
    if !inspection.peers.isEmpty { try output.line("peers".heading) }
    for peer in inspection.peers {
      let seen = Timestamp(milliseconds: peer.lastSeen).rfc3339
      try output.line("  \(Hex.encode(peer.node)) seen up to change \(peer.change) at \(seen)")
    }
  }

  private func textTrees() throws {
    try output.line("tables and indexes".heading)
    for tree in inspection.trees {
      try output.line("  \(tree.name) \(tree.pages) pages, \(tree.rows) rows, \(tree.rowBytes) bytes")
    }
  }

  private func textDamage() throws {
    guard !inspection.isSound else {
      try output.line("\("sound", .green): every row, checksum, chain and signature was checked")
      return
    }
    try output.line("damage".heading)
    for damage in inspection.damage {
      let place = [damage.table, damage.page.map { "page \($0)" }].compactMap { $0 }.joined(separator: ", ")
      try output.line("  \(place.isEmpty ? "file" : place): \(damage.message)")
    }
    for person in persons {
      if let problem = person.problem { try output.line("  person \(person.id.hex): \(problem)") }
    }
    for log in logs {
      for problem in log.problems + log.pieces.compactMap(\.problem) {
        try output.line("  log \(log.key?.hex ?? "row \(log.lid)"): \(problem)")
      }
    }
    try output.line("lost".heading)
    var isAnythingLost = false
    for log in logs {
      for loss in log.losses {
        isAnythingLost = true
        let readable = loss.isReadable ? " (its bytes are there, not proven)" : ""
        try output.line(
          "  \("log", .red) \(log.key?.hex ?? "row \(log.lid)"): events \(text(loss.range)): \(loss.reason)\(readable)")
      }
    }
    // The tables that say what there should be.
    let tables: [String] = ["sqlite_schema", "log", "segment"]
    let damaged = Set(inspection.damage.compactMap(\.table))
    let lists = tables.filter(damaged.contains)
    if !lists.isEmpty {
      try output.line("  what else there was cannot be told: damaged are \(lists.joined(separator: ", "))")
    } else if !isAnythingLost {
      try output.line("  no event that the store knows of")
    }
  }

  private func text(_ range: ClosedRange<SequenceNumber>) -> String {
    range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range.lowerBound)–\(range.upperBound)"
  }

  func postText(_ event: Event) -> String? {
    guard event.header.kind == .post, event.header.isPlain, let bytes = event.payload.bytes,
      case .post(let post)? = try? EventContent(.post, bytes, 0..<bytes.count)
    else { return nil }
    return post.text
  }

  func lostCount(_ log: InspectedLog) -> Int {
    log.losses.reduce(0) { $0 + ($1.range.upperBound - $1.range.lowerBound + 1) }
  }
}

extension String {
  fileprivate var heading: StyledText { StyledText(self, .bold) }
}

extension Output {
  fileprivate func line(_ text: String, dim: Bool) throws(CommandFailure) {
    try line(StyledText(text, dim ? .dim : .plain))
  }
}
