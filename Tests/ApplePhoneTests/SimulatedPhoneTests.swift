import BackupCore
import DeviceTestKit
import DeviceWorker
import Foundation
import Glibc
import SimulatedPhones
import Testing

/// An iPhone behind a simulated usbmuxd, opened by real worker processes.
private final class Bench {
    let mux: SimulatedUSBMux
    let phone: SimulatediPhone
    let family: WorkerFamily
    private let directory: String

    init(_ change: (inout IPhoneOptions) -> Void = { _ in }) throws {
        // Short, because Unix socket paths are.
        directory = NSTemporaryDirectory() + "ip-" + UUID().uuidString.prefix(8)
        mux = try SimulatedUSBMux(directory: directory)
        var options = IPhoneOptions()
        options.media.photoCount = 8
        options.media.photoByteCount = 30_000
        change(&options)
        phone = try SimulatediPhone(options: options, mux: mux)
        family = WorkerFamily(
            .iphone, program: helperProgram(environment: mux.environment), clock: RunningClock(),
            deadlines: Self.patience)
    }

    /// The machine may be busy with other tests; what hangs shows all the same.
    static var patience: WorkerDeadlines {
        var patience = WorkerDeadlines()
        patience.presence = .seconds(180)
        patience.attributes = .seconds(180)
        patience.storages = .seconds(180)
        return patience
    }

    deinit {
        phone.stop()
        mux.stop()
        // What is left in the system's temporary folder is harmless.
        try? FileManager.default.removeItem(atPath: directory)
    }

    func open() async throws -> any DeviceSession {
        let found = try await family.detect()
        return try await family.open(try #require(found.first))
    }

    /// Opens the phone, gives its media to `body` and closes the session.
    func withMedia<Value>(
        _ body: (any MediaSource) async throws -> Value
    ) async throws -> Value {
        let session = try await open()
        do {
            guard case .pulled(let media)? = session.source(of: .media) else {
                throw DeviceError(.unsuitable, "There is no media")
            }
            let value = try await body(media)
            await session.close()
            return value
        } catch {
            await session.close()
            throw error
        }
    }

    /// A file's bytes as they lie on the phone.
    func content(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: phone.mediaFolder + path)))
    }
}

extension MediaSource {
    fileprivate func all() async throws -> [String: PhoneEntry] {
        let storage = try #require(try await storages().first)
        return try await walk(FolderReference(storage: storage.handle, object: nil))
    }
}

/// The whole lane, from usbmuxd to bytes.
@Suite struct SimulatedPhoneTests {
    @Test func aPhoneIsToldBeforeItTrustsUs() async throws {
        let bench = try Bench { options in
            options.trust = .ask
            options.name = "Ana\u{202E}'s"
        }
        let detected = try #require(try await bench.family.detect().first)
        #expect(detected.family == .iphone)
        #expect(detected.bay.rawValue.hasPrefix("mux-"))
        let session = try await bench.family.open(detected)
        let before = try await session.attributes()
        #expect(before.identity == bench.phone.options.udid)
        #expect(before.name == "Ana\u{202E}'s")
        #expect(before.model == "iPhone 13")
        #expect(before.manufacturer == "Apple")
        #expect(before.osVersion == "17.6.1")
        #expect(before.batteryPercent == nil)
        #expect(bench.phone.status.dialogIsUp == false, "asking who it is asks nobody for trust")
        guard case .pulled(let media)? = session.source(of: .media) else {
            throw DeviceError(.unsuitable, "There is no media")
        }
        let error = await deviceError { try await media.storages() }
        #expect(error?.code == .waitingForUser)
        #expect(error?.whatToDo.contains("Tap Trust") == true)
        #expect(bench.phone.perform(.answerDialog(true)))
        #expect(try await media.storages().map(\.name) == ["Media"])
        #expect(try await session.attributes().batteryPercent == 80)
        await session.close()
    }

