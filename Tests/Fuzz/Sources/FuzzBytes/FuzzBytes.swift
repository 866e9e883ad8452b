import Primitives

/// Every varint that the reader accepts is the one that the writer makes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var reader = ByteReader([UInt8](UnsafeBufferPointer(start: start, count: count)))
  var writer = ByteWriter()
  var accepted = 0
  while let value = try? reader.varint() {
    writer.varint(value)
    precondition(unzigzag(zigzag(Int64(bitPattern: value))) == Int64(bitPattern: value))
    accepted = reader.offset
  }
  precondition(reader.bytes.prefix(accepted).elementsEqual(writer.bytes), "a number has two forms")
  return 0
}
