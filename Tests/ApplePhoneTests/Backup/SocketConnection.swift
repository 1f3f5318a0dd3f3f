import BackupCore
import Glibc
import Synchronization

@testable import ApplePhone

/// One end of a socketpair as a service's connection.
final class SocketConnection: ServiceConnection {
    private let descriptor: Int32
    private var isOpen = true
    /// Counted waits stand for time that has passed, so that no test waits for a deadline.
    private let time: CountedTime

    init(_ descriptor: Int32, _ time: CountedTime) {
        self.descriptor = descriptor
        self.time = time
    }

    deinit { close() }

    /// The number of a closed socket may be another conversation's by now.
    private func checkOpen() throws(DeviceError) {
        guard isOpen else { throw DeviceError(.cancelled, "The connection is closed") }
    }

    func read(_ count: Int, within limit: Duration) throws(DeviceError) -> [UInt8] {
        try checkOpen()
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            guard try hasInput(within: limit) else { throw DeviceError(.timedOut, "Silence") }
            let got = bytes.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress?.advanced(by: filled), count - filled, 0)
            }
            guard got > 0 else { throw DeviceError(.gone, "The line is lost") }
            filled += got
        }
        return bytes
    }

    func write(_ bytes: [UInt8], within limit: Duration) throws(DeviceError) {
        try checkOpen()
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(
                    descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw DeviceError(.gone, "The line is lost") }
            sent += count
        }
    }

    /// Once the phone is scripted to be silent, time passes instead of being waited for.
    func hasInput(within limit: Duration) throws(DeviceError) -> Bool {
        try checkOpen()
        var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&item, 1, time.isSilent ? 0 : 5) == 0 {
            if time.passIfSilent(limit) { return false }
        }
        return true
    }

    func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }
}

/// Time that moves only when a phone is scripted to be silent.
final class CountedTime: Sendable {
    private let state = Mutex<(elapsed: Duration, isSilent: Bool)>((.zero, false))

    var elapsed: Duration { state.withLock { $0.elapsed } }
    var isSilent: Bool { state.withLock { $0.isSilent } }

    /// From now on the phone says nothing.
    func fallSilent() { state.withLock { $0.isSilent = true } }

    /// From now on it answers again, as each new conversation does.
    func speak() { state.withLock { $0.isSilent = false } }

    /// Lets time pass when the phone is silent, and tells whether it is.
    func passIfSilent(_ duration: Duration) -> Bool {
        state.withLock { state in
            if state.isSilent { state.elapsed += duration }
            return state.isSilent
        }
    }
}
