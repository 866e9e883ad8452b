import Terminal

/// Every command of `tl`, in the order of its help text.
let table = CommandTable(
  program: "tl", version: "0.1.0", date: "2026-11-20",
  summary: "a timeline that lives on its followers' disks",
  discussion: """
    There is no server: what you post is a signed log on your own disk, everybody who follows you keeps a copy, and any \
    two peers that meet make their logs agree.
    """,
  examples: [
    .init("tl help completions", "read about a command"),
    .init("source <(tl completions bash)", "complete commands with the Tab key"),
  ],
  commands: [.completions, .help])
