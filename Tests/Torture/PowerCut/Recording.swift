import Drives
import Glibc
import Synchronization

/// What reached two drives, call by call, and what the box knew meanwhile.
///
/// Files and folders have numbers of their own, in the order in which they were first seen;
/// 0 is the folder that is the drive.
final class Recording: Sendable {
    enum Change: Sendable {
        case newFile(Int, String, folder: Int)
        case newFolder(Int, String, folder: Int)
        case allocate(Int, byteCount: Int)
        case write(Int, ArraySlice<UInt8>)
        /// Of a file or a folder; one that failed has lost what it was asked to keep.
        case sync(Int, succeeded: Bool)
        case syncAll
        case rename(Int, String, folder: Int, to: String, newFolder: Int)
        case unlink(Int, String, folder: Int)
        /// Rot, which is no call: the file's bytes on the medium are these now.
        case rot(Int, [UInt8])
    }

    fileprivate struct State {
        var sequence = 0
        var ignoresFailures = false
        var drives: [DriveHistory]
        var box: [(sequence: Int, state: BoxState)] = [(0, BoxState())]
        var steps: [Int] = []
        var failedSyncs: Set<Int32> = []
        var violations: [String] = []
    }

    private let state: Mutex<State>

    /// A recording of the drives in a lab's folder, which are empty folders.
    init(_ folder: String) {
        state = Mutex(
            State(drives: Lab.drives.map { DriveHistory(Lab.path($0, in: folder)) }))
    }

    /// Records for a drive.
    func observer(_ drive: Int) -> DriveObserver {
        { effect in
            self.state.withLock { state in
                guard !state.ignoresFailures || !effect.isFailure else { return }
                state.watchSyncs(effect)
                guard let change = state.drives[drive].change(effect) else { return }
                state.sequence += 1
                state.drives[drive].changes.append((state.sequence, change))
            }
        }
    }

    /// Records what the box knows from now on.
    func note(_ box: BoxState) {
        state.withLock { state in
            state.sequence += 1
            state.box.append((state.sequence, box))
        }
    }

    /// Records that the next step begins.
    func beginStep() { state.withLock { $0.steps.append($0.sequence) } }

    /// Whether failures are those of a program that is dead, whose calls reach no drive.
    func ignoreFailures(_ ignores: Bool) { state.withLock { $0.ignoresFailures = ignores } }

    /// Changes a file's bytes on a drive past the code under test.
    func rot(_ drive: Int, path: String, _ bytes: [UInt8]) {
        state.withLock { state in
            guard let file = state.drives[drive].number(ofPath: path) else { return }
            TrialFiles.write(path, bytes)
            state.sequence += 1
            state.drives[drive].changes.append((state.sequence, .rot(file, bytes)))
        }
    }

    /// Descriptors that were asked to be made durable again after that had failed.
    var violations: [String] { state.withLock { $0.violations } }

    /// All that was recorded.
    var finished: Finished {
        state.withLock { state in
            Finished(
                changes: state.drives.map(\.changes), box: state.box, steps: state.steps,
                end: state.sequence)
        }
    }

    /// A recording that has ended.
    struct Finished: Sendable {
        let changes: [[(sequence: Int, change: Change)]]
        let box: [(sequence: Int, state: BoxState)]
        let steps: [Int]
        let end: Int
    }
}

extension DriveEffect {
    fileprivate var isFailure: Bool {
        switch self {
        case .synced(_, let succeeded), .syncedFilesystem(_, let succeeded): !succeeded
        default: false
        }
    }
}

extension Recording.State {
    /// The kernel may have marked the lost pages clean, so that asking the same descriptor again
    /// wrongly succeeds.
    fileprivate mutating func watchSyncs(_ effect: DriveEffect) {
        switch effect {
        case .opened(let descriptor): failedSyncs.remove(descriptor)
        case .synced(let descriptor, let succeeded):
            if failedSyncs.contains(descriptor) {
                violations.append("a failed fsync was repeated on the same descriptor")
            }
            if !succeeded { failedSyncs.insert(descriptor) }
        default: break
        }
    }
}

