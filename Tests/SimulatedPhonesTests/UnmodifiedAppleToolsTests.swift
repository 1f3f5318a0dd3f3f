import Foundation
import Testing

@testable import SimulatedPhones

/// libimobiledevice's programs are the judges of the simulated iPhone.
@Suite(.serialized)
struct UnmodifiedAppleToolsTests {
    private static let second = IPhoneOptions.with {
        $0.udid = "00008110-000000000000002E"
        $0.name = "Second"
    }

    @Test func ideviceIDListsEveryPhone() throws {
        let run = try IPhoneRun(IPhoneOptions(), Self.second)
        let listed = try run.run("idevice_id", "-l").output.split(separator: "\n").map {
            String($0)
        }
        #expect(Set(listed) == Set(run.phones.map(\.options.udid)))
        run.phones[1].perform(.unplug)
        let left = try run.run("idevice_id", "-l").output
        #expect(left == run.phone.options.udid + "\n")
    }

    @Test func strangersSeeTheOpenValuesOnly() throws {
        let run = try IPhoneRun(.with { $0.trust = .ask })
        let output = try run.run("ideviceinfo", "-s").output
        #expect(output.contains("ProductType: iPhone14,5"))
        #expect(output.contains("ProductVersion: 17.6.1"))
        #expect(output.contains("DeviceName: Simulated iPhone"))
        #expect(!output.contains("SerialNumber") && !output.contains("PhoneNumber"))
        #expect(run.phone.counters.pairings == 0)
    }

    @Test func aTrustedHostSeesEverything() throws {
        let run = try IPhoneRun()
        let output = try run.run("ideviceinfo").output
        #expect(output.contains("SerialNumber: SIMXK0A1B2"))
        #expect(output.contains("InternationalMobileEquipmentIdentity: "))
        for (domain, line) in [
            ("com.apple.disk_usage", "TotalDiskCapacity: 128000000000"),
            ("com.apple.mobile.battery", "BatteryCurrentCapacity: 80"),
            ("com.apple.mobile.backup", "WillEncrypt: false"),
            ("com.apple.international", "Locale: en_GB"),
        ] {
            #expect(try run.run("ideviceinfo", "-q", domain).output.contains(line), "\(domain)")
        }
        #expect(run.phone.counters.problems == [])
        #expect(run.phone.counters.pairings == 1)
        #expect(run.phone.counters.sessions == 5)
    }

