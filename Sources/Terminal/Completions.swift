/// Completion scripts, made from the table. Each finds out which command the words before the cursor name (its place, as
/// in `/append/post`) and offers what may follow.
public enum Shell: String, Sendable, CaseIterable {
  case bash, zsh, fish
}

extension CommandTable {
  public func completions(for shell: Shell) -> String {
    switch shell {
    case .bash: bashCompletions
    case .zsh: zshCompletions
    case .fish: fishCompletions
    }
  }

  private var function: String { "_" + program.map { $0 == "-" ? "_" : String($0) }.joined() }

  private func place(_ entry: Entry) -> String { entry.path.reduce("") { "\($0)/\($1)" } }

  /// The places, the one of the program first when it has commands.
  private var places: [(place: String, children: [Entry], command: Command?)] {
    let own = entries.map { (place($0), children(of: $0.path), $0.isGroup ? nil : $0.command) }
    return entry([]) == nil ? [("", children(of: []), nil)] + own : own
  }

  private var valueOptions: [(pattern: String, option: Option)] {
    let global = Option.everywhere.filter { $0.form != .flag }.flatMap { option in
      spellings(option).map { ("*\" \($0)\"", option) }
    }
    let own = entries.filter { !$0.isGroup }.flatMap { entry in
      entry.command.options.filter { $0.form != .flag }.flatMap { option in
        spellings(option).map { ("\"\(place(entry)) \($0)\"", option) }
      }
    }
    return own + global
  }

  private func spellings(_ option: Option) -> [String] {
    (option.short.map { ["-\($0)"] } ?? []) + ["--\(option.name)"]
  }

  // MARK: bash

  private var bashCompletions: String {
    var text = """
      # bash completion for \(program)
      \(function)() {
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} place= index
        for ((index = 1; index < COMP_CWORD; index++)); do
          case "$place/${COMP_WORDS[index]}" in
            \(placePatterns)) place="$place/${COMP_WORDS[index]}" ;;
          esac
        done
        COMPREPLY=()
        case "$place $previous" in

      """
    for (pattern, option) in valueOptions {
      text += "    \(pattern)) \(bashValues(option)); return ;;\n"
    }
    text += "  esac\n  case \"$place\" in\n"
    for (place, children, command) in places {
      let positional = command?.positionals.first?.completion
      var words = children.map { $0.path.last! }
      if case .choice(let choices) = positional { words += choices }
      words += ((command?.options ?? []) + Option.everywhere).flatMap(spellings)
      text += "    \"\(place)\") COMPREPLY=($(compgen -W \(quoted(words.joined(separator: " "))) -- \"$current\"))"
      if positional == .files { text += "\n      [[ $current == -* ]] || COMPREPLY+=($(compgen -f -- \"$current\"))" }
      text += " ;;\n"
    }
    return text + "  esac\n}\ncomplete -o filenames -F \(function) \(program)\n"
  }

  private func bashValues(_ option: Option) -> String {
    switch option.form {
    case .choice(let values): "COMPREPLY=($(compgen -W \(quoted(values.joined(separator: " "))) -- \"$current\"))"
    case .file: "COMPREPLY=($(compgen -f -- \"$current\"))"
    case .directory: "COMPREPLY=($(compgen -d -- \"$current\"))"
    case .flag, .text, .number, .duration, .bytes: ":"
    }
  }

  private var placePatterns: String {
    let names = entries.filter { !$0.path.isEmpty }.map { "\"\(place($0))\"" }
    return names.isEmpty ? "\"\"" : names.joined(separator: "|")
  }

  // MARK: zsh

  private var zshCompletions: String {
    var text = """
      #compdef \(program)
      # zsh completion for \(program)
      \(function)() {
        local place= index
        local -a offered
        for ((index = 2; index < CURRENT; index++)); do
          case "$place/${words[index]}" in
            \(placePatterns)) place="$place/${words[index]}" ;;
          esac
        done
        case "$place ${words[CURRENT-1]}" in

      """
    for (pattern, option) in valueOptions {
      text += "    \(pattern)) \(zshValues(option)); return ;;\n"
    }
    text += "  esac\n  case \"$place\" in\n"
    for (place, children, command) in places {
      let positional = command?.positionals.first?.completion
      var items = children.map { ($0.path.last!, $0.command.summary) }
      if case .choice(let choices) = positional { items += choices.map { ($0, "") } }
      for option in (command?.options ?? []) + Option.everywhere {
        items += spellings(option).map { ($0, option.summary) }
      }
      text += "    \"\(place)\") offered=(\n"
      for (name, summary) in items {
        text += "      \(quoted(summary.isEmpty ? name : "\(name):\(summary)"))\n"
      }
      text += "      )\n"
      if positional == .files { text += "      _files\n" }
      text += "      ;;\n"
    }
    return text + """
        esac
        _describe \(quoted(program)) offered
      }
      if [ "${funcstack[1]}" = "\(function)" ]; then \(function) "$@"; else compdef \(function) \(program); fi

      """
  }

  private func zshValues(_ option: Option) -> String {
    switch option.form {
    case .choice(let values): "compadd -- \(values.joined(separator: " "))"
    case .file: "_files"
    case .directory: "_files -/"
    case .flag, .text, .number, .duration, .bytes: "_message \(quoted(option.placeholder ?? ""))"
    }
  }

  // MARK: fish

  private var fishCompletions: String {
    let at = "_\(function)_at"
    var text = """
      # fish completion for \(program)
      function \(at)
        set -l place ""
        for word in (commandline -opc)[2..-1]
          switch "$place/$word"
            case \(entries.filter { !$0.path.isEmpty }.map { fishQuoted(place($0)) }.joined(separator: " "))
              set place "$place/$word"
          end
        end
        test "$place" = "$argv[1]"
      end
      complete -c \(program) -f

      """
    for option in Option.everywhere { text += "complete -c \(program)\(fishOption(option))\n" }
    for (place, children, command) in places {
      let lead = "complete -c \(program) -n \(fishQuoted("\(at) '\(place)'"))"
      for child in children {
        text += "\(lead) -a \(fishQuoted(child.path.last!)) -d \(fishQuoted(child.command.summary))\n"
      }
      for option in command?.options ?? [] { text += "\(lead)\(fishOption(option))\n" }
      switch command?.positionals.first?.completion {
      case .files: text += "\(lead) -F\n"
      case .choice(let choices): text += "\(lead) -a \(fishQuoted(choices.joined(separator: " ")))\n"
      case .nothing, nil: break
      }
    }
    return text
  }

  private func fishOption(_ option: Option) -> String {
    let names = (option.short.map { " -s \($0)" } ?? "") + " -l \(option.name)"
    let values =
      switch option.form {
      case .flag: ""
      case .choice(let values): " -x -a \(fishQuoted(values.joined(separator: " ")))"
      case .file: " -r -F"
      case .directory: " -x -a '(__fish_complete_directories)'"
      case .text, .number, .duration, .bytes: " -x"
      }
    return "\(names)\(values) -d \(fishQuoted(option.summary))"
  }

  /// In single quotes, for bash and zsh.
  private func quoted(_ text: String) -> String {
    "'" + text.map { $0 == "'" ? "'\\''" : String($0) }.joined() + "'"
  }

  private func fishQuoted(_ text: String) -> String {
    "'" + text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "'"
  }
}
