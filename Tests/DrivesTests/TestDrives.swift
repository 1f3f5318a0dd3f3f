import BackupCore
import Drives
import Glibc
import ResticFormat
import Synchronization

/// A clock whose sleeps end at once when told to, and never by themselves.
final class ManualClock: RunClock {
    private struct State {
        var elapsed = Duration.zero
        var next = 0
        var sleeping: [Int: (until: Duration, continuation: CheckedContinuation<Void, Never>)] =
            [:]
    }

    private let state = Mutex(State())

    func now() -> Timestamp { Timestamp(seconds: 1_800_000_000) }
    func utcOffsetSeconds() -> Int { 0 }
    func elapsed() -> Duration { state.withLock { $0.elapsed } }

    /// The number of sleeps that have not ended.
    var sleepers: Int { state.withLock { $0.sleeping.count } }

    func sleep(_ duration: Duration) async {
        let ticket = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.sleeping[ticket] = (state.elapsed + duration, continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleeping.removeValue(forKey: ticket) }?.continuation.resume()
        }
    }

    /// Moves the time on and wakes whoever slept until then.
    func advance(_ duration: Duration) {
        let woken = state.withLock { state in
            state.elapsed += duration
            let due = state.sleeping.filter { $0.value.until <= state.elapsed }
            for ticket in due.keys { state.sleeping[ticket] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }
}

/// Random numbers that a seed repeats.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        // SplitMix64, of the public domain (prng.di.unimi.it).
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

/// Makes the n-th system call fail, counted over all kinds or some.
final class NthCall: Sendable {
    private let state: Mutex<(count: Int, didFail: Bool)>
    private let failing: Int?
    private let fault: DriveFault
    private let isSticky: Bool
    private let kinds: Set<DriveCall>

    /// The calls that change a drive.
    static let changes: Set<DriveCall> = [
        .create, .allocate, .write, .sync, .close, .rename, .unlink, .makeDirectory,
    ]

    /// Fails call `failing` (from 1) with `fault`, and all after it when sticky.
    init(
        failing: Int? = nil, _ fault: DriveFault = .error(EIO), isSticky: Bool = false,
        kinds: Set<DriveCall> = Set(DriveCall.allCases)
    ) {
        state = Mutex((0, false))
        self.failing = failing
        self.fault = fault
        self.isSticky = isSticky
        self.kinds = kinds
    }

    var count: Int { state.withLock { $0.count } }
    var didFail: Bool { state.withLock { $0.didFail } }

    var hook: DriveFaultHook {
        { call in
            self.state.withLock { state in
                guard self.kinds.contains(call) else { return nil }
                state.count += 1
                guard let failing = self.failing,
                    state.count == failing || self.isSticky && state.count > failing
                else { return nil }
                state.didFail = true
                return self.fault
            }
        }
    }
}

/// Folders of a drive whose entries changed and were not made durable since.
final class UnsyncedFolders: Sendable {
    private let state = Mutex<(count: Int, folders: Set<String>)>((0, []))

    /// The changes so far.
    var count: Int { state.withLock { $0.count } }
    /// The paths of the folders.
    var left: Set<String> { state.withLock { $0.folders } }

    var observer: DriveObserver {
        { effect in
            switch effect {
            case .created(_, _, let folder), .unlinked(_, let folder), .madeFolder(_, let folder):
                self.note(folder)
            case .renamed(_, let folder, _, let newFolder):
                self.note(folder)
                self.note(newFolder)
            case .synced(let folder, true):
                let path = Self.path(folder)
                self.state.withLock { _ = $0.folders.remove(path) }
            case .syncedFilesystem(_, true): self.state.withLock { $0.folders = [] }
            default: break
            }
        }
    }

    private func note(_ folder: Int32) {
        let path = Self.path(folder)
        state.withLock { state in
            state.count += 1
            state.folders.insert(path)
        }
    }

    /// The path of an open folder.
    static func path(_ descriptor: Int32) -> String {
        var text = [CChar](repeating: 0, count: 4096)
        // Sound: the buffer is lent with a smaller count, so that a NUL stays at its end.
        let count = unsafe readlink("/proc/self/fd/\(descriptor)", &text, text.count - 1)
        return String(
            decoding: text.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// A folder of a test's own.
struct TestFolder: Sendable {
    let path: String

    init() {
        let digits = secureRandomBytes(8).map { String($0, radix: 16) }.joined()
        // In memory where there is a folder for it: these tests make thousands of files durable,
        // and none can tell whether the medium kept them.
        // Sound: the texts are lent as C text for the calls, and what the environment gives is
        // copied at once.
        let named = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
        let memory = named.hasPrefix("/dev/shm/") ? named : "/dev/shm"
        let parent = unsafe access(memory, W_OK) == 0 ? memory : "/tmp"
        path = "\(parent)/holdfast-drives-test-\(digits)"
        // Sound: the text is lent as C text for the call.
        unsafe mkdir(path, 0o700)
    }

    /// A folder in it.
    func folder(_ name: String) -> String {
        let path = "\(path)/\(name)"
        // Sound: the text is lent as C text for the call.
        unsafe mkdir(path, 0o700)
        return path
    }

    func remove() { Shell.run("rm", "-rf", path) }
}

/// Programs others wrote, as helpers and oracles.
enum Shell {
    @discardableResult
    static func run(_ arguments: String...) -> Int32 {
        var pid = pid_t()
        var texts: [UnsafeMutablePointer<CChar>?] = unsafe []
        for argument in arguments { unsafe texts.append(strdup(argument)) }
        unsafe texts.append(nil)
        // Sound: the texts live until they are freed below, after the call.
        defer { unsafe texts.forEach { unsafe free($0) } }
        guard unsafe posix_spawnp(&pid, arguments[0], nil, nil, texts, unsafe environ) == 0 else {
            return -1
        }
        var status: Int32 = 0
        unsafe waitpid(pid, &status, 0)
        return status
    }
}

/// Plain files, read and written past the code under test.
enum PlainFile {
    static func read(_ path: String) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var raw = stat()
        guard unsafe fstat(file, &raw) == 0, raw.st_mode & S_IFMT == S_IFREG else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(raw.st_size))
        // Sound: the array lends its storage for the call.
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe Glibc.read(file, $0.baseAddress, $0.count)
        }
        return count == bytes.count ? bytes : nil
    }

    static func write(_ path: String, _ bytes: [UInt8]) {
        unsafe unlink(path)
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        // Sound: the array lends its storage for the call.
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    /// Every path beneath `folder`, relative, with the bytes of files (nil for folders).
    static func tree(_ folder: String) -> [String: [UInt8]?] {
        var result: [String: [UInt8]?] = [:]
        func visit(_ relative: String) {
            guard let stream = unsafe opendir(folder + relative) else { return }
            defer { unsafe closedir(stream) }
            while let entry = unsafe readdir(stream) {
                // Sound: the name ends with a NUL and is copied at once.
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                    unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                        unsafe String(cString: $0)
                    }
                }
                guard name != ".", name != ".." else { continue }
                let path = "\(relative)/\(name)"
                var raw = stat()
                unsafe lstat(folder + path, &raw)
                if raw.st_mode & S_IFMT == S_IFDIR {
                    result.updateValue(nil, forKey: path)
                    visit(path)
                } else {
                    result.updateValue(read(folder + path), forKey: path)
                }
            }
        }
        visit("")
        return result
    }
}

