import BackupCore
import BackupEngine
import Synchronization

/// A list of read files in memory that outlives runs, as the box's does.
final class MemoryReadList: ReadList {
    private struct Left {
        let run: RunID
        let notes: [UInt8]
        var files: [ReadFiles] = []
    }

    private struct State {
        var run = RunID(trusted: "run-1")
        var left: [Capture: Left] = [:]
        var forgets = true
    }

    private let state = Mutex(State())

    /// The run that adds from now on.
    func begin(_ run: RunID) { state.withLock { $0.run = run } }

    /// Whether ``forget(_:)`` does anything; a crash may come just before it.
    func setForgets(_ forgets: Bool) { state.withLock { $0.forgets = forgets } }

    /// The paths of the files that are listed.
    var paths: Set<String> {
        state.withLock { state in
            Set(
                state.left.values.flatMap(\.files).flatMap { files in
                    files.nodes.map { files.folder.appending($0.name).description }
                })
        }
    }

    func add(_ files: [ReadFiles], notes: [UInt8], of capture: Capture) async {
        state.withLock { state in
            state.left[capture, default: Left(run: state.run, notes: notes)].files += files
        }
    }

    func left(of capture: Capture) async -> LeftReadList? {
        guard let left = state.withLock({ $0.left[capture] }) else { return nil }
        let rest = Mutex(left.files[...])
        return LeftReadList(run: left.run, notes: left.notes) {
            rest.withLock { $0.popFirst() }
        }
    }

    func forget(_ capture: Capture) async {
        state.withLock { if $0.forgets { $0.left[capture] = nil } }
    }
}
