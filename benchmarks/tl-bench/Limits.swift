import CLZ4
import CSodium
import Glibc
import Primitives

/// What the machine and the libraries can do with nothing of ours around them, on the day of the run.
enum Limits {
  static let all = [memoryCopy, hash, verify, compress, decompress, synchronise, SQLiteLimit.commit, SQLiteLimit.post]

  static let memoryCopy = Benchmark("limit.memcpy", "copying 64 MiB", unit: "MB/s") { context in
    let count = 64 << 20
    let source = [UInt8](repeating: 7, count: count)
    nonisolated(unsafe) var target = [UInt8](repeating: 0, count: count)
    return {
      let rounds = max(1, context.size(20))
      var sample = Benchmark.rate(rounds * count) {
        for _ in 0..<rounds {
          target.withUnsafeMutableBytes { target in source.withUnsafeBytes { target.copyMemory(from: $0) } }
          keep(target[count - 1])
        }
      }
      sample.value /= 1e6
      return sample
    }
  }

  static let hash = Benchmark("limit.blake2b", "BLAKE2b-256 of 128 bytes, libsodium, one core", unit: "hashes/s") {
    context in
    let count = context.size(2_000_000)
    return {
      var message = [UInt8](repeating: 3, count: 128)
      return Benchmark.rate(count) {
        for _ in 0..<count {
          // Each result is part of the next message, so that no round can be left out.
          message.withUnsafeMutableBytes {
            let bytes = $0.bindMemory(to: UInt8.self).baseAddress!
            _ = crypto_generichash(bytes, 32, bytes, 128, nil, 0)
          }
        }
        keep(message[0])
      }
    }
  }

  static let verify = Benchmark("limit.ed25519", "verifying a signature of 128 bytes, libsodium", unit: "signatures/s")
  {
    context in
    guard sodium_init() >= 0 else { throw BenchmarkError("libsodium does not start") }
    var key = [UInt8](repeating: 0, count: 32)
    var secret = [UInt8](repeating: 0, count: 64)
    crypto_sign_seed_keypair(&key, &secret, [UInt8](repeating: 1, count: 32))
    let message = [UInt8](repeating: 5, count: 128)
    var signature = [UInt8](repeating: 0, count: 64)
    crypto_sign_detached(&signature, nil, message, 128, secret)
    let (publicKey, signed) = (key, signature)
    let count = context.size(10_000)
    return {
      try Benchmark.rate(count) {
        for _ in 0..<count where crypto_sign_verify_detached(signed, message, 128, publicKey) != 0 {
          throw BenchmarkError("libsodium refuses its own signature")
        }
      }
    }
  }

  static let compress = Benchmark("limit.lz4-compress", "LZ4 over blocks of 16 KiB of short posts", unit: "MB/s") {
    context in
    let blocks = try textBlocks(context)
    return {
      var output = [UInt8](repeating: 0, count: Int(LZ4_compressBound(Int32(blockBytes))))
      var compressed = 0
      var sample = Benchmark.rate(blocks.count * blockBytes) {
        for block in blocks { compressed += pack(block, into: &output) }
      }
      sample.value /= 1e6
      sample.notes = [("ratio", Double(compressed) / Double(blocks.count * blockBytes))]
      return sample
    }
  }

  static let decompress = Benchmark("limit.lz4-decompress", "LZ4 back to blocks of 16 KiB", unit: "MB/s") { context in
    var buffer = [UInt8](repeating: 0, count: Int(LZ4_compressBound(Int32(blockBytes))))
    let blocks = try textBlocks(context).map { Array(buffer[..<pack($0, into: &buffer)]) }
    return {
      var output = [CChar](repeating: 0, count: blockBytes)
      var sample = try Benchmark.rate(blocks.count * blockBytes) {
        for block in blocks {
          let written = block.withUnsafeBytes {
            LZ4_decompress_safe(
              $0.bindMemory(to: CChar.self).baseAddress!, &output, Int32(block.count), Int32(blockBytes))
          }
          guard written == blockBytes else { throw BenchmarkError("LZ4 does not read its own block") }
        }
      }
      sample.value /= 1e6
      return sample
    }
  }

  static let synchronise = Benchmark("limit.fdatasync", "appending 200 bytes to a file and fdatasync", unit: "writes/s")
  {
    context in
    let path = try context.folder("fdatasync") + "/file"
    let file = open(path, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw BenchmarkError(systemCall: path) }
    let count = context.size(1000)
    return {
      try Benchmark.rate(count) {
        let bytes = [UInt8](repeating: 9, count: 200)
        for _ in 0..<count where write(file, bytes, bytes.count) != bytes.count || fdatasync(file) != 0 {
          throw BenchmarkError(systemCall: path)
        }
      }
    }
  }

  private static let blockBytes = 16_384

  private static func textBlocks(_ context: Context) throws -> [[UInt8]] {
    let bytes = try context.chatTexts(max(1000, context.size(100_000))).flatMap { (text: String) -> [UInt8] in
      Array(text.utf8)
    }
    return stride(from: 0, to: bytes.count - blockBytes, by: blockBytes).map { Array(bytes[$0..<($0 + blockBytes)]) }
  }

  private static func pack(_ block: [UInt8], into output: inout [UInt8]) -> Int {
    let room = Int32(output.count)
    return output.withUnsafeMutableBytes { target in
      block.withUnsafeBytes { source in
        Int(
          LZ4_compress_default(
            source.bindMemory(to: CChar.self).baseAddress!, target.bindMemory(to: CChar.self).baseAddress!,
            Int32(source.count), room))
      }
    }
  }
}
