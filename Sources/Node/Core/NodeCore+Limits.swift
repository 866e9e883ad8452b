import Primitives

extension NodeCore {
  public struct Limits: Sendable {
    /// Connections that stand, at most; 0 for a program that does its sessions and goes. Half of the sessions, or
    /// those who come only for one would find no room.
    public var standingMaximum: Int
    /// A standing connection that brought nothing for this long gives way to a newcomer, when there are as many as may be.
    public var unhelpfulMinimum = Duration.seconds(300)
    /// Sessions at a time; each may hold a backlog of some megabytes.
    public var sessionsMaximum = 64
    /// When every session is taken, one in which nothing moved for this long gives way to a newcomer.
    public var idleMinimum = Duration.seconds(2)
    /// A connection that says nothing is closed after this.
    public var greetingMaximum = Duration.seconds(10)
    /// A device that joins waits this long: a person looks at its name and key before the root key signs.
    public var joinMaximum = Duration.seconds(300)
    /// First ban of a peer that broke the rules; doubles with each further one.
    public var banFirst = Duration.seconds(3600)
    public var banMaximum = Duration.seconds(86_400)
    /// Offenders remembered; the ban that ends first makes room.
    public var offendersMaximum = 4_096

    /// - Parameter stands: whether connections stay, as those of a node do.
    public init(stands: Bool = false) { standingMaximum = stands ? 32 : 0 }
  }
}
