import Appliance
import BackupCore
import ControlAPI
import Foundation
import Testing

/// A folder for one test, removed with the suite's value.
struct TemporaryFolder: ~Copyable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/holdfast-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }  // nothing to do about it
}

/// The real clock, for tests of kernel locks that other threads hold.
struct SystemClock: RunClock {
    func now() -> Timestamp { Timestamp(seconds: Int64(Date().timeIntervalSince1970)) }
    func utcOffsetSeconds() -> Int { 0 }
    func elapsed() -> Duration { ContinuousClock.now - Self.start }
    func sleep(_ duration: Duration) async { try? await Task.sleep(for: duration) }
    static let start = ContinuousClock.now
}

@Suite struct StateTests {
    private func store(_ folder: borrowing TemporaryFolder) throws -> StateStore {
        let configuration = Configuration(
            file: folder.path + "/f", state: folder.path + "/state",
            run: folder.path + "/state/run", hostname: "h")
        let store = StateStore(configuration)
        try store.prepare()
        return store
    }

    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test func theStateFolderIsPrivateAndItsSecretsToo() throws {
        let folder = try TemporaryFolder()
        let store = try store(folder)
        let owner = try #require(OwnerID(rawValue: "owner-1"))
        try store.remember(try #require(OwnerSecrets.random()), of: owner)
        #expect(try mode(store.root) == 0o700)
        #expect(try mode(store.root + "/owners/owner-1/password") == 0o600)
        #expect(try mode(store.root + "/owners/owner-1/words") == 0o600)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: store.root)
        try store.prepare()
        #expect(try mode(store.root) == 0o700)
    }

    @Test func secretsReadBackAndAreNeverDescribed() throws {
        let folder = try TemporaryFolder()
        let store = try store(folder)
        let owner = try #require(OwnerID(rawValue: "owner-1"))
        let secrets = try #require(OwnerSecrets.random())
        try store.remember(secrets, of: owner)
        let back = try store.secrets(of: owner)
        #expect(back.password == secrets.password && back.words == secrets.words)
        #expect(back.password.utf8.count == 64)
        #expect(!"\(secrets)".contains(secrets.password))
    }

    @Test func whatCannotBeMadeDurableReplacesNoStateFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/record"
        try StateFiles.write([1], to: path)
        // A device takes every byte and can make none durable.
        try FileManager.default.createSymbolicLink(
            atPath: "\(path)-tmp-\(getpid())", withDestinationPath: "/dev/null")
        #expect(throws: ApplianceError.self) { try StateFiles.write([2], to: path) }
        #expect(try StateFiles.read(path) == [1])
    }

    @Test func anOwnerIsThereOnceItsPasswordIs() throws {
        let folder = try TemporaryFolder()
        let store = try store(folder)
        let owner = try #require(OwnerID(rawValue: "owner-1"))
        try store.remember(OwnerRecord(id: owner, created: Timestamp(seconds: 5)))
        #expect(try store.owners().isEmpty)
        try store.remember(try #require(OwnerSecrets.random()), of: owner)
        #expect(try store.owners().map(\.id) == [owner])
        #expect(try store.owners().first?.sheetShown == nil)
    }

    @Test func aGarbledOwnerRecordKeepsTheOwner() throws {
        let folder = try TemporaryFolder()
        let store = try store(folder)
        let owner = try #require(OwnerID(rawValue: "owner-1"))
        try store.remember(try #require(OwnerSecrets.random()), of: owner)
        try StateFiles.write(Array("{\"crea".utf8), to: store.root + "/owners/owner-1/owner.json")
        #expect(try store.owners().map(\.id) == [owner])
    }

    @Test func phonesReadBackAndGarbledOnesAreUnknown() throws {
        let folder = try TemporaryFolder()
        let store = try store(folder)
        let phone = PhoneRecord(
            id: try #require(PhoneID(rawValue: "android-0123456789abcdef")),
            owner: try #require(OwnerID(rawValue: "o")), family: .android, name: "A\u{1b}\"",
            model: "M", osVersion: "14", lastSeen: Timestamp(seconds: 9))
        try store.remember(phone)
        #expect(try store.phones() == [phone])
        try StateFiles.write([0xFF], to: store.root + "/phones/\(phone.id).json")
        #expect(try store.phones().isEmpty)
    }

    @Test func aGarbledSetRecordIsNamed() throws {
        let folder = try TemporaryFolder()
        let store = try store(folder)
        let set = try #require(DriveSetID(rawValue: "set-1"))
        #expect(try store.driveSet() == nil)
        try store.remember(driveSet: set)
        #expect(try store.driveSet() == set)
        try StateFiles.write(Array("x".utf8), to: store.root + "/set.json")
        #expect(throws: ApplianceError.self) { try store.driveSet() }
    }

    @Test func aSecondLockOfTheSameNameIsBusyUntilTheFirstIsReleased() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path
        let first = try await BoxLock.acquire(
            "o", in: path, what: "owner o", wait: .zero, clock: SystemClock())
        await #expect(throws: ApplianceError.self) {
            try await BoxLock.acquire(
                "o", in: path, what: "owner o", wait: .milliseconds(300), clock: SystemClock())
        }
        first.release()
        let second = try await BoxLock.acquire(
            "o", in: path, what: "owner o", wait: .zero, clock: SystemClock())
        second.release()
    }
}
