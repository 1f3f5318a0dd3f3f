package import BackupCore
package import ControlAPI
import Glibc
import Synchronization

/// Keeps the state file of one bay, `run/bays/<bay>.json`, which consoles and scripts read.
package final class BayBoard: Sendable {
    /// How often progress is written at most.
    private static let pace = Duration.seconds(1)

    private let path: String
    private let clock: any RunClock
    private let state: Mutex<BayState>
    private let written: Mutex<Duration?>

    /// The board of `bay`; nothing is written before the first ``post(_:_:)``.
    package init(
        store: StateStore, bay: BayID, phone: PhoneID?, run: RunID?, clock: any RunClock
    ) {
        path = "\(store.run)/bays/\(bay).json"
        self.clock = clock
        var state = BayState(bay: bay, word: .empty, message: "", changed: clock.now())
        state.phone = phone
        state.run = run
        self.state = Mutex(state)
        written = Mutex(nil)
    }

    /// Changes the state and writes it at once.
    package func post(_ word: BayState.Word, _ message: String, exitCode: ExitCode? = nil) {
        let changed = state.withLock { state in
            state.word = word
            state.message = message
            state.exitCode = exitCode
            state.changed = clock.now()
            return state
        }
        write(changed)
    }

    /// Follows a run's events: what it waits for, how far it is.
    func follow(_ event: RunEvent) {
        switch event {
        case .notice(let notice):
            switch notice.code {
            case "waiting_for_user": post(.waiting, notice.message)
            case "waiting_for_phone": post(.lost, notice.message)
            case "phone_busy": post(.busy, notice.message)
            default: break
            }
        case .progress(let progress): follow(progress)
        }
    }

    private func follow(_ progress: RunProgress) {
        // While the drives are read back the phone may be gone.
        guard ![.waiting, .checking].contains(progress.phase) else { return }
        let changed: BayState? = state.withLock { state in
            state.progress = progress
            let isNew = state.word != .running
            if isNew {
                state.word = .running
                state.message = "Backing up: please do not unplug the phone."
                state.changed = clock.now()
            }
            let now = clock.elapsed()
            let isDue = written.withLock { $0.map { now - $0 >= Self.pace } ?? true }
            return isNew || isDue ? state : nil
        }
        if let changed { write(changed) }
    }

    /// The last state of a run.
    func finish(_ summary: RunSummary) {
        let isDone = [.done, .notEveryDrive, .someUnreadable].contains(summary.exitCode)
        post(isDone ? .done : .failed, summary.message, exitCode: summary.exitCode)
    }

    /// Removes the file: the bay has nobody who looks after it.
    package func remove() {
        // A file that stays shows an old state with its time.
        try? StateFiles.remove(path)
    }

    private func write(_ state: BayState) {
        written.withLock { $0 = clock.elapsed() }
        // The run folder lives in memory on a real box; what matters is that readers never see
        // half a file. A state that cannot be written must not stop a backup.
        try? StateFiles.replace(Array((state.json.line + "\n").utf8), at: path)
    }
}

extension StateStore {
    /// What a bay's state file says, nil when there is none that can be read.
    package func bayState(_ bay: BayID) -> JSONValue? {
        // A state that cannot be read is no state: it is written anew within a second.
        guard let bytes = try? StateFiles.read("\(run)/bays/\(bay).json") else { return nil }
        return try? JSONValue.read(bytes)  // as above
    }
}
