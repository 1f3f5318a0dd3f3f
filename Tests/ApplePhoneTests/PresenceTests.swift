import ApplePhone
import BackupCore
import DeviceTestKit
import Foundation
import SimulatedPhones
import Testing

/// What usbmuxd says wakes whoever waits for phones.
@Suite struct PresenceTests {
    /// Far more than any of it takes: a wait that nothing ended takes all of it.
    private static let limit = Duration.seconds(60)

    /// A usbmuxd in a folder of its own.
    private final class Daemon {
        let mux: SimulatedUSBMux
        private let directory: String

        init(in directory: String = Daemon.folder()) throws {
            self.directory = directory
            mux = try SimulatedUSBMux(directory: directory)
        }

        deinit {
            mux.stop()
            // What is left in the system's temporary folder is harmless.
            try? FileManager.default.removeItem(atPath: directory)
        }

        static func folder() -> String {
            NSTemporaryDirectory() + "pr-" + UUID().uuidString.prefix(8)
        }

        func listener() -> MuxListener {
            MuxListener(address: mux.environment["USBMUXD_SOCKET_ADDRESS"], clock: RunningClock())
        }
    }

    private func took(_ body: () async -> Void) async -> Duration {
        let start = ContinuousClock.now
        await body()
        return ContinuousClock.now - start
    }

    /// Hears what usbmuxd answers to the question itself, until it says no more.
    private func settle(_ listener: MuxListener) async {
        let quiet = Duration.milliseconds(500)
        await listener.change(within: Self.limit)
        while await took({ await listener.change(within: quiet) }) < quiet {}
    }

    @Test func aPhoneThatComesOrGoesEndsTheWait() async throws {
        let daemon = try Daemon()
        let listener = daemon.listener()
        await settle(listener)
        async let coming = took { await listener.change(within: Self.limit) }
        try await Task.sleep(for: .milliseconds(300))
        let phone = try SimulatediPhone(options: IPhoneOptions(), mux: daemon.mux)
        #expect(await coming < Self.limit / 2)
        await listener.change(within: .seconds(1))
        async let going = took { await listener.change(within: Self.limit) }
        try await Task.sleep(for: .milliseconds(300))
        phone.stop()
        #expect(await going < Self.limit / 2)
        withExtendedLifetime(daemon) {}
    }

    @Test func withoutAnEventTheWholeTimePasses() async throws {
        let daemon = try Daemon()
        let listener = daemon.listener()
        await settle(listener)
        #expect(await took { await listener.change(within: .seconds(1)) } >= .seconds(1))
        withExtendedLifetime(daemon) {}
    }

    @Test func withoutAnUsbmuxdTheWholeTimePassesAndALaterOneIsHeard() async throws {
        let folder = Daemon.folder()
        let listener = MuxListener(address: "UNIX:" + folder + "/usbmuxd", clock: RunningClock())
        #expect(await took { await listener.change(within: .seconds(1)) } >= .seconds(1))
        let daemon = try Daemon(in: folder)
        // It answers the question, which is something.
        #expect(await took { await listener.change(within: Self.limit) } < Self.limit / 2)
        await listener.change(within: .milliseconds(500))
        daemon.mux.stop()
        // Its end is no event that a phone came by, and no busy loop either.
        #expect(await took { await listener.change(within: .seconds(1)) } >= .seconds(1))
    }

    @Test func aCancelledWaitEnds() async throws {
        let daemon = try Daemon()
        let listener = daemon.listener()
        await settle(listener)
        let wait = Task { await took { await listener.change(within: Self.limit) } }
        try await Task.sleep(for: .milliseconds(100))
        wait.cancel()
        #expect(await wait.value < Self.limit / 2)
        withExtendedLifetime(daemon) {}
    }
}
