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
    .init("tl init", "begin: make your keys and your log"),
    .init("tl post \"hello\"", "say something"),
    .init("tl follow tl://aeba… && tl sync example.org:7001", "follow somebody and fetch their posts"),
    .init("tl show timeline", "read"),
  ],
  commands: [
    .initialize, .whoami, .login, .logout, .devices, .backup, .restore, .rotate, .append, .reply, .show, .sync, .find,
    .node,
    .invite, .joinNetwork, .dht, .status, .log, .importing, .exporting, .completions, .help,
  ])
