import Primitives
import Store
import Timelines

/// A lossless export, in pieces whose size the first byte says. However it is cut, the same is taken and the same refused.
/// The store forgets it afterwards.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  guard let first = bytes.first else { return 0 }
  let input = Array(bytes.dropFirst())
  let whole = take(input, inPiecesOf: max(1, input.count))
  precondition(whole == take(input, inPiecesOf: Int(first) + 1), "pieces change what is taken")
  precondition(whole.refusals.count <= whole.refusedLines && whole.refusals.count <= NDJSONImport.refusalMaximum)
  return 0
}

private struct Forget: Error {}

// One thread calls.
nonisolated(unsafe) private let store = try! EventStore(
  writing: "store", authority: .alone,
  environment: StorageEnvironment(
    disk: MemoryDisk(), random: { [UInt8](repeating: 7, count: $0) },
    now: { Timestamp(milliseconds: 1_800_000_000_000) }), readModels: [TimelineModel()])

private func take(_ input: [UInt8], inPiecesOf size: Int) -> NDJSONImport.Summary {
  var summary: NDJSONImport.Summary?
  do {
    try store.batch {
      var reader = NDJSONImport(into: store)
      for offset in stride(from: 0, to: input.count, by: size) {
        try reader.take(Array(input[offset..<min(offset + size, input.count)]))
      }
      summary = try reader.finish()
      throw Forget()
    }
  } catch {
    precondition(error is Forget, "the store is at fault: \(error)")
  }
  return summary!
}