    @Test func pairingValidatesUntilEitherSideForgets() throws {
        let run = try IPhoneRun()
        let udid = run.phone.options.udid
        #expect(
            try run.run("idevicepair", "pair").output == "SUCCESS: Paired with device \(udid)\n")
        let validated = "SUCCESS: Validated pairing with device \(udid)\n"
        #expect(try run.run("idevicepair", "validate").output == validated)
        #expect(
            try run.run("idevicepair", "systembuid").output == run.mux.records.systemBUID + "\n")
        // The phone forgets: the host's record leads nowhere.
        run.phone.perform(.forgetHosts)
        let stale = try run.run("idevicepair", "validate")
        #expect(stale.output == "ERROR: Device \(udid) is not paired with this host\n")
        #expect(try run.run("idevicepair", "pair").exitCode == 0)
        #expect(try run.run("idevicepair", "validate").output == validated)
        #expect(
            try run.run("idevicepair", "unpair").output
                == "SUCCESS: Unpaired with device \(udid)\n")
        #expect(run.mux.records.record(udid) == nil)
        #expect(run.phone.counters.pairings == 2)
    }

    @Test func theDialogIsPendingUntilItIsAnswered() throws {
        let run = try IPhoneRun(.with { $0.trust = .ask })
        let pending = try run.run("idevicepair", "pair")
        #expect(pending.output.contains("Please accept the trust dialog"))
        #expect(run.phone.status.dialogIsUp)
        #expect(try run.run("idevicepair", "pair").output.contains("Please accept"))
        #expect(run.phone.perform(.answerDialog(true)))
        #expect(try run.run("idevicepair", "pair").output.contains("SUCCESS"))
        #expect(!run.phone.status.dialogIsUp)
        #expect(!run.phone.perform(.answerDialog(true)))
    }

    @Test func aDenialLastsUntilTheNextPlug() throws {
        let run = try IPhoneRun(.with { $0.trust = .ask })
        _ = try run.run("idevicepair", "pair")
        run.phone.perform(.answerDialog(false))
        for _ in 0..<2 {
            #expect(try run.run("idevicepair", "pair").output.contains("user denied the trust"))
        }
        run.phone.perform(.unplug)
        run.phone.perform(.replug)
        #expect(try run.run("idevicepair", "pair").output.contains("Please accept"))
    }

    @Test(arguments: [PhoneLock.locked, .beforeFirstUnlock])
    func aLockedPhoneDoesNotPair(lock: PhoneLock) throws {
        let run = try IPhoneRun(.with { $0.lock = lock })
        #expect(try run.run("idevicepair", "pair").output.contains("a passcode is set"))
        run.phone.perform(.passcode(isEntered: true))
        #expect(try run.run("idevicepair", "pair").output.contains("SUCCESS"))
    }

    @Test func aTrustedHostOpensALockedPhoneOnlyAfterItsFirstUnlock() throws {
        let run = try IPhoneRun()
        let phone = try run.paired()
        phone.perform(.lock(.locked))
        #expect(try run.run("idevicepair", "validate").output.contains("SUCCESS"))
        phone.perform(.lock(.beforeFirstUnlock))
        #expect(try run.run("idevicepair", "validate").output.contains("a passcode is set"))
    }

    @Test func aManagedPhoneRefusesToPair() throws {
        let run = try IPhoneRun(.with { $0.trust = .refused("MCProtected") })
        #expect(try run.run("idevicepair", "pair").output.contains("error code -38"))
    }

    @Test func anotherHostsCertificateIsNotAccepted() throws {
        let run = try IPhoneRun()
        _ = try run.paired()
        // The record keeps its HostID and gets another host's certificates and keys.
        let path = "\(run.folder)/run/lockdown/\(run.phone.options.udid).plist"
        let url = URL(fileURLWithPath: path)
        let mine = try PropertyList.decode(Array(try Data(contentsOf: url)))
        // libimobiledevice draws HostIDs from the second of the clock.
        Thread.sleep(forTimeInterval: 1.1)
        _ = try run.run("idevicepair", "pair")
        var other = try #require(
            try PropertyList.decode(Array(try Data(contentsOf: url))).entries)
        #expect(other["HostID"] != mine["HostID"])
        other["HostID"] = mine["HostID"]
        try Data(PropertyList.dictionary(other).encodeXML()).write(to: url)
        _ = try run.run("ideviceinfo", "-k", "SerialNumber")
        let problems = run.phone.counters.problems
        #expect(problems.contains { $0.contains("certificate is not the paired one") })
    }

    @Test func aNameThatIsSetIsTheNameFromThenOn() throws {
        let run = try IPhoneRun()
        _ = try run.paired()
        #expect(try run.run("idevicename", "Anna’s iPhone").exitCode == 0)
        #expect(try run.run("idevicename").output == "Anna’s iPhone\n")
        #expect(
            run.phone.counters.notifications == ["com.apple.mobile.lockdown.device_name_changed"])
    }

    @Test func mobileGestaltKnowsThePasscode() throws {
        let run = try IPhoneRun(.with { $0.hasPasscode = false })
        _ = try run.paired()
        let output = try run.run("idevicediagnostics", "mobilegestalt", "PasswordConfigured").output
        let text = output.split(whereSeparator: \.isWhitespace).joined()
        #expect(text.contains("<key>PasswordConfigured</key><false/>"))
    }

    @Test func aRestartedPhoneComesBackLocked() throws {
        let run = try IPhoneRun()
        let phone = try run.paired()
        let before = phone.status.deviceID
        #expect(try run.run("idevicediagnostics", "restart").output.contains("Restarting"))
        try eventually { phone.status.plugged && phone.status.deviceID != before }
        #expect(phone.screen.lock == .beforeFirstUnlock)
    }

    @Test func notificationsReachWhoeverObserves() throws {
        let run = try IPhoneRun()
        let phone = try run.paired()
        let name = "com.apple.LocalAuthentication.ui.presented"
        let observer = try BackgroundProgram(
            // Its output would wait in a buffer otherwise.
            "stdbuf", ["-oL", "idevicenotificationproxy", "observe", name],
            environment: run.mux.environment,
            outputIn: run.folder)
        defer { observer.stop(isPolite: false) }
        try eventually {
            phone.counters.services.keys.contains { $0.hasSuffix("notification_proxy") }
        }
        // Observing is not answered, so posting is repeated until it is heard.
        try eventually {
            phone.perform(.post(name))
            return observer.output.contains("> " + name)
        }
    }

    @Test func ifuseShowsTheMediaFolderByteForByte() throws {
        guard ProgramResult.canMount else { return }
        let run = try IPhoneRun()
        let phone = try run.paired()
        let mount = run.folder + "/mount"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        let mounted = try run.run("ifuse", mount)
        defer { _ = try? run.run("fusermount", "-uz", mount) }  // nothing depends on it
        #expect(mounted.exitCode == 0, "\(mounted.output)")
        let difference = try run.run("diff", "-r", mount, phone.mediaFolder)
        #expect(difference.exitCode == 0, "\(difference.output)")
        let dates = try run.run("stat", "-c", "%Y", mount + "/DCIM/100APPLE/IMG_0001.HEIC").output
        #expect(dates == "1700025200\n")
        try Data("written".utf8).write(to: URL(fileURLWithPath: mount + "/Downloads/new.txt"))
        let written = try Data(
            contentsOf: URL(fileURLWithPath: phone.mediaFolder + "/Downloads/new.txt"))
        #expect(written == Data("written".utf8))
        #expect(phone.counters.bytesRead["/DCIM/100APPLE/IMG_0001.HEIC"] == 150_000)
    }

    @Test func theCableBreaksAtTheByteAsked() throws {
        let run = try IPhoneRun()
        let phone = try run.paired()
        let before =
            phone.counters.bytesSent["lockdown", default: 0]
            + phone.counters.bytesReceived["lockdown", default: 0]
        phone.perform(.unplugAfter(1000, service: "lockdown"))
        #expect(try run.run("ideviceinfo").exitCode != 0)
        #expect(!phone.status.plugged)
        let after =
            phone.counters.bytesSent["lockdown", default: 0]
            + phone.counters.bytesReceived["lockdown", default: 0]
        #expect(after == before + 1000)
        phone.perform(.replug)
        #expect(try run.run("ideviceinfo").exitCode == 0)
    }

    @Test func aPhoneKeepsItsTrustAcrossRuns() throws {
        let run = try IPhoneRun()
        _ = try run.paired()
        run.phone.stop()
        let again = try SimulatediPhone(options: IPhoneOptions(), mux: run.mux)
        defer { again.stop() }
        #expect(try run.run("idevicepair", "validate").output.contains("SUCCESS"))
        #expect(again.counters.sessions == 1)
    }
}

/// Waits for a condition that another thread or program brings about.
func eventually(_ condition: () -> Bool) throws {
    struct NeverHappened: Error {}
    for _ in 0..<1000 {
        if condition() { return }
        Thread.sleep(forTimeInterval: 0.02)
    }
    throw NeverHappened()
}
