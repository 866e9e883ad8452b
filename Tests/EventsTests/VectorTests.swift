import Testing

/// `TL_WRITE_VECTORS=1 swift test --filter VectorTests` writes the files anew.
@Suite struct VectorTests {
  @Test("schemas/vectors/event.json is what the code makes")
  func event() throws { try checkVectors("event.json", EventVectors().listed) }

  @Test("schemas/vectors/stretch.json is what the code makes")
  func stretch() throws {
    let vectors = StretchVectors()
    #expect(vectors.isLaidOutAsAssumed)
    try checkVectors("stretch.json", vectors.listed)
  }

  @Test("schemas/vectors/evidence.json is what the code makes")
  func evidence() throws { try checkVectors("evidence.json", EvidenceVectors().listed) }
}