/// The changes of one drive, and which file or folder has which number.
struct DriveHistory: Sendable {
    var changes: [(sequence: Int, change: Recording.Change)] = []
    private var numbers: [UInt64: Int] = [:]
    private var entries: [Int: [String: Int]] = [0: [:]]
    private var next = 1

    init(_ path: String) {
        var raw = stat()
        if stat(path, &raw) == 0 { numbers[UInt64(raw.st_ino)] = 0 }
    }

    /// The change that an effect is; nil when it changes nothing.
    mutating func change(_ effect: DriveEffect) -> Recording.Change? {
        switch effect {
        case .opened: return nil
        case .created(let descriptor, let name, let folder):
            guard let (number, name, folder) = add(name, to: folder, inode: inode(descriptor))
            else { return nil }
            return .newFile(number, name, folder: folder)
        case .madeFolder(let name, let folder):
            guard let (number, name, folder) = add(name, to: folder, inode: inode(name, in: folder))
            else { return nil }
            entries[number] = [:]
            return .newFolder(number, name, folder: folder)
        case .allocated(let descriptor, let byteCount):
            return number(descriptor).map { .allocate($0, byteCount: Int(byteCount)) }
        case .wrote(let descriptor, let bytes):
            return number(descriptor).map { .write($0, bytes) }
        case .synced(let descriptor, let succeeded):
            return number(descriptor).map { .sync($0, succeeded: succeeded) }
        case .syncedFilesystem(_, let succeeded): return succeeded ? .syncAll : nil
        case .renamed(let name, let folder, let newName, let newFolder):
            return rename(name, folder, newName, newFolder)
        case .unlinked(let name, let folder):
            let text = String(decoding: name, as: UTF8.self)
            guard let folder = number(folder),
                let number = entries[folder]?.removeValue(forKey: text)
            else { return nil }
            return .unlink(number, text, folder: folder)
        }
    }

    private mutating func rename(
        _ name: [UInt8], _ folder: Int32, _ newName: [UInt8], _ newFolder: Int32
    ) -> Recording.Change? {
        let text = String(decoding: name, as: UTF8.self)
        let newText = String(decoding: newName, as: UTF8.self)
        guard let folder = number(folder), let newFolder = number(newFolder),
            let number = entries[folder]?.removeValue(forKey: text)
        else { return nil }
        entries[newFolder, default: [:]][newText] = number
        return .rename(number, text, folder: folder, to: newText, newFolder: newFolder)
    }

    private mutating func add(
        _ name: [UInt8], to folder: Int32, inode: UInt64?
    ) -> (Int, String, Int)? {
        guard let inode, let parent = number(folder) else { return nil }
        let text = String(decoding: name, as: UTF8.self)
        let number = next
        next += 1
        // An inode may be a new file's after another's end.
        numbers[inode] = number
        entries[parent, default: [:]][text] = number
        return (number, text, parent)
    }

    /// The number of a file by its path, which begins with the drive's.
    func number(ofPath path: String) -> Int? {
        var raw = stat()
        return stat(path, &raw) == 0 ? numbers[UInt64(raw.st_ino)] : nil
    }

    private func number(_ descriptor: Int32) -> Int? { inode(descriptor).flatMap { numbers[$0] } }

    private func inode(_ descriptor: Int32) -> UInt64? {
        var raw = stat()
        return fstat(descriptor, &raw) == 0 ? UInt64(raw.st_ino) : nil
    }

    private func inode(_ name: [UInt8], in folder: Int32) -> UInt64? {
        var raw = stat()
        let text = String(decoding: name, as: UTF8.self)
        return fstatat(folder, text, &raw, 0) == 0 ? UInt64(raw.st_ino) : nil
    }
}
