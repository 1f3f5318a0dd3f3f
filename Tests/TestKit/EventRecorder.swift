package import BackupCore
internal import Synchronization

/// Keeps a run's events.
package final class EventRecorder: Sendable {
    private let events = Mutex<[RunEvent]>([])

    /// A recorder without events.
    package init() {}

    /// Where the run sends them.
    package var sink: RunEventSink {
        { [self] event in events.withLock { $0.append(event) } }
    }

    /// The codes of all notices, in order.
    package var notices: [String] {
        events.withLock { events in
            events.compactMap { if case .notice(let notice) = $0 { notice.code } else { nil } }
        }
    }

    /// The sentences of all notices with this code.
    package func messages(_ code: String) -> [String] {
        events.withLock { events in
            events.compactMap { event in
                guard case .notice(let notice) = event, notice.code == code else { return nil }
                return notice.message
            }
        }
    }

    /// All progress, in order.
    package var progress: [RunProgress] {
        events.withLock { events in
            events.compactMap { if case .progress(let progress) = $0 { progress } else { nil } }
        }
    }
}
