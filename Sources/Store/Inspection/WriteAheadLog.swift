/// The write-ahead log beside a database: which pages it holds in place of the file's (SQLite file format §4).
///
/// SQLite takes frames up to the first that is not whole, and of those the ones that end in a commit. Frames of the same
/// generation behind a break are told apart here: what they hold was written, perhaps acknowledged, and SQLite will not
/// show it.
struct WriteAheadLog {
  /// 32 bytes of header, then frames of 24 bytes and a page.
  static let headerBytes = 32
  static let frameHeaderBytes = 24

  var bytes = 0
  var pageBytes = 0
  /// Frames that SQLite takes.
  var frames = 0
  var commits = 0
  /// The number, from 0, of the first frame that is not whole or belongs to an earlier generation of the log.
  var end: Int?
  /// Whole frames of the same generation behind `end`.
  var framesBehind = 0
  /// Transactions wholly behind the one that `end` belongs to. The frame there was then not torn by a crash, for a
  /// transaction only begins when the one before it is durable: it is damaged, and what was acknowledged lies behind it.
  var transactionsBehind = 0
  /// Whole frames behind the last commit, and all frames of full length.
  var unfinishedFrames = 0
  var wholeFrames = 0
  /// Why the whole log counts for nothing. Its header is written and synced before any frame, in one sector.
  var refusal: String?
  /// Size of the database in pages after the last commit; nil without one.
  var databasePages: Int?
  /// The newest committed frame of each page: its offset in the log.
  var offsets: [Int: Int] = [:]

  init() {}

  /// - Parameter takesBroken: also whole frames behind the break, up to the last commit among them.
  init(_ source: StoredBytes, takesBroken: Bool) {
    bytes = source.count
    guard source.count > 0 else { return }
    guard let header = source.read(0, Self.headerBytes) else {
      refusal = "it is shorter than its header"
      return
    }
    let magic = Self.integer(header, 0)
    pageBytes = Int(Self.integer(header, 8))
    if pageBytes == 1 { pageBytes = 65_536 }
    guard magic & ~1 == 0x377F_0682, Self.integer(header, 4) == 3_007_000, pageBytes >= 512, pageBytes <= 65_536,
      pageBytes & (pageBytes - 1) == 0
    else {
      refusal = "its header is damaged"
      return
    }
    let isBig = magic & 1 == 1
    var sum = Self.checksum(header[0..<24], (0, 0), isBig)
    guard sum.0 == Self.integer(header, 24), sum.1 == Self.integer(header, 28) else {
      refusal = "the checksum of its header does not match"
      return
    }
    let salts = Array(header[16..<24])
    let step = Self.frameHeaderBytes + pageBytes
    var sumMade: (UInt32, UInt32)?
    var pending: [Int: Int] = [:]
    var pendingFrames = 0
    var commitsBehind = 0
    var endIsCommit = false
    var before: (head: [UInt8], page: ArraySlice<UInt8>?) = ([], nil)
    var index = 0
    while let frame = source.read(Self.headerBytes + index * step, step) {
      defer { index += 1 }
      let stated = (Self.integer(frame, 16), Self.integer(frame, 20))
      let made = Self.checksum(frame[24...], Self.checksum(frame[0..<8], sum, isBig), isBig)
      var isWhole = made == stated
      if !isWhole, let other = sumMade {
        isWhole = Self.checksum(frame[24...], Self.checksum(frame[0..<8], other, isBig), isBig) == stated
      }
      // Each frame goes on with the checksum of the one before it, as it is stated or as it comes out: whichever of the
      // two is right, one bad frame does not hide the rest.
      sumMade = isWhole ? nil : made
      sum = stated
      guard isWhole, Array(frame[8..<16]) == salts, Self.integer(frame, 0) != 0 else {
        if end == nil {
          end = index
          endIsCommit = Array(frame[8..<16]) == salts && Self.integer(frame, 4) != 0
        }
        before = (Array(frame[0..<8]), nil)
        pending = [:]
        pendingFrames = 0
        continue
      }
      let isCommit = Self.integer(frame, 4) != 0
      if end != nil {
        framesBehind += 1
        // The last frame of a transaction may be repeated to fill a sector.
        let isRepeated = before.head == Array(frame[0..<8]) && before.page.map { $0 == frame[24...] } ?? true
        if isCommit, !isRepeated { commitsBehind += 1 }
        before = (Array(frame[0..<8]), frame[24...])
        guard takesBroken else { continue }
      }
      pending[Int(Self.integer(frame, 0))] = Self.headerBytes + index * step + Self.frameHeaderBytes
      pendingFrames += 1
      guard isCommit else { continue }
      databasePages = Int(Self.integer(frame, 4))
      offsets.merge(pending) { $1 }
      frames += pendingFrames
      commits += 1
      pending = [:]
      pendingFrames = 0
    }
    transactionsBehind = max(0, commitsBehind - (endIsCommit ? 0 : 1))
    unfinishedFrames = pendingFrames
    wholeFrames = index
  }

  private static func integer(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
  }

  private static func checksum(
    _ bytes: ArraySlice<UInt8>, _ start: (UInt32, UInt32), _ isBig: Bool
  ) -> (UInt32, UInt32) {
    var (a, b) = start
    bytes.withUnsafeBytes { buffer in
      for offset in stride(from: 0, to: buffer.count & ~7, by: 8) {
        let first = buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        let second = buffer.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
        a = a &+ (isBig ? UInt32(bigEndian: first) : UInt32(littleEndian: first)) &+ b
        b = b &+ (isBig ? UInt32(bigEndian: second) : UInt32(littleEndian: second)) &+ a
      }
    }
    return (a, b)
  }
}
