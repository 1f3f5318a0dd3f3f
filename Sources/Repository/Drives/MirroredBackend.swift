package import BackupCore

/// One owner's repository on several drives that hold the same files.
///
/// The same bytes go to every drive through a bounded queue and a thread of its own. A drive that
/// fails, fills, stalls or vanishes falls behind and gets nothing more in this run; it never holds
/// up the others. An operation throws only when no drive is left.
package final class MirroredBackend: RepositoryBackend {
    private let lanes: [MirrorLane]
    private let absent: [DriveID: BackendError]

    /// A mirror over `copies`. `behind` names drives that take no part (absent, not caught up,
    /// locked by a stranger) and why; they only show in ``receipts()``. At most `queuedFiles`
    /// files and `queuedBytes` bytes wait for each drive.
    package init(
        _ copies: [DriveBackend], behind: [DriveID: BackendError] = [:], queuedFiles: Int = 2,
        queuedBytes: Int = 64 << 20
    ) {
        let bounds = MirrorLane.Bounds(files: queuedFiles, bytes: queuedBytes)
        lanes = copies.map { MirrorLane($0, bounds: bounds) }
        absent = behind
    }

    /// The drives that take part, behind or not.
    package var copies: [DriveBackend] { lanes.map(\.backend) }

    /// Every drive that is behind, and why.
    package var behind: [DriveID: BackendError] {
        var result = absent
        for lane in lanes { result[lane.backend.drive.id] = lane.error ?? result[lane.drive] }
        return result
    }

    /// Declares a drive behind for the rest of the run (a stranger holds its lock).
    package func drop(_ drive: DriveID, because error: BackendError) {
        for lane in lanes where lane.drive == drive { lane.fail(error) }
    }

    package var copyCount: Int { lanes.count }

    package func list(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        var sizes: [FileName: UInt64] = [:]
        var isListed = false
        for lane in lanes where lane.isReadable {
            do throws(BackendError) {
                for file in try await lane.backend.list(kind) {
                    // A shorter one is cut short; the longer one is worth reading first.
                    sizes[file.name] = max(sizes[file.name] ?? 0, file.byteCount)
                }
                isListed = true
            } catch {
                // A listing that failed is no empty one: the drive is not to be relied on.
                lane.fail(error)
            }
        }
        guard isListed else { throw noDriveLeft() }
        return sizes.map { StoredFile(name: $0.key, byteCount: $0.value) }
    }

    package func listOnEveryCopy(_ kind: FileKind) async throws(BackendError) -> [StoredFile] {
        var common: [FileName: UInt64]?
        for lane in lanes where lane.error == nil {
            do throws(BackendError) {
                var sizes: [FileName: UInt64] = [:]
                for file in try await lane.backend.list(kind) { sizes[file.name] = file.byteCount }
                common = common.map { Self.common($0, sizes) } ?? sizes
            } catch {
                lane.fail(error)
            }
        }
        guard let common else { throw noDriveLeft() }
        return common.map { StoredFile(name: $0.key, byteCount: $0.value) }
    }

    package func read(
        _ file: FileName, range: Range<UInt64>?, copy: Int
    ) async throws(BackendError) -> [UInt8] {
        guard lanes.indices.contains(copy) else {
            throw BackendError(.noSuchFile, "there is no copy \(copy)")
        }
        let lane = lanes[copy]
        if let bytes = lane.pendingBytes(of: file) {
            guard let range else { return bytes }
            guard range.upperBound <= UInt64(bytes.count) else {
                throw lane.backend.drive.system.error(.damaged, "a file is shorter than asked for")
            }
            return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        }
        if !lane.isReadable, let error = lane.error { throw error }
        return try await lane.backend.read(file, range: range, copy: 0)
    }

    package func write(_ file: FileName, _ bytes: [UInt8]) async throws(BackendError) {
        await each { await $0.add(.store(file, bytes)) }
        try requireDrive()
    }

    package func flush() async throws(BackendError) {
        await each { lane in
            await lane.add(.flush)
            await lane.drained()
        }
        try requireDrive()
    }

    package func remove(_ file: FileName) async throws(BackendError) {
        await each { lane in
            await lane.add(.remove(file))
            await lane.drained()
        }
        try requireDrive()
    }

    package func receipts() async -> [CopyReceipt] {
        let own = lanes.map { lane in
            let state: CopyState =
                lane.error.map { .behind($0) } ?? (lane.isDurable ? .durable : .written)
            return CopyReceipt(drive: lane.drive, state: state)
        }
        let others = absent.filter { absent in !lanes.contains { $0.drive == absent.key } }
        return own
            + others.sorted { $0.key < $1.key }.map {
                CopyReceipt(drive: $0.key, state: .behind($0.value))
            }
    }

    package func freeBytes() async -> UInt64 {
        var most: UInt64 = 0
        for lane in lanes where lane.error == nil {
            most = max(most, await lane.backend.freeBytes())
        }
        return most
    }

    private static func common(
        _ left: [FileName: UInt64], _ right: [FileName: UInt64]
    ) -> [FileName: UInt64] {
        var both: [FileName: UInt64] = [:]
        for (file, size) in left {
            if let other = right[file] { both[file] = min(size, other) }
        }
        return both
    }

    /// Does `body` for every drive at once, so that one that must be waited for costs the others
    /// nothing.
    private func each(_ body: @escaping @Sendable (MirrorLane) async -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for lane in lanes where lane.error == nil {
                group.addTask { await body(lane) }
            }
        }
    }

    private func requireDrive() throws(BackendError) {
        guard lanes.contains(where: { $0.error == nil }) else { throw noDriveLeft() }
    }

    /// Of the reasons why no drive is left, the one that most needs a person. Drives that took
    /// part tell more than ones that never did.
    private func noDriveLeft() -> BackendError {
        let errors = lanes.compactMap(\.error)
        let candidates = errors.isEmpty ? Array(absent.values) : errors
        let order = ExitCode.byNeedOfAPerson
        let worst = candidates.min { left, right in
            (order.firstIndex(of: left.exitCode) ?? order.count)
                < (order.firstIndex(of: right.exitCode) ?? order.count)
        }
        return worst ?? BackendError(.absent, "there is no drive to write to")
    }
}

extension MirrorLane {
    var drive: DriveID { backend.drive.id }

    /// Whether reading is worth a try: a drive that is full or read-only can still be read.
    var isReadable: Bool {
        switch error?.code {
        case nil, .full, .readOnly, .locked, .damaged: true
        default: false
        }
    }
}
