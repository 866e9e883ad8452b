public import Dispatch
public import Primitives
import Transport

/// What the port asks of the node: answers a message, or has nothing to say to it.
public typealias VoidphoneHandler = @Sendable (VoidphoneMessage) async -> VoidphoneMessage?

/// The voidphone DHT API for programs of this machine. Whatever is no request ends the connection, without a word.
///
/// `@unchecked Sendable`: all state is touched on the queue only.
public final class VoidphonePort: @unchecked Sendable {
  public let endpoint: Endpoint

  /// Requests of one program that are under way; it is read no further while there are so many.
  public static let requestsMaximum = 32

  private let queue: DispatchQueue
  private let handler: VoidphoneHandler
  private var listener: LoopbackListener?
  /// The last request about a key that stores something; others about it wait for it, as their order says.
  private var puts: [[UInt8]: (number: Int, task: Task<Void, Never>)] = [:]
  private var number = 0

  /// One program. Touched on the queue only.
  private final class Client: @unchecked Sendable {
    let connection: LoopbackConnection
    var decoder = VoidphoneDecoder()
    var tasks: [Int: Task<Void, Never>] = [:]
    /// Requests that have not begun; nothing is read while there are any, so all of them are of one read.
    var waiting: ArraySlice<VoidphoneMessage> = []
    /// What is no request has come: the connection ends when everything before it is done.
    var isEnding = false

    init(_ connection: LoopbackConnection) { self.connection = connection }
  }

  /// Listens; call it on the queue.
  /// - Throws: `TransportError` `.address` for an address that is not this machine's own, or is taken.
  public init(on endpoint: Endpoint, queue: DispatchQueue, handler: @escaping VoidphoneHandler) throws {
    self.queue = queue
    self.handler = handler
    let slot = Slot()
    let listener = try LoopbackListener(on: endpoint, queue: queue) { slot.port?.connected($0) }
    self.endpoint = listener.endpoint
    self.listener = listener
    slot.port = self
  }

  /// The listener is made before there is a port to tell. Touched on the queue only.
  private final class Slot: @unchecked Sendable {
    weak var port: VoidphonePort?
  }

  /// Ends all connections, and what was being fetched. What was being stored is stored.
  public func close() {
    listener?.close()
    listener = nil
  }

  private func connected(_ connection: LoopbackConnection) {
    let client = Client(connection)
    connection.onBytes = { [weak self] in self?.received($0, client) }
    connection.onClosed = {
      for task in client.tasks.values { task.cancel() }
      client.waiting.removeAll { if case .put = $0 { false } else { true } }
    }
  }

  private func received(_ bytes: [UInt8], _ client: Client) {
    guard !client.isEnding else { return }
    let (messages, fault) = client.decoder.append(bytes)
    let requests = messages.prefix { $0.isRequest }
    client.isEnding = fault != nil || requests.count < messages.count
    client.waiting += requests
    goOn(client)
  }

  /// Begins as many as may be under way, and reads on when there is room for more.
  private func goOn(_ client: Client) {
    while client.tasks.count < Self.requestsMaximum, let message = client.waiting.popFirst() {
      switch message {
      case .put(let key, _, _, _), .get(let key): begin(message, key, client)
      case .success, .failure: preconditionFailure("\(message) is no request")
      }
    }
    let isFull = client.tasks.count >= Self.requestsMaximum
    client.connection.setReading(!isFull && !client.isEnding)
    if client.isEnding, client.tasks.isEmpty { client.connection.close() }
  }

  private func begin(_ message: VoidphoneMessage, _ key: [UInt8], _ client: Client) {
    number += 1
    let (number, earlier, handler) = (number, puts[key]?.task, handler)
    let task = Task { [weak self, queue] in
      await earlier?.value
      let answer = await handler(message)
      queue.async { self?.ended(number, key, answer, client) }
    }
    client.tasks[number] = task
    if case .put = message {
      puts[key] = (number, task)
      // It goes on when the program has left.
      client.tasks[number] = Task { await task.value }
    }
  }

  private func ended(_ number: Int, _ key: [UInt8], _ answer: VoidphoneMessage?, _ client: Client) {
    if puts[key]?.number == number { puts[key] = nil }
    client.tasks[number] = nil
    if let answer { client.connection.send(answer.bytes) }
    goOn(client)
  }
}

extension VoidphoneMessage {
  fileprivate var isRequest: Bool {
    switch self {
    case .put, .get: true
    case .success, .failure: false
    }
  }
}

extension ProfileService {
  /// Answers the voidphone API. A value that cannot be had, for whatever reason, is one that nobody has.
  func answer(_ message: VoidphoneMessage) async -> VoidphoneMessage? {
    switch message {
    case .put(let key, let value, let lifetime, let copies):
      let put = LocalDHTPut(
        name: .voidphone(key), value: value, lifetime: lifetime == 0 ? nil : UInt32(lifetime),
        copies: copies == 0 ? nil : min(Int(copies), LocalDHTPut.copiesMaximum))
      do { _ = try await store(put, try await dhtRuntime()) } catch {
        // The API has no word for it; a later get says that nothing is there.
      }
      return nil
    case .get(let key):
      do {
        if let found = try await fetch(.voidphone(key), try await dhtRuntime()),
          found.value.count <= VoidphoneMessage.valueByteCountMaximum
        {
          return .success(key: key, value: found.value)
        }
      } catch {
        // As if it were not there.
      }
      return .failure(key: key)
    case .success, .failure: return nil
    }
  }
}
