import Synchronization

/// How a phone's AFC misbehaves on purpose.
package enum AFCFault: String, Sendable, CaseIterable {
    /// Data whose header says that they are longer than they are, and then nothing.
    case longLength = "long-length"
    /// A header whose whole is smaller than its part.
    case shortLength = "short-length"
    /// A header that announces 4 GiB, and then nothing.
    case huge
    /// A header that does not begin as one.
    case badMagic = "bad-magic"
    /// An answer to another question.
    case badNumber = "bad-number"
    /// A read that gives more than it was asked for.
    case moreData = "more-data"
    /// A read that gives half of what is there.
    case halfData = "half-data"
    /// Folders that also list "..", a path, an empty name, bytes that are no text, and a name of
    /// 10,000 bytes.
    case names
    /// A folder list of 4 GiB that really comes.
    case endlessList = "endless-list"
    /// Every folder holds a folder "again" with the same content.
    case endlessTree = "endless-tree"
    /// A file info with values that are no numbers.
    case oddInfo = "odd-info"
    /// Reads end with an I/O error.
    case readError = "read-error"
    /// The lock is held by somebody on the phone.
    case busyLock = "busy-lock"
}

/// The fault that is on, and for how many answers more.
final class AFCFaults: Sendable {
    private let state = Mutex<(fault: AFCFault, remaining: Int)?>(nil)

    /// Nil ends misbehaving.
    func set(_ fault: AFCFault?, count: Int = .max) {
        state.withLock { $0 = fault.map { ($0, count) } }
    }

    /// Whether the fault strikes now, which uses it up once.
    func strikes(_ faults: AFCFault...) -> AFCFault? {
        state.withLock { state in
            guard let (fault, remaining) = state, faults.contains(fault) else { return nil }
            state = remaining > 1 ? (fault, remaining - 1) : nil
            return fault
        }
    }

    /// Names that no folder should hold.
    static let oddNames: [[UInt8]] = [
        Array("../../outside".utf8), Array("a/b".utf8), [], Array("x\u{1B}[2J\n".utf8),
        [0xFF, 0xFE, 0x41], [UInt8](repeating: 0x61, count: 10_000), Array("/etc/passwd".utf8),
    ]
}