    @Test func onlyWhatIsSavedIsListedAndItIsWhatThePhoneHas() async throws {
        let bench = try Bench()
        try await bench.withMedia { media in
            let all = try await media.all()
            #expect(all["/PhotoData/Photos.sqlite"] != nil)
            #expect(all.keys.contains { $0.hasPrefix("/PhotoData/Mutations/") })
            #expect(!all.keys.contains { $0.contains("Thumbnails") || $0.contains("iTunes") })
            var read = 0
            for (path, entry) in all where !entry.isFolder {
                let bytes = try await allBytes(try await media.read(entry))
                let there = try bench.content(path)
                #expect(bytes == there, "\(path)")
                #expect(entry.byteCount == UInt64(bytes.count))
                var status = stat()
                // Sound: the call fills the local.
                let result = unsafe stat(bench.phone.mediaFolder + path, &status)
                #expect(result == 0)
                #expect(entry.modified.seconds == Int64(status.st_mtim.tv_sec), "\(path)")
                #expect(entry.modified.nanoseconds == UInt32(status.st_mtim.tv_nsec), "\(path)")
                read += 1
            }
            #expect(read > 10)
            #expect(try await media.onlyInCloud() == 3)
        }
        #expect(bench.phone.counters.problems == [])
    }

    @Test func linksAreNotFollowed() async throws {
        let bench = try Bench()
        let folder = bench.phone.mediaFolder + "/DCIM"
        for name in ["hosts", "passwd"] {
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/" + name, withDestinationPath: "/etc/" + name)
        }
        try await bench.withMedia { media in
            let all = try await media.all()
            #expect(all["/DCIM/hosts"] == nil)
            #expect(all["/DCIM/passwd"] == nil)
            #expect(all["/DCIM/100APPLE"]?.isFolder == true)
        }
    }

    @Test func aFileThatChangesAfterItWasListedIsNeverTakenForWhole() async throws {
        let bench = try Bench()
        try await bench.withMedia { media in
            let photos = try await media.all().filter { $0.key.hasPrefix("/DCIM/100APPLE/") }
                .sorted { $0.key < $1.key }
            let (gone, short, long) = (photos[0], photos[1], photos[2])
            try FileManager.default.removeItem(atPath: bench.phone.mediaFolder + gone.key)
            // Sound: the strings are lent for the calls.
            let cut = unsafe truncate(bench.phone.mediaFolder + short.key, 10_000)
            let stretched = unsafe truncate(bench.phone.mediaFolder + long.key, 90_000_000)
            #expect(cut == 0 && stretched == 0)
            func code(_ entry: PhoneEntry) async -> DeviceError.Code? {
                await deviceError { try await allBytes(try await media.read(entry)) }?.code
            }
            #expect(await code(gone.value) == .unreadable)
            #expect(await code(short.value) == .wrongSize)
            #expect(await code(long.value) == .wrongSize)
            // The session goes on.
            #expect(await code(photos[3].value) == nil)
        }
    }

    @Test func aCableThatIsPulledIsGone() async throws {
        let bench = try Bench()
        let error = await deviceError {
            try await bench.withMedia { media in
                let all = try await media.all()
                bench.phone.perform(.unplug)
                let photo = try #require(all["/DCIM/100APPLE/IMG_0001.HEIC"])
                return try await allBytes(try await media.read(photo))
            }
        }
        #expect(error?.code == .gone)
        #expect(try await bench.family.detect().isEmpty)
    }

    @Test func withoutUsbmuxdThereIsNoPhone() async throws {
        let nowhere = ["USBMUXD_SOCKET_ADDRESS": "UNIX:/nowhere/usbmuxd"]
        let family = WorkerFamily(
            .iphone, program: helperProgram(environment: nowhere), clock: RunningClock(),
            deadlines: Bench.patience)
        #expect(try await family.detect().isEmpty)
    }
}
