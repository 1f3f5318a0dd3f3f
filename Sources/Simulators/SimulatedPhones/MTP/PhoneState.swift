import Synchronization

/// What the MTP service, the person holding the phone and the tests share.
final class PhoneState: Sendable {
    /// The storages as hosts may see them at the moment.
    struct Board {
        var isUnlocked: Bool
        /// Ids of the visible storages in the order of the specs; they grow with each unlock,
        /// as Android's do.
        var ids: [UInt32] = []
        var nextNumber: UInt32 = 1
        /// Grows with each change, so that the service knows when to forget its handles.
        var epoch = 0
        var battery: UInt8 = 80
    }

    private let board: Mutex<Board>
    private let counts = Mutex(PhoneCounters())
    private let storageCount: Int

    init(storageCount: Int, isUnlocked: Bool) {
        self.storageCount = storageCount
        var board = Board(isUnlocked: false)
        if isUnlocked { Self.show(storageCount, on: &board) }
        self.board = Mutex(board)
    }

    private static func show(_ count: Int, on board: inout Board) {
        board.isUnlocked = true
        board.epoch += 1
        board.ids = (0..<UInt32(count)).map { ((board.nextNumber + $0) << 16) + 1 }
        board.nextNumber += UInt32(count)
    }

    /// Shows the storages and returns the ids that are new.
    func unlock() -> [UInt32] {
        board.withLock { board in
            guard !board.isUnlocked else { return [] }
            Self.show(storageCount, on: &board)
            return board.ids
        }
    }

    /// Hides the storages and returns the ids that are gone.
    func lock() -> [UInt32] {
        board.withLock { board in
            defer { board.ids = [] }
            if board.isUnlocked { board.epoch += 1 }
            board.isUnlocked = false
            return board.ids
        }
    }

    var current: Board { board.withLock { $0 } }

    func setBattery(_ level: UInt8) {
        board.withLock { $0.battery = level }
    }

    func count(_ body: (inout PhoneCounters) -> Void) {
        counts.withLock { body(&$0) }
    }

    var counters: PhoneCounters { counts.withLock { $0 } }
}

/// What hosts did, so that tests can prove what they did not.
package struct PhoneCounters: Codable, Sendable, Equatable {
    /// How often each operation came, by name ("getObject") or number.
    package var operations: [String: Int] = [:]
    /// Bytes of file content read, by path below the storage ("0:DCIM/Camera/x.jpg").
    package var bytesRead: [String: UInt64] = [:]
    /// How many sessions were opened.
    package var sessions = 0

    /// Nothing yet.
    package init() {}
}
