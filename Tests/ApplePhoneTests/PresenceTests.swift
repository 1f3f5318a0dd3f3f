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
    private let directory = NSTemporaryDirectory() + "pr-" + UUID().uuidString.prefix(8)

    private func took(_ body: () async -> Void) async -> Duration {
        let start = ContinuousClock.now
        await body()
        return ContinuousClock.now - start
    }

    @Test func aPhoneThatComesOrGoesEndsTheWait() async throws {
        let mux = try SimulatedUSBMux(directory: directory)
        defer {
            mux.stop()
            // What is left in the system's temporary folder is harmless.
            try? FileManager.default.removeItem(atPath: directory)
        }
        let listener = MuxListener(
            address: mux.environment["USBMUXD_SOCKET_ADDRESS"], clock: RunningClock())
        // What usbmuxd answers to the question itself.
        await listener.change(within: .seconds(1))
        await listener.change(within: .seconds(1))
        async let coming = took { await listener.change(within: Self.limit) }
        try await Task.sleep(for: .milliseconds(300))
        let phone = try SimulatediPhone(options: IPhoneOptions(), mux: mux)
        #expect(await coming < Self.limit / 2)
        await listener.change(within: .seconds(1))
        async let going = took { await listener.change(within: Self.limit) }
        try await Task.sleep(for: .milliseconds(300))
        phone.stop()
        #expect(await going < Self.limit / 2)
    }

    @Test func withoutAnEventTheWholeTimePasses() async throws {
        let mux = try SimulatedUSBMux(directory: directory)
        defer {
            mux.stop()
            try? FileManager.default.removeItem(atPath: directory)
        }
        let listener = MuxListener(
            address: mux.environment["USBMUXD_SOCKET_ADDRESS"], clock: RunningClock())
        for _ in 0..<3 { await listener.change(within: .milliseconds(300)) }
        #expect(await took { await listener.change(within: .seconds(1)) } >= .seconds(1))
    }

    @Test func withoutAnUsbmuxdTheWholeTimePassesAndALaterOneIsHeard() async throws {
        let listener = MuxListener(
            address: "UNIX:" + directory + "/usbmuxd", clock: RunningClock())
        #expect(await took { await listener.change(within: .seconds(1)) } >= .seconds(1))
        let mux = try SimulatedUSBMux(directory: directory)
        // It answers the question, which is something.
        #expect(await took { await listener.change(within: Self.limit) } < Self.limit / 2)
        await listener.change(within: .milliseconds(500))
        mux.stop()
        // Its end is no event that a phone came by, and no busy loop either.
        #expect(await took { await listener.change(within: .seconds(1)) } >= .seconds(1))
        try? FileManager.default.removeItem(atPath: directory)
    }

    @Test func aCancelledWaitEnds() async throws {
        let mux = try SimulatedUSBMux(directory: directory)
        defer {
            mux.stop()
            try? FileManager.default.removeItem(atPath: directory)
        }
        let listener = MuxListener(
            address: mux.environment["USBMUXD_SOCKET_ADDRESS"], clock: RunningClock())
        for _ in 0..<2 { await listener.change(within: .milliseconds(300)) }
        let wait = Task { await took { await listener.change(within: Self.limit) } }
        try await Task.sleep(for: .milliseconds(100))
        wait.cancel()
        #expect(await wait.value < Self.limit / 2)
    }
}
