import Glibc

/// Where a profile lies (XDG Base Directory Specification 0.8).
public enum ProfileDirectory {
  /// `--home`, else TL_HOME, else XDG_DATA_HOME/tl, else ~/.local/share/tl. XDG_DATA_HOME counts only when absolute.
  public static func path(asked: String?, in surroundings: Surroundings) throws(CommandFailure) -> String {
    if let asked { return asked }
    if let home = surroundings.variable("TL_HOME") { return home }
    if let data = surroundings.variable("XDG_DATA_HOME"), data.hasPrefix("/") { return "\(data)/tl" }
    guard let home = surroundings.variable("HOME"), home.hasPrefix("/") else {
      throw CommandFailure(
        .usage, "HOME does not name a directory", hint: "name the profile's directory with --home DIR or TL_HOME")
    }
    return "\(home)/.local/share/tl"
  }

  /// Where sockets and unlocked keys go: XDG_RUNTIME_DIR/tl when that directory is ours and nobody else may enter, else
  /// the profile itself, which is 0700 too.
  public static func runtimePath(profile: String, in surroundings: Surroundings) -> String {
    guard let runtime = surroundings.variable("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") else { return profile }
    var status = stat()
    guard lstat(runtime, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
      status.st_mode & 0o777 == 0o700
    else { return profile }
    return "\(runtime)/tl"
  }
}
