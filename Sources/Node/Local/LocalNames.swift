public import Identity
public import Primitives

/// Who goes by a name, as peers in the network say.
public struct LocalNames: Hashable, Sendable {
  public struct Candidate: Hashable, Sendable {
    public var person: PersonID
    /// As the person writes it.
    public var name: String
    /// How many peers said so.
    public var peers: Int

    public init(person: PersonID, name: String, peers: Int) {
      self.person = person
      self.name = name
      self.peers = peers
    }
  }

  /// Whom most peers name first; of equals in the order of their ids.
  public var candidates: [Candidate]
  /// Peers that were asked, and that answered.
  public var asked: Int
  public var answered: Int

  public init(candidates: [Candidate], asked: Int, answered: Int) {
    self.candidates = candidates
    self.asked = asked
    self.answered = answered
  }
}

extension LocalNames {
  func write(to writer: inout CBORWriter) {
    writer.array(3)
    writer.array(candidates.count)
    for candidate in candidates {
      writer.array(3)
      writer.byteString(candidate.person)
      writer.text(candidate.name)
      writer.count(candidate.peers)
    }
    writer.count(asked)
    writer.count(answered)
  }

  init(from reader: inout CBORReader) throws(ByteError) {
    try reader.parts(3, of: "an answer about a name")
    var candidates: [Candidate] = []
    for _ in 0..<(try reader.arrayCount(atMost: LocalLimits.candidates)) {
      try reader.parts(3, of: "a candidate")
      let person: PersonID = try reader.bytes32()
      let name = try reader.text(atMost: Name.byteMaximum)
      candidates.append(Candidate(person: person, name: name, peers: try reader.count()))
    }
    let asked = try reader.count()
    self.init(candidates: candidates, asked: asked, answered: try reader.count())
  }
}
