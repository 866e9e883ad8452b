import Primitives
import Testing

@Suite struct JSONTests {
  @Test(
    "what is read is written again byte for byte",
    arguments: [
      "null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
      "1.5e300",
      "-0", "\"\"", #""a\"\\\n\t\r\b\f""#, #""\u0000\u001f\u007f\u009b\u202e\udb40\udc41""#, #""日本😀""#, "[]", "{}",
      #"{"v":1,"id":"7","b":[1,[2,{}],null],"a":{"x":true}}"#,
    ])
  func roundTrip(text: String) throws {
    #expect(String(decoding: try JSON(parsing: text).encoded, as: UTF8.self) == text)
  }

  @Test("white space, escapes and numbers are understood")
  func reading() throws {
    let value = try JSON(parsing: #" { "a" : [ 1 , -2.50 , "\u00e9\ud83d\ude00\/" ] , "b" : false } "#)
    #expect(value["a"]?.elements == [.integer(1), .number("-2.50"), .string("é😀/")])
    #expect(value["a"]?.elements?[1].double == -2.5)
    #expect(value["b"]?.bool == false)
    #expect(value["c"] == nil)
    #expect(value.members?.map(\.key) == ["a", "b"])
  }

  @Test(
    "what RFC 8259 does not allow is refused where it stands",
    arguments: [
      ("", 0), (" ", 1), ("nul", 0), ("01", 0), ("-", 1), ("1.", 2), ("1e", 2), (".5", 0), ("+1", 0), ("NaN", 0),
      ("'a'", 0),
      ("[1,]", 3), ("[1 2]", 3), ("{\"a\"}", 4), ("{a:1}", 1), ("{\"a\":1,}", 7), ("{\"a\":1,\"a\":2}", 7), ("\"a", 2),
      ("\"a\nb\"", 2), ("\"\\x\"", 1), ("\"\\u12\"", 5), ("\"\\ud800\"", 1), ("\"\\ud800\\u0041\"", 1),
      ("\"\\udc00\"", 1),
      ("1 2", 2), ("[", 1), ("{", 1), ("\"\\", 2),
    ])
  func refused(text: String, offset: Int) {
    #expect(performing { () throws(ByteError) in _ = try JSON(parsing: text) }?.offset == offset)
  }

  @Test("bytes that are not UTF-8 are refused at their offset")
  func notUTF8() {
    let bytes: [(String, [UInt8], Int)] = [
      ("stray", [0x22, 0x61, 0xFF, 0x22], 2), ("overlong", [0x22, 0xC0, 0x80, 0x22], 1),
      ("surrogate", [0x22, 0xED, 0xA0, 0x80, 0x22], 1), ("cut", [0x22, 0xE2, 0x82, 0x22], 1),
    ]
    for (name, bytes, offset) in bytes {
      #expect(performing { () throws(ByteError) in _ = try JSON(parsing: bytes) }?.offset == offset, "\(name)")
    }
  }

  @Test("nesting ends at its bound")
  func depth() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try JSON(parsing: nested(JSON.depthMaximum + 1))
    #expect(performing { () throws(ByteError) in _ = try JSON(parsing: nested(JSON.depthMaximum + 2)) } != nil)
    #expect(performing { () throws(ByteError) in _ = try JSON(parsing: nested(100_000)) } != nil)
  }

  @Test("every prefix of a document is refused, and no changed byte traps")
  func mutations() {
    let document = Array(#"{"v":1,"a":[1.5e3,"é\u0041\ud83d\ude00",null,true],"b":{"c":-12}}"#.utf8)
    for count in 0..<document.count {
      #expect(performing { () throws(ByteError) in _ = try JSON(parsing: Array(document[..<count])) } != nil)
    }
    for index in document.indices {
      for byte in UInt8.min...UInt8.max {
        var changed = document
        changed[index] = byte
        guard let value = try? JSON(parsing: changed) else { continue }
        #expect((try? JSON(parsing: value.encoded)) == value)
      }
    }
  }

  @Test("a line begins with its version and keeps the order; what is nil is absent")
  func object() {
    var inner = JSONObject()
    inner.add("seq", "7")
    var line = JSONObject.line()
    line.add("id", "12")
    line.add("text", String?.none)
    line.add("events", UInt64.max)
    line.add("complete", false)
    line.add("replyTo", inner)
    line.add("all", [inner, JSONObject()])
    line.add("names", ["a", "\u{1B}"])
    line.addNull("none")
    let expected =
      #"{"v":1,"id":"12","events":18446744073709551615,"complete":false,"replyTo":{"seq":"7"},"all":[{"seq":"7"},{}],"#
      + #""names":["a","\u001b"],"none":null}"#
    #expect(String(decoding: line.encoded, as: UTF8.self) == expected)
  }
}

private func performing(_ work: () throws(ByteError) -> Void) -> ByteError? {
  do {
    try work()
    return nil
  } catch { return error }
}
