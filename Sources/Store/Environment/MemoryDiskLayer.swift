import CSQLite
import Glibc

/// Joins `MemoryDisk` to SQLite: the C tables of the file layer, filled with closures that capture nothing.
enum MemoryDiskLayer {
  /// What SQLite allocates for an open file: its own part, then our reference.
  struct OpenFile {
    var base: sqlite3_file
    var handle: Unmanaged<MemoryDisk.Handle>?
  }

  private static let pathBytesMaximum: Int32 = 512

  nonisolated static func fill(
    _ vfs: UnsafeMutablePointer<sqlite3_vfs>, name: UnsafePointer<CChar>, disk: UnsafeMutableRawPointer
  ) {
    vfs.pointee.iVersion = 1
    vfs.pointee.szOsFile = Int32(MemoryLayout<OpenFile>.stride)
    vfs.pointee.mxPathname = pathBytesMaximum
    vfs.pointee.zName = name
    vfs.pointee.pAppData = disk
    vfs.pointee.xOpen = { vfs, path, file, flags, outFlags in
      let disk = MemoryDiskLayer.disk(vfs)
      file!.pointee.pMethods = nil
      guard
        let handle = disk.open(
          path.map { String(cString: $0) }, create: flags & SQLITE_OPEN_CREATE != 0,
          deletesOnClose: flags & SQLITE_OPEN_DELETEONCLOSE != 0)
      else { return SQLITE_CANTOPEN }
      UnsafeMutableRawPointer(file!).bindMemory(to: OpenFile.self, capacity: 1).pointee.handle = .passRetained(handle)
      file!.pointee.pMethods = UnsafePointer(MemoryDiskLayer.methods.pointer)
      outFlags?.pointee = flags
      return SQLITE_OK
    }
    vfs.pointee.xDelete = { vfs, path, sync in
      MemoryDiskLayer.disk(vfs).delete(String(cString: path!), syncsDirectory: sync != 0)
    }
    vfs.pointee.xAccess = { vfs, path, _, result in
      result!.pointee = MemoryDiskLayer.disk(vfs).exists(String(cString: path!)) ? 1 : 0
      return SQLITE_OK
    }
    vfs.pointee.xFullPathname = { _, path, count, out in
      guard strlen(path!) < Int(count) else { return SQLITE_CANTOPEN }
      strcpy(out!, path!)
      return SQLITE_OK
    }
    vfs.pointee.xRandomness = { vfs, count, out in
      let bytes = MemoryDiskLayer.disk(vfs).randomBytes(Int(count))
      memcpy(out!, bytes, bytes.count)
      return count
    }
    vfs.pointee.xSleep = { _, microseconds in microseconds }
    vfs.pointee.xCurrentTime = { _, days in
      days!.pointee = 2_460_000.5
      return SQLITE_OK
    }
    vfs.pointee.xGetLastError = { _, _, _ in 0 }
  }

  private nonisolated static func disk(_ vfs: UnsafeMutablePointer<sqlite3_vfs>?) -> MemoryDisk {
    Unmanaged<MemoryDisk>.fromOpaque(vfs!.pointee.pAppData).takeUnretainedValue()
  }

  private nonisolated static func handle(_ file: UnsafeMutablePointer<sqlite3_file>?) -> MemoryDisk.Handle {
    UnsafeMutableRawPointer(file!).assumingMemoryBound(to: OpenFile.self).pointee.handle!.takeUnretainedValue()
  }

  /// `@unchecked Sendable`: written once, before anybody reads it.
  private struct Methods: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<sqlite3_io_methods>
  }

  private static let methods: Methods = {
    let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
    methods.initialize(to: sqlite3_io_methods())
    methods.pointee.iVersion = 1
    methods.pointee.xClose = { file in
      let handle = MemoryDiskLayer.handle(file)
      handle.disk.close(handle)
      UnsafeMutableRawPointer(file!).assumingMemoryBound(to: OpenFile.self).pointee.handle!.release()
      return SQLITE_OK
    }
    methods.pointee.xRead = { file, out, count, offset in
      let handle = MemoryDiskLayer.handle(file)
      return handle.disk.read(
        handle, into: UnsafeMutableRawBufferPointer(start: out, count: Int(count)), at: Int(offset))
    }
    methods.pointee.xWrite = { file, bytes, count, offset in
      let handle = MemoryDiskLayer.handle(file)
      return handle.disk.write(handle, UnsafeRawBufferPointer(start: bytes, count: Int(count)), at: Int(offset))
    }
    methods.pointee.xTruncate = { file, size in
      let handle = MemoryDiskLayer.handle(file)
      return handle.disk.truncate(handle, to: Int(size))
    }
    methods.pointee.xSync = { file, _ in
      let handle = MemoryDiskLayer.handle(file)
      return handle.disk.sync(handle)
    }
    methods.pointee.xFileSize = { file, size in
      let handle = MemoryDiskLayer.handle(file)
      size!.pointee = Int64(handle.disk.size(handle))
      return SQLITE_OK
    }
    methods.pointee.xLock = { file, level in
      let handle = MemoryDiskLayer.handle(file)
      return handle.disk.lock(handle, level)
    }
    methods.pointee.xUnlock = { file, level in
      let handle = MemoryDiskLayer.handle(file)
      handle.disk.unlock(handle, level)
      return SQLITE_OK
    }
    methods.pointee.xCheckReservedLock = { file, result in
      let handle = MemoryDiskLayer.handle(file)
      result!.pointee = handle.disk.isReserved(handle) ? 1 : 0
      return SQLITE_OK
    }
    methods.pointee.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
    methods.pointee.xSectorSize = { _ in 512 }
    // As SQLite takes the real disk to be, and as `crash` is: a torn write leaves its neighbours alone. Without this the
    // write-ahead log is padded after each commit, which the real one never is.
    methods.pointee.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
    return Methods(pointer: methods)
  }()
}
