import Node
import Testing

@Suite struct FairQueueTests {
  /// Takes the next one out, at a cost.
  private func serve(_ queue: inout FairQueue<Int, String>, cost: UInt64) -> String? {
    guard let next = queue.next else { return nil }
    queue.removeNext(of: next.owner, cost: cost)
    return next.element
  }

  @Test("what one owner has waiting is served in its order")
  func order() {
    var queue = FairQueue<Int, String>()
    for element in ["a", "b", "c"] { queue.append(element, for: 1) }
    #expect((0..<4).map { _ in serve(&queue, cost: 5) } == ["a", "b", "c", nil])
    #expect(queue.count == 0)
  }

  @Test("who asks for little goes before all who had more, however much they have waiting")
  func little() {
    var queue = FairQueue<Int, String>()
    for greedy in 1...20 { for _ in 0..<10 { queue.append("greedy", for: greedy) } }
    for _ in 0..<40 { #expect(serve(&queue, cost: 100) == "greedy") }
    queue.append("modest", for: 99)
    #expect(serve(&queue, cost: 1) == "modest")
    queue.append("modest", for: 99)
    // It has had a little: everybody else gets one turn at most before it is served again.
    var turns = 0
    while serve(&queue, cost: 100) == "greedy" { turns += 1 }
    #expect(turns <= 20)
  }

  @Test("each owner gets the same time, and being idle saves nothing up")
  func shares() {
    var queue = FairQueue<Int, String>()
    var spent = [0, 0]
    for _ in 0..<50 { queue.append("dear", for: 0) }
    for _ in 0..<10 { _ = serve(&queue, cost: 30) }
    for _ in 0..<500 { queue.append("cheap", for: 1) }
    for _ in 0..<200 {
      guard let next = queue.next else { break }
      let cost: UInt64 = next.owner == 0 ? 30 : 3
      spent[next.owner] += Int(cost)
      queue.removeNext(of: next.owner, cost: cost)
    }
    #expect(abs(spent[0] - spent[1]) <= 60)
  }
}
