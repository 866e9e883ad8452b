public import Primitives

/// What is to happen when: the one list behind a core's one deadline. Entries of one moment come out in the order they
/// were put in. An entry that no longer matters is left in and found out when it is due.
@usableFromInline
package struct Agenda<Entry: Sendable>: Sendable {
  @usableFromInline
  struct Appointment: Sendable {
    @usableFromInline var due: Instant
    @usableFromInline var number: UInt64
    @usableFromInline var entry: Entry

    @inlinable
    init(due: Instant, number: UInt64, entry: Entry) {
      self.due = due
      self.number = number
      self.entry = entry
    }

    @inlinable
    func precedes(_ other: Self) -> Bool { due == other.due ? number < other.number : due < other.due }
  }

  // A heap: nobody comes before the one at half its place.
  @usableFromInline var heap: [Appointment] = []
  @usableFromInline var number: UInt64 = 0

  @inlinable
  package init() {}

  @inlinable
  package var first: (due: Instant, entry: Entry)? { heap.first.map { ($0.due, $0.entry) } }

  @inlinable
  package var nextDue: Instant? { heap.first?.due }

  @inlinable
  package var count: Int { heap.count }

  @inlinable
  package mutating func add(_ entry: Entry, at due: Instant) {
    number += 1
    heap.append(Appointment(due: due, number: number, entry: entry))
    var index = heap.count - 1
    while index > 0, heap[index].precedes(heap[(index - 1) / 2]) {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  @inlinable
  package mutating func removeFirst() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var index = 0
    while true {
      var least = index
      let child = 2 * index + 1
      if child < heap.count, heap[child].precedes(heap[least]) { least = child }
      if child + 1 < heap.count, heap[child + 1].precedes(heap[least]) { least = child + 1 }
      if least == index { return }
      heap.swapAt(index, least)
      index = least
    }
  }
}
