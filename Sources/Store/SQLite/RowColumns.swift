import Identity
import Primitives

/// The columns of one row, wherever it was read: by SQLite, or by the inspector from the bare pages.
protocol RowColumns {
  func int(_ column: Int) -> Int64
  func isNull(_ column: Int) -> Bool
  func blob(_ column: Int) -> [UInt8]
}

extension RowColumns {
  func unsigned(_ column: Int) -> UInt64 { UInt64(bitPattern: int(column)) }
  func sequence(_ column: Int) -> SequenceNumber { SequenceNumber(unsigned(column)) }
  /// nil when the column does not hold 32 bytes.
  func bytes32<Role>(_ column: Int, _ role: Role.Type = Role.self) -> Bytes32<Role>? { Bytes32<Role>(blob(column)) }
}

extension Statement: RowColumns {}
