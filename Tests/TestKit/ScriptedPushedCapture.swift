package import BackupCore

/// A capture that the phone drives, as the test writes it.
package struct ScriptedPushedCapture: PushedCapture {
    private let script: @Sendable (any SnapshotBuilder) async throws -> Void
    private let ending: DeviceError?
    /// What the capture tells at its end.
    package var result = PushedResult()

    /// Runs `script`; then the phone says that it succeeded, or `ending`. An error that the script
    /// throws is the phone's `protocolViolation` unless it is a ``DeviceError``.
    package init(
        ending: DeviceError? = nil,
        script: @escaping @Sendable (any SnapshotBuilder) async throws -> Void
    ) {
        self.script = script
        self.ending = ending
    }

    package func perform(
        _ job: PushedJob, over builder: any SnapshotBuilder, events: @escaping RunEventSink
    ) async throws(SaveError) -> PushedResult {
        do {
            try await script(builder)
        } catch let error as DeviceError {
            throw .source(error)
        } catch {
            throw .source(DeviceError(.protocolViolation, "\(error)"))
        }
        if let ending { throw .source(ending) }
        return result
    }
}
