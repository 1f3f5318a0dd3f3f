internal import BackupCore

/// Why a capture cannot go on as it was going.
enum Interruption: Error {
    /// The phone's side.
    case phone(DeviceError)
    /// The repository's side.
    case repository(RepositoryError)
    /// No drive has room for what there is to read.
    case noRoom(needed: UInt64)
    /// Ctrl-C, SIGTERM or a parent task that wants to end.
    case cancelled

    /// Whatever a phone reports once the run is cancelled is the cancelling.
    init(_ error: DeviceError) {
        self = error.code == .cancelled || Task.isCancelled ? .cancelled : .phone(error)
    }

    init(_ error: RepositoryError) {
        self = error.code == .cancelled ? .cancelled : .repository(error)
    }

    init(_ error: SaveError) {
        switch error {
        case .source(let device): self.init(device)
        case .repository(let repository): self.init(repository)
        }
    }
}

/// Calls the repository, its errors being interruptions of the capture.
func stored<Value>(
    _ body: () async throws(RepositoryError) -> Value
) async throws(Interruption) -> Value {
    do { return try await body() } catch { throw Interruption(error) }
}

/// Ends the capture when the run is cancelled.
func stopWhenCancelled() throws(Interruption) {
    if Task.isCancelled { throw .cancelled }
}
