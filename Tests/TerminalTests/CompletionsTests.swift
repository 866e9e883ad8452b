import Glibc
import Terminal
import Testing

@Suite struct CompletionsTests {
  @Test(
    "the shells that are installed accept their scripts",
    arguments: [
      (Shell.bash, "bash -n"), (.zsh, "zsh -n"), (.fish, "fish --no-execute"),
    ])
  func syntax(shell: Shell, check: String) {
    withFile(Sample.table().completions(for: shell).utf8) { script in
      #expect(shellStatus("command -v \(shell) >/dev/null || exit 0; \(check) \(script)") == 0)
    }
  }

  @Test("bash completes commands, options and their values")
  func bash() {
    func completes(_ words: String, to expected: String) -> Bool {
      withFile(Sample.table().completions(for: .bash).utf8) { script in
        shellStatus(
          "exec bash -c 'source \(script); COMP_WORDS=(\(words) \"\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tl;"
            + " [[ \" ${COMPREPLY[*]} \" == *\" \(expected) \"* ]]'") == 0
      }
    }
    #expect(completes("tl", to: "sync"))
    #expect(completes("tl", to: "post"))
    #expect(completes("tl append", to: "follow"))
    #expect(completes("tl append post", to: "--ttl"))
    #expect(completes("tl -v post", to: "--keep"))
    #expect(completes("tl post --color", to: "never"))
    #expect(!completes("tl append", to: "sync"))
    #expect(!completes("tl post --ttl", to: "--keep"))
  }

  @Test("fish completes a command that was begun")
  func fish() {
    withFile(Sample.table().completions(for: .fish).utf8) { script in
      let line = "source \(script); complete -C\"tl sy\""
      #expect(shellStatus("command -v fish >/dev/null || exit 0; fish --no-config -c '\(line)' | grep -q ^sync") == 0)
    }
  }

  @Test("the manual has every command, option and exit code, and its macros are accepted")
  func manual() {
    let page = Sample.table().manualPage
    for entry in Sample.table().entries where !entry.isGroup {
      if !entry.isShortForm { #expect(page.contains(".SS \"\(entry.name)\"\n")) }
      for option in entry.command.options {
        #expect(page.contains(option.name.split(separator: "-").joined(separator: "\\-")))
      }
    }
    for code in ExitCode.allCases { #expect(page.contains("\\fB\(code.rawValue)\\fR\n")) }
    #expect(page.utf8.allSatisfy { $0 < 0x80 })
    withFile(page.utf8) { path in
      #expect(shellStatus("command -v mandoc >/dev/null || exit 0; mandoc -T lint -W warning \(path)") == 0)
      #expect(shellStatus("command -v groff >/dev/null || exit 0; [ -z \"$(groff -man -ww -z \(path) 2>&1)\" ]") == 0)
    }
  }

  private func shellStatus(_ command: String) -> Int32 {
    let status = system(command)
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
  }
}