/// Two drives in folders, and an owner's repository with made-up content: Drives looks at names
/// and hashes only.
struct DrivePair {
    static let owner = OwnerID(trusted: "owner-1")
    static let set = DriveSetID(trusted: "set-1")

    static func enrol(_ path: String, fault: DriveFaultHook? = nil) async throws -> Drive {
        try await Drive.enrol(path: path, set: set, options: options(fault: fault))
    }

    static func options(
        fault: DriveFaultHook? = nil, clock: ManualClock = ManualClock()
    ) -> DriveOptions {
        DriveOptions(clock: clock, reserveBytes: 0, fault: fault)
    }

    static func repositoryPath(_ drivePath: String) -> String {
        "\(drivePath)/holdfast/repositories/\(owner)"
    }

    static func file(_ kind: FileKind, _ bytes: [UInt8]) -> FileName {
        FileName(kind, .sha256(of: bytes))
    }

    static let config: [UInt8] = Array("a sealed config".utf8)
    static let key: [UInt8] = Array("{\"a\":\"key\"}".utf8)

    static func initialise(_ backend: DriveBackend) async throws {
        try await backend.initialise(config: config, keys: [(.sha256(of: key), key)])
    }

    /// Whether every file of a repository folder has the bytes its name promises, and nothing
    /// temporary is there.
    static func isSound(_ path: String) -> Bool {
        PlainFile.tree(path).allSatisfy { path, bytes in
            guard case .some(.some(let bytes)) = bytes as [UInt8]?? else { return true }
            let name = path.split(separator: "/").last.map(String.init) ?? ""
            return name == "config" ? bytes == config : name == ContentID.sha256(of: bytes).hex
        }
    }
}
