import Events
import Identity
import Primitives
import Store
import Terminal

extension Command {
  static let login = Command(
    "login", "unlock the device key for a while",
    discussion: """
      Keys with a passphrase must be unlocked before you can post. The unlocked key lies in a directory that only you may \
      enter (XDG_RUNTIME_DIR, which is gone with the machine's power, where there is one) until the time is up or you \
      log out. A node that runs uses it too.
      """,
    examples: [
      .init("tl login", "unlock for 12 hours"),
      .init("tl login --for 30m --passphrase-file ~/.secret/tl", "unlock for half an hour, from a script"),
    ],
    options: [span, .passphraseFile, .passphraseDescriptor]
  ) { invocation in
    ProcessSecrecy.forbidDumps()
    let profile = try invocation.profile()
    guard profile.isSealed else {
      return invocation.output.note("the device key has no passphrase; there is nothing to unlock")
    }
    let passphrase = try invocation.secret("the device key")
    let key = try profile.keys.unlock(passphrase: passphrase).key
    let seconds = invocation.arguments.duration(span)?.components.seconds ?? 12 * 3600
    let end = Profile.now().advanced(milliseconds: seconds * 1000)
    try LoginSessions(runtimeDirectory: profile.runtimePath).logIn(
      LoginSession(device: key, number: profile.deviceNumber.rawValue, person: profile.person, notAfter: end))
    invocation.output.note("unlocked until \(TimeText(utc: invocation.usesUTC).absolute(end))")
  }

  static let logout = Command(
    "logout", "forget the unlocked device key",
    discussion: "Ends posting from this device until the next login. A node that runs goes on serving.",
    examples: [
      .init("tl logout", "lock the device key"),
      .init("tl logout --quiet", "the same without a word"),
    ]
  ) { invocation in
    let profile = try invocation.profile()
    try LoginSessions(runtimeDirectory: profile.runtimePath).logOut(profile.device)
    if !profile.isSealed {
      invocation.output.note("the device key has no passphrase: whoever can read the profile can still post")
    }
  }
}

extension Invocation {
  /// The passphrase of something sealed; exit code 7 when nobody can say it.
  func secret(_ what: String) throws -> SecretBytes {
    guard var bytes = try passphrase() else {
      throw CommandFailure(
        .locked, "\(what) needs a passphrase and nobody can be asked", hint: "--passphrase-file FILE reads it")
    }
    guard !bytes.isEmpty else { throw CommandFailure(.failed, "no passphrase given") }
    return SecretBytes(wiping: &bytes)
  }

  /// The root key of this profile and the passphrase that opened it.
  func rootKey(_ profile: Profile) throws -> (key: SigningKey, passphrase: SecretBytes?) {
    guard let part = try profile.keys.publicPart(.root) else {
      throw CommandFailure(
        .notFound, "this device does not hold the root key", hint: "do this on the device where the person was made")
    }
    ProcessSecrecy.forbidDumps()
    let passphrase = part.isSealed ? try secret("the root key") : nil
    return (try profile.keys.load(.root, passphrase: passphrase).key, passphrase)
  }
}

private let span = Option("for", .duration("SPAN"), "how long (12h)")
