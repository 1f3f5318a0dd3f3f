import BackupCore
import ControlAPI
import Foundation
import Testing

@testable import Appliance

/// A family of phones that are described and then give nothing.
private struct SilentFamily: DeviceFamily {
    let family = PhoneFamily.android
    func detect() async throws(DeviceError) -> [DetectedPhone] { [] }
    func waitForChange(atMost limit: Duration) async {}
    func open(_ phone: DetectedPhone) async throws(DeviceError) -> any DeviceSession {
        throw DeviceError(.gone, "It is not there")
    }
}

private struct SilentSession: DeviceSession {
    let captures: [Capture] = []
    func attributes() async throws(DeviceError) -> PhoneAttributes { Self.attributes }
    func source(of capture: Capture) -> CaptureSource? { nil }
    func close() async {}

    static let attributes = PhoneAttributes(
        identity: "serial", name: "Ana's phone", manufacturer: "E", model: "M", osVersion: "14",
        batteryPercent: nil, notes: [])
}

@Suite struct LostOwnerTests {
    private func backUp(_ phone: PhoneRecord, _ box: Box) async throws -> RunSummary {
        let family = SilentFamily()
        let lock = try await BoxLock.acquire(
            "bay-1", in: box.store.run + "/locks", what: "the bay", wait: .zero,
            clock: SystemClock())
        let opened = OpenedPhone(
            family: family,
            detected: DetectedPhone(
                family: .android, bay: BayID(trusted: "1-1"),
                address: .usb(bus: 1, address: 1, vendor: 1, product: 1)),
            session: SilentSession(), attributes: SilentSession.attributes, id: phone.id,
            bayLock: lock)
        return await BackupJob(
            box: box, options: BackupOptions(.phone(phone.id)), wait: .zero,
            roster: try await box.roster(), phone: opened, events: { _ in }
        ).run()
    }

    @Test func aPhoneWhoseOwnerLostItsPasswordIsNeverGivenANewOwner() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        let phone = try test.rememberPhone(of: owner)
        try FileManager.default.removeItem(atPath: test.state + "/owners/\(owner)/password")
        var summary = try await backUp(phone, test.box)
        #expect(summary.exitCode == .key)
        #expect(summary.message.contains("holdfast setup with the drives and the words"))
        // Its repository on the drives tells it too.
        try FileManager.default.removeItem(atPath: test.state + "/owners/\(owner)")
        summary = try await backUp(phone, test.box)
        #expect(summary.exitCode == .key)
        #expect(try test.box.store.owners().isEmpty)
        #expect(try test.box.store.phone(phone.id)?.owner == owner)
    }

    @Test func statusNamesBackupsWhoseOwnerTheBoxDoesNotKnow() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try FileManager.default.removeItem(atPath: test.state + "/owners/\(owner)")
        let status = try await test.box.status(QueryFilter())
        #expect(status.warnings.contains(Box.unknownOwner(owner)))
    }

    @Test func statusTellsThatAPasswordIsDamagedThoughTheWordsOpen() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        try garble(test.state + "/owners/\(owner)/password")
        let status = try await test.box.status(QueryFilter())
        #expect(status.warnings.contains(OpenedKey.warning(owner)))
    }

    @Test func oneOwnersFailureHidesNoOtherOwner() async throws {
        let test = try await TestBox()
        let (lost, good) = (try await test.owner(), try await test.owner())
        let phone = try test.rememberPhone(of: lost)
        try garble(test.state + "/owners/\(lost)/password")
        try garble(test.state + "/owners/\(lost)/words")
        let status = try await test.box.status(QueryFilter())
        #expect(status.drives.count == 2)
        #expect(status.warnings.contains { $0.hasPrefix("Owner \(lost): ") })
        #expect(status.phones.map(\.phone) == [phone])
        #expect(status.phones.first?.isKnown == false)
        #expect(!status.warnings.contains { $0.contains("no complete backup yet") })
        let list = try await test.box.snapshots(QueryFilter())
        #expect(list.failures.mapValues(\.exitCode) == [lost: .key])
        #expect(try await test.box.snapshots(QueryFilter(owner: good)).failures.isEmpty)
    }

    @Test func withoutADriveTheLastBackupCannotBeTold() async throws {
        let test = try await TestBox()
        let owner = try await test.owner()
        _ = try test.rememberPhone(of: owner)
        var status = try await test.box.status(QueryFilter())
        #expect(status.phones.first?.isKnown == true)
        #expect(status.warnings.contains("Ana's phone has no complete backup yet."))
        try test.rename("a", to: "c")
        try test.rename("b", to: "d")
        status = try await test.box.status(QueryFilter())
        #expect(status.phones.first?.isKnown == false)
        #expect(!status.warnings.contains { $0.contains("no complete backup yet") })
        #expect(
            status.warnings.contains(
                "The last backup of Ana's phone cannot be told while no drive is connected."))
    }

    @Test func aPhoneOrOwnerThatNobodyHasIsNotAnEmptyAnswer() async throws {
        let test = try await TestBox()
        let phone = try test.rememberPhone(of: try await test.box.makeOwner().id)
        let box = Box(
            configuration: test.box.configuration, store: test.box.store,
            catalog: test.box.catalog, clock: test.box.clock, families: [SilentFamily()],
            log: test.box.log)
        #expect(try await box.phones(QueryFilter(phone: phone.id)).map(\.id) == [phone.id])
        for filter in [
            QueryFilter(phone: PhoneID(trusted: "nope")),
            QueryFilter(owner: OwnerID(trusted: "nope")),
        ] {
            let error = await #expect(throws: ApplianceError.self) {
                _ = try await box.phones(filter)
            }
            #expect(error?.exitCode == .notFound)
        }
    }
}
