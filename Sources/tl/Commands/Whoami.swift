import Events
import Identity
import Primitives
import Store
import Terminal
import Timelines

extension Command {
  static let whoami = Command(
    "whoami", "show who you are and which device this is",
    examples: [
      .init("tl whoami", "show your handle, to tell others"),
      .init("tl whoami --json", "the same for programs, with the full id"),
    ]
  ) { invocation in
    let reading = try invocation.reading()
    let profile = reading.profile
    let label = try reading.timelines.label(profile.person, now: reading.now)
    let device = try reading.store.record(of: profile.person)?.device(profile.device)
    try printOwn(
      invocation, profile.person, name: label.name ?? "", device: profile.device, number: profile.deviceNumber,
      label: device?.label ?? "")
  }
}

/// The line of `whoami`, which `init` and `restore` end with too.
func printOwn(
  _ invocation: Invocation, _ person: PersonID, name: String, device: LogID, number: DeviceNumber, label: String
) throws {
  let handle = person.handle(name: name)
  if invocation.wantsJSON {
    var line = JSONObject.line()
    line.add("person", person.hex)
    line.add("name", name)
    line.add("handle", handle)
    line.add("log", device.hex)
    line.add("device", number.rawValue)
    line.add("label", label)
    return try invocation.output.line(line)
  }
  let output = invocation.output
  try output.line("\(handle, .bold)")
  try output.line("person  \(person.hex)")
  try output.line("device  \(label), number \(number.rawValue)")
  try output.line("log     \(device.hex)")
}
