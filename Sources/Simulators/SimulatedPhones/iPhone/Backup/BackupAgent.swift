import Foundation
import Synchronization

/// The part of a simulated iPhone that makes and takes back backups: what it holds, how backups
/// are protected, and what shall go wrong. It serves com.apple.mobilebackup2.
package final class BackupAgent: Sendable {
    /// How the phone was set up.
    package let options: BackupOptions
    /// Folder for manifests under construction and restored content.
    let scratch: String
    let state: Mutex<State>

    /// What changes.
    struct State: Sendable {
        var data: PhoneData
        /// Present when backups are encrypted.
        var keyBag: BackupKeyBag?
        /// UUIDs of key bags that had the same keys.
        var keyBagHistory: Set<[UInt8]> = []
        /// UUIDs of the Status.plist this phone wrote last.
        var finishedBackups: Set<String> = []
        var faults: [BackupFault] = []
        /// A host vanished and left a snapshot: how often the phone had been restarted then.
        var staleSnapshot: Int?
        /// A restore waits for the restart: how often the phone had been restarted then.
        var unfinishedRestore: Int?
        var counters = BackupCounters()
    }

    /// Sets a phone up. `scratch` is made when missing. Throws what SQLite or the folder say.
    package init(options: BackupOptions, scratch: String) throws {
        self.options = options
        self.scratch = scratch
        try ScratchFolder.make(scratch)
        var state = State(data: try PhoneData(options.data))
        if let password = options.password {
            let bag = BackupKeyBag(password: password, cost: options.keyBagCost)
            state.keyBag = bag
            state.keyBagHistory = [bag.uuid]
        }
        self.state = Mutex(state)
    }

    /// Whether backups are encrypted: WillEncrypt in lockdown's domain com.apple.mobile.backup.
    package var willEncrypt: Bool { state.withLock { $0.keyBag != nil } }

    /// The first fault that `matches`; it is gone then.
    func takeFault(_ matches: (BackupFault) -> Bool) -> BackupFault? {
        state.withLock { state in
            guard let index = state.faults.firstIndex(where: matches) else { return nil }
            return state.faults.remove(at: index)
        }
    }

    /// Serves one connection of com.apple.mobilebackup2 to its end; throws what ended it early.
    package func serve(_ stream: any ServiceStream, for phone: any BackupPhone) throws {
        try BackupSession(agent: self, stream: stream, phone: phone).run()
    }
}

/// What hosts did, for tests and measurements.
package struct BackupCounters: Codable, Sendable, Equatable {
    /// Backups that ended with ErrorCode 0: all, and those that were incremental.
    package var backups = 0
    package var incrementalBackups = 0
    /// Files and bytes of the last backup that went up.
    package var filesSent = 0
    package var bytesSent: UInt64 = 0
    /// Files that were in the last backup's manifest.
    package var filesListed = 0
    /// Restores that ended with ErrorCode 0.
    package var restores = 0
    /// ErrorCode of the last final message.
    package var lastErrorCode: Int64 = 0
}

/// Nameless places for files of this machine.
enum ScratchFolder {
    static func make(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        } catch {
            throw SocketProblem(description: "Cannot prepare the folder \(path): \(error).")
        }
    }

    static func remove(_ path: String) {
        // A file left behind costs room, never a result.
        try? FileManager.default.removeItem(atPath: path)
    }
}
