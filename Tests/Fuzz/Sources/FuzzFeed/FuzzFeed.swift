import Timelines

/// A twtxt feed: whatever it holds, every line is a post, a header, a bad line or nothing.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let feed = TwtxtFeed([UInt8](UnsafeBufferPointer(start: start, count: count)))
  precondition(feed.posts.count + feed.badLines.count <= count + 1, "more lines than bytes")
  return 0
}
