import BackupCore
import Glibc
import Synchronization

/// Wakes a thread that waits for a worker, from any task.
final class Interruption: Sendable {
    /// Why the wait is over.
    enum Reason: Sendable {
        case deadline
        case cancelled
    }

    /// Readable once there is a reason.
    let descriptor: Int32
    private let writeEnd: Int32
    private let reason = Mutex<Reason?>(nil)

    init() throws(DeviceError) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        // Sound: the array has room for the two descriptors.
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw DeviceError(
                .workerEnded, "No connection to a helper process could be made",
                nativeCode: Int(errno))
        }
        descriptor = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(descriptor)
        close(writeEnd)
    }

    /// Wakes the waiting thread; the first reason stays.
    func raise(_ why: Reason) {
        let isFirst = reason.withLock { current in
            guard current == nil else { return false }
            current = why
            return true
        }
        guard isFirst else { return }
        var byte: UInt8 = 1
        // Sound: one byte of a local. One byte is ever written, so there is room.
        _ = unsafe write(writeEnd, &byte, 1)
    }

    /// The reason, when there is one.
    var raised: Reason? { reason.withLock { $0 } }
}
