import BackupCore
import Glibc
import Synchronization

/// The folders and files of a restore, relative to one open folder. Several threads may make files
/// at once.
final class FolderTargetTree: Sendable {
    /// A file in the making.
    struct OpenFile: Sendable {
        let descriptor: Descriptor
        let folder: Descriptor
        let temporaryName: PathBytes
        let name: PathBytes
        let overwrite: Bool
    }

    private struct State {
        /// The folder that was used last: entries come folder by folder.
        var last: (path: EntryPath, folder: Descriptor)?
        /// Which of this restore's paths a folder was used for: on a filesystem that ignores
        /// case, two paths may mean one folder.
        var folders: [FileStatus.Identity: EntryPath] = [:]
        var made: Set<EntryPath> = []
        /// Files of this restore, which one with an equal name must not overwrite.
        var files: Set<FileStatus.Identity> = []
        var nextTemporary = 1
        /// Large files whose pages are on their way to the medium, oldest first.
        var settling: [(descriptor: Descriptor, byteCount: UInt64)] = []
        var settlingByteCount: UInt64 = 0
    }

    /// How much is left to the system to write before its memory is asked back.
    private static let settlingLimit: UInt64 = 48 << 20
    private static let leastSettling: UInt64 = 256 << 10

    let root: Descriptor
    private let system: DriveSyscalls
    private let state = Mutex(State())
    /// Held from the look at a name until a file has it: on a filesystem that ignores case two of
    /// this restore's files may mean one name.
    private let naming = Mutex(())

    init(root: Descriptor, system: DriveSyscalls) {
        self.root = root
        self.system = system
    }

    /// Opens a folder by its path, making what is missing. Links in a path that a person gave are
    /// theirs and are followed.
    static func openOrMake(
        _ path: String, system: DriveSyscalls
    ) throws(BackendError) -> Descriptor {
        do throws(BackendError) {
            return try system.openFolder(path: path)
        } catch let error where error.nativeCode == ENOENT {
            var components = path.split(separator: "/").map(String.init)
            guard let name = components.popLast() else { throw error }
            let start = path.hasPrefix("/") ? "/" : "./"
            let parent = try openOrMake(
                start + components.joined(separator: "/"), system: system)
            try system.makeFolder(PathBytes(name), in: parent)
            return try system.openFolder(PathBytes(name), in: parent)
        }
    }

    /// The folder at `path`, made with its ancestors when it is missing.
    func folder(_ path: EntryPath) throws(BackendError) -> Descriptor {
        if let last = state.withLock({ $0.last }), last.path == path { return last.folder }
        var folder = root
        var walked = EntryPath.root
        for name in path.names {
            walked = walked.appending(name)
            let component = PathBytes(name.bytes)
            if try system.makeFolder(component, in: folder) {
                state.withLock { _ = $0.made.insert(walked) }
            }
            folder = try system.openFolder(component, in: folder)
            try claim(folder, for: walked)
        }
        state.withLock { $0.last = (path, folder) }
        return folder
    }

    /// Whether the folder was made by this restore.
    func wasMade(_ path: EntryPath) -> Bool { state.withLock { $0.made.contains(path) } }

    private func claim(_ folder: Descriptor, for path: EntryPath) throws(BackendError) {
        let identity = try system.status(folder).identity
        let owner = state.withLock { state in
            if state.folders[identity] == nil { state.folders[identity] = path }
            return state.folders[identity]
        }
        guard owner == path else { throw taken() }
    }

    private func taken() -> BackendError {
        system.error(.io, "the name is taken", nativeCode: EEXIST)
    }

    /// Starts a file under a temporary name.
    func begin(
        _ name: EntryName, in path: EntryPath, overwrite: Bool
    ) throws(BackendError) -> OpenFile {
        let folder = try folder(path)
        let final = PathBytes(name.bytes)
        // A look ahead, so that nothing is read for a file that cannot take its name.
        if let existing = try system.status(final, in: folder) {
            try allow(overwrite, over: existing)
        }
        while true {
            let number = state.withLock { state in
                defer { state.nextTemporary += 1 }
                return state.nextTemporary
            }
            let temporary = PathBytes(".holdfast-tmp-\(number)")
            do throws(BackendError) {
                return OpenFile(
                    descriptor: try system.createFile(temporary, in: folder), folder: folder,
                    temporaryName: temporary, name: final, overwrite: overwrite)
            } catch let error where error.nativeCode == EEXIST && number < 1_000_000_000 {
                continue
            }
        }
    }

    private func allow(_ overwrite: Bool, over existing: FileStatus) throws(BackendError) {
        let isOwn = state.withLock { $0.files.contains(existing.identity) }
        guard overwrite, existing.kind != .directory, !isOwn else { throw taken() }
    }

    /// Gives a written file its date, mode and name.
    func finish(_ file: OpenFile, modified: Timestamp, mode: UInt32?) throws(BackendError) {
        let status = try system.status(file.descriptor)
        if let mode { try system.changeMode(file.descriptor, mode) }
        try system.setTimes(file.descriptor, modified)
        settle(file.descriptor, byteCount: status.byteCount)
        try system.close(file.descriptor)
        try naming.withLock { (_) throws(BackendError) in try name(file, status.identity) }
    }

    private func name(
        _ file: OpenFile, _ identity: FileStatus.Identity
    ) throws(BackendError) {
        if file.overwrite {
            if let existing = try system.status(file.name, in: file.folder) {
                try allow(true, over: existing)
            }
            try system.rename(
                file.temporaryName, in: file.folder, to: file.name, in: file.folder)
            state.withLock { _ = $0.files.insert(identity) }
        } else {
            try system.renameExclusively(
                file.temporaryName, in: file.folder, to: file.name, in: file.folder)
        }
    }

    /// Has a large file written out at once and, some files later, its pages given back: nobody
    /// reads a restored file soon, and clearing new pages for each next one took more time than
    /// opening the content. Advice only: nothing here makes it durable.
    private func settle(_ file: Descriptor, byteCount: UInt64) {
        guard byteCount >= Self.leastSettling, let copy = system.duplicate(file) else { return }
        system.dropCache(of: copy)
        let settled = state.withLock { state -> [Descriptor] in
            state.settling.append((copy, byteCount))
            state.settlingByteCount += byteCount
            var settled: [Descriptor] = []
            while state.settlingByteCount > Self.settlingLimit, let oldest = state.settling.first {
                state.settling.removeFirst()
                state.settlingByteCount -= oldest.byteCount
                settled.append(oldest.descriptor)
            }
            return settled
        }
        for file in settled { system.giveBackPages(of: file) }
    }

    /// Gives a file up.
    func discard(_ file: OpenFile) {
        // There is nothing more to be done about an error here.
        _ = try? system.close(file.descriptor)
        _ = try? system.unlink(file.temporaryName, in: file.folder)
    }
}
