import BackupCore
import DeviceTestKit
import DeviceWorker
import Glibc

/// Runs sessions that end in every way and tells whether each gave back its process and its
/// descriptors.
func checkLeaks(_ helper: String) async -> Bool {
    // The first round opens what the runtime keeps (timers, its event loop).
    await runSessions(helper)
    let before = descriptorCount()
    await runSessions(helper)
    // The last job of a thread may hold a session for a moment after its answer.
    for _ in 0..<200 where descriptorCount() > before {
        await RunningClock().sleep(.milliseconds(10))
    }
    // ECHILD says that no child is left, zombies included.
    let hasChild = waitpid(-1, nil, WNOHANG) != -1 || errno != ECHILD
    return descriptorCount() <= before && !hasChild
}

private func runSessions(_ helper: String) async {
    let program = WorkerProgram(executable: helper, arguments: [helper])
    for round in 0..<8 {
        do {
            let session = try await WorkerSession(
                program: program,
                arguments: round % 4 == 3 ? ["noise", "aaaaaaaaaaaaaaaaaaaaaaaa"] : ["scripted"],
                clock: RunningClock(), deadlines: WorkerDeadlines())
            if round % 4 == 1 {
                _ = try await session.list(FolderReference(storage: 7, object: 9_000_001))
            }
            if round % 4 == 2 {
                let source = try await session.read(
                    PhoneEntry(
                        storage: 7, object: 9_000_006, name: "f", isFolder: false, byteCount: nil,
                        modified: .zero))
                _ = try await source.next()
            }
            await session.close()
        } catch {
            // The crash and the noise are meant to fail, and leave a session that nobody closes.
        }
    }
}

private func descriptorCount() -> Int {
    (0..<1024).count { fcntlIsOpen(Int32($0)) }
}

private func fcntlIsOpen(_ descriptor: Int32) -> Bool {
    var status = stat()
    // Sound: a local that the call fills.
    return unsafe fstat(descriptor, &status) == 0
}
