import BackupCore
import Glibc

/// A phone made up: handles decide what happens (see the constants in the tests' `Script`).
struct ScriptedLane: ~Copyable, DeviceLane {
    let alive: () -> Void

    mutating func attributes() throws(DeviceError) -> PhoneAttributes {
        PhoneAttributes(
            identity: "S\nM", name: "Näme", manufacturer: "Maker", model: "M", osVersion: "1",
            batteryPercent: 80, notes: ["lane: scripted"])
    }

    mutating func storages() throws(DeviceError) -> [PhoneStorage] {
        [
            PhoneStorage(
                handle: 7, name: "Internal", volumeIdentifier: "v", type: 3, totalBytes: 1 << 40,
                freeBytes: 5)
        ]
    }

    /// The folder's handle is the number of its entries, but for a few.
    mutating func list(
        _ folder: FolderReference, limit: Int
    ) throws(DeviceError) -> FolderListing {
        let count = Int(folder.object ?? 3)
        switch count {
        case 9_000_001: crash()
        case 9_000_002: while true { pause() }
        case 9_000_003: while true { alive() }
        case 9_000_004: throw DeviceError(.gone, "The phone has gone away")
        case 9_000_005: exit(3)
        default: break
        }
        guard count <= limit else { throw DeviceError(.limitExceeded, "Too many") }
        return FolderListing(
            (0..<count).map { Self.entry($0, folder.storage) }, undescribedCount: count / 100)
    }

    private static func entry(_ number: Int, _ storage: UInt64) -> PhoneEntry {
        let size: UInt64? = number % 5 == 0 ? nil : UInt64(number)
        let name = EntryName(bytes: Array("file \(number)".utf8) + [0xFF])
        return PhoneEntry(
            storage: storage, object: UInt64(number), name: name, isFolder: number % 7 == 0,
            byteCount: size, modified: Timestamp(seconds: Int64(number) - 100))
    }

    /// Content is the byte `object + position`; the size read is the announced one, but for a few.
    mutating func read(
        _ entry: PhoneEntry, emit: (UnsafeRawBufferPointer) -> Bool
    ) throws(DeviceError) {
        let announced = entry.byteCount ?? 0
        switch entry.object {
        case 9_000_001:
            // Enough that a frame is on its way before the end.
            _ = unsafe push(entry, 600_000, emit)
            crash()
        case 9_000_002:
            _ = unsafe push(entry, 600_000, emit)
            while true { pause() }
        case 9_000_003: throw DeviceError(.unreadable, "Refused", nativeCode: 0x2002)
        case 9_000_004: unsafe push(entry, announced - 1, emit)
        case 9_000_005: unsafe push(entry, announced + 1, emit)
        case 9_000_006: while unsafe push(entry, 1 << 20, emit) {}
        default: unsafe push(entry, announced, emit)
        }
    }

    mutating func drive(_ job: PushedJob, over tree: any CaptureTree) throws(DeviceError) {
        do throws(CaptureTreeError) {
            try DrivenTree.drive(job, tree)
        } catch {
            throw error.deviceError
        }
    }

    consuming func close() {}

    @discardableResult
    private func push(
        _ entry: PhoneEntry, _ count: UInt64, _ emit: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        var position: UInt64 = 0
        while position < count {
            let piece = (position..<min(count, position + 16_384)).map {
                UInt8(truncatingIfNeeded: entry.object &+ $0)
            }
            position += UInt64(piece.count)
            // Sound: the array lends its bytes for the call.
            guard unsafe piece.withUnsafeBytes({ unsafe emit($0) }) else { return false }
        }
        return true
    }

    /// A wild write, as a C library's.
    private func crash() -> Never {
        // A sanitizer would catch the signal and end the process in its own way.
        signal(SIGSEGV, SIG_DFL)
        // Sound: not at all, on purpose; nothing is ever mapped there.
        unsafe UnsafeMutablePointer<Int>(bitPattern: 16)?.pointee = 1
        exit(1)
    }
}
