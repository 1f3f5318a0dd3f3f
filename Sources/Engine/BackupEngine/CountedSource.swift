internal import BackupCore
internal import Synchronization

/// Counts what is read from a phone, tells it as progress (once a MiB and a file), and holds each
/// file against its announced size.
final class ReadMeter: Sendable {
    private struct State {
        var bytesRead: UInt64 = 0
        var untold: UInt64 = 0
        var progress = RunProgress(phase: .reading)
    }

    /// The largest file of which the phone did not tell the size: 64 GiB.
    private static let unannouncedLimit: UInt64 = 64 << 30

    private let state = Mutex(State())
    private let events: RunEventSink

    init(events: @escaping RunEventSink) { self.events = events }

    /// Content read from the phone so far, also of files that failed half way.
    var bytesRead: UInt64 { state.withLock { $0.bytesRead } }
    /// Files done and in all.
    var files: (done: Int, total: Int) {
        state.withLock { ($0.progress.filesDone, $0.progress.filesTotal ?? 0) }
    }

    /// Starts a pass over a plan.
    func begin(files: Int, bytes: UInt64) {
        tell { state in
            state.progress.filesDone = 0
            state.progress.filesTotal = files
            state.progress.bytesDone = 0
            state.progress.bytesTotal = bytes
            return true
        }
    }

    /// Counts a file as done.
    func fileDone() {
        tell { state in
            state.progress.filesDone += 1
            state.untold = 0
            return true
        }
    }

    /// `inner` with its bytes counted and held against `byteCount`; an error names `path`. It ends
    /// early when the task is cancelled.
    func counted(
        _ inner: ByteSource<DeviceError>, byteCount: UInt64?, path: EntryPath
    ) -> ByteSource<DeviceError> {
        let got = Mutex<UInt64>(0)
        return ByteSource(
            next: { () async throws(DeviceError) in
                guard !Task.isCancelled else { throw DeviceError(.cancelled, "The run was ended") }
                let piece = try await inner.next()
                let total = got.withLock { total in
                    total += UInt64(piece?.count ?? 0)
                    return total
                }
                self.count(UInt64(piece?.count ?? 0))
                let fits = byteCount.map { piece == nil ? total == $0 : total <= $0 } ?? true
                guard byteCount != nil || total <= Self.unannouncedLimit else {
                    throw DeviceError(
                        .limitExceeded, "A file of unannounced size does not end", path: path)
                }
                guard fits else {
                    throw DeviceError(
                        .wrongSize,
                        "The content ended short of or beyond its announced size", path: path)
                }
                return piece
            },
            close: { await inner.close() })
    }

    private func count(_ bytes: UInt64) {
        tell { state in
            state.bytesRead += bytes
            state.progress.bytesDone += bytes
            if let total = state.progress.bytesTotal {
                state.progress.bytesDone = min(state.progress.bytesDone, total)
            }
            state.untold += bytes
            guard state.untold >= 1 << 20 else { return false }
            state.untold = 0
            return true
        }
    }

    private func tell(_ change: (inout sending State) -> Bool) {
        let told = state.withLock { state in change(&state) ? state.progress : nil }
        if let told { events(.progress(told)) }
    }
}
