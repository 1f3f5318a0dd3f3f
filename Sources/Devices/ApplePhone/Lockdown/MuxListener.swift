package import BackupCore
import BlockingThread
import Glibc
import Synchronization

/// Hears from usbmuxd that iPhones come and go.
///
/// What usbmuxd says is not read here, only that it says something: a phone's words are looked at in
/// a worker. So the phones that are there already, which it names at the beginning, are a change too.
package final class MuxListener: PresenceWatch {
    /// How soon a cancelled wait ends.
    private static let slice = Duration.milliseconds(200)

    private let address: String?
    private let clock: any RunClock
    private let thread = Mutex<DedicatedThread?>(nil)
    /// The connection that listens; -1 while there is none.
    private let descriptor = Mutex<Int32>(-1)

    /// A listener that connects when it is first waited with. `address` is as in
    /// `USBMUXD_SOCKET_ADDRESS`; nil takes that variable's, else the usual socket.
    package init(address: String? = nil, clock: any RunClock) {
        self.address = address
        self.clock = clock
    }

    deinit { descriptor.withLock { if $0 >= 0 { close($0) } } }

    /// See ``PresenceWatch/change(within:)``. Without a usbmuxd the whole time passes.
    package func change(within limit: Duration) async {
        let deadline = clock.elapsed() + limit
        guard await onThread({ self.listen() }) else { return await clock.sleep(limit) }
        while !Task.isCancelled {
            let left = deadline - clock.elapsed()
            guard left > .zero else { return }
            switch await onThread({ self.hear(min(left, Self.slice)) }) {
            case .something: return
            case .nothing: continue
            case .end: return await clock.sleep(deadline - clock.elapsed())
            }
        }
    }

    private func onThread<Value: Sendable>(
        _ body: @escaping @Sendable () -> Value
    ) async -> Value {
        let own = thread.withLock { thread in
            let own = thread ?? DedicatedThread(name: "usbmuxd")
            thread = own
            return own
        }
        return await own.run(body)
    }

    /// Whether usbmuxd tells of changes, asked to when it does not yet.
    private func listen() -> Bool {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { return true }
            let new = MuxClient.connect(to: address)
            guard new >= 0 else { return false }
            guard MuxClient.send(MuxClient.message(["MessageType": .string("Listen")]), to: new)
            else {
                close(new)
                return false
            }
            descriptor = new
            return true
        }
    }

    private enum Heard { case something, nothing, end }

    private func hear(_ limit: Duration) -> Heard {
        descriptor.withLock { descriptor in
            guard descriptor >= 0 else { return .end }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let milliseconds = Int32(clamping: limit.milliseconds)
            // Sound: one local structure is lent for the call.
            guard unsafe poll(&wanted, 1, milliseconds) > 0 else { return .nothing }
            var piece = [UInt8](repeating: 0, count: 64 << 10)
            var isOpen = true
            while isOpen {
                // Sound: the buffer lends its bytes and is told its size.
                let got = unsafe recv(descriptor, &piece, piece.count, Int32(MSG_DONTWAIT))
                if got < 0, errno == EAGAIN || errno == EINTR { return .something }
                isOpen = got > 0
            }
            close(descriptor)
            descriptor = -1
            return .end
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
