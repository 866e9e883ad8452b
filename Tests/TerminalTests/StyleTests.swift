import Primitives
import Terminal
import Testing

@Suite struct StyleTests {
  @Test(
    "who decides on colours",
    arguments: [
      (ColourChoice.auto, [:], true, true), (.auto, [:], false, false), (.auto, ["TERM": "dumb"], true, false),
      (.auto, ["NO_COLOR": "1"], true, false), (.auto, ["NO_COLOR": ""], true, true),
      (.auto, ["NO_COLOR": "1", "FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"], true, false),
      (.auto, ["FORCE_COLOR": "1"], false, true), (.auto, ["CLICOLOR_FORCE": "1"], false, true),
      (.auto, ["CLICOLOR_FORCE": "0"], false, false), (.auto, ["CLICOLOR": "0"], true, false),
      (.auto, ["TL_NO_COLOR": "1"], true, false), (.always, ["NO_COLOR": "1"], false, true),
      (.never, ["FORCE_COLOR": "1"], true, false),
    ])
  func colours(choice: ColourChoice, variables: [String: String], isTerminal: Bool, expected: Bool) {
    #expect(choice.applies(toTerminal: isTerminal, in: Surroundings(variables: variables)) == expected)
  }

  @Test("only a style makes an escape sequence")
  func rendering() {
    let text: StyledText = "\("na\u{1B}[5mme", .bold) says \(7)"
    #expect(text.rendered(colours: true) == "\u{1B}[1mna␛[5mme\u{1B}[0m says 7")
    #expect(text.rendered(colours: false) == "na␛[5mme says 7")
    #expect((text + StyledText("!", .red)).plain == "na\u{1B}[5mme says 7!")
  }

  @Test("colours by stream: a terminal gets them, a pipe does not")
  func streams() {
    let table = Sample.table { try $0.output.line("\("x", .green)") }
    #expect(run(["sync"], in: Surroundings(outputIsTerminal: true), table: table).output == "\u{1B}[32mx\u{1B}[0m\n")
    #expect(run(["sync"], table: table).output == "x\n")
    #expect(run(["sync", "--color=always"], table: table).output == "\u{1B}[32mx\u{1B}[0m\n")
    #expect(run(["--color=always", "sycn"]).error.contains("\u{1B}[31merror:"))
  }

  @Test("progress is drawn on a terminal only, and gone before the next line")
  func progress() {
    let table = Sample.table { invocation in
      var bar = ProgressBar("events", on: invocation.output)
      bar.update(1, of: 4, at: .init(nanoseconds: 0))
      bar.update(2, of: 4, at: .init(nanoseconds: 1))
      bar.update(3, of: 4, at: .init(nanoseconds: 100_000_000))
      invocation.output.note("done")
      bar.finish()
    }
    #expect(run(["sync"], table: table).error == "done\n")
    let drawn = run(["sync"], in: Surroundings(errorIsTerminal: true), table: table).error
    let first = "\revents [######..................] 25 % (1 of 4)\u{1B}[K"
    let second = "\revents [##################......] 75 % (3 of 4)\u{1B}[K"
    #expect(drawn == first + second + "\r\u{1B}[Kdone\n")
    #expect(run(["sync", "-q"], in: Surroundings(errorIsTerminal: true), table: table).error == "")
  }
}
