/// Where a backup or a restore stands; faults are aimed at these.
package enum BackupStage: String, Sendable, CaseIterable {
    /// Versions are exchanged.
    case hello
    /// A request came.
    case request
    /// The passcode is asked for.
    case prompt
    /// Status.plist and Manifest.plist of the host are read.
    case status
    /// The host's Manifest.db is read.
    case manifest
    /// The host's free space is asked for.
    case space
    /// Snapshot folders are made.
    case prepare
    /// Files go up.
    case upload
    /// The new manifest goes up.
    case seal
    /// Files move from Snapshot to their places.
    case move
    /// What is gone is removed.
    case remove
    /// The last status goes up.
    case finish
    /// Restore: the host copies the backup.
    case copy
    /// Restore: files come down.
    case download
    /// Restore: the data are put in place.
    case apply
    /// The final message is about to be sent.
    case response
}

/// Something that goes wrong on purpose, once. That the cable breaks is the line's affair: it can
/// be told to at "backup." and the name of a stage.
package enum BackupFault: Sendable, Equatable {
    /// The phone ends with this MBErrorDomain code.
    case error(code: Int64, at: BackupStage)
    /// The phone says nothing for a while, then goes on.
    case silence(Duration, at: BackupStage)
    /// The phone says nothing for ever.
    case hang(at: BackupStage)
    /// The phone sends DLMessageDisconnect.
    case leave(at: BackupStage)
    /// The phone sends something no phone should.
    case hostile(HostileMessage, at: BackupStage)
    /// Files whose path contains the text are answered with a remote error block.
    case fileError(block: UInt8, path: String)
    /// The phone ends without its final message and keeps the connection open.
    case noResponse
    /// The folder Snapshot stays where it is at the end.
    case keepSnapshot

    /// Words of the control channel such as ["cut", "upload"]; nil when they are no fault.
    package init?(words: [String]) {
        let values = Array(words.dropFirst())
        switch (words.first, values.count) {
        case ("no-response", 0): self = .noResponse
        case ("keep-snapshot", 0): self = .keepSnapshot
        case ("file-error", 2):
            guard let block = UInt8(values[0], radix: 16) else { return nil }
            self = .fileError(block: block, path: values[1])
        case ("hang", 1), ("leave", 1):
            guard let stage = BackupStage(rawValue: values[0]) else { return nil }
            self = words[0] == "hang" ? .hang(at: stage) : .leave(at: stage)
        case (let kind?, 2):
            guard let stage = BackupStage(rawValue: values[1]) else { return nil }
            self.init(kind, values[0], stage)
        default: return nil
        }
    }

    private init?(_ kind: String, _ value: String, _ stage: BackupStage) {
        switch kind {
        case "error":
            guard let code = Int64(value) else { return nil }
            self = .error(code: code, at: stage)
        case "silence":
            guard let seconds = Double(value), (0...86_400).contains(seconds) else { return nil }
            self = .silence(.milliseconds(Int(seconds * 1_000)), at: stage)
        case "hostile":
            guard let message = HostileMessage(rawValue: value) else { return nil }
            self = .hostile(message, at: stage)
        default: return nil
        }
    }

    /// The stage it waits for, when it waits for one.
    var stage: BackupStage? {
        switch self {
        case .error(_, let stage), .silence(_, let stage), .hang(let stage), .leave(let stage),
            .hostile(_, let stage):
            stage
        case .fileError, .noResponse, .keepSnapshot: nil
        }
    }
}
