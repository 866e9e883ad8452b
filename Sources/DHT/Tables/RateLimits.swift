package import Primitives

/// What one remote, and all together, may cost us; and what we may cost one remote.
package struct RateLimits: Sendable {
  package struct Options: Sendable {
    /// Packets of one address each second, over 10 s.
    package var packetsPerSecond = 5
    /// An address that sends more is not heard for so long.
    package var silence = Duration.seconds(300)
    /// Bytes of replies a second to all together; three seconds' worth may go at once.
    package var replyBytesPerSecond = 8_000
    /// Reply bytes for each byte of an address that has proved nothing; nil for no bound. Whoever forges sources gets no
    /// more out of us than this.
    package var amplificationMaximum: Int? = 5
    /// Stores an hour from one site (/24, /64); nil for no bound.
    package var writesPerHour: Int? = 60
    /// Packets a second that we send to one address; nil for no bound. libtorrent does not hear who sends more than 5.
    package var sentPerSecond: Int? = 4

    package init() {}
  }

  private struct Source: Sendable {
    var windowBegan: Instant
    var packets = 0
    var silentUntil: Instant?
    var bytesBegan: Instant
    var bytesIn = 0
    var bytesOut = 0
    /// Until when its address counts as its own: it gave back a token or a transaction id.
    var verifiedUntil: Instant?
    /// When the next packet to it would be due if they were sent evenly.
    var nextSend: Instant
    var used: Instant
  }

  private struct Writes: Sendable {
    var began: Instant
    var count = 0
  }

  package static let window = Duration.seconds(10)
  /// How long bytes are counted against each other, and a proof of an address holds.
  package static let memory = Duration.seconds(600)
  /// Addresses remembered; libtorrent's 20 are easily washed out. The one heard longest ago goes, a silent one last.
  package static let sourcesMaximum = 4_096
  /// A query that would have to wait longer than this to be sent is not sent.
  package static let delayMaximum = Duration.seconds(2)

  private let options: Options
  private var sources: [IPAddress: Source] = [:]
  private var writes: [UInt64: Writes] = [:]
  private var replyBytes: Double
  private var replyBytesAt: Instant

  package init(options: Options, at now: Instant) {
    self.options = options
    replyBytes = Double(options.replyBytesPerSecond) * 3
    replyBytesAt = now
  }

  package var sourceCount: Int { sources.count }

  /// A packet came. Whether it is heard.
  package mutating func admits(_ address: IPAddress, byteCount: Int, at now: Instant) -> Bool {
    with(address, at: now) { source, options in
      if let until = source.silentUntil {
        if until > now { return false }
        source.silentUntil = nil
        source.packets = 0
        source.windowBegan = now
      }
      if now - source.windowBegan >= Self.window {
        source.windowBegan = now
        source.packets = 0
      }
      source.packets += 1
      if source.packets > options.packetsPerSecond * Int(Self.window.components.seconds) {
        source.silentUntil = now + options.silence
        return false
      }
      source.bytesIn += byteCount
      return true
    }
  }

  /// The address gave back something that only its owner can have got.
  package mutating func verified(_ address: IPAddress, at now: Instant) {
    with(address, at: now) { source, _ in source.verifiedUntil = now + Self.memory }
  }

  /// Bytes that a reply may have so that whoever proved nothing gets no more than its part; nil for no bound.
  package mutating func replyAllowance(for address: IPAddress, at now: Instant) -> Int? {
    with(address, at: now) { source, options in
      guard let maximum = options.amplificationMaximum, source.verifiedUntil ?? now <= now else { return nil }
      return max(0, maximum * source.bytesIn - source.bytesOut)
    }
  }

  /// A reply of so many bytes is ready. Whether it may go.
  package mutating func permitsReply(to address: IPAddress, byteCount: Int, at now: Instant) -> Bool {
    let elapsed = Double((now - replyBytesAt).nanoseconds) / 1e9
    let rate = Double(options.replyBytesPerSecond)
    replyBytes = min(rate * 3, replyBytes + elapsed * rate)
    replyBytesAt = now
    guard replyBytes >= Double(byteCount) else { return false }
    let permitted = with(address, at: now) { source, options in
      if let maximum = options.amplificationMaximum, source.verifiedUntil ?? now <= now,
        source.bytesOut + byteCount > maximum * source.bytesIn
      {
        return false
      }
      source.bytesOut += byteCount
      // What is answered counts against what the other side will hear from us.
      if let perSecond = options.sentPerSecond { source.nextSend = max(source.nextSend, now) + .seconds(1) / perSecond }
      return true
    }
    if permitted { replyBytes -= Double(byteCount) }
    return permitted
  }

  /// A query is to go out. When it may; nil if that is too far off.
  package mutating func sendTime(to address: IPAddress, at now: Instant) -> Instant? {
    with(address, at: now) { source, options in
      guard let perSecond = options.sentPerSecond else { return now }
      let gap = Duration.seconds(1) / perSecond
      let even = max(source.nextSend, now)
      // A second's worth may go at once.
      let due = max(now, even + (gap - .seconds(1)))
      guard due - now <= Self.delayMaximum else { return nil }
      source.nextSend = even + gap
      return due
    }
  }

  /// Something is to be stored. Whether its site may store that much.
  package mutating func permitsWrite(from address: IPAddress, at now: Instant) -> Bool {
    guard let maximum = options.writesPerHour else { return true }
    let hour = Duration.seconds(3600)
    if writes.count >= Self.sourcesMaximum { writes = writes.filter { now - $0.value.began < hour } }
    // As many sites at once are no friends: nothing new is taken until the hour is over.
    guard let index = writes.index(forKey: address.site) else {
      guard writes.count < Self.sourcesMaximum else { return false }
      writes[address.site] = Writes(began: now, count: 1)
      return true
    }
    if now - writes.values[index].began >= hour { writes.values[index] = Writes(began: now) }
    writes.values[index].count += 1
    return writes.values[index].count <= maximum
  }

  @discardableResult
  private mutating func with<Result>(
    _ address: IPAddress, at now: Instant, _ body: (inout Source, Options) -> Result
  ) -> Result {
    var place = sources.index(forKey: address)
    if place == nil {
      if sources.count >= Self.sourcesMaximum { evict(at: now) }
      sources[address] = Source(windowBegan: now, bytesBegan: now, nextSend: now, used: now)
      place = sources.index(forKey: address)
    }
    let index = place!
    if now - sources.values[index].bytesBegan >= Self.memory {
      sources.values[index].bytesBegan = now
      sources.values[index].bytesIn = 0
      sources.values[index].bytesOut = 0
    }
    sources.values[index].used = now
    return body(&sources.values[index], options)
  }

  /// An eighth at a time, so that the sort is paid for by many packets.
  private mutating func evict(at now: Instant) {
    func precedes(_ a: (key: IPAddress, value: Source), _ b: (key: IPAddress, value: Source)) -> Bool {
      let isSilent = (a: a.value.silentUntil ?? now > now, b: b.value.silentUntil ?? now > now)
      if isSilent.a != isSilent.b { return isSilent.b }
      if a.value.used != b.value.used { return a.value.used < b.value.used }
      return a.key.bytes.lexicographicallyPrecedes(b.key.bytes)
    }
    for (address, _) in sources.sorted(by: precedes).prefix(Self.sourcesMaximum / 8) { sources[address] = nil }
  }
}

extension Duration {
  /// The whole span in nanoseconds; for spans below 292 years.
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
