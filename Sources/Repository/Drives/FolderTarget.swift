package import BackupCore
import BlockingThread
import Glibc
import Synchronization

/// Restores into a folder on the box.
///
/// Paths from a snapshot become names only here: each component is checked, opened relative to
/// the one above and never followed when it is a link, so nothing outside the folder can be
/// reached, whatever lies in it. A file is written under a temporary name and appears whole.
package final class FolderTarget: RestoreTarget {
    private let overwrite: Bool
    private let system: DriveSyscalls
    private let tree: FolderTargetTree
    /// A file stays on one of them. Two, because clearing the pages of what is written and copying
    /// into them takes a processor half the time, and a restore should keep two busy.
    private let threads = [
        DedicatedThread(name: "restore 1"), DedicatedThread(name: "restore 2"),
    ]
    private let fileCount = Atomic<UInt>(0)

    private init(root: Descriptor, overwrite: Bool, system: DriveSyscalls) {
        self.overwrite = overwrite
        self.system = system
        tree = FolderTargetTree(root: root, system: system)
    }

    /// Opens the folder at `path`, making it (and what leads to it) when it is missing;
    /// `unusable` when that fails. Existing files are replaced only with `overwrite`.
    package static func open(
        path: String, overwrite: Bool = false, fault: DriveFaultHook? = nil
    ) async throws(RestoreError) -> FolderTarget {
        let system = DriveSyscalls(fault: fault)
        do throws(BackendError) {
            let root = try await DriveThread.once { () throws(BackendError) in
                try FolderTargetTree.openOrMake(path, system: system)
            }
            return FolderTarget(root: root, overwrite: overwrite, system: system)
        } catch {
            throw RestoreError(
                .unusable,
                "the folder \(HostileText.escaped(path)) cannot be used: \(error.detail)",
                nativeCode: error.nativeCode)
        }
    }

    /// Makes all that was restored durable, at once for the whole filesystem; to be called after
    /// the last entry.
    package func finish() async throws(RestoreError) {
        try await onThread(.root) { (target) throws(BackendError) in
            try target.system.syncFilesystem(of: target.tree.root)
        }
    }

    // MARK: RestoreTarget

    package func makeDirectory(_ path: EntryPath) async throws(RestoreError) {
        try Self.check(path)
        try await onThread(path) { (target) throws(BackendError) in
            _ = try target.tree.folder(path)
        }
    }

    package func finishDirectory(
        _ path: EntryPath, modified: Timestamp, mode: UInt32?
    ) async throws(RestoreError) {
        try Self.check(path)
        // The folder that was named is its owner's; only what is beneath it is restored.
        guard !path.names.isEmpty else { return }
        try await onThread(path) { (target) throws(BackendError) in
            let folder = try target.tree.folder(path)
            if let mode, target.tree.wasMade(path) {
                try target.system.changeMode(folder, Self.permissions(mode))
            }
            try target.system.setTimes(folder, modified)
        }
    }

    package func writeFile(
        _ path: EntryPath, byteCount: UInt64, modified: Timestamp, mode: UInt32?,
        from content: ByteSource<RepositoryError>
    ) async throws(RestoreError) {
        do throws(RestoreError) {
            try await write(path, byteCount, modified, mode, content)
        } catch {
            await content.close()
            throw error
        }
        await content.close()
    }

    private func write(
        _ path: EntryPath, _ byteCount: UInt64, _ modified: Timestamp, _ mode: UInt32?,
        _ content: ByteSource<RepositoryError>
    ) async throws(RestoreError) {
        try Self.check(path)
        guard let name = path.last else {
            throw RestoreError(.impossibleName, "A file without a name cannot be made")
        }
        let overwrite = overwrite
        let thread = nextThread()
        if byteCount <= UInt64(ByteSource<RepositoryError>.maximumPiece) {
            return try await writeSmall(name, path, byteCount, modified, mode, content, thread)
        }
        let file = try await onThread(path, thread) { (target) throws(BackendError) in
            try target.tree.begin(name, in: path.parent, overwrite: overwrite)
        }
        do throws(RestoreError) {
            try await pour(content, byteCount, into: file, path, thread)
            try await onThread(path, thread) { (target) throws(BackendError) in
                try target.tree.finish(
                    file, modified: modified, mode: mode.map(Self.permissions))
            }
        } catch {
            // The error that counts is the first; a temporary file that stays shows its name.
            try? await onThread(path, thread) { (target) throws(BackendError) in
                target.tree.discard(file)
            }
            throw error
        }
    }

    /// Reads the whole file first and then visits the thread once: with thousands of small files
    /// the visits cost more than the writing.
    private func writeSmall(
        _ name: EntryName, _ path: EntryPath, _ byteCount: UInt64, _ modified: Timestamp,
        _ mode: UInt32?, _ content: ByteSource<RepositoryError>, _ thread: DedicatedThread
    ) async throws(RestoreError) {
        var bytes: [UInt8] = []
        while UInt64(bytes.count) <= byteCount, let piece = try await next(content, path) {
            if bytes.isEmpty { bytes = piece } else { bytes += piece }
        }
        guard UInt64(bytes.count) == byteCount else { throw Self.wrongLength(path) }
        let whole = bytes
        let overwrite = overwrite
        try await onThread(path, thread) { (target) throws(BackendError) in
            let tree = target.tree
            let file = try tree.begin(name, in: path.parent, overwrite: overwrite)
            do throws(BackendError) {
                try target.system.write(file.descriptor, whole[...])
                try tree.finish(file, modified: modified, mode: mode.map(Self.permissions))
            } catch {
                tree.discard(file)
                throw error
            }
        }
    }

    private static func wrongLength(_ path: EntryPath) -> RestoreError {
        RestoreError(.source, "The stored content is not as long as the file was", path: path)
    }

    private func pour(
        _ content: ByteSource<RepositoryError>, _ byteCount: UInt64,
        into file: FolderTargetTree.OpenFile, _ path: EntryPath, _ thread: DedicatedThread
    ) async throws(RestoreError) {
        var written: UInt64 = 0
        while let bytes = try await next(content, path) {
            written += UInt64(bytes.count)
            guard written <= byteCount else { break }
            try await onThread(path, thread) { (target) throws(BackendError) in
                try target.system.write(file.descriptor, bytes[...])
            }
        }
        guard written == byteCount else { throw Self.wrongLength(path) }
    }

    private func next(
        _ content: ByteSource<RepositoryError>, _ path: EntryPath
    ) async throws(RestoreError) -> [UInt8]? {
        do throws(RepositoryError) {
            return try await content.next()
        } catch {
            throw RestoreError(
                .source, "The stored content could not be read: \(error.detail)", path: path,
                nativeCode: error.backend?.nativeCode)
        }
    }

    // MARK: Names, modes, errors

    private static func check(_ path: EntryPath) throws(RestoreError) {
        guard path.names.allSatisfy(\.isTreeName) else {
            throw RestoreError(
                .impossibleName, "The name cannot be made in a folder", path: path)
        }
    }

    /// Read, write and execute only: a snapshot of another program may hold more (Go's bits for
    /// setuid, setgid and sticky lie above these).
    private static func permissions(_ mode: UInt32) -> UInt32 { mode & 0o777 }

    private func nextThread() -> DedicatedThread {
        let number = fileCount.wrappingAdd(1, ordering: .relaxed).oldValue
        return threads[Int(number % UInt(threads.count))]
    }

    private func onThread<Value: Sendable>(
        _ path: EntryPath, _ thread: DedicatedThread? = nil,
        _ body: @escaping @Sendable (FolderTarget) throws(BackendError) -> Value
    ) async throws(RestoreError) -> Value {
        do throws(BackendError) {
            return try await (thread ?? threads[0]).run { () throws(BackendError) in try body(self)
            }
        } catch {
            throw Self.error(error, path)
        }
    }

    private static func error(_ cause: BackendError, _ path: EntryPath) -> RestoreError {
        let code: RestoreError.Code
        switch cause.nativeCode {
        case ENAMETOOLONG, EILSEQ, EINVAL: code = .impossibleName
        case EEXIST, ENOTDIR, ELOOP, EISDIR, ENOTEMPTY: code = .exists
        case ENOSPC, EDQUOT: code = .full
        case EROFS, ENODEV, ENXIO, ESTALE, ENOTCONN: code = .unusable
        default: code = .failed
        }
        let detail =
            code == .exists
            ? "Something exists there already" : "It could not be restored: \(cause.detail)"
        return RestoreError(code, detail, path: path, nativeCode: cause.nativeCode)
    }
}
