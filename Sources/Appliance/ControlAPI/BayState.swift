package import BackupCore

/// What a bay shows: the record an agent keeps and a console or a script reads.
package struct BayState: Hashable, Sendable {
    /// The states of a plug, without the family's prefix: `phones` and bays use the same words.
    package enum Word: String, Sendable, CaseIterable {
        case empty, settling, unsupported
        /// A session with nothing to read: locked, charge-only or not yet allowed.
        case waiting
        /// Only debugging is switched on.
        case debug
        /// Another program holds the phone.
        case busy
        case ready
        case refused, blocked
        case check, running, stalled, lost, resume, verify, failed, done, fault
    }

    package var bay: BayID
    package var word: Word
    package var message: String
    package var phone: PhoneID?
    package var run: RunID?
    package var progress: RunProgress?
    package var exitCode: ExitCode?
    package var changed: Timestamp

    /// A state without phone or run.
    package init(bay: BayID, word: Word, message: String, changed: Timestamp) {
        self.bay = bay
        self.word = word
        self.message = message
        self.changed = changed
    }

    /// Keys `bay, state, message, phone, run, files_done, files_total, bytes_done, bytes_total,
    /// exit_code, changed`. No name and no serial: everybody on the box may read it.
    package var json: JSONValue {
        .members([
            "bay": .string(bay.rawValue), "state": .string(word.rawValue),
            "message": .string(message), "phone": .optional(phone?.rawValue),
            "run": .optional(run?.rawValue),
            "files_done": progress.map { .integer(Int64($0.filesDone)) } ?? .null,
            "files_total": progress?.filesTotal.map { .integer(Int64($0)) } ?? .null,
            "bytes_done": progress.map { .unsigned($0.bytesDone) } ?? .null,
            "bytes_total": progress?.bytesTotal.map(JSONValue.unsigned) ?? .null,
            "exit_code": exitCode.map { .integer(Int64($0.rawValue)) } ?? .null,
            "changed": .string(RFC3339.text(changed)),
        ])
    }
}
