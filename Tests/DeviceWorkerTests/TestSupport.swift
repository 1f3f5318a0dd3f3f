import BackupCore
import Glibc
import Synchronization

@testable import DeviceWorker

/// What the helper's scripted lane does for which handle.
enum Script {
    static let crash: UInt64 = 9_000_001
    static let hang: UInt64 = 9_000_002
    /// In a listing: signs of life for ever. As a file: refused.
    static let aliveForEver: UInt64 = 9_000_003
    static let refused: UInt64 = 9_000_003
    /// In a listing: the phone goes. As a file: one byte short.
    static let gone: UInt64 = 9_000_004
    static let short: UInt64 = 9_000_004
    /// In a listing: the process exits with 3. As a file: one byte long.
    static let exit: UInt64 = 9_000_005
    static let long: UInt64 = 9_000_005
    static let endless: UInt64 = 9_000_006

    /// An entry as a listing would give it.
    static func file(_ object: UInt64, _ byteCount: UInt64?) -> PhoneEntry {
        PhoneEntry(
            storage: 7, object: object, name: "file", isFolder: false, byteCount: byteCount,
            modified: .zero)
    }
}

/// Where the helper was built: beside the running test program.
func helperProgram(environment: [String: String] = [:]) -> WorkerProgram {
    var path = [UInt8](repeating: 0, count: 4096)
    // Sound: the buffer's size is told.
    let length = unsafe readlink("/proc/self/exe", &path, path.count)
    let own = String(decoding: path.prefix(max(0, length)), as: UTF8.self)
    let folder = own[..<(own.lastIndex(of: "/") ?? own.startIndex)]
    let helper = folder + "/device-worker-test-helper"
    if environment.isEmpty {
        return WorkerProgram(executable: String(helper), arguments: [String(helper)])
    }
    // env(1), because a library path counts at exec and this process has its own already.
    let words = environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return WorkerProgram(
        executable: "/usr/bin/env", arguments: ["env"] + words + [String(helper)])
}

/// A clock that stands still until it is told.
final class StandingClock: RunClock {
    private struct State {
        var elapsed: Duration = .zero
        var sleepers: [UInt64: (due: Duration, wake: CheckedContinuation<Void, Never>)] = [:]
        var watchers: [CheckedContinuation<Void, Never>] = []
        var next: UInt64 = 0
    }
    private let state = Mutex(State())

    func now() -> Timestamp { .zero }
    func utcOffsetSeconds() -> Int { 0 }
    func elapsed() -> Duration { state.withLock { $0.elapsed } }

    func sleep(_ duration: Duration) async {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let watchers = state.withLock { state in
                    guard !Task.isCancelled else {
                        continuation.resume()
                        return [CheckedContinuation<Void, Never>]()
                    }
                    state.sleepers[number] = (state.elapsed + duration, continuation)
                    defer { state.watchers = [] }
                    return state.watchers
                }
                for watcher in watchers { watcher.resume() }
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: number)?.wake }?.resume()
        }
    }

    /// Waits until somebody sleeps.
    func untilSomebodySleeps() async {
        await withCheckedContinuation { continuation in
            let isNow = state.withLock { state in
                if state.sleepers.isEmpty { state.watchers.append(continuation) }
                return !state.sleepers.isEmpty
            }
            if isNow { continuation.resume() }
        }
    }

    /// Moves the time and wakes whose time has come.
    func advance(_ duration: Duration) {
        let woken = state.withLock { state in
            state.elapsed += duration
            let due = state.sleepers.filter { $0.value.due <= state.elapsed }
            for number in due.keys { state.sleepers[number] = nil }
            return due.values.map(\.wake)
        }
        for wake in woken { wake.resume() }
    }
}

/// A session with the scripted lane.
func scriptedSession(_ clock: any RunClock = StandingClock()) async throws -> WorkerSession {
    try await WorkerSession(
        program: helperProgram(), arguments: ["scripted"], clock: clock,
        deadlines: WorkerDeadlines())
}

/// The error that `body` throws, nil when it throws none.
func deviceError<Value>(_ body: () async throws -> Value) async -> DeviceError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? DeviceError
    }
}

/// All bytes of a source, which is closed.
func allBytes(_ source: ByteSource<DeviceError>) async throws(DeviceError) -> [UInt8] {
    var bytes: [UInt8] = []
    do throws(DeviceError) {
        while let piece = try await source.next() { bytes += piece }
    } catch {
        await source.close()
        throw error
    }
    await source.close()
    return bytes
}

/// How many descriptors this process has open.
func openDescriptorCount() -> Int {
    var count = 0
    guard let folder = unsafe opendir("/proc/self/fd") else { return -1 }
    defer { unsafe closedir(folder) }
    while unsafe readdir(folder) != nil { count += 1 }
    return count
}
