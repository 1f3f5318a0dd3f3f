import BackupCore
import DeviceTestKit
import DeviceWorker

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

/// A session with the scripted lane.
func scriptedSession(_ clock: any RunClock = StandingClock()) async throws -> WorkerSession {
    try await WorkerSession(
        program: helperProgram(), arguments: ["scripted"], clock: clock,
        deadlines: WorkerDeadlines())
}
