import BackupCore
import DeviceTestKit
import DeviceWorker
import Foundation
import SimulatedPhones

/// A simulated phone in this process, and the real worker program beside it that reaches the phone
/// through libmtp and the replacement libusb.
final class SimulatedSession {
    let phone: SimulatedAndroidPhone
    let family: WorkerFamily
    private let directory: String

    /// A phone with `storages`; `clock` and `deadlines` are the family's.
    init(
        _ storages: [SimulatedPhones.PhoneStorage], options: PhoneOptions = PhoneOptions(),
        clock: any RunClock = RunningClock(), deadlines: WorkerDeadlines = WorkerDeadlines()
    ) throws {
        directory = temporaryFolder()
        phone = try SimulatedAndroidPhone(
            options: options, storages: storages, directory: directory)
        family = WorkerFamily(
            .android, program: helperProgram(environment: phone.environment), clock: clock,
            deadlines: deadlines)
    }

    /// A phone whose one storage follows a script.
    convenience init(
        script: String, options: PhoneOptions = PhoneOptions(),
        clock: any RunClock = RunningClock()
    ) throws {
        let content = ScriptedContent(try ContentScript(json: Array(script.utf8)))
        try self.init(
            [SimulatedPhones.PhoneStorage(name: "Internal shared storage", content: content)],
            options: options, clock: clock)
    }

    deinit {
        phone.stop()
        // What is left in the system's temporary folder is harmless.
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The phone on the bus. On a machine under load the replacement libusb may give up asking the
    /// bus before the phone's thread has run, so it is asked again, as the product does.
    func detected() async throws -> DetectedPhone {
        for _ in 0..<20 {
            if let found = try await family.detect().first { return found }
        }
        throw DeviceError(.gone, "There is no phone on the simulated bus")
    }

    /// Finds the phone on the bus and opens it.
    func open() async throws -> (session: any DeviceSession, media: any MediaSource) {
        let session = try await family.open(try await detected())
        guard case .pulled(let media) = session.source(of: .media) else {
            throw DeviceError(.unsuitable, "There is no media")
        }
        return (session, media)
    }
}

/// A new folder's path; the folder is not made.
func temporaryFolder() -> String {
    NSTemporaryDirectory() + "holdfast-" + UUID().uuidString.prefix(13)
}

extension MediaSource {
    /// The root of the first storage.
    func firstRoot() async throws -> FolderReference {
        guard let storage = try await storages().first else {
            throw DeviceError(.waitingForUser, "No storage")
        }
        return FolderReference(storage: storage.handle, object: nil)
    }
}
