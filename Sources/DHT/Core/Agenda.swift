package import Primitives

/// What is to happen when: the one list behind a core's one deadline. Entries of one moment come out in the order they
/// were put in. An entry that no longer matters is left in and found out when it is due.
package struct Agenda<Entry: Sendable>: Sendable {
  private var heap: [(due: Instant, number: UInt64, entry: Entry)] = []
  private var number: UInt64 = 0

  package init() {}

  package var first: (due: Instant, entry: Entry)? { heap.first.map { ($0.due, $0.entry) } }
  package var count: Int { heap.count }

  package mutating func add(_ entry: Entry, at due: Instant) {
    number += 1
    heap.append((due, number, entry))
    var index = heap.count - 1
    while index > 0, precedes(index, (index - 1) / 2) {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  package mutating func removeFirst() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count && precedes(child, least) { least = child }
      if least == index { return }
      heap.swapAt(index, least)
      index = least
    }
  }

  private func precedes(_ a: Int, _ b: Int) -> Bool {
    heap[a].due == heap[b].due ? heap[a].number < heap[b].number : heap[a].due < heap[b].due
  }
}
