import Events
import Identity
import Primitives
import Store
import Terminal

/// JSON Lines: `store`, `tree`, `person`, `log`, `chunk`, `tail`, `event`, `evidence`, `suspect`, `deletion`, `peer`,
/// then `damage`, `lost` and one `summary`.
extension Report {
  func printJSON() throws {
    if !isFiltered {
      try printStore()
      for tree in inspection.trees { try printTree(tree) }
    }
    for person in persons { try printPerson(person) }
    for log in logs { try printLog(log) }
    if !isFiltered {
      for deletion in inspection.deletions { try printDeletion(deletion) }
      for peer in inspection.peers { try printPeer(peer) }
    }
    try printDamage()
  }

  private func line(_ type: String) -> JSONObject {
    var line = JSONObject.line()
    line.add("type", type)
    return line
  }

  private func printStore() throws {
    let file = inspection.file
    var line = line("store")
    line.add("path", file.path)
    line.add("databaseBytes", file.databaseBytes)
    line.add("writeAheadBytes", file.writeAheadBytes)
    line.add("pageBytes", file.pageBytes)
    line.add("pages", file.pages)
    line.add("freePages", file.freePages)
    line.add("applicationID", file.applicationID)
    line.add("format", file.formatVersion)
    line.add("instance", file.instance.map { Hex.encode($0) })
    line.add("unclean", file.isUnclean)
    line.add("frames", file.frames)
    line.add("commits", file.commits)
    line.add("unfinishedFrames", file.unfinishedFrames)
    line.add("framesBehindDamage", file.framesBehindDamage)
    line.add("newestChange", String(file.newestChange))
    line.add("epochs", file.epochs)
    try output.line(line)
  }

  private func printTree(_ tree: TreeSize) throws {
    var line = line("tree")
    line.add("name", tree.name)
    line.add("index", tree.isIndex)
    line.add("root", tree.root)
    line.add("pages", tree.pages)
    line.add("rows", tree.rows)
    line.add("bytes", tree.rowBytes)
    try output.line(line)
  }

  private func printPerson(_ person: Inspection.PersonFacts) throws {
    var line = line("person")
    line.add("person", person.id.hex)
    line.add("row", person.pid)
    line.add("recordBytes", person.recordBytes)
    line.add("change", String(person.change))
    if let record = person.record {
      line.add("hash", record.hash.hex)
      line.add("root", record.currentRoot.hex)
      line.add("rootNumber", record.rootNumber)
      line.add("recovery", record.recovery.hex)
      line.add("statements", record.statements.count)
      line.add(
        "devices",
        record.devices.map { device in
          var object = JSONObject()
          object.add("log", device.key.hex)
          object.add("number", device.number)
          object.add("label", device.label)
          object.add("revokedAfter", device.revocation.map { $0.sequence.description })
          object.add("revokedHash", device.revocation?.hash.hex)
          return object
        })
    }
    line.add("problem", person.problem)
    try output.line(line)
  }

  private func printLog(_ log: InspectedLog) throws {
    var line = line("log")
    line.add("log", log.key?.hex)
    line.add("row", log.lid)
    line.add("person", log.person?.hex)
    line.add("hasRow", log.hasRow)
    line.add("ranges", log.ranges.map(object))
    line.add("holes", log.holes.map(object))
    line.add("head", log.head.map { $0.sequence.description })
    line.add("headHash", log.head?.hash.hex)
    line.add("want", log.want.map { $0.sequence.description })
    line.add("wantHash", log.want?.hash.hex)
    switch log.end {
    case nil: line.add("state", "open")
    case .frozen(let cut, let previous):
      line.add("state", "frozen")
      line.add("cut", cut.description)
      line.add("cutPrevious", previous.hex)
    case .revoked(let revocation):
      line.add("state", "revoked")
      line.add("cut", revocation.sequence.description)
      line.add("cutHash", revocation.hash.hex)
    }
    line.add("events", log.eventCount)
    line.add("chunks", log.chunkCount)
    line.add("tail", log.tailCount)
    line.add("change", String(log.change))
    line.add("problems", log.problems)
    try output.line(line)
    try printProofs(log)
    if listsChunks { for piece in log.pieces { try printPiece(piece, log) } }
    if listsEvents { try printEvents(log) }
  }

