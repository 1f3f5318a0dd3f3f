package import BackupCore
import Glibc
import Synchronization

package import DeviceWorker

/// Where the helper was built: beside the running test program.
package func helperProgram(environment: [String: String] = [:]) -> WorkerProgram {
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
package final class StandingClock: RunClock {
    private struct State {
        var elapsed: Duration = .zero
        var sleepers: [UInt64: (due: Duration, wake: CheckedContinuation<Void, Never>)] = [:]
        var watchers: [CheckedContinuation<Void, Never>] = []
        var next: UInt64 = 0
    }
    private let state = Mutex(State())

    /// A clock at zero.
    package init() {}

    package func now() -> Timestamp { .zero }
    package func utcOffsetSeconds() -> Int { 0 }
    package func elapsed() -> Duration { state.withLock { $0.elapsed } }

    package func sleep(_ duration: Duration) async {
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
    package func untilSomebodySleeps() async {
        await withCheckedContinuation { continuation in
            let isNow = state.withLock { state in
                if state.sleepers.isEmpty { state.watchers.append(continuation) }
                return !state.sleepers.isEmpty
            }
            if isNow { continuation.resume() }
        }
    }

    /// Moves the time and wakes whose time has come.
    package func advance(_ duration: Duration) {
        let woken = state.withLock { state in
            state.elapsed += duration
            let due = state.sleepers.filter { $0.value.due <= state.elapsed }
            for number in due.keys { state.sleepers[number] = nil }
            return due.values.map(\.wake)
        }
        for wake in woken { wake.resume() }
    }
}

/// The error that `body` throws, nil when it throws none.
package func deviceError<Value>(_ body: () async throws -> Value) async -> DeviceError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? DeviceError
    }
}

/// All bytes of a source, which is closed.
package func allBytes(_ source: ByteSource<DeviceError>) async throws(DeviceError) -> [UInt8] {
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

/// The machine's own time.
package struct RunningClock: RunClock {
    private static let start = ContinuousClock.now

    /// The clock.
    package init() {}

    package func now() -> Timestamp { .zero }
    package func utcOffsetSeconds() -> Int { 0 }
    package func elapsed() -> Duration { ContinuousClock.now - Self.start }
    package func sleep(_ duration: Duration) async {
        // An error means that the task was cancelled, which ends the wait as the port wants.
        try? await Task.sleep(for: duration)
    }
}

extension MediaSource {
    /// Everything below a folder, by path.
    package func walk(
        _ folder: FolderReference, _ path: String = ""
    ) async throws -> [String: PhoneEntry] {
        var found: [String: PhoneEntry] = [:]
        for entry in try await list(folder).entries {
            let path = path + "/" + String(decoding: entry.name.bytes, as: UTF8.self)
            found[path] = entry
            if entry.isFolder { found.merge(try await walk(entry.folder, path)) { a, _ in a } }
        }
        return found
    }
}
