import BackupCore
import BlockingThread
import Synchronization

/// One drive's part of a mirror: a bounded queue of work, done in order on the drive's thread,
/// and whether the drive has fallen behind.
final class MirrorLane: Sendable {
    /// How much may wait for one drive.
    struct Bounds: Sendable {
        var files: Int
        var bytes: Int
    }

    enum Work: Sendable {
        case store(FileName, [UInt8])
        case remove(FileName)
        case flush
    }

    fileprivate struct State {
        var queue: [Work] = []
        /// The work that the thread is at, which counts against the bounds too.
        var current: Work?
        var error: BackendError?
        var isDurable = true
        var change = Latch<Bool>()
    }

    let backend: DriveBackend
    private let bounds: Bounds
    private let state: Mutex<State>

    init(_ backend: DriveBackend, bounds: Bounds) {
        self.backend = backend
        self.bounds = bounds
        state = Mutex(State())
    }

    /// Why the drive is behind, or nil.
    var error: BackendError? { state.withLock { $0.error } }

    /// Whether all that was given to it is durable.
    var isDurable: Bool { state.withLock { $0.isDurable } }

    /// The bytes of a file that is still on its way to the drive.
    func pendingBytes(of file: FileName) -> [UInt8]? {
        state.withLock { state in
            for case .store(file, let bytes) in state.queue + [state.current].compactMap({ $0 }) {
                return bytes
            }
            return nil
        }
    }

    /// Queues `work` when there is room for it and waits for room otherwise; work for a drive
    /// that is behind is dropped.
    func add(_ work: Work) async {
        await wait { state in
            let stored = state.queue + [state.current].compactMap { $0 }
            let bytes = stored.reduce(0) { $0 + $1.byteCount }
            guard
                stored.isEmpty
                    || stored.count < self.bounds.files
                        && bytes + work.byteCount <= self.bounds.bytes
            else { return false }
            state.queue.append(work)
            if case .store = work { state.isDurable = false }
            self.backend.drive.writer.start { self.step() }
            return true
        }
    }

    /// Waits until all work is done or dropped.
    func drained() async {
        await wait { $0.queue.isEmpty && $0.current == nil }
    }

    /// Declares the drive behind; what waits for it is dropped.
    func fail(_ error: BackendError) {
        let change = state.withLock { state in
            if state.error == nil { state.error = error }
            state.queue = []
            return state.takeChange()
        }
        change.fulfil(true)
    }

    // MARK: On the drive's thread

    private func step() {
        let work = state.withLock { state -> Work? in
            guard state.error == nil, !state.queue.isEmpty else { return nil }
            state.current = state.queue.removeFirst()
            return state.current
        }
        guard let work else { return }
        var failure: BackendError?
        do throws(BackendError) {
            try perform(work)
        } catch {
            failure = error
        }
        let change = state.withLock { state in
            state.current = nil
            if case .flush = work, failure == nil { state.isDurable = true }
            return state.takeChange()
        }
        change.fulfil(true)
        if let failure { fail(failure) }
    }

    private func perform(_ work: Work) throws(BackendError) {
        switch work {
        case .store(let file, let bytes): try backend.folder.store(file, bytes)
        case .remove(let file): try backend.folder.remove(file)
        case .flush: try backend.folder.flush()
        }
    }

    // MARK: Waiting

    /// Waits until `condition` holds (it may change the state then) or the drive is behind. A
    /// drive from which no system call comes back for the stall limit falls behind.
    private func wait(until condition: @Sendable (inout State) -> Bool) async {
        let drive = backend.drive
        var seen = drive.system.activity
        while true {
            let change = state.withLock { state in
                state.error != nil || condition(&state) ? nil : state.change
            }
            guard let change else { return }
            let isAlive = await change.value(
                within: drive.options.stallLimit, clock: drive.options.clock)
            let activity = drive.system.activity
            if isAlive == nil && activity == seen {
                fail(drive.markStalled(activity))
            }
            seen = activity
        }
    }
}

extension MirrorLane.Work {
    var byteCount: Int {
        if case .store(_, let bytes) = self { bytes.count } else { 0 }
    }
}

extension MirrorLane.State {
    /// The latch that waits stand at, replaced by a new one.
    fileprivate mutating func takeChange() -> Latch<Bool> {
        defer { change = Latch() }
        return change
    }
}
