import Primitives

/// What `skip` accepts is deterministic: written again item by item it gives the same bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  var reader = CBORReader(bytes)
  guard (try? reader.skip()) != nil else { return 0 }
  let end = reader.offset
  var writer = CBORWriter()
  var again = CBORReader(bytes, 0..<end)
  do {
    while !again.isAtEnd {
      switch try again.peek() {
      case .unsigned: writer.unsigned(try again.unsigned())
      case .negative:
        // Below Int64.min the reader refuses to make a number; such an item is only ever stepped over.
        guard let value = try? again.integer() else { return 0 }
        writer.integer(value)
      case .byteString: writer.byteString(bytes[try again.byteString()])
      case .text: writer.text(try again.text())
      case .array: writer.array(try again.arrayCount())
      case .map: writer.map(try again.mapCount())
      case .bool: writer.bool(try again.bool())
      case .null:
        try again.null()
        writer.null()
      }
    }
  } catch {
    preconditionFailure("skipped, but not read: \(error)")
  }
  precondition(writer.bytes.elementsEqual(bytes[0..<end]), "read and written differ")
  return 0
}