  private func object(_ range: ClosedRange<SequenceNumber>) -> JSONObject {
    var object = JSONObject()
    object.add("first", range.lowerBound.description)
    object.add("last", range.upperBound.description)
    return object
  }

  private func printProofs(_ log: InspectedLog) throws {
    if let evidence = log.evidence {
      var line = line("evidence")
      line.add("log", log.key?.hex)
      line.add("of", evidence.kind == .fork ? "fork" : "broken rule")
      line.add("cut", evidence.cut.description)
      line.add("previous", evidence.previous.hex)
      line.add("headers", evidence.branches.reduce(0) { $0 + $1.headers.count })
      line.add("bytes", evidence.encoded.count)
      try output.line(line)
    }
    if let first = log.suspectFirst {
      var line = line("suspect")
      line.add("log", log.key?.hex)
      line.add("first", first.description)
      try output.line(line)
    }
  }

  private func printPiece(_ piece: InspectedLog.Piece, _ log: InspectedLog) throws {
    var line = line(piece.isTail ? "tail" : "chunk")
    line.add("log", log.key?.hex)
    line.add("row", piece.row)
    line.add("first", piece.first.description)
    line.add("count", piece.count)
    line.add("storedBytes", piece.storedBytes)
    line.add("rawBytes", piece.rawBytes)
    line.add("checksum", piece.checksumHolds)
    line.add("chain", piece.chainHolds)
    line.add("signature", piece.signature.rawValue)
    line.add("proven", piece.isProven)
    line.add("problem", piece.problem)
    try output.line(line)
  }

  private func printEvents(_ log: InspectedLog) throws {
    try log.forEachEvent { found in
      let header = found.event.header
      var line = line("event")
      line.add("id", header.id.description)
      line.add("kind", header.kind.name)
      line.add("time", header.id.time.rfc3339)
      line.add("log", header.log.hex)
      line.add("person", log.person?.hex)
      line.add("seq", header.sequence.description)
      line.add("hash", found.hash.hex)
      line.add("previous", header.previous.hex)
      line.add("place", header.place)
      line.add("flags", header.flags)
      line.add("ttl", header.ttl)
      line.add("live", header.live)
      line.add("payloadBytes", header.payloadBytes)
      line.add("payloadHash", header.payloadHash.hex)
      switch found.event.payload {
      case .present(let bytes):
        line.add("payload", Hex.encode(bytes))
        line.add("text", postText(found.event))
      case .absent(let reason): line.add("absent", String(describing: reason))
      }
      line.add("signature", found.signature.rawValue)
      line.add("chunk", found.row)
      try output.line(line)
    }
  }

  private func printDeletion(_ deletion: Inspection.DeletionFacts) throws {
    var line = line("deletion")
    line.add("targetLog", deletion.target.log.hex)
    line.add("targetSeq", deletion.target.sequence.description)
    line.add("targetHash", deletion.target.hash.hex)
    line.add("log", deletion.log?.hex)
    line.add("seq", deletion.by.description)
    try output.line(line)
  }

  private func printPeer(_ peer: Inspection.PeerFacts) throws {
    var line = line("peer")
    line.add("node", Hex.encode(peer.node))
    line.add("instance", Hex.encode(peer.instance))
    line.add("change", String(peer.change))
    line.add("lastSeen", Timestamp(milliseconds: peer.lastSeen).rfc3339)
    line.add("statement", peer.hasStatement)
    try output.line(line)
  }

  private func printDamage() throws {
    for damage in inspection.damage {
      var line = line("damage")
      line.add("page", damage.page)
      line.add("table", damage.table)
      line.add("message", damage.message)
      try output.line(line)
    }
    for log in logs {
      for loss in log.losses {
        var line = line("lost")
        line.add("log", log.key?.hex)
        line.add("person", log.person?.hex)
        line.add("first", loss.range.lowerBound.description)
        line.add("last", loss.range.upperBound.description)
        line.add("readable", loss.isReadable)
        line.add("reason", loss.reason)
        try output.line(line)
      }
    }
    var summary = line("summary")
    summary.add("sound", inspection.isSound)
    summary.add("persons", inspection.persons.count)
    summary.add("logs", inspection.logs.count)
    summary.add("events", inspection.logs.reduce(0) { $0 + $1.eventCount })
    summary.add("lost", inspection.logs.reduce(0) { $0 + lostCount($1) })
    summary.add("damage", inspection.damage.count)
    try output.line(summary)
  }
}
