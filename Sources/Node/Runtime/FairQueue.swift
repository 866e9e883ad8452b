/// What waits, by owner. The owner that has had the least goes first, whatever it and the others have waiting; what one
/// owner has waiting stays in its order.
///
/// Start-time fair queueing: an owner's account is what it has cost, and never less than that of the one served last, so
/// that nobody saves up by being idle.
package struct FairQueue<Owner: Hashable, Element> {
  private var waiting: [(owner: Owner, element: Element)] = []
  private var accounts: [Owner: UInt64] = [:]
  private var level: UInt64 = 0

  package init() {}

  package var count: Int { waiting.count }

  package mutating func append(_ element: Element, for owner: Owner) { waiting.append((owner, element)) }

  /// The element whose turn it is; it stays until `removeNext`.
  package var next: (owner: Owner, element: Element)? {
    // The first of equals: arrival decides. There is at most a handful for each of some dozen sessions.
    waiting.min { account($0.owner) < account($1.owner) }
  }

  /// Takes out the first element of an owner, which has been dealt with.
  package mutating func removeNext(of owner: Owner, cost: UInt64) {
    guard let index = waiting.firstIndex(where: { $0.owner == owner }) else { return }
    waiting.remove(at: index)
    level = account(owner)
    accounts[owner] = level + cost
    // Who is at the level or below it is as good as forgotten.
    if accounts.count > Self.accountsMaximum { accounts = accounts.filter { $0.value > level } }
  }

  private func account(_ owner: Owner) -> UInt64 { max(accounts[owner] ?? 0, level) }

  private static var accountsMaximum: Int { 256 }
}
